/**
 * Of what the server allocates for events, the share that outlives a scavenge, as V8 tells it. Nearly all of a
 * call is dead when it is answered; what is not fills the old generation, whose collection stopped the server for
 * 120 to 180 ms, and may keep other dead calls alive, which every scavenge then copies: both show in the slowest
 * calls. A burst comes first: what it leaves behind must not stay.
 */
import { Pace } from './pace.js';
import { percent, report } from './report.js';
import { sendEvents } from './requests.js';
import { seed } from './seed.js';
import { type LmdbStore, type RedisStore, startOnLmdb, startOnRedis } from './servers.js';
import { FULL } from './turns.js';

const SEND = '/switchgear.fsm.v1.FsmService/SendEvent';
const TRACE = ['--trace-gc', '--trace-gc-nvp'];
/** Made by 200 callers at a time. */
const BURST = 1_000;
const EVENTS_PER_SECOND = 1_000;
const SECONDS = 6;
/** Of the last scavenges: the first are the burst's own. */
const SCAVENGES = 10;
/**
 * Where both are as they should be 1 to 2 % live on. An object spread with new properties behind it, for each
 * event once, makes that 5 to 7 %: Node 20 makes a hidden class for each such object.
 */
const MOST = 0.04;

export async function survival(): Promise<void> {
  await survivalOn(await startOnRedis(TRACE));
  await survivalOn(await startOnLmdb([], TRACE));
}

async function survivalOn(store: RedisStore | LmdbStore): Promise<void> {
  await seed(store, BURST);
  const target = { address: store.address, path: SEND, next: sendEvents(BURST) };
  const pace = new Pace(target, FULL.connections);
  await pace.run(EVENTS_PER_SECOND, SECONDS);
  pace.close();
  const share = survived(store.output());
  await store.stop();
  report({
    work: `Of what the server on ${store.label} allocates for events, what outlives a scavenge`,
    figure: `${(share * 100).toFixed(1)} %`,
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
