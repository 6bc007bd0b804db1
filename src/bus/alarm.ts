/**
 * One timer for everybody who waits for a time. Setting a time costs nothing unless it is the first of
 * all; when the timer rings, all who wait are looked through, which for 10,000 is a tenth of a
 * millisecond.
 */

/** Who waits for a time. */
export interface Sleeper {
  wake(): void;
}

/** No timer is set for longer: Node's take 24 days, and a look too many costs nothing. */
const MAX_SLEEP_MS = 600_000;

export class Alarm {
  /** When to wake whom, by performance.now(). */
  readonly #times = new Map<Sleeper, number>();
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  /** Wakes a sleeper once after `delayMs`, or earlier if that was asked before. */
  set(sleeper: Sleeper, delayMs: number): void {
    const atMs = performance.now() + Math.min(Math.max(delayMs, 1), MAX_SLEEP_MS);
    if ((this.#times.get(sleeper) ?? Number.POSITIVE_INFINITY) <= atMs) return;
    this.#times.set(sleeper, atMs);
    if (atMs < this.#timerMs) this.#wind(atMs);
  }

  clear(sleeper: Sleeper): void {
    this.#times.delete(sleeper);
    if (this.#times.size === 0) this.#wind(Number.POSITIVE_INFINITY);
  }

  #wind(atMs: number): void {
    clearTimeout(this.#timer);
    this.#timerMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(this.#ring, Math.ceil(atMs - performance.now()));
    this.#timer.unref();
  }

  readonly #ring = (): void => {
    const nowMs = performance.now();
    const due: Sleeper[] = [];
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [sleeper, atMs] of this.#times)
      if (atMs <= nowMs) due.push(sleeper);
      else nextMs = Math.min(nextMs, atMs);
    for (const sleeper of due) this.#times.delete(sleeper);
    this.#wind(nextMs);
    for (const sleeper of due) sleeper.wake();
  };
}
