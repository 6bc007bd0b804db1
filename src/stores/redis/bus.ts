/**
 * The bus on Redis: the port, with each verb handed to the part that does it. Reads top down as a table of
 * contents; the law of delivery is in scripts/include/bus_group.lua and the scripts that include it.
 */
import type { EventStatus, GroupSettings, NewEvent, Position, StreamSettings } from '../../bus/event.js';
import { type BusStore, type BusStoreObserver, NO_OBSERVER } from '../../bus/store.js';
import type {
  ClaimRequest,
  DeadSelection,
  NewGroup,
  NewStream,
  Settlement,
  WriteOptions,
} from '../../bus/verbs.js';
import { Claim } from './bus-claim.js';
import { Dead } from './bus-dead.js';
import { Groups } from './bus-groups.js';
import { BusKeys } from './bus-keys.js';
import { Read } from './bus-read.js';
import { Settle } from './bus-settle.js';
import { Streams } from './bus-streams.js';
import { Sweep } from './bus-sweep.js';
import { Write } from './bus-write.js';
import type { Client } from './client.js';
import type { Wakes } from './wakes.js';

export class RedisBusStore implements BusStore {
  readonly #client: Client;
  readonly #keys: BusKeys;
  readonly #wakes: Wakes;
  readonly #streams: Streams;
  readonly #write: Write;
  readonly #read: Read;
  readonly #groups: Groups;
  readonly #claim: Claim;
  readonly #settle: Settle;
  readonly #dead: Dead;
  readonly #sweep: Sweep;

  constructor(
    client: Client,
    wakesOf: (channel: string) => Wakes,
    namespace: string,
    observer: BusStoreObserver = NO_OBSERVER,
  ) {
    const keys = new BusKeys(namespace);
    const streams = new Streams(client, keys);
    this.#client = client;
    this.#keys = keys;
    this.#wakes = wakesOf(keys.wakeChannel);
    this.#streams = streams;
    this.#write = new Write(streams, keys);
    this.#read = new Read(streams, keys);
    this.#groups = new Groups(streams, keys, observer);
    this.#claim = new Claim(streams, keys, observer);
    this.#settle = new Settle(streams, keys, observer);
    this.#dead = new Dead(streams, keys);
    this.#sweep = new Sweep(streams, keys, this.#groups, this.#dead);
  }

  /** Ends the work in the background; the engine closes the rest. */
  close(): void {
    this.#sweep.close();
  }

  createStream(stream: NewStream, signal: AbortSignal) {
    return this.#streams.create(stream, signal);
  }

  getStream(name: string, signal: AbortSignal) {
    return this.#streams.get(name, signal);
  }

  getStreamByNumber(number: number, signal: AbortSignal) {
    return this.#streams.getByNumber(number, signal);
  }

  updateStream(
    name: string,
    settings: StreamSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ) {
    return this.#streams.update(name, settings, expectedRevision, signal);
  }

  deleteStream(name: string, uid: string | undefined, signal: AbortSignal) {
    return this.#streams.delete(name, uid, signal);
  }

  listStreams(after: string | undefined, limit: number, signal: AbortSignal) {
    return this.#streams.list(after, limit, signal);
  }

  getStreamFacts(number: number, signal: AbortSignal) {
    return this.#groups.facts(number, signal);
  }

  write(number: number, events: readonly NewEvent[], options: WriteOptions, signal: AbortSignal) {
    return this.#write.write(number, events, options, signal);
  }

  read(
    number: number,
    fromSeq: number,
    limits: { readonly limit: number; readonly maxBytes: number; readonly wake: boolean },
    signal: AbortSignal,
  ) {
    return this.#read.read(number, fromSeq, limits, signal);
  }

  seqAt(number: number, timeMs: number, signal: AbortSignal) {
    return this.#read.seqAt(number, timeMs, signal);
  }

  listEvents(
    number: number,
    group: string,
    status: EventStatus | undefined,
    fromSeq: number,
    limit: number,
    signal: AbortSignal,
  ) {
    return this.#read.list(number, group, status, fromSeq, limit, signal);
  }

  createGroup(number: number, group: NewGroup, signal: AbortSignal) {
    return this.#groups.create(number, group, signal);
  }

  updateGroup(
    number: number,
    name: string,
    settings: GroupSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ) {
    return this.#groups.update(number, name, settings, expectedRevision, signal);
  }

  deleteGroup(number: number, name: string, signal: AbortSignal) {
    return this.#groups.delete(number, name, signal);
  }

  listGroups(number: number, signal: AbortSignal) {
    return this.#groups.list(number, signal);
  }

  seekGroup(number: number, name: string, to: Position, signal: AbortSignal) {
    return this.#groups.seek(number, name, to, signal);
  }

  claim(number: number, request: ClaimRequest, signal: AbortSignal) {
    return this.#claim.claim(number, request, signal);
  }

  accept(
    number: number,
    group: string,
    lease: { readonly consumer: string; readonly lease: number; readonly ackDeadlineMs: number | undefined },
    signal: AbortSignal,
  ) {
    return this.#claim.accept(number, group, lease, signal);
  }

  release(number: number, group: string, consumer: string, claimId: string, signal: AbortSignal) {
    return this.#claim.release(number, group, consumer, claimId, signal);
  }

  settle(number: number, group: string, marks: readonly Settlement[], signal: AbortSignal) {
    return this.#settle.settle(number, group, marks, signal);
  }

  extend(
    number: number,
    group: string,
    leases: readonly { readonly seq: number; readonly lease: number }[],
    ackDeadlineMs: number | undefined,
    signal: AbortSignal,
  ) {
    return this.#settle.extend(number, group, leases, ackDeadlineMs, signal);
  }

  listDead(number: number, group: string, after: string | undefined, limit: number, signal: AbortSignal) {
    return this.#dead.list(number, group, after, limit, signal);
  }

  replayDead(number: number, group: string, which: DeadSelection, signal: AbortSignal) {
    return this.#dead.step('replay', number, group, which, signal);
  }

  purgeDead(number: number, group: string, which: DeadSelection, signal: AbortSignal) {
    return this.#dead.step('purge', number, group, which, signal);
  }

  listen(number: number, look: () => void): () => void {
    return this.#wakes.listen(this.#keys.stream(number).flag, look);
  }

  ping(signal: AbortSignal): Promise<void> {
    return this.#client.ping(signal);
  }
}
