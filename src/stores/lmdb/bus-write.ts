/**
 * A write: what is known of its ids, what it is refused for, and then the events, what is remembered of
 * them, and the few old ones that go for it. All is decided before the first of them is staged.
 */
import { MAX_DEDUPE_RECORDS, MAX_TRIM_EVENTS } from '../../bus/bounds.js';
import { eventBytes, type NewEvent } from '../../bus/event.js';
import type { WriteAnswer, WriteOptions, WrittenEvent } from '../../bus/verbs.js';
import type { BusContext, BusJob } from './bus-context.js';
import {
  dueLapses,
  firstLapseMs,
  forgetLapsed,
  knownRecord,
  type Remembered,
  remember,
} from './bus-dedupe.js';
import { eventKey } from './bus-keys.js';
import {
  type DedupeTuple,
  encodeEvent,
  type LapseTuple,
  type RequestTuple,
  writtenBy,
} from './bus-records.js';
import { isOverCap, trim, trimmable } from './bus-trim.js';
import type { Entry } from './environment.js';

/** Ids that a write forgets beyond as many as it brings: more than none, so that a backlog gets shorter. */
const FORGOTTEN_BESIDE = 10;

/** What becomes of the events: which are new, and what is answered for each. */
interface Draft {
  readonly fresh: readonly NewEvent[];
  /** What each of them counts. */
  readonly bytes: readonly number[];
  readonly written: readonly WrittenEvent[];
  readonly remembered: Remembered;
  readonly timeMs: number;
}

export function write(
  context: BusContext,
  number: number,
  events: readonly NewEvent[],
  options: WriteOptions,
  signal: AbortSignal,
): Promise<WriteAnswer> {
  return context.job(number, signal, { weight: events.length }, (job) => writeIn(job, events, options));
}

function writeIn(job: BusJob, events: readonly NewEvent[], options: WriteOptions): WriteAnswer {
  const earlier =
    options.requestId === '' ? undefined : knownRecord<RequestTuple>(job, 'request', options.requestId);
  if (earlier)
    return earlier[1] === options.requestHash
      ? { kind: 'written', events: writtenBy(earlier) }
      : { kind: 'request_id_reused' };
  const draft = draftOf(job, events, options);
  if ('kind' in draft) return draft;
  if (draft.fresh.length === 0) return { kind: 'written', events: draft.written };
  // Where nothing is remembered, there is nothing to look for. The sweeper finds what is left all the same.
  const lapses = job.stream.state.records === 0 ? [] : dueLapses(job, recordCount(draft) + FORGOTTEN_BESIDE);
  const refusal = refusalOf(job, draft, lapses, options);
  if (refusal) return refusal;
  append(job, draft, lapses);
  return { kind: 'written', events: draft.written };
}

/** Meets the dedupe ids of before, and of the batch itself. */
function draftOf(job: BusJob, events: readonly NewEvent[], options: WriteOptions): Draft | WriteAnswer {
  const { state } = job.stream;
  const timeMs = Math.max(job.nowMs, state.lastTimeMs);
  const fresh: NewEvent[] = [];
  const written: WrittenEvent[] = [];
  const dedupe = new Map<string, { hash: string; event: WrittenEvent }>();
  for (let index = 0; index < events.length; index++) {
    const event = events[index] as NewEvent;
    const { dedupeId, bodyHash } = event;
    const known = dedupeId === '' ? undefined : (dedupe.get(dedupeId) ?? meet(job, dedupeId));
    if (known && known.hash !== bodyHash) return { kind: 'dedupe_id_reused', index };
    if (known) written.push({ ...known.event, duplicate: true });
    else {
      fresh.push(event);
      const first = { seq: state.lastSeq + fresh.length, createTimeMs: timeMs, duplicate: false };
      written.push(first);
      if (dedupeId !== '') dedupe.set(dedupeId, { hash: bodyHash, event: first });
    }
  }
  const { requestId: id, requestHash: hash } = options;
  const bytes = fresh.map(eventBytes);
  return {
    fresh,
    bytes,
    written,
    timeMs,
    remembered: { dedupe, request: id === '' ? undefined : { id, hash } },
  };
}

function meet(job: BusJob, dedupeId: string): { hash: string; event: WrittenEvent } | undefined {
  const known = knownRecord<DedupeTuple>(job, 'dedupe', dedupeId);
  if (!known) return undefined;
  const [, hash, seq, createTimeMs] = known;
  return { hash, event: { seq, createTimeMs, duplicate: true } };
}

function recordCount({ remembered: { dedupe, request } }: Draft): number {
  return dedupe.size + (request ? 1 : 0);
}

function refusalOf(
  job: BusJob,
  draft: Draft,
  lapses: readonly Entry<LapseTuple>[],
  { expectedSeq }: WriteOptions,
): WriteAnswer | undefined {
  const { state, record } = job.stream;
  const { settings } = record.stream;
  if (expectedSeq !== undefined && expectedSeq !== state.lastSeq)
    return { kind: 'seq_mismatch', lastSeq: state.lastSeq };
  const records = recordCount(draft);
  const lapsed = lapses.reduce((sum, { value }) => sum + value[0].length + (value[1] === '' ? 0 : 1), 0);
  if (records > 0 && state.records + records - lapsed > MAX_DEDUPE_RECORDS) {
    const freeMs = firstLapseMs(job) ?? job.nowMs;
    return { kind: 'dedupe_full', retryAfterMs: Math.max(1, freeMs - job.nowMs) };
  }
  if (settings.overflow === 'drop_oldest') return undefined;
  const { firstSeq, bytes } = trimmable(job, MAX_TRIM_EVENTS, draft.bytes);
  const kept = state.lastSeq + draft.fresh.length - firstSeq + 1;
  return isOverCap(settings, kept, bytes) ? { kind: 'full' } : undefined;
}

function append(job: BusJob, draft: Draft, lapses: readonly Entry<LapseTuple>[]): void {
  const { batch, ledger, stream } = job;
  const { state, number } = stream;
  const { fresh, timeMs, remembered } = draft;
  const firstSeq = state.lastSeq + 1;
  const isKept = (kind: 'dedupe' | 'request', id: string) =>
    kind === 'dedupe' ? remembered.dedupe.has(id) : remembered.request?.id === id;
  // As many as it brings may go for it, or a stream at its cap would grow with every large batch.
  trim(job, trimmable(job, Math.max(MAX_TRIM_EVENTS, fresh.length), draft.bytes));
  state.records -= forgetLapsed(job, lapses, isKept);
  state.records += remember(job, remembered, firstSeq, draft.written);
  // A batch above the cap of a stream that drops its oldest has lost some before they were there.
  for (let seq = Math.max(firstSeq, state.firstSeq), last = state.lastSeq + fresh.length; seq <= last; seq++)
    batch.put(eventKey(number, seq), encodeEvent(timeMs, fresh[seq - firstSeq] as NewEvent));
  state.lastSeq += fresh.length;
  state.lastTimeMs = timeMs;
  stream.isChanged = true;
  ledger.wakes.add(number);
}
