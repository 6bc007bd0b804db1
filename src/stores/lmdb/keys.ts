/**
 * Every key of the environment, drawn as a table: this is the storage design on one screen. All data
 * lies in one tree. A key is a tag byte and then its parts; every part but the last is of fixed size or
 * says its length first (2 bytes, marked *), so no text can run into the part after it and the longest
 * key, an `expiry` of maximal ids, has 525 bytes of the 1,978 that LMDB allows. Numbers are big-endian:
 * their order is that of the keys. A configuration name appears once, with the number it was given, and
 * as that number (`no`, 4 bytes) everywhere else; a machine's history goes by the serial it was given at
 * creation, never its id, so that a new machine of an old id cannot meet the old one's history.
 *
 * Format 1.
 *
 * | tag | name          | parts                          | value                                      |
 * |-----|---------------|--------------------------------|--------------------------------------------|
 * | 01  | format        |                                | format version, id of this data            |
 * | 02  | owner         |                                | the process that may write (owner.ts)      |
 * | 03  | deployment    |                                | the deployment record (placement.ts)       |
 * | 10  | counters      |                                | next name number, next serial              |
 * | 11  | name          | name                           | number, versions, newest, retention        |
 * | 12  | creation      | no, index(4)                   | version: the order of creation             |
 * | 13  | configuration | no, version                    | the configuration, its hash, its index     |
 * | 20  | machine       | no, id                         | the machine                                |
 * | 21  | listed        | no, state*, version*, id       | nothing: the entry is the fact             |
 * | 22  | count         | no, state*, version*           | how many `listed` entries begin like this  |
 * | 23  | history       | serial(6), version(6)          | one applied transition                     |
 * | 24  | sweep         | serial(6)                      | history up to this version may go          |
 * | 30  | outcome       | no, event id*, id              | outcome, body hash, uid, expiry            |
 * | 31  | expiry        | time(6), no, event id*, id     | nothing: the outcome may have lapsed then  |
 * | 40  | feed ends     | no                             | last sequence, last one trimmed            |
 * | 41  | feed          | no, sequence(6)                | one change                                 |
 * | 5.  | the bus       | drawn in bus-keys.ts           |                                            |
 */

/** LMDB's limit with pages of 4 KiB. The scratch is longer, so a key that is too long is seen, not cut. */
const MAX_KEY_BYTES = 1_978;
const scratch = Buffer.allocUnsafe(2_048);
let length = 0;

/** Names the tree of what a key is about; the first byte of every key. */
const TAG = {
  format: 0x01,
  owner: 0x02,
  deployment: 0x03,
  counters: 0x10,
  name: 0x11,
  creation: 0x12,
  configuration: 0x13,
  machine: 0x20,
  listed: 0x21,
  count: 0x22,
  history: 0x23,
  sweep: 0x24,
  outcome: 0x30,
  expiry: 0x31,
  feedEnds: 0x40,
  feed: 0x41,
} as const;

export function begin(tag: number): void {
  scratch[0] = tag;
  length = 1;
}

export function number1(value: number): void {
  length = scratch.writeUInt8(value, length);
}

export function number4(value: number): void {
  length = scratch.writeUInt32BE(value, length);
}

export function number6(value: number): void {
  length = scratch.writeUIntBE(value, length, 6);
}

export function text(value: string): void {
  length += scratch.write(value, length);
}

function framed(value: string): void {
  const size = scratch.write(value, length + 2);
  scratch.writeUInt16BE(size, length);
  length += 2 + size;
}

/** A key of its own: what is staged for a commit must outlive the scratch buffer. */
export function end(): Buffer {
  if (length > MAX_KEY_BYTES) throw new RangeError(`a key of ${length} bytes is over the limit`);
  return Buffer.from(scratch.subarray(0, length));
}

function fixed(tag: number): Buffer {
  return Buffer.from([tag]);
}

export const FORMAT_KEY = fixed(TAG.format);
export const OWNER_KEY = fixed(TAG.owner);
export const DEPLOYMENT_KEY = fixed(TAG.deployment);
export const COUNTERS_KEY = fixed(TAG.counters);

export const EVERYTHING: Range = { start: fixed(0), end: fixed(0xff) };
export const NAMES: Range = rangeOf(fixed(TAG.name));
export const SWEEPS: Range = rangeOf(fixed(TAG.sweep));

export interface Range {
  readonly start: Buffer;
  /** Exclusive. */
  readonly end: Buffer;
}

/** All keys that begin with `prefix`. No prefix ends in 0xff only, since no tag is 0xff. */
export function rangeOf(prefix: Buffer): Range {
  let last = prefix.length - 1;
  while (prefix[last] === 0xff) last--;
  const end = Buffer.from(prefix.subarray(0, last + 1));
  end[last] = (end[last] ?? 0) + 1;
  return { start: prefix, end };
}

export function nameKey(name: string): Buffer {
  begin(TAG.name);
  text(name);
  return end();
}

export function nameIn(key: Buffer): string {
  return key.toString('utf8', 1);
}

/** With no index: the prefix of all. */
export function creationKey(no: number, index?: number): Buffer {
  begin(TAG.creation);
  number4(no);
  if (index !== undefined) number4(index);
  return end();
}

export function configurationKey(no: number, version: string): Buffer {
  begin(TAG.configuration);
  number4(no);
  text(version);
  return end();
}

/** With an empty id: the prefix of all machines of the name. */
export function machineKey(no: number, id: string): Buffer {
  begin(TAG.machine);
  number4(no);
  text(id);
  return end();
}

export function machineIdIn(key: Buffer): string {
  return key.toString('utf8', 5);
}

export interface ListedPlace {
  readonly state: string;
  readonly configurationVersion: string;
  readonly id: string;
}

export function listedKey(no: number, place: ListedPlace): Buffer {
  begin(TAG.listed);
  number4(no);
  framed(place.state);
  framed(place.configurationVersion);
  text(place.id);
  return end();
}

/** All entries of a name, of a state, or of a state and version. */
export function listedPrefix(no: number, state?: string, version?: string): Buffer {
  begin(TAG.listed);
  number4(no);
  if (state !== undefined) framed(state);
  if (version !== undefined) framed(version);
  return end();
}

export function listedPlaceIn(key: Buffer): ListedPlace {
  const stateEnd = 7 + key.readUInt16BE(5);
  const versionEnd = stateEnd + 2 + key.readUInt16BE(stateEnd);
  return {
    state: key.toString('utf8', 7, stateEnd),
    configurationVersion: key.toString('utf8', stateEnd + 2, versionEnd),
    id: key.toString('utf8', versionEnd),
  };
}

/** Without a version: the prefix of all versions of a state. */
export function countKey(no: number, state: string, version?: string): Buffer {
  begin(TAG.count);
  number4(no);
  framed(state);
  if (version !== undefined) framed(version);
  return end();
}

export function historyKey(serial: number, version: number): Buffer {
  begin(TAG.history);
  number6(serial);
  number6(version);
  return end();
}

export function historyVersionIn(key: Buffer): number {
  return key.readUIntBE(7, 6);
}

export function sweepKey(serial: number): Buffer {
  begin(TAG.sweep);
  number6(serial);
  return end();
}

export function sweepSerialIn(key: Buffer): number {
  return key.readUIntBE(1, 6);
}

/** With no id: the prefix of one event's outcomes, whichever the machine. */
export function outcomeKey(no: number, eventId: string, id = ''): Buffer {
  begin(TAG.outcome);
  number4(no);
  framed(eventId);
  text(id);
  return end();
}

export function outcomeMachineIdIn(key: Buffer): string {
  return key.toString('utf8', 7 + key.readUInt16BE(5));
}

export function expiryKey(timeMs: number, outcome: Buffer): Buffer {
  begin(TAG.expiry);
  number6(timeMs);
  length += outcome.copy(scratch, length, 1);
  return end();
}

/** The expiries that are due at `nowMs`. */
export function expiriesDue(nowMs: number): Range {
  begin(TAG.expiry);
  number6(nowMs + 1);
  return { start: fixed(TAG.expiry), end: end() };
}

export function outcomeKeyIn(expiry: Buffer): Buffer {
  const key = Buffer.from(expiry.subarray(6));
  key[0] = TAG.outcome;
  return key;
}

export function feedEndsKey(no: number): Buffer {
  begin(TAG.feedEnds);
  number4(no);
  return end();
}

export function feedKey(no: number, sequence: number): Buffer {
  begin(TAG.feed);
  number4(no);
  number6(sequence);
  return end();
}
