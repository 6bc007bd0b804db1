/**
 * What the jobs of one batch have in common: records that change with almost every job, such as a stream's
 * last sequence, are staged once, as the batch's last writes; the streams to be looked at after the commit
 * are rung once; and it is known whose memory is to be dropped if the commit fails. A job notes here what
 * it made of such a record only when nothing can stop it any more, so a job that throws leaves no trace.
 */
import type { Batch, BatchPart } from './batch.js';
import { BUS_COUNTERS_KEY, busSweepKey } from './bus-keys.js';
import type { CountersTuple } from './bus-records.js';
import type { Range } from './keys.js';

interface Ends {
  committed(ledger: BusLedger): void;
  failed(ledger: BusLedger): void;
}

export class BusLedger implements BatchPart {
  /** Streams that jobs of the batch have worked on. */
  readonly touched = new Set<number>();
  readonly wakes = new Set<number>();
  /** Events that groups have found to be trimmed before they had processed them. */
  trimmedUnprocessed = 0;
  readonly #batch: Batch;
  readonly #ends: Ends;
  readonly #late = new Map<string, { readonly key: Buffer; readonly value: unknown }>();

  constructor(batch: Batch, ends: Ends) {
    this.#batch = batch;
    this.#ends = ends;
  }

  /** Reads a record, as the jobs before have left it. */
  get<T>(key: Buffer): T | undefined {
    const late = this.#late.get(key.toString('latin1'));
    return late ? (late.value as T) : this.#batch.get<T>(key);
  }

  /** To be written at the end of the batch; a later value takes the place of an earlier one. */
  putLate(key: Buffer, value: unknown): void {
    this.#late.set(key.toString('latin1'), { key, value });
  }

  nextNumber(): number {
    const [number, sweep] = this.#counters();
    this.putLate(BUS_COUNTERS_KEY, [number + 1, sweep] satisfies CountersTuple);
    return number;
  }

  /** Leaves all keys of a range to the sweeper; nothing is written there any more. */
  sweep({ start, end }: Range): void {
    for (const [name, { key }] of this.#late)
      if (key.compare(start) >= 0 && key.compare(end) < 0) this.#late.delete(name);
    const [number, serial] = this.#counters();
    this.putLate(BUS_COUNTERS_KEY, [number, serial + 1] satisfies CountersTuple);
    this.#batch.put(busSweepKey(serial), [start, end]);
  }

  #counters(): CountersTuple {
    return this.get<CountersTuple>(BUS_COUNTERS_KEY) ?? [1, 1];
  }

  finish(batch: Batch): void {
    for (const { key, value } of this.#late.values()) batch.put(key, value);
  }

  committed(): void {
    this.#ends.committed(this);
  }

  failed(): void {
    this.#ends.failed(this);
  }
}
