/**
 * Slows down whoever guesses: after five failures in a row of one id from one address, attempts are refused
 * without being looked at, for a second, then two, up to a minute. The one idea: it counts by id and address
 * together, so a stranger who fails elsewhere, or with other ids, slows down nobody but himself.
 */
import { isIP } from 'node:net';
import { BoundedMap } from '../bounded-map.js';
import type { Clock } from '../clock.js';

const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** A row of failures is over when there was none for so long. */
const FORGOTTEN_AFTER_MS = 600_000;
/**
 * Rows of failures that are remembered. Beyond it the ones that failed longest ago are forgotten: a guesser
 * gets five more free attempts at one id by failing this often with others, which is no way to guess faster.
 */
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

  /** How long attempts are still refused; 0 = one may be looked at. */
  waitMs(id: string, address: string): number {
    const row = this.#rows.get(keyOf(id, address));
    if (row === undefined || row.failures < FREE_FAILURES) return 0;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (row.failures - FREE_FAILURES));
    const passed = this.#passedMs(row);
    return passed < 0 || passed >= wait ? 0 : wait - passed;
  }

  /** An attempt was looked at, and was wrong. */
  failed(id: string, address: string): void {
    const key = keyOf(id, address);
    const row = this.#rows.get(key);
    const isInRow = row !== undefined && this.#passedMs(row) < FORGOTTEN_AFTER_MS;
    this.#rows.set(key, { failures: isInRow ? row.failures + 1 : 1, failedMs: this.#clock.nowMs() });
  }

  /** An attempt was good: the row of failures is over. */
  succeeded(id: string, address: string): void {
    this.#rows.delete(keyOf(id, address));
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

/** What one customer of a network has: an IPv4 address, or a /64 of IPv6, where addresses cost nothing. */
export function networkOf(address: string): string {
  const [plain = ''] = address.split('%');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
  if (mapped !== undefined || isIP(plain) !== 6) return mapped ?? plain;
  const [head = '', tail] = plain.split('::');
  const left = groupsOf(head);
  const right = groupsOf(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** Groups of IPv6 without leading zeros; an IPv4 address at the end counts as the two that it stands for. */
function groupsOf(text: string): string[] {
  if (text === '') return [];
  return text
    .split(':')
    .flatMap((group) => (group.includes('.') ? ['0', '0'] : [Number.parseInt(group, 16).toString(16)]));
}
