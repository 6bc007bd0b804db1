/**
 * What it costs to ask who is calling: SendEvent of a client with a secret and a grant, against the same
 * call on a server that asks nobody. Two servers on the embedded store, in turns; the figure is the
 * processor time of the server, which the driver on the same cores does not blur.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startCommand } from '../support/build.js';
import { temporaryDirectory } from '../support/processes.js';
import { seed } from './fsm.js';
import { isShort, median, report, TURNS } from './report.js';
import { NAME, sendEvents } from './requests.js';
import { startOnLmdb } from './servers.js';
import { CpuMeter, turn } from './turns.js';

const MACHINES = 1_000;
const SEND = '/switchgear.fsm.v1.FsmService/SendEvent';
/** A deployment has more than one client. */
const OTHER_CLIENTS = 20;

export async function measureAuth(): Promise<void> {
  const { authFile, credentials } = makeClients();
  const open = await startOnLmdb();
  const guarded = {
    ...(await startOnLmdb(['--auth-file', authFile])),
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
  const servers = [guarded, open] as const;
  for (const server of servers) await seed(server, MACHINES);
  for (const server of servers) await turn(server, SEND, sendEvents(MACHINES));
  const ratios: number[] = [];
  // Twice as many turns as elsewhere: what is looked for is smaller than what turns differ by.
  for (let i = 0; i < 2 * TURNS; i++) {
    const [used, usedOpen] = [new CpuMeter(guarded), new CpuMeter(open)];
    await used.during(() => turn(guarded, SEND, sendEvents(MACHINES)));
    await usedOpen.during(() => turn(open, SEND, sendEvents(MACHINES)));
    ratios.push(used.usedUs('server') / usedOpen.usedUs('server'));
  }
  for (const server of servers) await server.stop();
  const ratio = median(ratios);
  report({
    work: 'SendEvent with credentials and a grant, of one without: processor time of the server',
    figure: `${ratio.toFixed(3)} x`,
    gate: '1.03 x',
    goal: '1.01 x',
    // The turns of a short run differ by more than the gate allows.
    holds: ratio <= (isShort ? 1.06 : 1.03),
    isRatio: true,
  });
}

/** An auth file with a client that may do what the load does, among others. */
function makeClients(): { authFile: string; credentials: string } {
  const directory = temporaryDirectory('bench');
  const authFile = join(directory, 'auth.yaml');
  const secretFile = join(directory, 'secret');
  const [program = '', ...command] = startCommand();
  const add = (name: string, ...rest: string[]) =>
    execFileSync(program, [...command, 'client', 'add', name, '--auth-file', authFile, ...rest]);
  for (let i = 0; i < OTHER_CLIENTS; i++) add(`other-${i}`, '--grant', `bus:*:stream-${i}`);
  add('bench', '--grant', 'bus:write:*', '--grant', `fsm:*:${NAME}*`, '--secret-to', secretFile);
  return { authFile, credentials: readFileSync(secretFile, 'utf8').trim() };
}
