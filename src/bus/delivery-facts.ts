/** How an event, and how a group stands, told from what the group keeps and never by a scan of the stream. */
import { MAX_WAITING } from './bounds.js';
import type { DeliveryGroup, LogView } from './delivery-group.js';
import type { Row } from './delivery-row.js';
import type { EventStatus, Group } from './event.js';
import type { GroupFacts, HeldKey } from './verbs.js';

export function statusOf(group: DeliveryGroup, seq: number, nowMs: number): EventStatus {
  const row = group.rows.get(seq);
  if (row) return rowStatus(row, nowMs);
  if (group.dead.has(seq)) return 'dead';
  return seq < group.head.cursor || group.exceptions.has(seq) ? 'processed' : 'unprocessed';
}

function rowStatus({ state, dueMs }: Row, nowMs: number): EventStatus {
  if (state === 'leased') return dueMs > nowMs ? 'leased' : 'retry';
  return state === 'ready' ? 'unprocessed' : state;
}

/** How often the event was handed to the group, as far as that is known. */
export function attemptsOf(group: DeliveryGroup, seq: number): number {
  return group.rows.get(seq)?.attempts ?? group.dead.get(seq)?.attempts ?? 0;
}

/** The next sequence kept from `from` on that may read so; undefined = none does. */
export function nextWithStatus(
  { inState, deadSeqs, head }: DeliveryGroup,
  { firstSeq, lastSeq }: Pick<LogView, 'firstSeq' | 'lastSeq'>,
  status: EventStatus,
  from: number,
): number | undefined {
  const kept = Math.max(from, firstSeq);
  const inLog = (seq: number) => (seq <= lastSeq ? seq : undefined);
  switch (status) {
    case 'leased':
    case 'waiting':
      return inState[status].next(kept);
    case 'retry':
      return least(inState.retry.next(kept), inState.leased.next(kept));
    case 'dead':
      return deadSeqs.next(kept);
    case 'processed':
      return inLog(kept);
    case 'unprocessed':
      return least(inState.ready.next(kept), inLog(Math.max(kept, head.cursor)));
  }
}

/** As if the cursor had been moved already past what retention took: it will be, by the next claim. */
export function factsOf(group: DeliveryGroup, facts: Group, log: LogView, nowMs: number): GroupFacts {
  const { inState, head } = group;
  const { lastSeq } = log;
  const expired = expiredRows(group, nowMs);
  const cursor = Math.max(head.cursor, log.firstSeq);
  const hasFilter = group.filter !== undefined;
  return {
    group: facts,
    cursor,
    unprocessed: hasFilter ? undefined : untouchedIn(group, cursor, lastSeq + 1) + inState.ready.size,
    leased: inState.leased.size - expired.length,
    retrying: inState.retry.size + expired.length,
    waiting: inState.waiting.size,
    dead: group.dead.size,
    lag: lastSeq - cursor + 1,
    trimmedUnprocessed: head.trimmedUnprocessed + untouchedIn(group, head.cursor, cursor),
    droppedDead: head.droppedDead,
    oldestUnprocessedTimeMs: hasFilter ? undefined : oldestTimeMs(group, log, cursor, expired),
    blockedByKey: blockedBy(group, log),
    heldKey: heldKeyOf(group),
  };
}

/** How many from the cursor on, in a range of sequences, are not dealt with. */
function untouchedIn({ exceptions, deadSeqs }: DeliveryGroup, from: number, to: number): number {
  return to - from - exceptions.countIn(from, to) - deadSeqs.countIn(from, to);
}

function expiredRows(group: DeliveryGroup, nowMs: number): Row[] {
  const rows: Row[] = [];
  group.deadlines.eachDue(nowMs, (row) => void rows.push(row));
  return rows;
}

function oldestTimeMs(
  group: DeliveryGroup,
  log: LogView,
  from: number,
  expired: readonly Row[],
): number | undefined {
  const { inState } = group;
  const { firstSeq, lastSeq } = log;
  let seq: number | undefined;
  // What retention took is counted when it comes up, and till then it is not the oldest.
  for (const state of ['retry', 'ready', 'waiting'] as const) seq = least(seq, inState[state].next(firstSeq));
  for (const row of expired) if (row.seq >= firstSeq) seq = least(seq, row.seq);
  const ahead = nextUntouched(group, from);
  if (ahead <= lastSeq) seq = least(seq, ahead);
  return seq === undefined ? undefined : log.event(seq)?.createTimeMs;
}

function nextUntouched({ exceptions, deadSeqs }: DeliveryGroup, from: number): number {
  for (let seq = from; ; ) {
    const next = deadSeqs.nextAbsent(exceptions.nextAbsent(seq));
    if (next === seq) return seq;
    seq = next;
  }
}

function blockedBy(group: DeliveryGroup, log: LogView): string | undefined {
  if (group.inState.waiting.size < MAX_WAITING) return undefined;
  const key = log.event(nextUntouched(group, Math.max(group.head.cursor, log.firstSeq)))?.orderingKey;
  return key !== undefined && key !== '' && group.lines.isBusy(key) ? key : undefined;
}

/** What the oldest of those waiting waits for: of all keys, the one that has held others back the longest. */
function heldKeyOf({ inState, rows, lines }: DeliveryGroup): HeldKey | undefined {
  const firstWaitingSeq = inState.waiting.first;
  if (firstWaitingSeq === undefined) return undefined;
  const { key } = rows.get(firstWaitingSeq) as Row;
  const { seq, attempts } = lines.holderOf(key) as Row;
  return { key, seq, attempts, firstWaitingSeq };
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
