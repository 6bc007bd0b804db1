/**
 * Requests of the bus as bytes, made before a turn begins, so that a request costs the driver nothing or
 * one copy; and the marks for a frame of events, copied out of the frame's own bytes.
 */
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  BusService,
  ProcessEventsRequestSchema,
  SubscribeRequestSchema,
  WriteEventRequestSchema,
  WriteEventsRequestSchema,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';

/** The paths of the rpcs that are measured. */
export const PATH = {
  write: path('WriteEvent'),
  writeMany: path('WriteEvents'),
  process: path('ProcessEvents'),
  mark: path('MarkEvents'),
  subscribe: path('Subscribe'),
} as const;

function path(rpc: string): string {
  return `/${BusService.typeName}/${rpc}`;
}

function encode<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, init)));
}

const TYPE = 'order.placed';
const BODY = Buffer.from('{"order":"o-00001234","amount":12}');

/** The event that the others in this folder are about; BullMQ's jobs carry the same body. */
function eventOf(body: Uint8Array) {
  return {
    type: TYPE,
    contentType: 'application/json',
    body: { case: 'data' as const, value: body },
  };
}

export const JOB = { name: TYPE, data: JSON.parse(BODY.toString()) as object };

/** Single writes, to one stream after the other. */
export function writes(streams: readonly string[]): () => Buffer {
  const made = streams.map((stream) => encode(WriteEventRequestSchema, { stream, event: eventOf(BODY) }));
  let next = 0;
  return () => made[next++ % made.length] as Buffer;
}

/** Batches of `events` for one stream; `bodyBytes` unless the usual body is meant. */
export function batches(stream: string, events: number, bodyBytes?: number): () => Buffer {
  const event = eventOf(bodyBytes === undefined ? BODY : Buffer.alloc(bodyBytes, 'x'));
  const made = encode(WriteEventsRequestSchema, {
    stream,
    events: Array.from({ length: events }, () => event),
  });
  return () => made;
}

const HOLE = '0000000000.000';

/** Single writes whose body is when they were made. */
export function timedWrites(stream: string): () => Buffer {
  const made = encode(WriteEventRequestSchema, { stream, event: eventOf(Buffer.from(HOLE)) });
  const at = made.indexOf(HOLE);
  return () => {
    const bytes = Buffer.from(made);
    writeTime(bytes, at, performance.now());
    return bytes;
  };
}

/** Batches that a writer has gathered for `lingerMs`: the body of each event is when that got it. */
export function timedBatches(stream: string, events: number, lingerMs: number): () => Buffer {
  const event = eventOf(Buffer.from(HOLE));
  const made = encode(WriteEventsRequestSchema, { stream, events: Array(events).fill(event) });
  const holes: number[] = [];
  for (let at = made.indexOf(HOLE); at >= 0; at = made.indexOf(HOLE, at + 1)) holes.push(at);
  return () => {
    const bytes = Buffer.from(made);
    const nowMs = performance.now();
    for (const [i, at] of holes.entries()) writeTime(bytes, at, nowMs - lingerMs * (1 - i / events));
    return bytes;
  };
}

function writeTime(bytes: Buffer, at: number, ms: number): void {
  bytes.write(ms.toFixed(3).padStart(HOLE.length, '0'), at, 'latin1');
}

/** When the body at `from` says that it was made. */
export function timeIn(frame: Buffer, from: number): number {
  return Number(frame.toString('latin1', from, from + HOLE.length));
}

export interface WorkerShape {
  readonly stream: string;
  /** Empty = the default group. */
  readonly group?: string;
  readonly frameEvents?: number;
  readonly follow?: boolean;
  readonly credit?: { readonly messages: number; readonly bytes: number };
}

export function processRequest({ stream, group, frameEvents, follow = true, credit }: WorkerShape): Buffer {
  return encode(ProcessEventsRequestSchema, {
    stream,
    group: group ?? '',
    follow,
    maxFrameEvents: frameEvents ?? 0,
    maxOutstandingMessages: credit?.messages ?? 0,
    maxOutstandingBytes: BigInt(credit?.bytes ?? 0),
  });
}

/** From the first event that is kept on. */
export function subscribeRequest(stream: string): Buffer {
  return encode(SubscribeRequestSchema, {
    stream,
    from: { position: { case: 'beginning', value: {} } },
  });
}
