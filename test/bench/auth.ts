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
import { Pace } from './pace.js';
import { isShort, median, report } from './report.js';
import { NAME, sendEvents } from './requests.js';
import { seed } from './seed.js';
import { type Store, startOnLmdb } from './servers.js';
import { CpuMeter, FULL, turn } from './turns.js';

const MACHINES = 1_000;
const SEND = '/switchgear.fsm.v1.FsmService/SendEvent';
/** A deployment has more than one client. */
const OTHER_CLIENTS = 20;
/** Well below what either can do: at full load each batches as the other lets it, and that is all one sees. */
const CALLS_PER_SECOND = 1_500;
/** Many and short, so that both see the same moods of the machine. */
const PAIRS = 5;
const TURN_SECONDS = 1;
/** Two processes of the same program differ by a few percent for as long as they live: so there are many. */
const ROUNDS = isShort ? 2 : 12;

export async function measureAuth(): Promise<void> {
  const clients = makeClients();
  const ratios: number[] = [];
  for (let i = 0; i < ROUNDS; i++) ratios.push(await ratioOf(clients));
  const ratio = mean(ratios);
  const error = Math.sqrt(mean(ratios.map((each) => (each - ratio) ** 2)) / (ROUNDS - 1));
  report({
    work: 'SendEvent with credentials and a grant, of one without: processor time of the server',
    figure: `${ratio.toFixed(3)} x (standard error ${error.toFixed(3)}, ${ROUNDS} pairs of processes)`,
    gate: '1.03 x',
    goal: '1.01 x',
    // A short run differs by more than the gate allows.
    holds: ratio <= (isShort ? 1.2 : 1.03),
    isRatio: true,
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

interface Clients {
  readonly authFile: string;
  readonly credentials: string;
}

/** Of two new servers, one of which asks who calls. */
async function ratioOf({ authFile, credentials }: Clients): Promise<number> {
  const open = new Paced(await startOnLmdb());
  const guarded = new Paced({
    ...(await startOnLmdb(['--auth-file', authFile])),
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
  });
  const both = [guarded, open] as const;
  for (const each of both) await each.prepare();
  // Whoever is second in a pair may find caches warm: they take turns at that.
  for (let i = 0; i < PAIRS; i++)
    for (const each of i % 2 === 0 ? both : [...both].reverse()) await each.turn();
  for (const each of both) await each.stop();
  return median(guarded.turnsUs) / median(open.turnsUs);
}

/** A server under a load of so many calls a second. */
class Paced {
  /** What each turn took of the processor for a call, in microseconds. */
  readonly turnsUs: number[] = [];
  readonly #server: Store;
  readonly #pace: Pace;

  constructor(server: Store) {
    const { address, authorization } = server;
    this.#server = server;
    const target = { address, path: SEND, next: sendEvents(MACHINES) };
    this.#pace = new Pace({ ...target, ...(authorization && { authorization }) }, FULL.connections);
  }

  async prepare(): Promise<void> {
    await seed(this.#server, MACHINES);
    await turn(this.#server, SEND, sendEvents(MACHINES));
  }

  async turn(): Promise<void> {
    const cpu = new CpuMeter(this.#server);
    await cpu.during(() => this.#pace.run(CALLS_PER_SECOND, TURN_SECONDS));
    this.turnsUs.push(cpu.usedUs('server'));
  }

  async stop(): Promise<void> {
    this.#pace.close();
    await this.#server.stop();
  }
}

/** An auth file with a client that may do what the load does, among others. */
function makeClients(): Clients {
  const directory = temporaryDirectory('bench');
  const authFile = join(directory, 'auth.yaml');
  const secretFile = join(directory, 'secret');
  const [program = '', ...command] = startCommand();
  const add = (name: string, ...rest: string[]) =>
    execFileSync(program, [...command, 'client', 'add', name, '--auth-file', authFile, ...rest], {
      stdio: 'ignore',
    });
  for (let i = 0; i < OTHER_CLIENTS; i++) add(`other-${i}`, '--grant', `bus:*:stream-${i}`);
  add('bench', '--grant', 'bus:write:*', '--grant', `fsm:*:${NAME}*`, '--secret-to', secretFile);
  return { authFile, credentials: readFileSync(secretFile, 'utf8').trim() };
}
