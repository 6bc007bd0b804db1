/**
 * Calls back when the next of some times has come. One timer, however many times there are; it looks at the
 * clock at least once a minute, so a clock that is set on is noticed, and no wait is too long for a timer.
 */
import type { Clock } from '../clock.js';

const LONGEST_WAIT_MS = 60_000;

export class ExpiryTimer {
  readonly #clock: Clock;
  readonly #onExpiry: () => void;
  /** Those to come, the soonest last; at most as many as there are secrets in an auth file. */
  #times: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, onExpiry: () => void) {
    this.#clock = clock;
    this.#onExpiry = onExpiry;
  }

  /** From now on these are the times. Those that have passed are of no interest. */
  set(times: readonly number[]): void {
    const nowMs = this.#clock.nowMs();
    this.#times = times.filter((ms) => ms > nowMs).sort((a, b) => b - a);
    this.#wait();
  }

  close(): void {
    this.set([]);
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const next = this.#times.at(-1);
    if (next === undefined) return;
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(0, next - this.#clock.nowMs()));
    this.#timer = setTimeout(() => this.#look(), waitMs).unref();
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    const before = this.#times.length;
    while ((this.#times.at(-1) ?? Number.POSITIVE_INFINITY) <= nowMs) this.#times.pop();
    this.#wait();
    if (this.#times.length < before) this.#onExpiry();
  }
}
