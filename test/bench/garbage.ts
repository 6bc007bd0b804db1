/**
 * Of what the server allocates for calls, the share that outlives a scavenge, as V8 tells it. Nearly all of a
 * call is dead when it is answered; if much of it is not, dead calls keep others alive, and every scavenge copies
 * them, which shows in the p99 of every rpc. A burst comes first: what it leaves behind must not stay.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { GetFiniteStateMachineRequestSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { Pace } from './pace.js';
import { percent, report } from './report.js';
import { fsmId, NAME } from './requests.js';
import { seed } from './seed.js';
import { startOnRedis } from './servers.js';
import { FULL } from './turns.js';

const GET = '/switchgear.fsm.v1.FsmService/GetFiniteStateMachine';
/** Made by 200 callers at a time. */
const BURST = 1_000;
const CALLS_PER_SECOND = 1_000;
const SECONDS = 5;
/** Of the last scavenges: the first are the burst's own. */
const SCAVENGES = 5;
const MOST = 0.1;

export async function survival(): Promise<void> {
  const store = await startOnRedis(['--trace-gc', '--trace-gc-nvp']);
  await seed(store, BURST);
  const request = { configurationName: NAME, fsmId: fsmId(0) };
  const schema = GetFiniteStateMachineRequestSchema;
  const bytes = Buffer.from(toBinary(schema, create(schema, request)));
  const pace = new Pace({ address: store.address, path: GET, next: () => bytes }, FULL.connections);
  await pace.run(CALLS_PER_SECOND, SECONDS);
  pace.close();
  const share = survived(store.output());
  await store.stop();
  report({
    work: 'Of what the server allocates for calls, what outlives a scavenge',
    figure: percent(share),
    gate: percent(MOST),
    goal: '',
    holds: share <= MOST,
    isRatio: true,
  });
}

function survived(trace: string): number {
  const scavenges = trace
    .split('\n')
    .filter((line) => line.includes(' gc=s '))
    .slice(-SCAVENGES);
  if (scavenges.length < SCAVENGES) throw new Error('the server told of too few scavenges');
  const sumOf = (name: string) => scavenges.reduce((sum, line) => sum + numberIn(line, name), 0);
  return (sumOf('promoted') + sumOf('new_space_survived')) / sumOf('allocated');
}

function numberIn(line: string, name: string): number {
  return Number(new RegExp(` ${name}=(\\d+)`).exec(line)?.[1]);
}
