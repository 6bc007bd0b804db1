/**
 * `authorization` headers that were found good a moment ago. The one idea: what is in here holds a secret
 * in clear, so nothing stays longer than it is of use: an entry that is over goes when it is looked at, and
 * a sweep takes those that nobody asks for any more.
 *
 * They are not kept by a hash, which would be computed for every call (0.6 us with `crypto.hash`, which Node
 * 20 calls experimental, 2 us with an HMAC, which is all that an entry saves): what it would hide for a
 * minute is in memory anyway, in the headers of the calls under way.
 */
import type { Clock } from '../clock.js';
import type { Client } from './client.js';

/** What a look at credentials yields, and when it was and will be true. */
export interface Verified {
  readonly client: Client;
  readonly fromMs: number;
  readonly untilMs: number;
}

export const CACHED_MS = 60_000;
/** Beyond it the one that was verified first is forgotten, and verified again. */
const MAX_HEADERS = 10_000;

export class VerifiedHeaders {
  readonly #clock: Clock;
  readonly #byHeader = new Map<string, Verified>();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#byHeader.size;
  }

  get(header: string): Client | undefined {
    const verified = this.#byHeader.get(header);
    if (verified === undefined) return undefined;
    if (isGood(verified, this.#clock.nowMs())) return verified.client;
    this.#byHeader.delete(header);
    return undefined;
  }

  set(header: string, verified: Verified): void {
    this.#byHeader.delete(header);
    this.#byHeader.set(header, verified);
    const [first] = this.#byHeader.keys();
    if (first !== undefined && this.#byHeader.size > MAX_HEADERS) this.#byHeader.delete(first);
    this.#sweeper ??= setTimeout(() => this.#sweep(), CACHED_MS).unref();
  }

  clear(): void {
    this.#byHeader.clear();
  }

  /** Looks at every entry, of which there are few enough; nothing is left behind for more than two minutes. */
  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const [header, verified] of this.#byHeader)
      if (!isGood(verified, nowMs)) this.#byHeader.delete(header);
    this.#sweeper = undefined;
    if (this.#byHeader.size > 0) this.#sweeper = setTimeout(() => this.#sweep(), CACHED_MS).unref();
  }
}

/** Nor before: a clock that was set back does not prolong anything. */
function isGood({ fromMs, untilMs }: Verified, nowMs: number): boolean {
  return nowMs >= fromMs && nowMs < untilMs;
}
