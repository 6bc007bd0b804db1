/**
 * The words of the bus as plain values: streams, events, groups, leases. Nothing here decides anything;
 * the rules are in delivery.ts (who gets what, when) and lease-token.ts (what a token says).
 */

/** What happens to a write that would go past a stream's cap. */
export type Overflow = 'reject' | 'drop_oldest';

export interface StreamSettings {
  /** Events older than this go. */
  readonly maxAgeMs: number;
  /** 0 = no cap. */
  readonly maxEvents: number;
  /** Of stored events, header and body; 0 = no cap. */
  readonly maxBytes: number;
  readonly overflow: Overflow;
  /** How long a dedupe_id or a request_id is remembered. */
  readonly dedupeWindowMs: number;
}

/** A stream. Its number is never reused, and every event id begins with it. */
export interface Stream {
  readonly number: number;
  readonly name: string;
  readonly uid: string;
  readonly settings: StreamSettings;
  /** Raised by every change of the settings; 1 at creation. */
  readonly revision: number;
  readonly createTimeMs: number;
}

/** How the body was written, which is how it is given back. */
export type BodyForm = 'json' | 'data';

/** What a writer says of an event. */
export interface NewEvent {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Empty = none. */
  readonly orderingKey: string;
  readonly contentType: string;
  readonly form: BodyForm;
  /** For `json` the text of the object. A view on nobody's buffer: kept as it is. */
  readonly body: Uint8Array;
  /** The producer's own id for this event; empty = none. */
  readonly dedupeId: string;
  /** Hash of all of the above but the dedupe id: tells a repeat from another event with the same id. */
  readonly bodyHash: string;
}

/** An event as it is kept. Sequences start at 1 and have no gaps. */
export interface StoredEvent {
  readonly seq: number;
  readonly createTimeMs: number;
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly orderingKey: string;
  readonly contentType: string;
  readonly form: BodyForm;
  readonly body: Uint8Array;
}

/** Where an event stands with one group. */
export type EventStatus = 'unprocessed' | 'processed' | 'retry' | 'leased' | 'waiting' | 'dead';

/** What a mark makes of an event. */
export type Mark = 'processed' | 'retry' | 'unprocessed';

/** Which events a group is given; all of `attributes` must be there, and one of `types` unless empty. */
export interface EventFilter {
  readonly types: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
}

export interface GroupSettings {
  readonly ackDeadlineMs: number;
  /** 0 = unlimited. */
  readonly maxAttempts: number;
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
}

export interface Group {
  readonly name: string;
  readonly settings: GroupSettings;
  /** Fixed at creation; undefined = everything. */
  readonly filter: EventFilter | undefined;
  /** Raised by every change of the settings; 1 at creation. */
  readonly revision: number;
  /** Raised by every seek: tokens of an earlier one are stale. */
  readonly generation: number;
  readonly createTimeMs: number;
}

/** Where a group starts or goes to. */
export type Position =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'end' }
  | { readonly kind: 'seq'; readonly seq: number }
  | { readonly kind: 'time'; readonly timeMs: number };

/** What a reader may have outstanding. */
export interface Credit {
  readonly messages: number;
  readonly bytes: number;
}

/** An event in a worker's hands. */
export interface LeasedEvent {
  readonly event: StoredEvent;
  /** 1 = the first time. */
  readonly attempt: number;
  /** From the store's one counter of the stream; proves which claim it was. */
  readonly lease: number;
  readonly deadlineMs: number;
}

/** The default group, which the plain operations use and which comes to exist with the first of them. */
export const DEFAULT_GROUP = 'default';

export const DEFAULT_STREAM_SETTINGS: StreamSettings = {
  maxAgeMs: 720 * 3_600_000,
  maxEvents: 0,
  maxBytes: 0,
  overflow: 'reject',
  dedupeWindowMs: 120_000,
};

export const DEFAULT_GROUP_SETTINGS: GroupSettings = {
  ackDeadlineMs: 30_000,
  maxAttempts: 5,
  minBackoffMs: 1_000,
  maxBackoffMs: 60_000,
};

/** The default group never gives up on an event. */
export const DEFAULT_GROUP_OF_STREAM: GroupSettings = { ...DEFAULT_GROUP_SETTINGS, maxAttempts: 0 };

/** What an event counts against caps and credit: everything that its writer chose, and a little. */
export function eventBytes(event: Omit<NewEvent, 'dedupeId' | 'bodyHash'>): number {
  let bytes = event.body.byteLength + 64;
  for (const text of [event.type, event.orderingKey, event.contentType]) bytes += Buffer.byteLength(text);
  for (const [name, value] of Object.entries(event.attributes))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  return bytes;
}

/** Whether a group with this filter is given the event. */
export function matches(
  filter: EventFilter | undefined,
  event: Pick<StoredEvent, 'type' | 'attributes'>,
): boolean {
  if (filter === undefined) return true;
  if (filter.types.length > 0 && !filter.types.includes(event.type)) return false;
  return Object.entries(filter.attributes).every(([name, value]) => event.attributes[name] === value);
}

/** When an attempt that failed is due again: doubling from the least to the most, counted from 1. */
export function backoffMs({ minBackoffMs, maxBackoffMs }: GroupSettings, attempt: number): number {
  return Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(attempt - 1, 30));
}
