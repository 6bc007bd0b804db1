/**
 * What producers' ids were used for, and until when that is known. Ids lapse in the order of `lapse`
 * entries, one a write; an id that was used again since lapses later, as its own record says.
 */
import type { WrittenEvent } from '../../bus/verbs.js';
import type { BusJob } from './bus-context.js';
import { lapseKey, lapsesDue, lapseTimeIn, type RecordKind, recordKey } from './bus-keys.js';
import { type DedupeTuple, encodeRequest, type LapseTuple, type RequestTuple } from './bus-records.js';
import { type Entry, entriesIn } from './environment.js';

/** What one write says to be remembered. */
export interface Remembered {
  readonly dedupe: ReadonlyMap<string, { readonly hash: string; readonly event: WrittenEvent }>;
  readonly request: { readonly id: string; readonly hash: string } | undefined;
}

interface Id {
  readonly kind: RecordKind;
  readonly id: string;
}

/** A record within its window. */
export function knownRecord<T extends DedupeTuple | RequestTuple>(
  { batch, stream, nowMs }: BusJob,
  kind: RecordKind,
  id: string,
): T | undefined {
  const record = batch.get<T>(recordKey(stream.number, kind, id));
  return record && record[0] > nowMs ? record : undefined;
}

/** Lapses that are due, so many that at least `ids` go if there are as many. */
export function dueLapses({ batch, stream, nowMs }: BusJob, ids: number): Entry<LapseTuple>[] {
  const due: Entry<LapseTuple>[] = [];
  const entries = entriesIn<LapseTuple>(batch.db, lapsesDue(stream.number, nowMs), { limit: ids });
  for (let count = 0, i = 0; count < ids && i < entries.length; i++) {
    const entry = entries[i] as Entry<LapseTuple>;
    due.push(entry);
    count += entry.value[0].length + 1;
  }
  return due;
}

/** Removes what has lapsed but for ids that are about to be written again; returns how many went. */
export function forgetLapsed(
  job: BusJob,
  due: readonly Entry<LapseTuple>[],
  isKept: (kind: RecordKind, id: string) => boolean,
): number {
  const { batch, stream, nowMs } = job;
  const gone = new Set<string>();
  for (const { key, value } of due) {
    batch.remove(key);
    for (const { kind, id } of idsIn(value)) {
      const record = recordKey(stream.number, kind, id);
      const known = batch.get<DedupeTuple | RequestTuple>(record);
      if (!known || known[0] > nowMs || isKept(kind, id)) continue;
      batch.remove(record);
      gone.add(`${kind}:${id}`);
    }
  }
  return gone.size;
}

function idsIn([dedupeIds, requestId]: LapseTuple): Id[] {
  const ids: Id[] = dedupeIds.map((id) => ({ kind: 'dedupe', id }));
  return requestId === '' ? ids : [...ids, { kind: 'request', id: requestId }];
}

/** Writes the records of a write whose first event is `firstSeq`; returns how many were not there. */
export function remember(
  { batch, stream, nowMs }: BusJob,
  { dedupe, request }: Remembered,
  firstSeq: number,
  written: readonly WrittenEvent[],
): number {
  if (dedupe.size === 0 && !request) return 0;
  const expireTimeMs = nowMs + stream.record.stream.settings.dedupeWindowMs;
  let added = 0;
  const put = (kind: RecordKind, id: string, record: DedupeTuple | RequestTuple) => {
    const key = recordKey(stream.number, kind, id);
    if (batch.get(key) === undefined) added++;
    batch.put(key, record);
  };
  for (const [id, { hash, event }] of dedupe)
    put('dedupe', id, [expireTimeMs, hash, event.seq, event.createTimeMs]);
  if (request) put('request', request.id, encodeRequest(expireTimeMs, request.hash, written));
  const lapse: LapseTuple = [[...dedupe.keys()], request?.id ?? ''];
  batch.put(lapseKey(stream.number, expireTimeMs, firstSeq), lapse);
  return added;
}

/** When the first of the records lapses. */
export function firstLapseMs({ batch, stream }: BusJob): number | undefined {
  const range = lapsesDue(stream.number, 2 ** 48 - 2);
  const [first] = entriesIn(batch.db, range, { limit: 1 });
  return first && lapseTimeIn(first.key);
}
