/**
 * Outcomes by (event, machine), and when they lapse. The record itself says until when it counts, and
 * every reader looks at that; the expiry entries only say when it is worth looking whether the record
 * can go, and an entry whose outcome was written again since then finds that out and leaves it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isFinal, REFUSAL_RETENTION_MS, type StoredOutcome } from '../../fsm/machine.js';
import type { Batch } from './batch.js';
import { entriesIn, keysIn, read } from './environment.js';
import type { FsmContext } from './fsm-context.js';
import { decodeOutcome, encodeOutcome, type OutcomeTuple } from './fsm-records.js';
import { expiriesDue, expiryKey, outcomeKey, outcomeKeyIn, outcomeMachineIdIn, rangeOf } from './keys.js';

/** Outcomes of one event id that are looked at in one go, when no machine is named. */
const SCAN_CHUNK = 500;

export interface FoundOutcome {
  readonly id: string;
  readonly stored: StoredOutcome;
}

/** What is kept for (machine, event id), unless it has lapsed. For jobs. */
export function keptOutcome(batch: Batch, key: Buffer): StoredOutcome | undefined {
  const tuple = batch.get<OutcomeTuple>(key);
  if (!tuple) return undefined;
  const { stored, expireTimeMs } = decodeOutcome(tuple);
  return expireTimeMs > batch.nowMs ? stored : undefined;
}

export function putOutcome(batch: Batch, key: Buffer, stored: StoredOutcome, finalRetentionMs: number): void {
  const retentionMs = isFinal(stored.outcome) ? finalRetentionMs : REFUSAL_RETENTION_MS;
  const expireTimeMs = batch.nowMs + retentionMs;
  batch.put(key, encodeOutcome({ stored, expireTimeMs }));
  batch.put(expiryKey(expireTimeMs, key), 0);
}

/** Removes at most `limit` outcomes that have lapsed; true = there are more. */
export function sweepOutcomes(batch: Batch, limit: number): boolean {
  const due = keysIn(batch.db, expiriesDue(batch.nowMs), limit);
  for (const expiry of due) {
    const key = outcomeKeyIn(expiry);
    const tuple = batch.get<OutcomeTuple>(key);
    if (tuple && tuple[0] <= batch.nowMs) batch.remove(key);
    batch.remove(expiry);
  }
  return due.length === limit;
}

/** Which outcomes are looked for. */
export type Wanted = (stored: StoredOutcome) => boolean;

const any: Wanted = () => true;

export class FsmOutcomes {
  readonly #context: FsmContext;

  constructor(context: FsmContext) {
    this.#context = context;
  }

  async get(
    name: string,
    id: string | undefined,
    eventId: string,
    signal: AbortSignal,
    wanted: Wanted = any,
  ): Promise<FoundOutcome | undefined> {
    const no = await read(signal, () => this.#context.name(name)?.no);
    if (no === undefined) return undefined;
    if (id === undefined) return this.#newest(no, eventId, signal, wanted);
    return read(signal, () => {
      const tuple = this.#context.db.get(outcomeKey(no, eventId, id)) as OutcomeTuple | undefined;
      return tuple && this.#live(id, tuple);
    });
  }

  #live(id: string, tuple: OutcomeTuple): FoundOutcome | undefined {
    const { stored, expireTimeMs } = decodeOutcome(tuple);
    return expireTimeMs > this.#context.clock.nowMs() ? { id, stored } : undefined;
  }

  /** An event id that many machines share is read in chunks, so that nobody waits for a long one. */
  async #newest(
    no: number,
    eventId: string,
    signal: AbortSignal,
    wanted: Wanted,
  ): Promise<FoundOutcome | undefined> {
    let newest: FoundOutcome | undefined;
    let { start, end } = rangeOf(outcomeKey(no, eventId));
    for (;;) {
      const entries = await read(signal, () =>
        entriesIn<OutcomeTuple>(this.#context.db, { start, end }, { limit: SCAN_CHUNK }),
      );
      for (const { key, value } of entries) {
        const found = this.#live(outcomeMachineIdIn(key), value);
        if (!found || !wanted(found.stored)) continue;
        if (found.stored.outcome.timeMs >= (newest?.stored.outcome.timeMs ?? 0)) newest = found;
      }
      const last = entries.at(-1);
      if (!last || entries.length < SCAN_CHUNK) return newest;
      start = Buffer.concat([last.key, Buffer.alloc(1)]);
      await nextTurn();
    }
  }
}
