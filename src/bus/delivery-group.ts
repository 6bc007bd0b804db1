/**
 * Where one group stands: cursor, rows, exceptions, dead letters, and what is derived from them so that no
 * question needs a scan. It moves rows from state to state and keeps all of that in step; which move the
 * law wants is decided by those who call (delivery.ts says where). Every change is noted in `changes`, from
 * which a store learns what to write.
 */
import { MAX_DEAD_LETTERS, MAX_EXCEPTIONS } from './bounds.js';
import type { Consumer, Death, Lease, Row, RowState } from './delivery-row.js';
import { newRow } from './delivery-row.js';
import { DueQueue } from './due-queue.js';
import type { EventFilter, GroupSettings, StoredEvent } from './event.js';
import { GroupChanges } from './group-changes.js';
import { SeqSet } from './seq-set.js';
import { WaitingLines } from './waiting-lines.js';

/** What a group sees of its stream. */
export interface LogView {
  /** The first and last sequence kept. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  event(seq: number): StoredEvent | undefined;
  /** The group's own copies: of a dead letter, and of a row that was one. */
  dead(seq: number): StoredEvent | undefined;
  replayed(seq: number): StoredEvent | undefined;
}

/** What of a group is one record. */
export interface GroupHead {
  /** The first sequence not looked at yet. */
  cursor: number;
  trimmedUnprocessed: number;
  droppedDead: number;
  lastDeath: number;
}

export class DeliveryGroup {
  readonly head: GroupHead;
  readonly filter: EventFilter | undefined;
  settings: GroupSettings;
  readonly rows = new Map<number, Row>();
  readonly inState: Record<RowState, SeqSet> = {
    leased: new SeqSet(),
    retry: new SeqSet(),
    ready: new SeqSet(),
    waiting: new SeqSet(),
  };
  /** Rows `leased`, by deadline. */
  readonly deadlines = new DueQueue();
  /** Rows `retry` and `ready`. */
  readonly due = new DueQueue();
  readonly lines = new WaitingLines();
  readonly leases = new Map<number, Lease>();
  readonly consumers = new Map<string, Consumer>();
  /** At or after the cursor, and dealt with; none of them is a dead letter. */
  readonly exceptions = new SeqSet();
  /** In order of death. */
  readonly dead = new Map<number, Death>();
  readonly deadSeqs = new SeqSet();
  readonly changes = new GroupChanges();
  /** The key that stopped the last claim, at MAX_WAITING. */
  blockedByKey: string | undefined;

  constructor(settings: GroupSettings, filter: EventFilter | undefined, head: GroupHead) {
    this.settings = settings;
    this.filter = filter;
    this.head = head;
  }

  /** Whether an event from the cursor on is not to be handed out by it. */
  isDealtWith(seq: number): boolean {
    return (this.exceptions.size > 0 && this.exceptions.has(seq)) || this.dead.has(seq);
  }

  moveCursor(seq: number): void {
    this.head.cursor = seq;
    this.changes.head = true;
  }

  countTrimmed(count: number): void {
    this.head.trimmedUnprocessed += count;
    this.changes.trimmed += count;
    this.changes.head = true;
  }

  /** Below the first sequence kept the cursor has nothing to look for. */
  catchUp({ firstSeq }: LogView): void {
    const { cursor } = this.head;
    if (cursor >= firstSeq) return;
    const dealtWith = this.exceptions.takeBelow(firstSeq);
    for (const seq of dealtWith) this.changes.exceptions.add(seq);
    const dead = this.deadSeqs.countIn(cursor, firstSeq);
    this.countTrimmed(firstSeq - cursor - dealtWith.length - dead);
    this.moveCursor(firstSeq);
  }

  /** False if there is no room for another. */
  except(seq: number): boolean {
    if (this.exceptions.has(seq)) return true;
    if (this.exceptions.size >= MAX_EXCEPTIONS) return false;
    this.#except(seq);
    return true;
  }

  #except(seq: number): void {
    if (this.exceptions.add(seq)) this.changes.exceptions.add(seq);
  }

  unexcept(seq: number): boolean {
    if (!this.exceptions.delete(seq)) return false;
    this.changes.exceptions.add(seq);
    return true;
  }

  /** A row for an event that comes up for the first time: leased to someone, or at the end of a line. */
  admit(row: Row, lease: Lease | undefined): void {
    this.rows.set(row.seq, row);
    if (lease === undefined) {
      this.lines.join(row, 'back');
      this.#place(row, 'waiting');
    } else {
      if (row.key !== '') this.lines.hold(row);
      this.#handTo(row, lease);
    }
  }

  /** A row for an event that is to come again; with its key busy it is the first in line instead. */
  bring(row: Row): void {
    const isBehind = row.key !== '' && this.lines.isBusy(row.key);
    this.rows.set(row.seq, row);
    if (isBehind) this.lines.join(row, 'front');
    else if (row.key !== '') this.lines.hold(row);
    this.#place(row, isBehind ? 'waiting' : row.state);
  }

  /** A row `retry` or `ready` is handed out. */
  hand(row: Row, lease: Lease): void {
    this.#unplace(row);
    this.#handTo(row, lease);
  }

  #handTo(row: Row, lease: Lease): void {
    row.lease = lease;
    row.attempts++;
    lease.rows.push(row);
    lease.live++;
    lease.consumer.messages++;
    lease.consumer.bytes += row.bytes;
    this.#place(row, 'leased');
  }

  /** The row comes again at `dueMs`. */
  again(row: Row, state: 'retry' | 'ready', times: Pick<Row, 'attempts' | 'dueMs' | 'sinceMs'>): void {
    this.#unplace(row);
    row.attempts = times.attempts;
    row.dueMs = times.dueMs;
    row.sinceMs = times.sinceMs;
    this.#place(row, state);
  }

  setDeadline(row: Row, dueMs: number): void {
    row.dueMs = dueMs;
    this.deadlines.moved(row);
    this.changes.rows.add(row);
    if (row.at === 0) this.changes.wakes = true;
  }

  /** The row goes; the first in the line of its key comes up. */
  drop(row: Row, nowMs: number): void {
    this.#unplace(row);
    this.rows.delete(row.seq);
    this.changes.rows.add(row);
    if (row.isReplayed) this.changes.copies.set(row.seq, false);
    const next = row.key === '' ? undefined : this.lines.pass(row);
    if (next) this.again(next, 'ready', { attempts: next.attempts, dueMs: nowMs, sinceMs: nowMs });
  }

  /** Retention took the event of a row that has come up. */
  lose(row: Row, nowMs: number): void {
    this.countTrimmed(1);
    this.drop(row, nowMs);
  }

  /** The row becomes a dead letter. */
  kill(row: Row, nowMs: number): void {
    this.drop(row, nowMs);
    const oldest = this.dead.size >= MAX_DEAD_LETTERS ? this.dead.values().next().value : undefined;
    if (oldest) this.forget(oldest, { isCounted: true });
    const death = { seq: row.seq, serial: ++this.head.lastDeath, attempts: row.attempts, timeMs: nowMs };
    this.changes.head = true;
    this.restoreDeath(death);
    this.changes.died.set(death, row.isReplayed);
    this.unexcept(row.seq);
  }

  /** A dead letter is one no more. What is at or after the cursor stays dealt with. */
  forget(death: Death, { isCounted }: { isCounted: boolean }): void {
    this.dead.delete(death.seq);
    this.deadSeqs.delete(death.seq);
    this.changes.forgotten.add(death);
    if (death.seq >= this.head.cursor) this.#except(death.seq);
    if (!isCounted) return;
    this.head.droppedDead++;
    this.changes.head = true;
  }

  /** A dead letter comes again, whatever retention does. */
  revive(death: Death, event: Pick<Row, 'key' | 'bytes'>, nowMs: number): void {
    this.forget(death, { isCounted: false });
    this.changes.copies.set(death.seq, true);
    this.bring(newRow({ ...event, seq: death.seq, isReplayed: true, dueMs: nowMs, sinceMs: nowMs }));
  }

  consumer(name: string): Consumer {
    const known = this.consumers.get(name);
    if (known) return known;
    const made = { name, messages: 0, bytes: 0, claimId: '', lastLease: 0 };
    this.consumers.set(name, made);
    return made;
  }

  openLease(number: number, consumer: Consumer, claimId: string): Lease {
    const lease: Lease = { number, consumer, rows: [], live: 0 };
    this.leases.set(number, lease);
    consumer.claimId = claimId;
    consumer.lastLease = number;
    this.changes.consumers.add(consumer.name);
    return lease;
  }

  /** Rows and what goes with them are gone; dead letters stay. */
  reset(cursor: number, log: LogView): void {
    this.catchUp(log);
    const { trimmed } = this.changes;
    for (const seqs of Object.values(this.inState)) seqs.clear();
    for (const each of [this.rows, this.deadlines, this.due, this.lines, this.leases, this.consumers])
      each.clear();
    this.exceptions.clear();
    this.blockedByKey = undefined;
    this.changes.reset();
    this.changes.trimmed = trimmed;
    this.changes.wakes = true;
    this.moveCursor(cursor);
  }

  /** As they were written; waiting rows come last, in the order of their places. */
  restoreRow(row: Row, lease: { readonly number: number; readonly consumer: string } | undefined): void {
    this.rows.set(row.seq, row);
    if (row.state === 'waiting') this.lines.rejoin(row);
    else if (row.key !== '') this.lines.hold(row);
    if (lease) {
      const consumer = this.consumer(lease.consumer);
      const known = this.leases.get(lease.number) ?? { number: lease.number, consumer, rows: [], live: 0 };
      this.leases.set(lease.number, known);
      row.lease = known;
      known.rows.push(row);
      known.live++;
      consumer.messages++;
      consumer.bytes += row.bytes;
    }
    this.#index(row);
  }

  restoreDeath(death: Death): void {
    this.dead.set(death.seq, death);
    this.deadSeqs.add(death.seq);
  }

  #place(row: Row, state: RowState): void {
    row.state = state;
    this.#index(row);
    this.changes.rows.add(row);
    if (state === 'retry' || state === 'ready' || (state === 'leased' && row.at === 0))
      this.changes.wakes = true;
  }

  #index(row: Row): void {
    this.inState[row.state].add(row.seq);
    if (row.state === 'leased') this.deadlines.add(row);
    else if (row.state !== 'waiting') this.due.add(row);
  }

  #unplace(row: Row): void {
    this.inState[row.state].delete(row.seq);
    if (row.state === 'leased') this.#endLease(row);
    else if (row.state === 'waiting') this.lines.leave(row);
    else this.due.remove(row);
  }

  /** The credit that the row took is free. */
  #endLease(row: Row): void {
    const lease = row.lease as Lease;
    const { consumer } = lease;
    this.deadlines.remove(row);
    row.lease = undefined;
    consumer.messages--;
    consumer.bytes -= row.bytes;
    if (--lease.live === 0) this.leases.delete(lease.number);
    if (consumer.messages === 0) {
      this.consumers.delete(consumer.name);
      this.changes.consumers.add(consumer.name);
    }
    this.changes.wakes = true;
  }
}
