/**
 * The keys of the bus, as a table: the part of the environment's tree below tag 5x (keys.ts). A stream
 * appears once with its name and as its number everywhere else, and all it holds lies in one range below
 * that number; so does all of a group below the group's number, and what a seek drops below the group's
 * generation. To delete any of them is to note one range for the sweeper (`sweep`), whatever it holds.
 * Neither number is ever used again. Texts come last in a key, so none needs its length.
 *
 * | tag | name       | parts                            | value                                         |
 * |-----|------------|----------------------------------|-----------------------------------------------|
 * | 50  | counters   |                                  | next stream number, next sweep                |
 * | 51  | name       | name                             | number                                        |
 * | 52  | stream     | number(4)                        | name, uid, settings, revision, its creation   |
 * | 53  | sweep      | serial(6)                        | start and end of a range that may go          |
 * | 58  | what a stream holds: number(4), a part of one byte, then                                     |
 * |  00 | state      |                                  | first, last, bytes, leases, groups, records   |
 * |  01 | event      | seq(6)                           | one event                                     |
 * |  02 | record     | kind(1), id                      | what a dedupe id or a request id was used for |
 * |  03 | lapse      | time(6), seq(6)                  | the ids of one write, which lapse then        |
 * |  04 | group      | name                             | number, settings, filter, revision, creation  |
 * |  05 | what a group holds: group(4), a part of one byte, then                                       |
 * |  00 | head       |                                  | cursor and counts                             |
 * |  01 | dead       | serial(6)                        | seq, attempts, time: in order of death        |
 * |  02 | dead body  | seq(6)                           | the event of a dead letter                    |
 * |  03 | what a seek drops: generation(4), a part of one byte, then                                   |
 * |  00 | row        | seq(6)                           | an event in flight that nobody has            |
 * |  01 | exception  | seq(6)                           | nothing: the entry is the fact                |
 * |  02 | replayed   | seq(6)                           | the event of a row that was a dead letter     |
 * |  03 | consumer   | consumer                         | its last claim                                |
 * |  04 | lease      | lease(6), seq(6)                 | some rows of it, the first of that sequence   |
 */
import { begin, end, number1, number4, number6, type Range, rangeOf, text } from './keys.js';

const TAG = { counters: 0x50, name: 0x51, stream: 0x52, sweep: 0x53, held: 0x58 } as const;
const IN_STREAM = { state: 0, event: 1, record: 2, lapse: 3, group: 4, held: 5 } as const;
const IN_GROUP = { head: 0, dead: 1, deadBody: 2, dropped: 3 } as const;
const DROPPED = { row: 0, exception: 1, replayed: 2, consumer: 3, lease: 4 } as const;

export const BUS_COUNTERS_KEY = Buffer.from([TAG.counters]);
export const STREAM_NAMES: Range = rangeOf(Buffer.from([TAG.name]));
export const BUS_SWEEPS: Range = rangeOf(Buffer.from([TAG.sweep]));

/** A group's number, and the generation that what a seek drops is of. */
export interface GroupPlace {
  readonly stream: number;
  readonly no: number;
  readonly generation: number;
}

export function streamNameKey(name: string): Buffer {
  begin(TAG.name);
  text(name);
  return end();
}

export function streamKey(number: number): Buffer {
  begin(TAG.stream);
  number4(number);
  return end();
}

export function streamNumberIn(key: Buffer): number {
  return key.readUInt32BE(1);
}

/** The streams above a number. */
export function streamsAfter(number: number): Range {
  return { start: streamKey(number + 1), end: Buffer.from([TAG.stream + 1]) };
}

export function busSweepKey(serial: number): Buffer {
  begin(TAG.sweep);
  number6(serial);
  return end();
}

function beginHeld(stream: number): void {
  begin(TAG.held);
  number4(stream);
}

function beginIn(stream: number, part: number): void {
  beginHeld(stream);
  number1(part);
}

/** All that a stream holds. */
export function heldByStream(stream: number): Range {
  beginHeld(stream);
  return rangeOf(end());
}

export function stateKey(stream: number): Buffer {
  beginIn(stream, IN_STREAM.state);
  return end();
}

export function eventKey(stream: number, seq: number): Buffer {
  beginIn(stream, IN_STREAM.event);
  number6(seq);
  return end();
}

export type RecordKind = 'dedupe' | 'request';

export function recordKey(stream: number, kind: RecordKind, id: string): Buffer {
  beginIn(stream, IN_STREAM.record);
  number1(kind === 'dedupe' ? 0 : 1);
  text(id);
  return end();
}

export function lapseKey(stream: number, timeMs: number, seq: number): Buffer {
  beginIn(stream, IN_STREAM.lapse);
  number6(timeMs);
  number6(seq);
  return end();
}

/** What has lapsed at `nowMs`. */
export function lapsesDue(stream: number, nowMs: number): Range {
  return { start: lapseKey(stream, 0, 0), end: lapseKey(stream, nowMs + 1, 0) };
}

export function lapseTimeIn(key: Buffer): number {
  return key.readUIntBE(6, 6);
}

export function groupKey(stream: number, name: string): Buffer {
  beginIn(stream, IN_STREAM.group);
  text(name);
  return end();
}

export function groupNameIn(key: Buffer): string {
  return key.toString('utf8', 6);
}

export function groupsOf(stream: number): Range {
  return rangeOf(groupKey(stream, ''));
}

function beginGroup({ stream, no }: GroupPlace): void {
  beginIn(stream, IN_STREAM.held);
  number4(no);
}

function inGroup(place: GroupPlace, part: number, number?: number): Buffer {
  beginGroup(place);
  number1(part);
  if (number !== undefined) number6(number);
  return end();
}

/** All that a group holds. */
export function heldByGroup(place: GroupPlace): Range {
  beginGroup(place);
  return rangeOf(end());
}

export function headKey(place: GroupPlace): Buffer {
  return inGroup(place, IN_GROUP.head);
}

export function deadKey(place: GroupPlace, serial: number): Buffer {
  return inGroup(place, IN_GROUP.dead, serial);
}

export function deadIn(place: GroupPlace): Range {
  return rangeOf(inGroup(place, IN_GROUP.dead));
}

export function deadSerialIn(key: Buffer): number {
  return key.readUIntBE(key.length - 6, 6);
}

export function deadBodyKey(place: GroupPlace, seq: number): Buffer {
  return inGroup(place, IN_GROUP.deadBody, seq);
}

function beginDropped(place: GroupPlace): void {
  beginGroup(place);
  number1(IN_GROUP.dropped);
  number4(place.generation);
}

/** What a seek drops. */
export function droppedBySeek(place: GroupPlace): Range {
  beginDropped(place);
  return rangeOf(end());
}

function dropped(place: GroupPlace, part: number, seq?: number): Buffer {
  beginDropped(place);
  number1(part);
  if (seq !== undefined) number6(seq);
  return end();
}

export function rowKey(place: GroupPlace, seq: number): Buffer {
  return dropped(place, DROPPED.row, seq);
}

export function rowsIn(place: GroupPlace): Range {
  return rangeOf(dropped(place, DROPPED.row));
}

export function leaseKey(place: GroupPlace, lease: number, seq: number): Buffer {
  beginDropped(place);
  number1(DROPPED.lease);
  number6(lease);
  number6(seq);
  return end();
}

export function leasesIn(place: GroupPlace): Range {
  return rangeOf(dropped(place, DROPPED.lease));
}

export function leaseIn(key: Buffer): number {
  return key.readUIntBE(key.length - 12, 6);
}

export function exceptionKey(place: GroupPlace, seq: number): Buffer {
  return dropped(place, DROPPED.exception, seq);
}

export function exceptionsIn(place: GroupPlace): Range {
  return rangeOf(dropped(place, DROPPED.exception));
}

export function replayedKey(place: GroupPlace, seq: number): Buffer {
  return dropped(place, DROPPED.replayed, seq);
}

export function consumerKey(place: GroupPlace, consumer: string): Buffer {
  beginDropped(place);
  number1(DROPPED.consumer);
  text(consumer);
  return end();
}

export function consumersIn(place: GroupPlace): Range {
  return rangeOf(consumerKey(place, ''));
}

export function consumerIn(key: Buffer): string {
  return key.toString('utf8', 16);
}

/** The sequence at the end of the key of an event, a row, an exception or rows of a lease. */
export function seqIn(key: Buffer): number {
  return key.readUIntBE(key.length - 6, 6);
}
