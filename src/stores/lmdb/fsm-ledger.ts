/**
 * What the jobs of one batch add up to: counts by state, the ends of the feeds, numbers given out. Each
 * sum is read and written once a batch instead of once an event, and staged last, so it changes with
 * the records it speaks of or not at all.
 */
import type { Change } from '../../fsm/store.js';
import type { Batch, BatchPart } from './batch.js';
import type { ChangeTuple } from './fsm-records.js';
import { type CountersTuple, encodeChange, type FeedEndsTuple } from './fsm-records.js';
import { COUNTERS_KEY, countKey, feedEndsKey, feedKey } from './keys.js';

/** Changes are kept this long, and at most this many of a name. */
export const FEED_RETENTION_MS = 10 * 60_000;
export const FEED_MAX_COUNT = 100_000;
/** Old changes that go for each new one: more than one, so that a long feed gets shorter. */
const TRIMMED_PER_CHANGE = 2;

interface FeedEnds {
  readonly name: string;
  last: number;
  trimmed: number;
  added: number;
}

interface Count {
  readonly key: Buffer;
  delta: number;
}

export class FsmLedger implements BatchPart {
  readonly #batch: Batch;
  readonly #onCommitted: (names: Iterable<string>) => void;
  readonly #onFailed: () => void;
  readonly #counts = new Map<string, Count>();
  readonly #feeds = new Map<number, FeedEnds>();
  #counters: CountersTuple | undefined;

  constructor(batch: Batch, onCommitted: (names: Iterable<string>) => void, onFailed: () => void) {
    this.#batch = batch;
    this.#onCommitted = onCommitted;
    this.#onFailed = onFailed;
  }

  nextNo(): number {
    const counters = this.#takeCounters();
    return counters[0]++;
  }

  nextSerial(): number {
    const counters = this.#takeCounters();
    return counters[1]++;
  }

  #takeCounters(): CountersTuple {
    this.#counters ??= this.#batch.get<CountersTuple>(COUNTERS_KEY) ?? [1, 1];
    return this.#counters;
  }

  count(no: number, state: string, version: string, delta: number): void {
    const key = countKey(no, state, version);
    const known = this.#counts.get(key.toString('latin1'));
    if (known) known.delta += delta;
    else this.#counts.set(key.toString('latin1'), { key, delta });
  }

  append(no: number, name: string, change: Change): void {
    const ends = this.#feedOf(no, name);
    ends.last++;
    ends.added++;
    this.#batch.put(feedKey(no, ends.last), encodeChange(change));
  }

  #feedOf(no: number, name: string): FeedEnds {
    const known = this.#feeds.get(no);
    if (known) return known;
    const [last, trimmed] = this.#batch.get<FeedEndsTuple>(feedEndsKey(no)) ?? [0, 0];
    const ends = { name, last, trimmed, added: 0 };
    this.#feeds.set(no, ends);
    return ends;
  }

  finish(batch: Batch): void {
    if (this.#counters) batch.put(COUNTERS_KEY, this.#counters);
    for (const { key, delta } of this.#counts.values()) stageCount(batch, key, delta);
    for (const [no, ends] of this.#feeds) {
      trim(batch, no, ends);
      batch.put(feedEndsKey(no), [ends.last, ends.trimmed] satisfies FeedEndsTuple);
    }
  }

  committed(): void {
    this.#onCommitted([...this.#feeds.values()].map(({ name }) => name));
  }

  failed(): void {
    this.#onFailed();
  }
}

function stageCount(batch: Batch, key: Buffer, delta: number): void {
  if (delta === 0) return;
  const count = (batch.get<number>(key) ?? 0) + delta;
  if (count > 0) batch.put(key, count);
  else batch.remove(key);
}

function trim(batch: Batch, no: number, ends: FeedEnds): void {
  const most = ends.added * TRIMMED_PER_CHANGE;
  for (let i = 0; i < most && ends.trimmed < ends.last; i++) {
    const key = feedKey(no, ends.trimmed + 1);
    if (ends.last - ends.trimmed <= FEED_MAX_COUNT && !isOld(batch, key)) return;
    batch.remove(key);
    ends.trimmed++;
  }
}

function isOld(batch: Batch, key: Buffer): boolean {
  const change = batch.get<ChangeTuple>(key);
  return change !== undefined && change[1] <= batch.nowMs - FEED_RETENTION_MS;
}
