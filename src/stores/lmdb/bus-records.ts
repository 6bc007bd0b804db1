/**
 * What the bus keeps under its keys: tuples, with one codec a record beside its drawing. What a key says
 * its value does not repeat.
 */
import { type Death, type GroupHead, newRow, type Row, type RowState } from '../../bus/delivery.js';
import type {
  EventFilter,
  Group,
  GroupSettings,
  NewEvent,
  StoredEvent,
  Stream,
  StreamSettings,
} from '../../bus/event.js';
import type { WrittenEvent } from '../../bus/verbs.js';

/** Who made a thing, so that the same request is answered again. */
export interface Creation {
  readonly requestId: string;
  readonly requestHash: string;
}

export function isSameRequest(made: Creation, asked: Creation): boolean {
  return (
    asked.requestId !== '' && made.requestId === asked.requestId && made.requestHash === asked.requestHash
  );
}

/** [next stream number, next sweep] */
export type CountersTuple = [nextNumber: number, nextSweep: number];

export interface StreamRecord extends Creation {
  readonly stream: Stream;
}

export type StreamTuple = [
  name: string,
  uid: string,
  maxAgeMs: number,
  maxEvents: number,
  maxBytes: number,
  dropsOldest: boolean,
  dedupeWindowMs: number,
  revision: number,
  createTimeMs: number,
  requestId: string,
  requestHash: string,
];

export function encodeStream({ stream, requestId, requestHash }: StreamRecord): StreamTuple {
  const { name, uid, settings, revision, createTimeMs } = stream;
  const { maxAgeMs, maxEvents, maxBytes, overflow, dedupeWindowMs } = settings;
  const dropsOldest = overflow === 'drop_oldest';
  const said = [name, uid, maxAgeMs, maxEvents, maxBytes, dropsOldest, dedupeWindowMs] as const;
  return [...said, revision, createTimeMs, requestId, requestHash];
}

export function decodeStream(number: number, tuple: StreamTuple): StreamRecord {
  const [name, uid, maxAgeMs, maxEvents, maxBytes, dropsOldest, dedupeWindowMs, revision, createTimeMs] =
    tuple;
  const settings: StreamSettings = {
    maxAgeMs,
    maxEvents,
    maxBytes,
    overflow: dropsOldest ? 'drop_oldest' : 'reject',
    dedupeWindowMs,
  };
  const stream = { number, name, uid, settings, revision, createTimeMs };
  return { stream, requestId: tuple[9], requestHash: tuple[10] };
}

/** What of a stream changes with every write. */
export interface StreamState {
  /** The first and last sequence kept; first = last + 1 when nothing is. */
  firstSeq: number;
  lastSeq: number;
  bytes: number;
  /** Times of events never go back. */
  lastTimeMs: number;
  lastLease: number;
  lastGroup: number;
  /** Of dedupe and request ids. */
  records: number;
}

export type StateTuple = [
  firstSeq: number,
  lastSeq: number,
  bytes: number,
  lastTimeMs: number,
  lastLease: number,
  lastGroup: number,
  records: number,
];

export function newState(): StreamState {
  return decodeState([1, 0, 0, 0, 0, 0, 0]);
}

export function encodeState(state: StreamState): StateTuple {
  const { firstSeq, lastSeq, bytes, lastTimeMs, lastLease, lastGroup, records } = state;
  return [firstSeq, lastSeq, bytes, lastTimeMs, lastLease, lastGroup, records];
}

export function decodeState(tuple: StateTuple): StreamState {
  const [firstSeq, lastSeq, bytes, lastTimeMs, lastLease, lastGroup, records] = tuple;
  return { firstSeq, lastSeq, bytes, lastTimeMs, lastLease, lastGroup, records };
}

/** Attributes lie as names and values by turns: a map would not keep every name there is. */
export type EventTuple = [
  createTimeMs: number,
  type: string,
  attributes: readonly string[],
  orderingKey: string,
  contentType: string,
  isJson: boolean,
  body: Buffer,
];

export function encodeEvent(
  createTimeMs: number,
  event: Omit<NewEvent, 'dedupeId' | 'bodyHash'>,
): EventTuple {
  const { type, attributes, orderingKey, contentType, form, body } = event;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return [createTimeMs, type, saidOf(attributes), orderingKey, contentType, form === 'json', bytes];
}

function saidOf(attributes: Readonly<Record<string, string>>): string[] {
  const said: string[] = [];
  for (const [name, value] of Object.entries(attributes)) said.push(name, value);
  return said;
}

export function decodeEvent(seq: number, tuple: EventTuple): StoredEvent {
  const [createTimeMs, type, said, orderingKey, contentType, isJson, body] = tuple;
  const form = isJson ? 'json' : 'data';
  return { seq, createTimeMs, type, attributes: pairsOf(said), orderingKey, contentType, form, body };
}

function pairsOf(said: readonly string[]): Record<string, string> {
  if (said.length === 0) return {};
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < said.length; i += 2) pairs.push([said[i] as string, said[i + 1] as string]);
  return Object.fromEntries(pairs);
}

/** What a dedupe id was used for. */
export type DedupeTuple = [expireTimeMs: number, hash: string, seq: number, createTimeMs: number];

/**
 * What a request id was used for: how many events, of which those that were new have the sequences from
 * `firstSeq` on and one time, and the others are listed: index, sequence and time by turns.
 */
export type RequestTuple = [
  expireTimeMs: number,
  hash: string,
  count: number,
  firstSeq: number,
  createTimeMs: number,
  duplicates: readonly number[],
];

export function encodeRequest(
  expireTimeMs: number,
  hash: string,
  events: readonly WrittenEvent[],
): RequestTuple {
  const first = events.find(({ duplicate }) => !duplicate);
  const duplicates: number[] = [];
  for (let i = 0; i < events.length; i++) {
    const { seq, createTimeMs, duplicate } = events[i] as WrittenEvent;
    if (duplicate) duplicates.push(i, seq, createTimeMs);
  }
  return [expireTimeMs, hash, events.length, first?.seq ?? 0, first?.createTimeMs ?? 0, duplicates];
}

export function writtenBy([, , count, firstSeq, createTimeMs, duplicates]: RequestTuple): WrittenEvent[] {
  const events: WrittenEvent[] = [];
  let next = 0;
  let seq = firstSeq;
  for (let i = 0; i < count; i++) {
    if (duplicates[next] === i) {
      const [, itsSeq = 0, itsTimeMs = 0] = duplicates.slice(next, next + 3);
      events.push({ seq: itsSeq, createTimeMs: itsTimeMs, duplicate: true });
      next += 3;
    } else events.push({ seq: seq++, createTimeMs, duplicate: false });
  }
  return events;
}

/** The ids of one write. */
export type LapseTuple = [dedupeIds: readonly string[], requestId: string];

export interface GroupRecord extends Creation {
  readonly no: number;
  readonly group: Group;
}

export type GroupTuple = [
  no: number,
  settings: [ackDeadlineMs: number, maxAttempts: number, minBackoffMs: number, maxBackoffMs: number],
  filter: [types: readonly string[], attributes: readonly string[]] | null,
  revision: number,
  generation: number,
  createTimeMs: number,
  requestId: string,
  requestHash: string,
];

export function encodeGroup({ no, group, requestId, requestHash }: GroupRecord): GroupTuple {
  const { settings, filter, revision, generation, createTimeMs } = group;
  const { ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs } = settings;
  return [
    no,
    [ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs],
    filter ? [filter.types, Object.entries(filter.attributes).flat()] : null,
    revision,
    generation,
    createTimeMs,
    requestId,
    requestHash,
  ];
}

export function decodeGroup(name: string, tuple: GroupTuple): GroupRecord {
  const [no, said, filtered, revision, generation, createTimeMs, requestId, requestHash] = tuple;
  const [ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs] = said;
  const settings: GroupSettings = { ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs };
  const filter: EventFilter | undefined = filtered
    ? { types: filtered[0], attributes: pairsOf(filtered[1]) }
    : undefined;
  const group = { name, settings, filter, revision, generation, createTimeMs };
  return { no, group, requestId, requestHash };
}

export type HeadTuple = [cursor: number, trimmedUnprocessed: number, droppedDead: number, lastDeath: number];

export function encodeHead(head: GroupHead): HeadTuple {
  return [head.cursor, head.trimmedUnprocessed, head.droppedDead, head.lastDeath];
}

export function decodeHead([cursor, trimmedUnprocessed, droppedDead, lastDeath]: HeadTuple): GroupHead {
  return { cursor, trimmedUnprocessed, droppedDead, lastDeath };
}

const ROW_STATES: readonly RowState[] = ['retry', 'ready', 'waiting'];

/** A row that nobody has. */
export type RowTuple = [
  state: number,
  attempts: number,
  /** When it is due or, of a waiting row, its place in the line. */
  dueMsOrPlace: number,
  /** Of a retry since when it is one. */
  sinceMs: number,
  key: string,
  bytes: number,
  isReplayed: boolean,
];

export function encodeRow(row: Row): RowTuple {
  const { state, attempts, dueMs, sinceMs, place, key, bytes, isReplayed } = row;
  const dueMsOrPlace = state === 'waiting' ? place : dueMs;
  return [ROW_STATES.indexOf(state), attempts, dueMsOrPlace, sinceMs, key, bytes, isReplayed];
}

export function decodeRow(seq: number, tuple: RowTuple): Row {
  const [stateNo, attempts, dueMsOrPlace, sinceMs, key, bytes, isReplayed] = tuple;
  const state = ROW_STATES[stateNo] ?? 'ready';
  const [dueMs, place] = state === 'waiting' ? [0, dueMsOrPlace] : [dueMsOrPlace, 0];
  return newRow({ seq, state, attempts, dueMs, sinceMs, place, key, bytes, isReplayed });
}

type LeasedTuple = [
  seq: number,
  attempts: number,
  dueMs: number,
  key: string,
  bytes: number,
  isReplayed: boolean,
];

/** Rows that one claim handed out. */
export type LeaseTuple = [consumer: string, rows: readonly LeasedTuple[]];

export function encodeLease(consumer: string, rows: readonly Row[]): LeaseTuple {
  return [
    consumer,
    rows.map(({ seq, attempts, dueMs, key, bytes, isReplayed }) => [
      seq,
      attempts,
      dueMs,
      key,
      bytes,
      isReplayed,
    ]),
  ];
}

export function decodeLease([consumer, tuples]: LeaseTuple): { consumer: string; rows: Row[] } {
  const rows = tuples.map(([seq, attempts, dueMs, key, bytes, isReplayed]) =>
    newRow({ seq, state: 'leased', attempts, dueMs, key, bytes, isReplayed }),
  );
  return { consumer, rows };
}

export type ConsumerTuple = [claimId: string, lastLease: number];

export type DeadTuple = [seq: number, attempts: number, timeMs: number];

export function encodeDeath({ seq, attempts, timeMs }: Death): DeadTuple {
  return [seq, attempts, timeMs];
}

export function decodeDeath(serial: number, [seq, attempts, timeMs]: DeadTuple): Death {
  return { seq, serial, attempts, timeMs };
}
