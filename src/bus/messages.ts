/**
 * Events between the messages of switchgear.bus.v1 and the plain values; nothing is decided here.
 * Sequences and counts are int64 in the messages and safe integers inside. A body that was written as
 * JSON is kept as its text, and is an object again only in the message.
 */
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import {
  DeadLetter_Reason,
  type DeadLetterSchema,
  type Event,
  EventStatus as EventStatusMessage,
  type GroupInfoSchema,
  type LeasedEvent as LeasedEventMessage,
  type WrittenEvent as WrittenEventMessage,
} from '../../gen/switchgear/bus/v1/bus_pb.js';
import { timestampFromMs } from '../timestamp.js';
import { ACCEPT_GRACE_MS } from './bounds.js';
import type { GroupPlace } from './claim.js';
import type { EventStatus, LeasedEvent, Mark, StoredEvent, Stream } from './event.js';
import { eventId } from './event-id.js';
import { leaseToken } from './lease-token.js';
import { groupMessage } from './settings.js';
import type { DeadLetter, GroupFacts, ListedEvent, WrittenEvent } from './verbs.js';

/** What of a stream is in each of its events. */
export type StreamName = Pick<Stream, 'number' | 'name'>;

const STATUSES: Readonly<Record<EventStatus, EventStatusMessage>> = {
  processed: EventStatusMessage.PROCESSED,
  retry: EventStatusMessage.RETRY,
  unprocessed: EventStatusMessage.UNPROCESSED,
  leased: EventStatusMessage.LEASED,
  waiting: EventStatusMessage.WAITING,
  dead: EventStatusMessage.DEAD,
};

/** Undefined for UNSPECIFIED. */
export function statusFrom(message: EventStatusMessage): EventStatus | undefined {
  return (Object.keys(STATUSES) as EventStatus[]).find((status) => STATUSES[status] === message);
}

/** A status that callers may set; the proto's rules let no other through. */
export function markFrom(message: EventStatusMessage): Mark {
  if (message === EventStatusMessage.PROCESSED) return 'processed';
  return message === EventStatusMessage.RETRY ? 'retry' : 'unprocessed';
}

export function eventMessage(event: StoredEvent, { number, name }: StreamName, status?: EventStatus): Event {
  const { seq, type, attributes, orderingKey, contentType } = event;
  return {
    $typeName: 'switchgear.bus.v1.Event',
    eventId: eventId({ number, seq }),
    stream: name,
    seq: BigInt(seq),
    createTime: timestampFromMs(event.createTimeMs),
    type,
    attributes,
    orderingKey,
    contentType,
    body: bodyMessage(event),
    status: status === undefined ? EventStatusMessage.UNSPECIFIED : STATUSES[status],
  };
}

function bodyMessage({ form, body }: StoredEvent): Event['body'] {
  return form === 'json' ? { case: 'json', value: jsonFrom(body) } : { case: 'data', value: body };
}

/** The object that a body of form `json` holds. */
export function jsonFrom(body: Uint8Array): JsonObject {
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
}

export function leasedMessage(
  { event, attempt, lease, deadlineMs }: LeasedEvent,
  { number, stream: name, group }: GroupPlace,
): LeasedEventMessage {
  return {
    $typeName: 'switchgear.bus.v1.LeasedEvent',
    event: eventMessage(event, { number, name }, 'leased'),
    leaseToken: leaseToken({ lease, group }),
    attempt,
    // The store grants a little more, for the way to the caller.
    deadline: timestampFromMs(deadlineMs - ACCEPT_GRACE_MS),
  };
}

/** An event that is shown to somebody who does not lease it. */
export function peekedMessage(
  { event, status, attempts }: ListedEvent,
  { number, stream: name }: Pick<GroupPlace, 'number' | 'stream'>,
): LeasedEventMessage {
  return {
    $typeName: 'switchgear.bus.v1.LeasedEvent',
    event: eventMessage(event, { number, name }, status),
    leaseToken: '',
    attempt: attempts,
  };
}

export function writtenMessage(
  { seq, duplicate, createTimeMs }: WrittenEvent,
  { number }: StreamName,
): WrittenEventMessage {
  return {
    $typeName: 'switchgear.bus.v1.WrittenEvent',
    eventId: eventId({ number, seq }),
    seq: BigInt(seq),
    duplicate,
    createTime: timestampFromMs(createTimeMs),
  };
}

export function deadLetterMessage(
  { event, attempts, deadTimeMs }: DeadLetter,
  stream: StreamName,
): MessageInitShape<typeof DeadLetterSchema> {
  return {
    event: eventMessage(event, stream, 'dead'),
    attempts,
    deadTime: timestampFromMs(deadTimeMs),
    reason: DeadLetter_Reason.ATTEMPTS_EXHAUSTED,
  };
}

export function groupInfoMessage(
  facts: GroupFacts,
  { number }: Pick<Stream, 'number'>,
): MessageInitShape<typeof GroupInfoSchema> {
  const { unprocessed, oldestUnprocessedTimeMs: oldest, heldKey: held } = facts;
  return {
    group: groupMessage(facts.group),
    cursor: BigInt(facts.cursor),
    ...(unprocessed !== undefined && { unprocessed: BigInt(unprocessed) }),
    leased: BigInt(facts.leased),
    retrying: BigInt(facts.retrying),
    waiting: BigInt(facts.waiting),
    dead: BigInt(facts.dead),
    lag: BigInt(facts.lag),
    trimmedUnprocessed: BigInt(facts.trimmedUnprocessed),
    droppedDead: BigInt(facts.droppedDead),
    ...(oldest !== undefined && { oldestUnprocessedTime: timestampFromMs(oldest) }),
    blockedByKey: facts.blockedByKey ?? '',
    ...(held && {
      heldKey: {
        orderingKey: held.key,
        eventId: eventId({ number, seq: held.seq }),
        attempts: held.attempts,
        firstWaitingSeq: BigInt(held.firstWaitingSeq),
      },
    }),
  };
}
