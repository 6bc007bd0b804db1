/**
 * Tells whoever is wrong again and again to slow down: after five failures of one id from one address, the
 * answer is how long to wait, a second, then two, up to a minute. The one idea: it is only ever an answer to
 * what was looked at and is wrong, never a reason not to look. A secret is 256 random bits, so there is no
 * guessing to be held up, and looking costs less (an HMAC, 2 us) than the refusal around it; but whoever
 * refused to look would lock out the client itself along with the stranger behind the same address.
 */
import { BoundedMap } from '../bounded-map.js';
import type { Clock } from '../clock.js';
import { networkOf } from './network.js';

const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/**
 * A row of failures is over when there was none for so long, and not when the client is right: then the
 * answers to a stranger at its address would tell him that there is such a client.
 */
const FORGOTTEN_AFTER_MS = 600_000;
/** Rows of failures that are remembered. Beyond it the ones that failed longest ago start over. */
const MAX_ROWS = 10_000;

interface Row {
  failures: number;
  failedMs: number;
}

export class Backoff {
  readonly #rows = new BoundedMap<string, Row>(MAX_ROWS);
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * An attempt was wrong. How long the caller is to wait before the next one; 0 = it is not told to. Attempts
   * during a wait do not make it longer, so that it is over when it was said to be.
   */
  failed(id: string, address: string): number {
    const key = keyOf(id, address);
    const row = this.#rows.get(key);
    const waitMs = row === undefined ? 0 : this.#waitMs(row);
    if (waitMs > 0) return waitMs;
    const isInRow = row !== undefined && this.#passedMs(row) < FORGOTTEN_AFTER_MS;
    this.#rows.set(key, { failures: isInRow ? row.failures + 1 : 1, failedMs: this.#clock.nowMs() });
    return 0;
  }

  #waitMs(row: Row): number {
    if (row.failures < FREE_FAILURES) return 0;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (row.failures - FREE_FAILURES));
    const passed = this.#passedMs(row);
    return passed < 0 || passed >= wait ? 0 : wait - passed;
  }

  /** Below zero when the clock was set back since: then nobody is made to wait for it to catch up. */
  #passedMs(row: Row): number {
    return this.#clock.nowMs() - row.failedMs;
  }
}

/** An id has no space in it. */
function keyOf(id: string, address: string): string {
  return `${id} ${networkOf(address)}`;
}
