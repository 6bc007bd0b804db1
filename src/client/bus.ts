/**
 * The event bus: one method for each rpc, with what a caller would have to write around it. Ids that make
 * a write safe to repeat are made here before the first try, lists are async iterables over all pages,
 * and workers and writers carry what throughput takes. Answers are the messages of switchgear.bus.v1,
 * whose comments are the contract; sequences and counts are bigint, times given are milliseconds.
 */
import { randomUUID } from 'node:crypto';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import type {
  DeadLetter,
  Event,
  EventStatus,
  Group,
  LeasedEvent,
  Stream,
  WrittenEvent,
} from '../../gen/switchgear/bus/v1/bus_pb.js';
import type * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { type NewEventInit, newEventOf } from './bus-bodies.js';
import type { EventHandler, WorkerOptions } from './bus-handling.js';
import {
  type LeaseInit,
  type MarkInit,
  type MarkResult,
  markAll,
  markRequest,
  markResult,
} from './bus-marking.js';
import {
  type DeadLetterRequest,
  inSteps,
  leasedEvents,
  type OfGroup,
  type TakeRequest,
  takeOf,
} from './bus-requests.js';
import {
  type EventFilterInit,
  filterOf,
  type GroupSettingsInit,
  groupSettingsOf,
  type PositionInit,
  positionOf,
  type StreamSettingsInit,
  streamSettingsOf,
} from './bus-settings.js';
import { workSource } from './bus-source.js';
import { type SubscribeEvent, type SubscribeRequest, subscribe } from './bus-subscribe.js';
import { BusWorker } from './bus-worker.js';
import { BusWriter, type WriterOptions } from './bus-writer.js';
import { failing } from './failure.js';
import { pages } from './pages.js';
import { type CallControl, callOptions, present } from './sending.js';

/** The most that the service gives. */
const PAGE_SIZE = 1_000;
/** The most that `retry` takes in its one call. */
const MAX_RETRIED_EVENTS = 10_000;
const MAX_RETRIED_BYTES = 64 * 1024 * 1024;

export class BusClient {
  readonly #rpc: Client<typeof pb.BusService>;
  readonly #timeoutMs: number;

  /** @internal use `connect` */
  constructor(rpc: Client<typeof pb.BusService>, timeoutMs: number) {
    this.#rpc = rpc;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Creates a stream. Safe to repeat: a request id is made if none is given.
   * @throws StreamExistsError when another request made a stream of this name
   */
  async createStream(
    request: { name: string; settings?: StreamSettingsInit; requestId?: string },
    control: CallControl = {},
  ): Promise<Stream> {
    const { name, settings = {}, requestId = randomUUID() } = request;
    const sent = { name, settings: streamSettingsOf(settings), requestId };
    return present((await failing(this.#rpc.createStream(sent, callOptions(control)))).stream);
  }

  /** A stream with its settings. @throws StreamNotFoundError */
  async getStream(name: string, control: CallControl = {}): Promise<Stream> {
    return present((await failing(this.#rpc.getStream({ name }, callOptions(control)))).stream);
  }

  /**
   * Changes the settings that are given and leaves the others.
   * @throws RevisionMismatchError when `expectedRevision` no longer holds; StreamNotFoundError
   */
  async updateStream(
    request: { name: string; settings: StreamSettingsInit; expectedRevision?: bigint },
    control: CallControl = {},
  ): Promise<Stream> {
    const sent = { ...request, settings: streamSettingsOf(request.settings) };
    return present((await failing(this.#rpc.updateStream(sent, callOptions(control)))).stream);
  }

  /**
   * Deletes a stream with its events and groups; false if there was none.
   * @throws UidMismatchError when `uid` is another stream's
   */
  async deleteStream(request: { name: string; uid?: string }, control: CallControl = {}): Promise<boolean> {
    return (await failing(this.#rpc.deleteStream(request, callOptions(control)))).existed;
  }

  /** All streams, read in pages of `pageSize` (at most 1,000, which it is unless given). */
  listStreams(control: CallControl & { pageSize?: number } = {}): AsyncIterable<Stream> {
    const { pageSize = PAGE_SIZE } = control;
    return pages(async (pageToken) => {
      const page = await this.#rpc.listStreams({ pageSize, pageToken }, callOptions(control));
      return [page.streams, page.nextPageToken];
    });
  }

  /** How a stream and each of its groups stand. @throws StreamNotFoundError */
  getStreamInfo(stream: string, control: CallControl = {}): Promise<pb.GetStreamInfoResponse> {
    return failing(this.#rpc.getStreamInfo({ stream }, callOptions(control)));
  }

  /**
   * The events of a stream in order, with their status for one group; with `status` only those. Read in
   * pages of `pageSize` (at most 1,000, which it is unless given). @throws StreamNotFoundError
   */
  getStreamEvents(
    request: OfGroup & { status?: EventStatus; fromSeq?: bigint; pageSize?: number },
    control: CallControl = {},
  ): AsyncIterable<Event> {
    return pages(async (pageToken) => {
      const asked = { pageSize: PAGE_SIZE, ...request, pageToken };
      const page = await this.#rpc.getStreamEvents(asked, callOptions(control));
      return [page.events, page.nextPageToken];
    });
  }

  /**
   * Writes one event; answered when it is durable. An event without a dedupe id gets one, so that repeats
   * have one effect.
   * @throws SeqMismatchError when `expectedSeq` is not the last sequence; DedupeIdReusedError; StreamFullError
   */
  async writeEvent(
    request: { stream: string; event: NewEventInit; expectedSeq?: bigint },
    control: CallControl = {},
  ): Promise<WrittenEvent> {
    const event = newEventOf({ ...request.event, dedupeId: request.event.dedupeId || randomUUID() });
    return present((await failing(this.#rpc.writeEvent({ ...request, event }, callOptions(control)))).event);
  }

  /**
   * Writes 1 to 1,000 events with at most 3 MiB of bodies, all or none, next to each other and in order.
   * Safe to repeat: a request id is made if none is given.
   * @throws as `writeEvent`, and RequestIdReusedError
   */
  async writeEvents(
    request: { stream: string; events: readonly NewEventInit[]; requestId?: string; expectedSeq?: bigint },
    control: CallControl = {},
  ): Promise<WrittenEvent[]> {
    const { requestId = randomUUID() } = request;
    const sent = { ...request, requestId, events: request.events.map(newEventOf) };
    return (await failing(this.#rpc.writeEvents(sent, callOptions(control)))).events;
  }

  /**
   * A writer for throughput: events written close to each other travel as one batch. Flush or close it,
   * or let `await using` do that.
   */
  writer(stream: string, options: WriterOptions = {}): BusWriter {
    return new BusWriter(this.#rpc, stream, options);
  }

  /**
   * Runs `handler` on the events of a stream, for a group that shares them: marks PROCESSED when it resolves
   * and RETRY when it throws, extends leases while it runs, and goes on after a lost connection. Events of
   * one ordering key come one after the other. Close the worker, or let `await using` do that.
   */
  process(stream: string, handler: EventHandler, options: WorkerOptions = {}): BusWorker {
    const mode = options.follow === false ? 'drain' : 'follow';
    const source = workSource(this.#rpc, { stream, mode, options, timeoutMs: this.#timeoutMs });
    return new BusWorker(source, handler, options);
  }

  /**
   * Runs `handler` on what is RETRY now, due or not, each event once, at most `maxOutstanding` (10,000 unless
   * given), as `process` does; the worker's `done` resolves when all had their turn.
   */
  retry(stream: string, handler: EventHandler, options: WorkerOptions = {}): BusWorker {
    const bounds = { maxOutstanding: MAX_RETRIED_EVENTS, maxOutstandingBytes: MAX_RETRIED_BYTES, ...options };
    const request = { stream, mode: 'once', takesRetries: true, options: bounds } as const;
    return new BusWorker(workSource(this.#rpc, { ...request, timeoutMs: this.#timeoutMs }), handler, bounds);
  }

  /**
   * Leases events to the caller, who marks and extends them; `process` does all that. Ends when the credit
   * is used or nothing is left, or with `follow` never. @throws StreamNotFoundError, GroupNotFoundError
   */
  processEvents(
    request: TakeRequest & { follow?: boolean },
    control: { signal?: AbortSignal } = {},
  ): AsyncGenerator<LeasedEvent> {
    return leasedEvents(this.#rpc.processEvents(takeOf(request), { ...control, timeoutMs: 0 }));
  }

  /** Leases what is RETRY now, due or not, to the caller; `retry` does the rest. */
  retryEvents(request: TakeRequest, control: { signal?: AbortSignal } = {}): AsyncGenerator<LeasedEvent> {
    return leasedEvents(this.#rpc.retryEvents(takeOf(request), { ...control, timeoutMs: 0 }));
  }

  /** Shows what is UNPROCESSED and leases nothing. @throws StreamNotFoundError, GroupNotFoundError */
  peek(request: OfGroup, control: { signal?: AbortSignal } = {}): AsyncGenerator<LeasedEvent> {
    return leasedEvents(this.#rpc.processEvents({ ...request, peek: true }, { ...control, timeoutMs: 0 }));
  }

  /**
   * Marks one event, by its id alone. With a lease token the mark is fenced and safe to repeat; after a
   * lost answer the repeat may find the lease ended by the first.
   * @throws LeaseStaleError; EventNotFoundError; EventExpiredError
   */
  async markEvent(mark: MarkInit, control: CallControl = {}): Promise<void> {
    await failing(this.#rpc.markEvent(markRequest(mark), callOptions(control)));
  }

  /**
   * Marks 1 to 1,000 events of any streams and groups; the answers come in their order and each is what
   * became of it, or an error of its own. Marks with a token that answered UNAVAILABLE are sent again.
   */
  markEvents(marks: readonly MarkInit[], control: CallControl = {}): Promise<MarkResult[]> {
    return failing(markAll(this.#rpc, marks, { timeoutMs: this.#timeoutMs, ...control }));
  }

  /**
   * Moves the deadlines of 1 to 1,000 leases to `ackDeadlineMs` from now (as the groups are set unless
   * given); the tokens stay the same. An ended lease answers `stale`.
   */
  async extendLeases(
    leases: readonly LeaseInit[],
    { ackDeadlineMs, ...control }: CallControl & { ackDeadlineMs?: number } = {},
  ): Promise<MarkResult[]> {
    const deadline = ackDeadlineMs === undefined ? {} : { ackDeadline: durationFromMs(ackDeadlineMs) };
    const request = { leases: [...leases], ...deadline };
    return (await failing(this.#rpc.extendLeases(request, callOptions(control)))).answers.map(markResult);
  }

  /**
   * Creates a group. Safe to repeat: a request id is made if none is given.
   * @throws GroupExistsError; TooManyGroupsError beyond 64; SeqOutOfRangeError for a start that is not kept
   */
  async createGroup(
    request: {
      stream: string;
      group: string;
      settings?: GroupSettingsInit;
      /** What it delivers; everything unless given. Cannot be changed. */
      filter?: EventFilterInit;
      /** Where it starts; at the beginning unless given. */
      start?: PositionInit;
      requestId?: string;
    },
    control: CallControl = {},
  ): Promise<Group> {
    const { stream, group, settings = {}, filter, start, requestId = randomUUID() } = request;
    const sent = {
      stream,
      group,
      requestId,
      settings: groupSettingsOf(settings),
      ...(filter && { filter: filterOf(filter) }),
      ...(start !== undefined && { start: positionOf(start) }),
    };
    return present((await failing(this.#rpc.createGroup(sent, callOptions(control)))).group);
  }

  /**
   * Changes the settings that are given and leaves the others.
   * @throws RevisionMismatchError when `expectedRevision` no longer holds; GroupNotFoundError
   */
  async updateGroup(
    request: { stream: string; group: string; settings: GroupSettingsInit; expectedRevision?: bigint },
    control: CallControl = {},
  ): Promise<Group> {
    const sent = { ...request, settings: groupSettingsOf(request.settings) };
    return present((await failing(this.#rpc.updateGroup(sent, callOptions(control)))).group);
  }

  /** Deletes a group with its leases and dead letters; false if there was none. */
  async deleteGroup(request: { stream: string; group: string }, control: CallControl = {}): Promise<boolean> {
    return (await failing(this.#rpc.deleteGroup(request, callOptions(control)))).existed;
  }

  /** The groups of a stream, by name. @throws StreamNotFoundError */
  listGroups(stream: string, control: CallControl = {}): AsyncIterable<Group> {
    return pages(async (pageToken) => {
      const page = await this.#rpc.listGroups({ stream, pageToken }, callOptions(control));
      return [page.groups, page.nextPageToken];
    });
  }

  /**
   * Moves a group to another place: what it has leased, retried or held back is dropped, and every token is
   * stale. Answers the group and the sequence that it goes on from. @throws SeqOutOfRangeError
   */
  seekGroup(
    request: { stream: string; group: string; to: PositionInit },
    control: CallControl = {},
  ): Promise<pb.SeekGroupResponse> {
    const sent = { ...request, to: positionOf(request.to) };
    return failing(this.#rpc.seekGroup(sent, callOptions(control)));
  }

  /** The dead letters of a group, in the order they died. @throws StreamNotFoundError, GroupNotFoundError */
  listDeadLetters(
    request: OfGroup & { pageSize?: number },
    control: CallControl = {},
  ): AsyncIterable<DeadLetter> {
    return pages(async (pageToken) => {
      const asked = { pageSize: PAGE_SIZE, ...request, pageToken };
      const page = await this.#rpc.listDeadLetters(asked, callOptions(control));
      return [page.deadLetters, page.nextPageToken];
    });
  }

  /**
   * Hands dead letters out again, as if new: those of `eventIds` (at most 1,000), or all there are. Answers
   * how many. `onStep` is told of how many after every step.
   */
  replayDeadLetters(request: DeadLetterRequest, control: CallControl = {}): Promise<bigint> {
    return inSteps(request, (step) => this.#rpc.replayDeadLetters(step, callOptions(control)));
  }

  /** Forgets dead letters, as `replayDeadLetters` chooses them. Answers how many. */
  purgeDeadLetters(request: DeadLetterRequest, control: CallControl = {}): Promise<bigint> {
    return inSteps(request, (step) => this.#rpc.purgeDeadLetters(step, callOptions(control)));
  }

  /**
   * Every event of a stream, from now, a place or a cursor on, without group or mark. Goes on by itself
   * from its cursor when the connection or the server is lost; leave the loop, or abort `signal`, to end
   * it. @throws StreamNotFoundError, also when the stream is deleted
   */
  subscribe(
    request: SubscribeRequest,
    control: { signal?: AbortSignal } = {},
  ): AsyncGenerator<SubscribeEvent> {
    return subscribe(this.#rpc, request, control.signal);
  }
}
