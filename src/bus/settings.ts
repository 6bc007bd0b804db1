/**
 * Streams, groups and their settings, between the messages and the plain values. What a message leaves
 * unset stays as it is in `base`: the defaults at creation, what is stored at a change.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type EventFilter as EventFilterMessage,
  type GroupSchema,
  type GroupSettings as GroupSettingsMessage,
  type Position as PositionMessage,
  type StreamSchema,
  StreamSettings_Overflow,
  type StreamSettings as StreamSettingsMessage,
} from '../../gen/switchgear/bus/v1/bus_pb.js';
import { Fault } from '../fault.js';
import { timestampFromMs } from '../timestamp.js';
import type { EventFilter, Group, GroupSettings, Position, Stream, StreamSettings } from './event.js';
import { countFrom, durationFromMs, durationMs, timestampMs } from './numbers.js';

export function streamSettingsFrom(
  message: StreamSettingsMessage | undefined,
  base: StreamSettings,
): StreamSettings {
  if (!message) return base;
  const { maxAge, maxEvents, maxBytes, overflow, dedupeWindow } = message;
  return {
    maxAgeMs: maxAge ? durationMs(maxAge) : base.maxAgeMs,
    maxEvents: maxEvents === undefined ? base.maxEvents : Number(maxEvents),
    maxBytes: maxBytes === undefined ? base.maxBytes : Number(maxBytes),
    overflow: overflowFrom(overflow) ?? base.overflow,
    dedupeWindowMs: dedupeWindow ? durationMs(dedupeWindow) : base.dedupeWindowMs,
  };
}

function overflowFrom(overflow: StreamSettings_Overflow): StreamSettings['overflow'] | undefined {
  if (overflow === StreamSettings_Overflow.REJECT) return 'reject';
  return overflow === StreamSettings_Overflow.DROP_OLDEST ? 'drop_oldest' : undefined;
}

export function streamMessage(stream: Stream): MessageInitShape<typeof StreamSchema> {
  const { maxAgeMs, maxEvents, maxBytes, overflow, dedupeWindowMs } = stream.settings;
  return {
    name: stream.name,
    streamId: String(stream.number),
    uid: stream.uid,
    createTime: timestampFromMs(stream.createTimeMs),
    settings: {
      maxAge: durationFromMs(maxAgeMs),
      maxEvents: BigInt(maxEvents),
      maxBytes: BigInt(maxBytes),
      overflow: overflow === 'reject' ? StreamSettings_Overflow.REJECT : StreamSettings_Overflow.DROP_OLDEST,
      dedupeWindow: durationFromMs(dedupeWindowMs),
    },
    revision: BigInt(stream.revision),
  };
}

/** Throws INVALID_FIELD when what comes out contradicts itself. */
export function groupSettingsFrom(
  message: GroupSettingsMessage | undefined,
  base: GroupSettings,
): GroupSettings {
  if (!message) return base;
  const { ackDeadline, maxAttempts, minBackoff, maxBackoff } = message;
  const settings = {
    ackDeadlineMs: ackDeadline ? durationMs(ackDeadline) : base.ackDeadlineMs,
    maxAttempts: maxAttempts ?? base.maxAttempts,
    minBackoffMs: minBackoff ? durationMs(minBackoff) : base.minBackoffMs,
    maxBackoffMs: maxBackoff ? durationMs(maxBackoff) : base.maxBackoffMs,
  };
  if (settings.minBackoffMs > settings.maxBackoffMs)
    throw Fault.invalidField(
      minBackoff ? 'settings.min_backoff' : 'settings.max_backoff',
      `the shortest pause would be ${settings.minBackoffMs} ms and the longest ${settings.maxBackoffMs} ms`,
    );
  return settings;
}

export function groupMessage(group: Group): MessageInitShape<typeof GroupSchema> {
  const { ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs } = group.settings;
  const { filter } = group;
  return {
    name: group.name,
    settings: {
      ackDeadline: durationFromMs(ackDeadlineMs),
      maxAttempts,
      minBackoff: durationFromMs(minBackoffMs),
      maxBackoff: durationFromMs(maxBackoffMs),
    },
    ...(filter && { filter: { types: [...filter.types], attributes: { ...filter.attributes } } }),
    revision: BigInt(group.revision),
    generation: BigInt(group.generation),
    createTime: timestampFromMs(group.createTimeMs),
  };
}

/** A filter that says nothing is none. */
export function filterFrom(message: EventFilterMessage | undefined): EventFilter | undefined {
  if (!message) return undefined;
  const { types, attributes } = message;
  return types.length > 0 || Object.keys(attributes).length > 0 ? { types, attributes } : undefined;
}

/** A place, or INVALID_FIELD for one that says nothing. */
export function positionFrom({ position }: PositionMessage, field: string): Position {
  switch (position.case) {
    case 'beginning':
    case 'end':
      return { kind: position.case };
    case 'seq':
      return { kind: 'seq', seq: countFrom(position.value) };
    case 'time':
      return { kind: 'time', timeMs: timestampMs(position.value) };
    default:
      throw Fault.invalidField(field, 'must say where: beginning, end, a seq or a time');
  }
}
