/**
 * Groups: made, changed, moved, deleted, listed, and how they stand. The idea to hold: the names of a
 * stream's groups are few, and the script that reads them all must be told their keys, so it is sent the
 * names last seen and answers the right ones if these are others.
 */
import { BoundedMap } from '../../bounded-map.js';
import type { Group, GroupSettings, Position } from '../../bus/event.js';
import type { BusStoreObserver } from '../../bus/store.js';
import type { Gone, GroupFacts, GroupNotFound, HeldKey, NewGroup, StreamFacts } from '../../bus/verbs.js';
import { Fault } from '../../fault.js';
import type { BusKeys } from './bus-keys.js';
import {
  filterText,
  groupFrom,
  groupSettingsText,
  positionTexts,
  requestText,
  tellTrimmed,
} from './bus-records.js';
import { loadBusScript } from './bus-scripts.js';
import type { Streams } from './bus-streams.js';
import { decodeToken, encodeToken } from './tokens.js';

const CREATE = loadBusScript('bus_group_create-5');
const UPDATE = loadBusScript('bus_group_update-5');
const SEEK = loadBusScript('bus_group_seek-17');
const DELETE = loadBusScript('bus_group_delete-17');
const READ = loadBusScript('bus_groups');

const MAX_CACHED_STREAMS = 10_000;
/** Values that `bus_groups` answers for each group. */
const STRIDE = 21;
/** Groups come and go between two looks; so often in a row, somebody makes it so. */
const MAX_LOOKS = 10;

export interface OutOfRange {
  readonly kind: 'out_of_range';
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export class Groups {
  readonly #streams: Streams;
  readonly #keys: BusKeys;
  readonly #observer: BusStoreObserver;
  readonly #names = new BoundedMap<number, readonly string[]>(MAX_CACHED_STREAMS);

  constructor(streams: Streams, keys: BusKeys, observer: BusStoreObserver) {
    this.#streams = streams;
    this.#keys = keys;
    this.#observer = observer;
  }

  async create(
    number: number,
    { name, settings, filter, start, requestId, requestHash }: NewGroup,
    signal: AbortSignal,
  ): Promise<
    | { kind: 'created' | 'replayed' | 'exists'; group: Group }
    | { kind: 'too_many_groups' }
    | OutOfRange
    | Gone
  > {
    const request = requestText(requestId, requestHash);
    const args = [
      ...this.#head(name),
      groupSettingsText(settings),
      filterText(filter),
      request,
      ...positionTexts(start),
    ];
    const keys = this.#keys.group(number, name).slice(0, 5);
    const reply = await this.#streams.runOn<string>(CREATE, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, ...facts] = reply;
    if (kind === 'too_many_groups') return { kind };
    if (kind === 'out_of_range') return outOfRange(facts);
    const isReplay = kind === 'exists' && requestId !== '' && facts[5] === request;
    const answer = isReplay ? 'replayed' : (kind as 'created' | 'exists');
    return { kind: answer, group: groupFrom(name, facts) };
  }

  async update(
    number: number,
    name: string,
    settings: GroupSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<{ kind: 'updated' | 'revision_mismatch'; group: Group } | GroupNotFound | Gone> {
    const args = [...this.#head(name), groupSettingsText(settings), String(expectedRevision ?? '')];
    const keys = this.#keys.group(number, name).slice(0, 5);
    const reply = await this.#streams.runOn<string>(UPDATE, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, ...facts] = reply;
    if (kind === 'NO_GROUP') return { kind: 'group_not_found' };
    return { kind: kind as 'updated' | 'revision_mismatch', group: groupFrom(name, facts) };
  }

  async seek(
    number: number,
    name: string,
    to: Position,
    signal: AbortSignal,
  ): Promise<{ kind: 'sought'; group: Group; cursor: number } | OutOfRange | GroupNotFound | Gone> {
    const args = [...this.#head(name), ...positionTexts(to)];
    const keys = this.#keys.group(number, name);
    const reply = await this.#streams.runOn<string>(SEEK, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, ...facts] = reply;
    if (kind === 'NO_GROUP') return { kind: 'group_not_found' };
    if (kind === 'out_of_range') return outOfRange(facts);
    const [trimmed, ...group] = facts;
    tellTrimmed(this.#observer, trimmed);
    return { kind: 'sought', group: groupFrom(name, group), cursor: Number(group[6]) };
  }

  async delete(
    number: number,
    name: string,
    signal: AbortSignal,
  ): Promise<{ kind: 'deleted' | 'absent' } | Gone> {
    const keys = this.#keys.group(number, name);
    const reply = await this.#streams.runOn<string>(DELETE, number, keys, this.#head(name), signal);
    return reply ? { kind: reply[0] as 'deleted' | 'absent' } : { kind: 'gone' };
  }

  async list(number: number, signal: AbortSignal): Promise<{ kind: 'groups'; groups: Group[] } | Gone> {
    const read = await this.#read(number, signal);
    return read ? { kind: 'groups', groups: read.groups.map(({ group }) => group) } : { kind: 'gone' };
  }

  async facts(number: number, signal: AbortSignal): Promise<StreamFacts | Gone> {
    const [read, stream] = await Promise.all([
      this.#read(number, signal),
      this.#streams.current(number, signal),
    ]);
    return read && stream ? { kind: 'facts', stream, ...read } : { kind: 'gone' };
  }

  async #read(number: number, signal: AbortSignal) {
    for (let look = 1; look <= MAX_LOOKS; look++) {
      const names = this.#names.get(number) ?? [];
      const { facts, log, flag, groups } = this.#keys.stream(number);
      const keys = [
        facts,
        log,
        flag,
        groups,
        ...names.flatMap((name) => this.#keys.groupCounts(number, name)),
      ];
      const args = [this.#keys.wakeChannel, ...names.map(encodeToken)];
      const reply = await this.#streams.runOn<string>(READ, number, keys, args, signal);
      if (!reply) return undefined;
      const [kind, ...values] = reply;
      if (kind === 'groups') return readFrom(names, values);
      this.#names.set(number, values.map(decodeToken));
    }
    throw new Fault('STORE_UNAVAILABLE', 'the groups change at every look', { retryAfterMs: 500 });
  }

  #head(name: string): [string, string] {
    return [this.#keys.wakeChannel, encodeToken(name)];
  }
}

function outOfRange([firstSeq, lastSeq]: readonly string[]): OutOfRange {
  return { kind: 'out_of_range', firstSeq: Number(firstSeq), lastSeq: Number(lastSeq) };
}

function readFrom(names: readonly string[], [first, last, bytes, ...values]: readonly string[]) {
  const lastSeq = Number(last);
  return {
    firstSeq: Number(first),
    lastSeq,
    bytes: Number(bytes),
    groups: names.map((name, i) => factsFrom(name, values.slice(i * STRIDE, (i + 1) * STRIDE), lastSeq)),
  };
}

function factsFrom(name: string, values: readonly string[], lastSeq: number): GroupFacts {
  const group = groupFrom(name, values);
  const [cursor, unprocessed, leased, retrying, waiting, dead, trimmed, dropped] = values
    .slice(6, 14)
    .map(Number) as [number, number, number, number, number, number, number, number];
  const [oldest = '', isBlocked, blockedBy = '', ...held] = values.slice(14);
  return {
    group,
    cursor,
    unprocessed: group.filter ? undefined : unprocessed,
    leased,
    retrying,
    waiting,
    dead,
    lag: lastSeq - cursor + 1,
    trimmedUnprocessed: trimmed,
    droppedDead: dropped,
    oldestUnprocessedTimeMs: oldest === '' ? undefined : Number(oldest),
    blockedByKey: isBlocked === '1' ? decodeToken(blockedBy) : undefined,
    heldKey: heldKeyFrom(held),
  };
}

function heldKeyFrom([key = '', seq, attempts, firstWaitingSeq]: readonly string[]): HeldKey | undefined {
  if (key === '') return undefined;
  return {
    key: decodeToken(key),
    seq: Number(seq),
    attempts: Number(attempts),
    firstWaitingSeq: Number(firstWaitingSeq),
  };
}
