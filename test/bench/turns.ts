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

/** One turn of full load on a unary rpc. */
export async function turn(
  server: Measurable,
  path: string,
  next: () => Buffer,
  shape = FULL,
): Promise<Measured> {
  const { address, authorization } = server;
  const load = new Load({ address, path, next, ...(authorization && { authorization }) }, shape);
  try {
    return await load.full(SECONDS);
  } finally {
    load.close();
  }
}

/** The times of calls at a steady rate: the median turn of several. */
export async function pacedTurns(
  { address }: Measurable,
  path: string,
  next: () => Buffer,
  perSecond: number,
): Promise<Pick<Measured, 'p50Ms' | 'p99Ms'>> {
  const pace = new Pace({ address, path, next }, FULL.connections);
  // The first second is spent on connecting and compiling.
  await pace.run(perSecond, 1);
  const turns: Measured[] = [];
  for (let i = 0; i < TURNS; i++) turns.push(await pace.run(perSecond, SECONDS));
  pace.close();
  const [p50Ms, p99Ms] = [median(turns.map((each) => each.p50Ms)), median(turns.map((each) => each.p99Ms))];
  return { p50Ms, p99Ms };
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
