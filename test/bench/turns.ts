/**
 * Turns of what is compared, one after the other, so that a machine that slows down slows both; a ratio is
 * the median of the ratios of neighbouring turns.
 */
import { Load, type Measured, type Shape } from './load.js';
import { Pace } from './pace.js';
import { median, SECONDS, TURNS } from './report.js';
import { cpuSeconds, type Measurable } from './servers.js';

/** The shape in which a bare echo is fastest here. */
export const FULL: Shape = { connections: 4, callers: 50 };
/** Enough to see what half of it is. */
const FULL_SECONDS = 2;

/** One turn of full load on a unary rpc. */
export async function turn(
  server: Measurable,
  path: string,
  next: () => Buffer,
  shape = FULL,
  seconds = SECONDS,
): Promise<Measured> {
  const { address, authorization } = server;
  const load = new Load({ address, path, next, ...(authorization && { authorization }) }, shape);
  try {
    return await load.full(seconds);
  } finally {
    load.close();
  }
}

/**
 * The times of calls at half of what the server can take: the median turn of several. Each turn asks anew what
 * that is, since it drifts: half of what it was some minutes ago may be three quarters of what it is now.
 */
export async function halfLoad(server: Measurable, path: string, next: () => Buffer): Promise<Measured> {
  const pace = new Pace({ address: server.address, path, next }, FULL.connections);
  const turns: Measured[] = [];
  for (let i = 0; i < TURNS; i++) {
    const perSecond = (await turn(server, path, next, FULL, FULL_SECONDS)).perSecond / 2;
    // What full load has left is no part of it.
    await pace.run(perSecond, 1);
    turns.push(await pace.run(perSecond, SECONDS));
  }
  pace.close();
  const middle = (value: (turn: Measured) => number) => median(turns.map(value));
  return {
    perSecond: middle((each) => each.perSecond),
    p50Ms: middle((each) => each.p50Ms),
    p99Ms: middle((each) => each.p99Ms),
  };
}

export interface Compared {
  readonly perSecond: number;
  /** What it is compared with. */
  readonly otherPerSecond: number;
  readonly ratio: number;
}

type Rated = Pick<Measured, 'perSecond'>;

/** Turns of both; their rates, and the ratio of the first to the second. */
export async function compare(first: () => Promise<Rated>, second: () => Promise<Rated>): Promise<Compared> {
  const pairs: [number, number][] = [];
  for (let i = 0; i < TURNS; i++) pairs.push([(await first()).perSecond, (await second()).perSecond]);
  return {
    perSecond: median(pairs.map(([a]) => a)),
    otherPerSecond: median(pairs.map(([, b]) => b)),
    ratio: median(pairs.map(([a, b]) => a / b)),
  };
}

/** The processor time that each process of a server uses for a piece of work. */
export class CpuMeter {
  readonly #pids: Measurable['pids'];
  readonly #usedSeconds: Record<string, number> = {};
  #pieces = 0;

  constructor({ pids }: Measurable) {
    this.#pids = pids;
  }

  /** Measures a turn that did as many pieces of work as its rate says, in as long as it took. */
  async during<T extends Rated>(work: () => Promise<T>): Promise<T> {
    const before = Object.entries(this.#pids).map(([label, pid]) => [label, pid, cpuSeconds(pid)] as const);
    const startMs = performance.now();
    const measured = await work();
    this.#pieces += (measured.perSecond * (performance.now() - startMs)) / 1_000;
    for (const [label, pid, seconds] of before)
      this.#usedSeconds[label] = (this.#usedSeconds[label] ?? 0) + cpuSeconds(pid) - seconds;
    return measured;
  }

  /** What the process of this label used for one piece of work. */
  usedUs(label: string): number {
    return ((this.#usedSeconds[label] ?? 0) * 1e6) / this.#pieces;
  }

  /** E.g. `CPU us an event: server 140, redis 37`. */
  get text(): string {
    const parts = Object.keys(this.#usedSeconds).map((label) => `${label} ${Math.round(this.usedUs(label))}`);
    return `CPU us an event: ${parts.join(', ')}`;
  }
}
