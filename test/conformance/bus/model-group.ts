/**
 * One group of the model: the law of delivery over plain maps, looked through from end to end each time.
 * Too simple to be wrong, and written from the law alone, so that it shares no thought with any store.
 */
import { ACCEPT_GRACE_MS, MAX_LOOK_EVENTS } from '../../../src/bus/bounds.js';
import {
  backoffMs,
  type EventStatus,
  eventBytes,
  type Group,
  type LeasedEvent,
  matches,
  type StoredEvent,
} from '../../../src/bus/event.js';
import type {
  ClaimRequest,
  DeadLetter,
  DeadSelection,
  GroupFacts,
  HeldKey,
  SettleAnswer,
  Settlement,
} from '../../../src/bus/verbs.js';

/** What a group sees of its stream. */
export interface ModelLog {
  readonly firstSeq: number;
  readonly lastSeq: number;
  event(seq: number): StoredEvent | undefined;
  nextLease(): number;
}

interface Row {
  kind: 'leased' | 'retry' | 'ready' | 'waiting';
  readonly event: StoredEvent;
  attempts: number;
  dueMs: number;
  sinceMs: number;
  lease: number;
  consumer: string;
  /** A dead letter that was replayed: retention does not take it. */
  readonly isReplayed: boolean;
}

export class ModelGroup {
  group: Group;
  cursor: number;
  readonly #log: ModelLog;
  readonly #rows = new Map<number, Row>();
  readonly #exceptions = new Set<number>();
  /** Waiting lines by key. */
  readonly #lines = new Map<string, number[]>();
  /** The sequence that each busy key is busy with. */
  readonly #busy = new Map<string, number>();
  readonly #claims = new Map<string, { claimId: string; lease: number }>();
  #dead: DeadLetter[] = [];
  /** As far as counted: what the cursor has not come to yet is added in the facts. */
  trimmedUnprocessed = 0;

  constructor(group: Group, cursor: number, log: ModelLog) {
    this.group = group;
    this.cursor = cursor;
    this.#log = log;
  }

  status(seq: number, nowMs: number): EventStatus {
    const row = this.#rows.get(seq);
    if (row?.kind === 'leased') return row.dueMs > nowMs ? 'leased' : 'retry';
    if (row?.kind === 'ready') return 'unprocessed';
    if (row) return row.kind;
    if (this.#deadAt(seq)) return 'dead';
    return seq < this.cursor || this.#exceptions.has(seq) ? 'processed' : 'unprocessed';
  }

  attempts(seq: number): number {
    return this.#rows.get(seq)?.attempts ?? this.#deadAt(seq)?.attempts ?? 0;
  }

  facts(nowMs: number): GroupFacts {
    const kept = range(this.#log.firstSeq, this.#log.lastSeq);
    const known = [...new Set([...kept, ...this.#rows.keys()])].sort((a, b) => a - b);
    const of = (...wanted: EventStatus[]) => known.filter((seq) => wanted.includes(this.status(seq, nowMs)));
    const oldest = of('unprocessed', 'waiting', 'retry').find((seq) => this.#log.event(seq));
    // As if the cursor had been moved already past what retention took.
    const cursor = Math.max(this.cursor, this.#log.firstSeq);
    const skipped = range(this.cursor, cursor - 1).filter((seq) => !this.#isDealtWith(seq));
    const hasFilter = this.group.filter !== undefined;
    return {
      group: this.group,
      cursor,
      unprocessed: hasFilter ? undefined : of('unprocessed').length,
      leased: of('leased').length,
      retrying: of('retry').length,
      waiting: of('waiting').length,
      dead: this.#dead.length,
      lag: this.#log.lastSeq - cursor + 1,
      trimmedUnprocessed: this.trimmedUnprocessed + skipped.length,
      droppedDead: 0,
      oldestUnprocessedTimeMs:
        hasFilter || oldest === undefined ? undefined : this.#log.event(oldest)?.createTimeMs,
      blockedByKey: undefined,
      heldKey: this.#heldKey(of('waiting')[0]),
    };
  }

  #heldKey(firstWaitingSeq: number | undefined): HeldKey | undefined {
    if (firstWaitingSeq === undefined) return undefined;
    const key = this.#rows.get(firstWaitingSeq)?.event.orderingKey ?? '';
    const seq = this.#busy.get(key) ?? 0;
    return { key, seq, attempts: this.attempts(seq), firstWaitingSeq };
  }

  claim(
    request: ClaimRequest,
    nowMs: number,
  ): { events: LeasedEvent[]; more: boolean; creditSpent: boolean; nextDueMs: number | undefined } {
    const known = this.#claims.get(request.consumer);
    if (known?.claimId === request.claimId) {
      const again = this.#leasedBy(known.lease, request.consumer).filter(
        (row) => row.dueMs > nowMs && !this.#isGone(row),
      );
      if (again.length > 0)
        return {
          events: again.map(leasedEvent),
          more: false,
          creditSpent: false,
          nextDueMs: this.#nextDueMs(),
        };
    }
    for (const row of this.#sorted().filter(({ kind, dueMs }) => kind === 'leased' && dueMs <= nowMs))
      this.#expire(row, nowMs);
    const mine = [...this.#rows.values()].filter(
      ({ kind, consumer }) => kind === 'leased' && consumer === request.consumer,
    );
    const usedBytes = mine.reduce((sum, { event }) => sum + eventBytes(event), 0);
    const hands = new Hands(
      Math.min(request.maxEvents, request.credit.messages - mine.length),
      Math.min(request.maxBytes, request.credit.bytes - usedBytes),
    );
    const creditSpent = request.credit.messages <= mine.length || request.credit.bytes <= usedBytes;
    let more = false;
    if (!creditSpent) {
      if (request.retry) this.#takeRetries(request.retry, hands, nowMs);
      else {
        this.#takeDue(hands, nowMs);
        more = this.#takeFromCursor(hands) || hands.isFull;
      }
    }
    const lease = hands.taken.length > 0 ? this.#log.nextLease() : 0;
    const dueMs = nowMs + (request.ackDeadlineMs ?? this.group.settings.ackDeadlineMs) + ACCEPT_GRACE_MS;
    for (const row of hands.taken)
      Object.assign(row, { lease, dueMs, consumer: request.consumer, attempts: row.attempts + 1 });
    if (lease > 0) this.#claims.set(request.consumer, { claimId: request.claimId, lease });
    return { events: hands.taken.map(leasedEvent), more, creditSpent, nextDueMs: this.#nextDueMs() };
  }

  accept(consumer: string, lease: number, ackDeadlineMs: number | undefined, nowMs: number): void {
    for (const row of this.#leasedBy(lease, consumer))
      if (row.dueMs > nowMs) row.dueMs = nowMs + (ackDeadlineMs ?? this.group.settings.ackDeadlineMs);
  }

  extend(seq: number, lease: number, dueMs: number, nowMs: number): 'ok' | 'stale' {
    const row = this.#rows.get(seq);
    if (!row || !isLive(row, lease, nowMs)) return 'stale';
    row.dueMs = dueMs;
    return 'ok';
  }

  release(consumer: string, claimId: string, nowMs: number): void {
    const known = this.#claims.get(consumer);
    if (known?.claimId !== claimId) return;
    for (const row of this.#leasedBy(known.lease, consumer))
      Object.assign(row, { kind: 'ready', dueMs: nowMs, attempts: row.attempts - 1 });
  }

  settle({ seq, lease, mark, delayMs }: Settlement, nowMs: number): SettleAnswer {
    if (seq < 1 || seq > this.#log.lastSeq) return 'not_found';
    const row = this.#rows.get(seq);
    if (lease !== undefined && !(row && isLive(row, lease, nowMs))) return 'stale';
    if (row) return this.#settleRow(row, mark, delayMs, nowMs);
    const dead = this.#deadAt(seq);
    if (dead) {
      if (mark === 'unprocessed') this.#revive(dead, nowMs);
      return 'ok';
    }
    const event = this.#log.event(seq);
    if (!event) return 'expired';
    const isAhead = seq >= this.cursor;
    if (mark === 'processed') {
      if (isAhead) this.#exceptions.add(seq);
    } else if (mark === 'unprocessed' && isAhead) this.#exceptions.delete(seq);
    else {
      if (isAhead) this.#exceptions.add(seq);
      const due = mark === 'retry' ? (delayMs ?? this.group.settings.minBackoffMs) : 0;
      this.#addRow(event, mark === 'retry' ? 'retry' : 'ready', nowMs + due, nowMs);
    }
    return 'ok';
  }

  seek(cursor: number): void {
    this.#catchUp();
    this.#rows.clear();
    this.#exceptions.clear();
    this.#lines.clear();
    this.#busy.clear();
    this.#claims.clear();
    this.cursor = cursor;
    this.group = { ...this.group, generation: this.group.generation + 1 };
  }

  get dead(): readonly DeadLetter[] {
    return this.#dead;
  }

  replay(which: DeadSelection, nowMs: number): number {
    const chosen = this.#chosen(which);
    for (const dead of chosen) this.#revive(dead, nowMs);
    return chosen.length;
  }

  purge(which: DeadSelection): number {
    const chosen = this.#chosen(which);
    this.#dead = this.#dead.filter((each) => !chosen.includes(each));
    for (const { event } of chosen) if (event.seq >= this.cursor) this.#exceptions.add(event.seq);
    return chosen.length;
  }

  #chosen(which: DeadSelection): DeadLetter[] {
    return this.#dead.filter(({ event }) => which.kind === 'all' || which.seqs.includes(event.seq));
  }

  #revive(dead: DeadLetter, nowMs: number): void {
    this.#dead = this.#dead.filter((each) => each !== dead);
    if (dead.event.seq >= this.cursor) this.#exceptions.add(dead.event.seq);
    this.#addRow(dead.event, 'ready', nowMs, nowMs, true);
  }

  /** A row for an event that has none; behind its key, if that is busy, it is the first. */
  #addRow(
    event: StoredEvent,
    kind: 'retry' | 'ready',
    dueMs: number,
    nowMs: number,
    isReplayed = false,
  ): void {
    const { seq, orderingKey: key } = event;
    const isBehind = key !== '' && this.#busy.has(key);
    const row: Row = { ...newRow(event), kind, dueMs, sinceMs: nowMs, isReplayed };
    this.#rows.set(seq, isBehind ? { ...row, kind: 'waiting' } : row);
    if (isBehind) this.#lines.set(key, [seq, ...(this.#lines.get(key) ?? [])]);
    else if (key !== '') this.#busy.set(key, seq);
  }

  #settleRow(row: Row, mark: Settlement['mark'], delayMs: number | undefined, nowMs: number): SettleAnswer {
    if (mark === 'processed') this.#remove(row, nowMs);
    else if (row.kind === 'waiting') return 'ok';
    else if (mark === 'unprocessed') Object.assign(row, { kind: 'ready', dueMs: nowMs, attempts: 0 });
    else if (row.kind === 'leased' && this.#isSpent(row)) this.#die(row, nowMs);
    else {
      const delay = delayMs ?? backoffMs(this.group.settings, Math.max(1, row.attempts));
      Object.assign(row, { kind: 'retry', dueMs: nowMs + delay, sinceMs: nowMs });
    }
    return 'ok';
  }

  #expire(row: Row, nowMs: number): void {
    const { dueMs: sinceMs, attempts } = row;
    if (this.#isSpent(row)) this.#die(row, nowMs);
    else {
      const dueMs = sinceMs + backoffMs(this.group.settings, attempts);
      Object.assign(row, { kind: 'retry', sinceMs, dueMs });
    }
  }

  #isSpent({ attempts }: Row): boolean {
    const { maxAttempts } = this.group.settings;
    return maxAttempts > 0 && attempts >= maxAttempts;
  }

  #die(row: Row, nowMs: number): void {
    const { event, attempts } = row;
    // There is no body left to keep.
    if (this.#isGone(row)) this.trimmedUnprocessed++;
    else this.#dead.push({ event, attempts, deadTimeMs: nowMs, reason: 'attempts_exhausted' });
    this.#remove(row, nowMs);
  }

  /** The row goes; the first of its key's line comes up. */
  #remove(row: Row, nowMs: number): void {
    const { seq, orderingKey: key } = row.event;
    this.#rows.delete(seq);
    const line = (this.#lines.get(key) ?? []).filter((each) => each !== seq);
    if (this.#busy.get(key) === seq) {
      this.#busy.delete(key);
      const next = this.#rows.get(line.shift() ?? 0);
      if (next) {
        this.#busy.set(key, next.event.seq);
        Object.assign(next, { kind: 'ready', dueMs: nowMs });
      }
    }
    this.#lines.set(key, line);
  }

  #takeDue(hands: Hands, nowMs: number): void {
    for (;;) {
      const [row] = this.#sorted().filter(
        ({ kind, dueMs }) => (kind === 'retry' || kind === 'ready') && dueMs <= nowMs,
      );
      if (!row) return;
      if (this.#isGone(row)) this.#dropTrimmed(row, nowMs);
      else if (hands.isFull || !this.#take(row, hands)) return;
    }
  }

  #isGone({ event, isReplayed }: Row): boolean {
    return !isReplayed && this.#log.event(event.seq) === undefined;
  }

  #dropTrimmed(row: Row, nowMs: number): void {
    this.trimmedUnprocessed++;
    this.#remove(row, nowMs);
  }

  #takeRetries({ afterSeq, beganMs }: NonNullable<ClaimRequest['retry']>, hands: Hands, nowMs: number): void {
    const rows = [...this.#rows.values()].sort((a, b) => a.event.seq - b.event.seq);
    for (const row of rows) {
      if (row.kind !== 'retry' || row.event.seq <= afterSeq || row.sinceMs > beganMs) continue;
      if (this.#isGone(row)) this.#dropTrimmed(row, nowMs);
      else if (hands.isFull || !this.#take(row, hands)) return;
    }
  }

  #take(row: Row, hands: Hands): boolean {
    if (!hands.take(row)) return false;
    row.kind = 'leased';
    return true;
  }

  /** True if it stopped because it had looked enough. */
  #takeFromCursor(hands: Hands): boolean {
    const { lastSeq } = this.#log;
    this.#catchUp();
    for (let looked = 0; this.cursor <= lastSeq && !hands.isFull; looked++) {
      if (looked === MAX_LOOK_EVENTS) return true;
      const event = this.#log.event(this.cursor) as StoredEvent;
      const { seq, orderingKey: key } = event;
      if (!this.#isDealtWith(seq) && matches(this.group.filter, event)) {
        const row = newRow(event);
        if (key !== '' && this.#busy.has(key)) {
          this.#rows.set(seq, { ...row, kind: 'waiting' });
          this.#lines.set(key, [...(this.#lines.get(key) ?? []), seq]);
        } else {
          if (!hands.take(row)) return false;
          this.#rows.set(seq, row);
          if (key !== '') this.#busy.set(key, seq);
        }
      }
      this.#exceptions.delete(seq);
      this.cursor++;
    }
    return false;
  }

  /** Counts what retention took from the cursor on. */
  #catchUp(): void {
    for (; this.cursor < this.#log.firstSeq; this.cursor++)
      if (this.#isDealtWith(this.cursor)) this.#exceptions.delete(this.cursor);
      else this.trimmedUnprocessed++;
  }

  #isDealtWith(seq: number): boolean {
    return this.#exceptions.has(seq) || this.#deadAt(seq) !== undefined;
  }

  #leasedBy(lease: number, consumer: string): Row[] {
    return [...this.#rows.values()]
      .filter((row) => row.kind === 'leased' && row.lease === lease && row.consumer === consumer)
      .sort((a, b) => a.event.seq - b.event.seq);
  }

  #sorted(): Row[] {
    return [...this.#rows.values()].sort((a, b) => a.dueMs - b.dueMs || a.event.seq - b.event.seq);
  }

  #nextDueMs(): number | undefined {
    return this.#sorted().find(({ kind }) => kind !== 'waiting')?.dueMs;
  }

  #deadAt(seq: number): DeadLetter | undefined {
    return this.#dead.find(({ event }) => event.seq === seq);
  }
}

/** What one claim may take, and has taken. */
class Hands {
  readonly taken: Row[] = [];
  #bytes = 0;
  readonly #most: number;
  readonly #mostBytes: number;

  constructor(most: number, mostBytes: number) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  isFull = false;

  take(row: Row): boolean {
    const bytes = eventBytes(row.event);
    if (this.taken.length > 0 && this.#bytes + bytes > this.#mostBytes) {
      this.isFull = true;
      return false;
    }
    this.#bytes += bytes;
    this.taken.push(row);
    this.isFull = this.taken.length >= this.#most;
    return true;
  }
}

function newRow(event: StoredEvent): Row {
  return {
    kind: 'leased',
    event,
    attempts: 0,
    dueMs: 0,
    sinceMs: 0,
    lease: 0,
    consumer: '',
    isReplayed: false,
  };
}

function isLive(row: Row, lease: number, nowMs: number): boolean {
  return row.kind === 'leased' && row.lease === lease && row.dueMs > nowMs;
}

function leasedEvent({ event, attempts, lease, dueMs }: Row): LeasedEvent {
  return { event, attempt: attempts, lease, deadlineMs: dueMs };
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}
