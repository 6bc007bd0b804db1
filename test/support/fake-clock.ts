/** Time that a test owns: it stands still until it is advanced, and never goes back. */
import type { Clock } from '../../src/clock.js';

export class FakeClock implements Clock {
  #nowMs: number;

  constructor(startMs = Date.UTC(2030, 0, 1)) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    if (ms < 0) throw new RangeError('time does not go back');
    this.#nowMs += ms;
  }
}
