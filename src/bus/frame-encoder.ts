/**
 * A frame of events as bytes. The library's encoder goes through a table of fields for each message, with
 * code that every message of the process shares: 5.6 of the 26 us of the server for an event that is delivered
 * and marked on Redis, and 4.1 us here. A test holds it to the same bytes. Numbers of fields come from the
 * protos, and a Struct is left to the library.
 */
import { type DescField, fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { StructSchema, type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import {
  type Event,
  EventSchema,
  type LeasedEvent,
  LeasedEventSchema,
} from '../../gen/switchgear/bus/v1/bus_pb.js';
import {
  type ProcessEventsResponse,
  ProcessEventsResponseSchema,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';

const { LengthDelimited: BYTES, Varint: VARINT } = WireType;

/** What comes before a field's value. */
function tagOf({ number }: DescField, type: WireType): number {
  return (number << 3) | type;
}

const FRAME = ProcessEventsResponseSchema.field;
const LEASED = LeasedEventSchema.field;
const EVENT = EventSchema.field;
const TIME = TimestampSchema.field;

const TAG = {
  events: tagOf(FRAME.events, BYTES),
  event: tagOf(LEASED.event, BYTES),
  leaseToken: tagOf(LEASED.leaseToken, BYTES),
  attempt: tagOf(LEASED.attempt, VARINT),
  deadline: tagOf(LEASED.deadline, BYTES),
  eventId: tagOf(EVENT.eventId, BYTES),
  stream: tagOf(EVENT.stream, BYTES),
  seq: tagOf(EVENT.seq, VARINT),
  createTime: tagOf(EVENT.createTime, BYTES),
  type: tagOf(EVENT.type, BYTES),
  attributes: tagOf(EVENT.attributes, BYTES),
  orderingKey: tagOf(EVENT.orderingKey, BYTES),
  contentType: tagOf(EVENT.contentType, BYTES),
  json: tagOf(EVENT.json, BYTES),
  data: tagOf(EVENT.data, BYTES),
  status: tagOf(EVENT.status, VARINT),
  seconds: tagOf(TIME.seconds, VARINT),
  nanos: tagOf(TIME.nanos, VARINT),
  /** Of every entry of a map, by the wire format. */
  key: (1 << 3) | BYTES,
  value: (2 << 3) | BYTES,
} as const;

export function encodeFrame({ events }: ProcessEventsResponse): Uint8Array {
  const writer = new BinaryWriter();
  for (const leased of events) {
    writer.uint32(TAG.events).fork();
    writeLeased(writer, leased);
    writer.join();
  }
  return writer.finish();
}

function writeLeased(writer: BinaryWriter, { event, leaseToken, attempt, deadline }: LeasedEvent): void {
  if (event) {
    writer.uint32(TAG.event).fork();
    writeEvent(writer, event);
    writer.join();
  }
  writeText(writer, TAG.leaseToken, leaseToken);
  if (attempt !== 0) writer.uint32(TAG.attempt).int32(attempt);
  writeTime(writer, TAG.deadline, deadline);
}

function writeEvent(writer: BinaryWriter, event: Event): void {
  writeText(writer, TAG.eventId, event.eventId);
  writeText(writer, TAG.stream, event.stream);
  if (event.seq !== 0n) writer.uint32(TAG.seq).int64(event.seq);
  writeTime(writer, TAG.createTime, event.createTime);
  writeText(writer, TAG.type, event.type);
  for (const [name, value] of Object.entries(event.attributes)) {
    writer.uint32(TAG.attributes).fork();
    writer.uint32(TAG.key).string(name).uint32(TAG.value).string(value);
    writer.join();
  }
  writeText(writer, TAG.orderingKey, event.orderingKey);
  writeText(writer, TAG.contentType, event.contentType);
  const { body } = event;
  if (body.case === 'data') writer.uint32(TAG.data).bytes(body.value);
  else if (body.case === 'json') writer.uint32(TAG.json).bytes(structBytes(body.value));
  if (event.status !== 0) writer.uint32(TAG.status).int32(event.status);
}

function structBytes(value: JsonObject): Uint8Array {
  return toBinary(StructSchema, fromJson(StructSchema, value));
}

function writeText(writer: BinaryWriter, tag: number, text: string): void {
  if (text !== '') writer.uint32(tag).string(text);
}

function writeTime(writer: BinaryWriter, tag: number, time: Timestamp | undefined): void {
  if (!time) return;
  writer.uint32(tag).fork();
  if (time.seconds !== 0n) writer.uint32(TAG.seconds).int64(time.seconds);
  if (time.nanos !== 0) writer.uint32(TAG.nanos).int32(time.nanos);
  writer.join();
}
