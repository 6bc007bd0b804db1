/**
 * Settings and places as callers say them: times in milliseconds, counts as numbers, words in lower case.
 * What is left out stays as it is, or gets its default.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type EventFilterSchema,
  type GroupSettingsSchema,
  StreamSettings_Overflow as Overflow,
  type PositionSchema,
  type StreamSettingsSchema,
} from '../../gen/switchgear/bus/v1/bus_pb.js';

export interface StreamSettingsInit {
  /** Events older than this go, in milliseconds: one minute to ten years; 30 days by default. */
  readonly maxAgeMs?: number;
  /** How many events are kept; 0 = any number, the default. */
  readonly maxEvents?: number | bigint;
  /** How many bytes of events are kept; 0 = any number, the default. */
  readonly maxBytes?: number | bigint;
  /** What happens to a write at a cap: it is refused (the default), or the oldest events go. */
  readonly overflow?: 'reject' | 'drop_oldest';
  /** How long dedupe and request ids are remembered, in milliseconds: a second to a day; two minutes by default. */
  readonly dedupeWindowMs?: number;
}

export interface GroupSettingsInit {
  /** How long a worker has an event, in milliseconds: a second to twelve hours; 30 s by default. */
  readonly ackDeadlineMs?: number;
  /** How often an event is handed out before it is a dead letter; 0 = for ever. 5 by default. */
  readonly maxAttempts?: number;
  /** The pause after the first failed attempt, doubled after each, in milliseconds; 1 s by default. */
  readonly minBackoffMs?: number;
  /** The longest pause, in milliseconds; 60 s by default. */
  readonly maxBackoffMs?: number;
}

/** A place in a stream: its first event kept, after its last one, a sequence, or a time. */
export type PositionInit =
  | 'beginning'
  | 'end'
  | { readonly seq: number | bigint }
  /** The first event written at or after it. */
  | { readonly time: Date };

/** Which events: of one of the types, unless none is named, and with all of the attributes. */
export interface EventFilterInit {
  readonly types?: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
}

export function streamSettingsOf(init: StreamSettingsInit): MessageInitShape<typeof StreamSettingsSchema> {
  const { maxAgeMs, maxEvents, maxBytes, overflow, dedupeWindowMs } = init;
  return {
    ...(maxAgeMs !== undefined && { maxAge: durationFromMs(maxAgeMs) }),
    ...(maxEvents !== undefined && { maxEvents: BigInt(maxEvents) }),
    ...(maxBytes !== undefined && { maxBytes: BigInt(maxBytes) }),
    ...(overflow !== undefined && {
      overflow: overflow === 'reject' ? Overflow.REJECT : Overflow.DROP_OLDEST,
    }),
    ...(dedupeWindowMs !== undefined && { dedupeWindow: durationFromMs(dedupeWindowMs) }),
  };
}

export function groupSettingsOf(init: GroupSettingsInit): MessageInitShape<typeof GroupSettingsSchema> {
  const { ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs } = init;
  return {
    ...(ackDeadlineMs !== undefined && { ackDeadline: durationFromMs(ackDeadlineMs) }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(minBackoffMs !== undefined && { minBackoff: durationFromMs(minBackoffMs) }),
    ...(maxBackoffMs !== undefined && { maxBackoff: durationFromMs(maxBackoffMs) }),
  };
}

export function positionOf(init: PositionInit): MessageInitShape<typeof PositionSchema> {
  if (init === 'beginning' || init === 'end') return { position: { case: init, value: {} } };
  if ('seq' in init) return { position: { case: 'seq', value: BigInt(init.seq) } };
  return { position: { case: 'time', value: timestampFromDate(init.time) } };
}

export function filterOf(init: EventFilterInit): MessageInitShape<typeof EventFilterSchema> {
  return { types: [...(init.types ?? [])], attributes: { ...init.attributes } };
}
