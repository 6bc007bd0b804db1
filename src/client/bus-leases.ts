/**
 * The leases that a worker holds, kept alive: at about a third of their time they are extended, many with
 * one call. A lease that is lost, by the word of the service or because nobody could be asked for as long
 * as it ran, is told to whoever works on its event, which by then may be in other hands.
 */
import type { LeaseInit, MarkResult } from './bus-marking.js';

/** The most that the service takes at once. */
const BATCH_LEASES = 1_000;
/** Of a lease's time: when it is extended, and how often is looked. */
const EXTEND_AT = 1 / 3;
const LOOK_EVERY = 1 / 9;
const MAX_LOOK_MS = 10_000;

/** An event in this worker's hands. */
export interface Lease extends LeaseInit {
  /** When it was last known to be held, by the clock of `performance`. */
  heldMs: number;
  /** True once the service said that it has ended. */
  isStale: boolean;
  /** Its time is over: whoever works on the event should stop. */
  lose(): void;
}

type Extend = (leases: readonly LeaseInit[], ackDeadlineMs: number) => Promise<MarkResult[]>;

export class Leases {
  readonly #held = new Set<Lease>();
  readonly #extend: Extend;
  #periodMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isExtending = false;

  constructor(extend: Extend) {
    this.#extend = extend;
  }

  /** Looks after leases of `periodMs` from now on. */
  start(periodMs: number): void {
    if (periodMs === this.#periodMs) return;
    this.stop();
    this.#periodMs = periodMs;
    this.#timer = setInterval(() => void this.#look(), Math.min(MAX_LOOK_MS, periodMs * LOOK_EVERY)).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#periodMs = 0;
  }

  get size(): number {
    return this.#held.size;
  }

  add(lease: Lease): void {
    this.#held.add(lease);
  }

  delete(lease: Lease): void {
    this.#held.delete(lease);
  }

  async #look(): Promise<void> {
    const nowMs = performance.now();
    for (const lease of this.#held) if (nowMs - lease.heldMs >= this.#periodMs) lease.lose();
    if (this.#isExtending) return;
    const due = [...this.#held].filter(
      ({ heldMs, isStale }) => !isStale && nowMs - heldMs >= this.#periodMs * EXTEND_AT,
    );
    this.#isExtending = true;
    for (let i = 0; i < due.length; i += BATCH_LEASES) await this.#extendSome(due.slice(i, i + BATCH_LEASES));
    this.#isExtending = false;
  }

  async #extendSome(leases: readonly Lease[]): Promise<void> {
    const sentMs = performance.now();
    const results = await this.#extend(
      leases.map(({ eventId, leaseToken }) => ({ eventId, leaseToken })),
      this.#periodMs,
      // Nobody there, or not in time: the next look asks again.
    ).catch(() => []);
    for (const [i, lease] of leases.entries()) {
      const answer = results[i];
      if (!answer || 'error' in answer) continue;
      if (answer.result === 'ok') lease.heldMs = sentMs;
      else {
        lease.isStale = true;
        lease.lose();
      }
    }
  }
}
