/**
 * The bus on LMDB: the port's verbs, each handed to the file that keeps its law. What is decided of
 * deliveries is decided by bus/delivery.ts on objects in memory (bus-loaded.ts) and written as one job of
 * the writer; verbs that only look are one synchronous read.
 */
import type {
  EventStatus,
  GroupSettings,
  NewEvent,
  Position,
  Stream,
  StreamSettings,
} from '../../bus/event.js';
import type { BusStore } from '../../bus/store.js';
import type {
  ClaimAnswer,
  ClaimRequest,
  DeadSelection,
  NewGroup,
  NewStream,
  Page,
  Settlement,
  WriteAnswer,
  WriteOptions,
} from '../../bus/verbs.js';
import { BusClaims } from './bus-claim.js';
import { BusContext, type BusContextOptions } from './bus-context.js';
import { BusDead } from './bus-dead.js';
import { BusGroups } from './bus-groups.js';
import { BusReads } from './bus-read.js';
import { BusSettlements } from './bus-settle.js';
import { BusStreams } from './bus-streams.js';
import { BusSweeper } from './bus-sweep.js';
import { write } from './bus-write.js';
import { read } from './environment.js';
import { FORMAT_KEY } from './keys.js';

type Promised<M extends keyof BusStore> = BusStore[M] extends (...args: never[]) => infer P ? P : never;

export class LmdbBusStore implements BusStore {
  readonly #context: BusContext;
  readonly #streams: BusStreams;
  readonly #groups: BusGroups;
  readonly #claims: BusClaims;
  readonly #settlements: BusSettlements;
  readonly #dead: BusDead;
  readonly #reads: BusReads;
  readonly #sweeper: BusSweeper;

  constructor(options: BusContextOptions) {
    this.#context = new BusContext(options);
    this.#streams = new BusStreams(this.#context);
    this.#groups = new BusGroups(this.#context);
    this.#claims = new BusClaims(this.#context);
    this.#settlements = new BusSettlements(this.#context);
    this.#dead = new BusDead(this.#context);
    this.#reads = new BusReads(this.#context);
    this.#sweeper = new BusSweeper(this.#context);
  }

  /** Ends background work; the engine closes the rest. */
  close(): void {
    this.#sweeper.close();
  }

  createStream(stream: NewStream, signal: AbortSignal): Promised<'createStream'> {
    return this.#streams.create(stream, signal);
  }

  getStream(name: string, signal: AbortSignal): Promise<Stream | undefined> {
    return this.#streams.get(name, signal);
  }

  getStreamByNumber(number: number, signal: AbortSignal): Promise<Stream | undefined> {
    return this.#streams.getByNumber(number, signal);
  }

  updateStream(
    name: string,
    settings: StreamSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promised<'updateStream'> {
    return this.#streams.update(name, settings, expectedRevision, signal);
  }

  deleteStream(name: string, uid: string | undefined, signal: AbortSignal): Promised<'deleteStream'> {
    return this.#streams.delete(name, uid, signal);
  }

  listStreams(after: string | undefined, limit: number, signal: AbortSignal): Promise<Page<Stream>> {
    return this.#streams.list(after, limit, signal);
  }

  getStreamFacts(number: number, signal: AbortSignal): Promised<'getStreamFacts'> {
    return this.#reads.facts(number, signal);
  }

  write(
    number: number,
    events: readonly NewEvent[],
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<WriteAnswer> {
    return write(this.#context, number, events, options, signal);
  }

  read(
    number: number,
    fromSeq: number,
    limits: { readonly limit: number; readonly maxBytes: number; readonly wake: boolean },
    signal: AbortSignal,
  ): Promised<'read'> {
    return this.#reads.read(number, fromSeq, limits, signal);
  }

  seqAt(number: number, timeMs: number, signal: AbortSignal): Promised<'seqAt'> {
    return this.#reads.seqAt(number, timeMs, signal);
  }

  listEvents(
    number: number,
    group: string,
    status: EventStatus | undefined,
    fromSeq: number,
    limit: number,
    signal: AbortSignal,
  ): Promised<'listEvents'> {
    return this.#reads.list(number, group, status, fromSeq, limit, signal);
  }

  createGroup(number: number, group: NewGroup, signal: AbortSignal): Promised<'createGroup'> {
    return this.#groups.create(number, group, signal);
  }

  updateGroup(
    number: number,
    name: string,
    settings: GroupSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promised<'updateGroup'> {
    return this.#groups.update(number, name, settings, expectedRevision, signal);
  }

  deleteGroup(number: number, name: string, signal: AbortSignal): Promised<'deleteGroup'> {
    return this.#groups.delete(number, name, signal);
  }

  listGroups(number: number, signal: AbortSignal): Promised<'listGroups'> {
    return this.#groups.list(number, signal);
  }

  seekGroup(number: number, name: string, to: Position, signal: AbortSignal): Promised<'seekGroup'> {
    return this.#groups.seek(number, name, to, signal);
  }

  claim(number: number, request: ClaimRequest, signal: AbortSignal): Promise<ClaimAnswer> {
    return this.#claims.claim(number, request, signal);
  }

  accept(
    number: number,
    group: string,
    lease: { readonly consumer: string; readonly lease: number; readonly ackDeadlineMs: number | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    return this.#claims.accept(number, group, lease, signal);
  }

  release(
    number: number,
    group: string,
    consumer: string,
    claimId: string,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#claims.release(number, group, consumer, claimId, signal);
  }

  settle(
    number: number,
    group: string,
    marks: readonly Settlement[],
    signal: AbortSignal,
  ): Promised<'settle'> {
    return this.#settlements.settle(number, group, marks, signal);
  }

  extend(
    number: number,
    group: string,
    leases: readonly { readonly seq: number; readonly lease: number }[],
    ackDeadlineMs: number | undefined,
    signal: AbortSignal,
  ): Promised<'extend'> {
    return this.#settlements.extend(number, group, leases, ackDeadlineMs, signal);
  }

  listDead(
    number: number,
    group: string,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promised<'listDead'> {
    return this.#dead.list(number, group, after, limit, signal);
  }

  replayDead(
    number: number,
    group: string,
    which: DeadSelection,
    signal: AbortSignal,
  ): Promised<'replayDead'> {
    return this.#dead.replay(number, group, which, signal);
  }

  purgeDead(number: number, group: string, which: DeadSelection, signal: AbortSignal): Promised<'purgeDead'> {
    return this.#dead.purge(number, group, which, signal);
  }

  listen(number: number, look: () => void): () => void {
    return this.#context.bell.listen(number, look);
  }

  ping(signal: AbortSignal): Promise<void> {
    return read(signal, () => void this.#context.db.get(FORMAT_KEY));
  }
}
