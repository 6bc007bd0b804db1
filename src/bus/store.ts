/**
 * The port of the bus: atomic verbs, each documented as a law that test/conformance holds every adapter
 * to. Everything that a verb reads, decides and writes is one atomic step and one round trip, and costs
 * O(log in-flight) an event whatever the stream holds. A rejected promise is a Fault: STORE_UNAVAILABLE
 * (nothing happened), EFFECT_UNKNOWN (it may have), STORE_FULL (nothing happened).
 *
 * A stream is created and found by name, and from then on known by its number, which is never reused; a
 * verb on a number whose stream is deleted answers `gone`. Time is the store's clock throughout.
 *
 * Where an event stands with a group, told from three things the group keeps: a cursor (the first
 * sequence not looked at yet), rows (events in flight: leased, retry, ready, waiting, dead) and exceptions
 * (sequences at or after the cursor that are dealt with already).
 *
 * | the event                        | reads as     |
 * |----------------------------------|--------------|
 * | has a row `leased`, deadline ahead | LEASED     |
 * | has a row `leased`, deadline past  | RETRY, and its token is stale, whether or not anybody ran the expiry |
 * | has a row `retry`                | RETRY        |
 * | has a row `ready`                | UNPROCESSED  |
 * | has a row `waiting`              | WAITING      |
 * | is a dead letter                 | DEAD         |
 * | none of these, before the cursor or an exception | PROCESSED (or filtered out) |
 * | none of these, at or after the cursor            | UNPROCESSED |
 *
 * An ordering key is busy in a group while one of its events has a row leased, retry or ready; any other
 * event of the key that comes up goes to the end of the key's waiting line. When the key comes free
 * (PROCESSED, dead, expired), the first of its line becomes a `ready` row, due now, in the same step.
 */
import type {
  EventStatus,
  Group,
  GroupSettings,
  NewEvent,
  Position,
  Stream,
  StreamSettings,
} from './event.js';
import type {
  ClaimAnswer,
  ClaimRequest,
  DeadLetter,
  DeadSelection,
  DeadStep,
  EventsRead,
  Gone,
  GroupNotFound,
  ListedEvent,
  NewGroup,
  NewStream,
  Page,
  SettleAnswer,
  Settlement,
  StreamFacts,
  WriteAnswer,
  WriteOptions,
} from './verbs.js';

/** What a store tells of beside its answers, for metrics. */
export interface BusStoreObserver {
  /**
   * Events that retention took before a group had processed them, each once for each group: when the group
   * comes to where they were (a claim, a mark, a seek), in the process that was asked. A reply that is lost
   * is told to nobody; GetStreamFacts has the whole count.
   */
  onTrimmedUnprocessed(count: number): void;
}

export const NO_OBSERVER: BusStoreObserver = { onTrimmedUnprocessed() {} };

export interface BusStore {
  /** Creates a stream, or answers `replayed` for the same non-empty request id and hash, else `exists`. */
  createStream(
    stream: NewStream,
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'created' | 'replayed' | 'exists'; readonly stream: Stream }>;

  /** By name. May be up to a second old, also in what it says of existence. */
  getStream(name: string, signal: AbortSignal): Promise<Stream | undefined>;

  /** By number, for names inside event ids. May be up to a second old. */
  getStreamByNumber(number: number, signal: AbortSignal): Promise<Stream | undefined>;

  updateStream(
    name: string,
    settings: StreamSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: 'updated' | 'revision_mismatch'; readonly stream: Stream }
    | { readonly kind: 'stream_not_found' }
  >;

  /**
   * Deletes a stream with its events and groups: O(1) for the caller, the rest is swept. From the answer
   * on every verb on its number answers `gone` and the name is free (or is free soon: `createStream`
   * waits for it); all who listen are woken. A given `uid` must be the stream's.
   */
  deleteStream(
    name: string,
    uid: string | undefined,
    signal: AbortSignal,
  ): Promise<
    { readonly kind: 'deleted' | 'absent' } | { readonly kind: 'uid_mismatch'; readonly uid: string }
  >;

  /** In order of name (of its encoded form). */
  listStreams(after: string | undefined, limit: number, signal: AbortSignal): Promise<Page<Stream>>;

  getStreamFacts(number: number, signal: AbortSignal): Promise<StreamFacts | Gone>;

  /**
   * Appends events, all or none, with consecutive sequences; answered when durable. Checked in this order:
   * request id, dedupe ids (within the batch too), expected_seq, dedupe cap, the stream's caps. Duplicates
   * take no sequence; a batch of duplicates only writes nothing. Trims at most MAX_TRIM_EVENTS that are
   * too old or, with `drop_oldest`, over the cap.
   */
  write(
    number: number,
    events: readonly NewEvent[],
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<WriteAnswer>;

  /**
   * Reads from a sequence on, at most `limit` events and about `maxBytes` (at least one). With `wake`,
   * reaching the end asks to be woken, in the same step.
   */
  read(
    number: number,
    fromSeq: number,
    limits: { readonly limit: number; readonly maxBytes: number; readonly wake: boolean },
    signal: AbortSignal,
  ): Promise<EventsRead | Gone>;

  /** The first sequence kept that was written at or after a time; last + 1 if there is none. */
  seqAt(number: number, timeMs: number, signal: AbortSignal): Promise<number | Gone>;

  /**
   * A page of events with their status for a group, from a sequence on; with `status` only those. RETRY,
   * LEASED, WAITING and DEAD are read from their sets; for others a page looks at no more than
   * limit + 1,000 entries and may be short. A group `default` that does not exist yet reads as new.
   */
  listEvents(
    number: number,
    group: string,
    status: EventStatus | undefined,
    fromSeq: number,
    limit: number,
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: 'page'; readonly items: readonly ListedEvent[]; readonly nextSeq: number | undefined }
    | GroupNotFound
    | Gone
  >;

  /** `exists` unless the same non-empty request id and hash made it. `start` as in seekGroup. */
  createGroup(
    number: number,
    group: NewGroup,
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: 'created' | 'replayed' | 'exists'; readonly group: Group }
    | { readonly kind: 'too_many_groups' }
    | { readonly kind: 'out_of_range'; readonly firstSeq: number; readonly lastSeq: number }
    | Gone
  >;

  updateGroup(
    number: number,
    name: string,
    settings: GroupSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<
    { readonly kind: 'updated' | 'revision_mismatch'; readonly group: Group } | GroupNotFound | Gone
  >;

  /** Tokens of a group that is made again under the name are of other leases: STALE. O(1) for the caller. */
  deleteGroup(
    number: number,
    name: string,
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'deleted' | 'absent' } | Gone>;

  /** At most MAX_GROUPS, by name. */
  listGroups(
    number: number,
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'groups'; readonly groups: readonly Group[] } | Gone>;

  /**
   * Moves the cursor and in O(1) drops leases, retries, waiting rows and exceptions; dead letters stay. What
   * retention took from the cursor on is counted first. The generation rises. A seq below what is kept, or
   * above last + 1, is out of range; `beginning` and an earlier time are the first kept, a time after the last
   * event is the end. Wakes.
   */
  seekGroup(
    number: number,
    name: string,
    to: Position,
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: 'sought'; readonly group: Group; readonly cursor: number }
    | { readonly kind: 'out_of_range'; readonly firstSeq: number; readonly lastSeq: number }
    | GroupNotFound
    | Gone
  >;

  /**
   * Runs expiries that are due, then leases events to a consumer alone. The default group comes to exist,
   * starting at the beginning. Each event's attempt is one more than before. Nothing claimed asks to be
   * woken, in the same step. Events that retention took are counted and passed over.
   */
  claim(number: number, request: ClaimRequest, signal: AbortSignal): Promise<ClaimAnswer>;

  /** Counts the deadlines of a consumer's lease from now: its frame was accepted. Unknown = nothing. */
  accept(
    number: number,
    group: string,
    lease: { readonly consumer: string; readonly lease: number; readonly ackDeadlineMs: number | undefined },
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Gives back what a consumer's last claim has leased and was not accepted: by its claim id, so without
   * knowing the events. They are `ready` again, their attempt is not counted. Unknown = nothing.
   */
  release(
    number: number,
    group: string,
    consumer: string,
    claimId: string,
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Marks events of one group, each by the law of `settle` in delivery.ts, in order, in one atomic step.
   * The default group comes to exist.
   */
  settle(
    number: number,
    group: string,
    marks: readonly Settlement[],
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'settled'; readonly answers: readonly SettleAnswer[] } | GroupNotFound | Gone>;

  /** Moves deadlines to now + `ackDeadlineMs` (undefined = the group's); tokens stay as they are. */
  extend(
    number: number,
    group: string,
    leases: readonly { readonly seq: number; readonly lease: number }[],
    ackDeadlineMs: number | undefined,
    signal: AbortSignal,
  ): Promise<
    | {
        readonly kind: 'extended';
        readonly answers: readonly ('ok' | 'stale')[];
        readonly deadlineMs: number;
      }
    | GroupNotFound
    | Gone
  >;

  /** In order of death. */
  listDead(
    number: number,
    group: string,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<(Page<DeadLetter> & { readonly kind: 'page' }) | GroupNotFound | Gone>;

  /** Makes dead letters `ready` with no attempts counted, also when retention took the event. Wakes. */
  replayDead(
    number: number,
    group: string,
    which: DeadSelection,
    signal: AbortSignal,
  ): Promise<DeadStep | GroupNotFound | Gone>;

  /** Forgets dead letters; the events read as PROCESSED. */
  purgeDead(
    number: number,
    group: string,
    which: DeadSelection,
    signal: AbortSignal,
  ): Promise<DeadStep | GroupNotFound | Gone>;

  /** Calls `look` whenever something on the stream may have become deliverable; returns what ends that. */
  listen(number: number, look: () => void): () => void;

  /** Resolves if the store answers. */
  ping(signal: AbortSignal): Promise<void>;
}
