/** What the verbs of the bus are told and answer (store.ts). */
import type {
  Credit,
  EventFilter,
  EventStatus,
  Group,
  GroupSettings,
  LeasedEvent,
  Mark,
  Position,
  StoredEvent,
  Stream,
  StreamSettings,
} from './event.js';

/** A page of anything; `next` is the position to go on from, undefined at the end. */
export interface Page<T, P = string> {
  readonly items: readonly T[];
  readonly next: P | undefined;
}

export interface Gone {
  readonly kind: 'gone';
}
export interface GroupNotFound {
  readonly kind: 'group_not_found';
}

export interface NewStream {
  readonly name: string;
  /** Made by the caller for this attempt; kept only if the stream is created. */
  readonly uid: string;
  readonly settings: StreamSettings;
  /** The creator's request id, or empty. */
  readonly requestId: string;
  readonly requestHash: string;
}

export interface WriteOptions {
  /** Makes the batch safe to repeat within the dedupe window; empty = it is not. */
  readonly requestId: string;
  /** Hash of all events of the batch. */
  readonly requestHash: string;
  /** Write only if this is the stream's last sequence; 0 = the stream never held an event. */
  readonly expectedSeq: number | undefined;
}

export interface WrittenEvent {
  readonly seq: number;
  readonly createTimeMs: number;
  /** True when an earlier event with the same dedupe id was found; the sequence is that one's. */
  readonly duplicate: boolean;
}

export type WriteAnswer =
  | { readonly kind: 'written'; readonly events: readonly WrittenEvent[] }
  /** The dedupe id of this item was used for another body; nothing was written. */
  | { readonly kind: 'dedupe_id_reused'; readonly index: number }
  /** The request id was used for another batch; nothing was written. */
  | { readonly kind: 'request_id_reused' }
  | { readonly kind: 'seq_mismatch'; readonly lastSeq: number }
  /** The stream is at its cap and rejects. */
  | { readonly kind: 'full' }
  | { readonly kind: 'dedupe_full'; readonly retryAfterMs: number }
  | Gone;

export interface EventsRead {
  readonly kind: 'events';
  /** The first and last sequence kept now; first = last + 1 when nothing is. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** In order from the sequence asked for, or from `firstSeq` if that is later. */
  readonly events: readonly StoredEvent[];
}

export interface ListedEvent {
  readonly event: StoredEvent;
  readonly status: EventStatus;
  /** How often it was handed to the group. */
  readonly attempts: number;
}

export interface NewGroup {
  readonly name: string;
  readonly settings: GroupSettings;
  readonly filter: EventFilter | undefined;
  readonly start: Position;
  readonly requestId: string;
  readonly requestHash: string;
}

export interface ClaimRequest {
  readonly group: string;
  /** Whose credit it counts against. */
  readonly consumer: string;
  /** Repeated while its lease lives it answers the same events. Only a consumer's last claim is known. */
  readonly claimId: string;
  readonly maxEvents: number;
  /** At least one event is handed out if there is any, however large. */
  readonly maxBytes: number;
  /** What the consumer may have leased in all; the claim is clipped to what is left. */
  readonly credit: Credit;
  /** Undefined = the group's ack deadline. */
  readonly ackDeadlineMs: number | undefined;
  /**
   * Undefined = what is due: first `retry` and `ready` rows that are due, in the order they came due, then
   * events from the cursor on. Given = only events that read as RETRY (due or not, and `leased` rows whose
   * deadline has passed), in sequence order, after `afterSeq`, that came to be so no later than `beganMs`.
   */
  readonly retry: { readonly afterSeq: number; readonly beganMs: number } | undefined;
}

export type ClaimAnswer =
  | {
      readonly kind: 'claimed';
      /** Empty = nothing can be claimed now. */
      readonly events: readonly LeasedEvent[];
      /** More may be there now: the claim stopped at its own limits, not for want of events. */
      readonly more: boolean;
      /** Nothing was handed out for want of credit, and a mark, release or expiry will wake. */
      readonly creditSpent: boolean;
      /** When the next row comes due or expires; undefined = none is in flight. */
      readonly nextDueMs: number | undefined;
      readonly nowMs: number;
    }
  /** MAX_CONSUMERS others have leases. */
  | { readonly kind: 'too_many_consumers' }
  | GroupNotFound
  | Gone;

export interface Settlement {
  readonly seq: number;
  /** The claim that the mark is fenced by; undefined = it acts on whatever stands. */
  readonly lease: number | undefined;
  readonly mark: Mark;
  /** For `retry`: due after this; undefined = the group's backoff for the attempts so far. */
  readonly delayMs: number | undefined;
}

/** `not_found` = never written; `expired` = trimmed and not in flight; `full` = MAX_EXCEPTIONS reached. */
export type SettleAnswer = 'ok' | 'stale' | 'not_found' | 'expired' | 'full';

/** A key that is busy, and has others wait. */
export interface HeldKey {
  readonly key: string;
  /** The event that it is busy with, and how often that was handed out. */
  readonly seq: number;
  readonly attempts: number;
  /** The first of those that wait for it. */
  readonly firstWaitingSeq: number;
}

/** How a group stands; computed at read, never by a scan. */
export interface GroupFacts {
  readonly group: Group;
  readonly cursor: number;
  /** Undefined for a group with a filter, of which only the lag is known. */
  readonly unprocessed: number | undefined;
  readonly leased: number;
  readonly retrying: number;
  readonly waiting: number;
  readonly dead: number;
  /** Last sequence - cursor + 1. */
  readonly lag: number;
  /** Events that retention took before the group had processed them. */
  readonly trimmedUnprocessed: number;
  /** Dead letters dropped since MAX_DEAD_LETTERS was reached, or their age. */
  readonly droppedDead: number;
  /** The oldest event that reads as UNPROCESSED or WAITING or RETRY; undefined = none, or a filter. */
  readonly oldestUnprocessedTimeMs: number | undefined;
  /** The key whose waiting line is in the way: MAX_WAITING is reached. */
  readonly blockedByKey: string | undefined;
  /** The key that the least sequence of those waiting waits for; undefined = none waits. */
  readonly heldKey: HeldKey | undefined;
}

export interface StreamFacts {
  readonly kind: 'facts';
  readonly stream: Stream;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly bytes: number;
  readonly groups: readonly GroupFacts[];
}

export interface DeadLetter {
  readonly event: StoredEvent;
  readonly attempts: number;
  readonly deadTimeMs: number;
  readonly reason: 'attempts_exhausted';
}

/** Which dead letters: these, or all that died before the step began, from a position on. */
export type DeadSelection =
  | { readonly kind: 'some'; readonly seqs: readonly number[] }
  | { readonly kind: 'all'; readonly after: string | undefined };

export interface DeadStep {
  readonly kind: 'step';
  readonly count: number;
  /** To go on with; undefined = done. */
  readonly next: string | undefined;
}
