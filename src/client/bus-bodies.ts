/**
 * What an event carries, as callers say and read it. The idea to hold: a plain object travels as JSON
 * that other callers see without base64, bytes and text travel as they are, and what was written is what
 * is read.
 */
import { create, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { type Event, type NewEvent, NewEventSchema } from '../../gen/switchgear/bus/v1/bus_pb.js';

/**
 * A plain object is sent as JSON, whose numbers are doubles. Bytes are sent as they are, and text as UTF-8
 * with the content type `text/plain; charset=utf-8` unless another is given.
 */
export type EventBody = JsonObject | Uint8Array | string;

/** An event to write. */
export interface NewEventInit {
  /** What kind of event it is; groups can filter by it. At most 128 bytes. */
  readonly type?: string;
  /** Facts beside the body, at most 16. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Events of one key are worked on one at a time in each group, in the order written. */
  readonly orderingKey?: string;
  /** What the body is; follows from the body unless given. */
  readonly contentType?: string;
  /** At most 1 MiB; none = no bytes. */
  readonly body?: EventBody;
  /** The producer's own id: the same again within the stream's dedupe window is written once. */
  readonly dedupeId?: string;
}

const TEXT = 'text/plain; charset=utf-8';

/** The event as the message that is sent. @throws TypeError for a body that is none of the three */
export function newEventOf(init: NewEventInit): NewEvent {
  const { type = '', attributes = {}, orderingKey = '', body, dedupeId = '' } = init;
  const contentType = init.contentType ?? (typeof body === 'string' ? TEXT : '');
  const facts = { type, attributes: { ...attributes }, orderingKey, contentType, dedupeId };
  return create(NewEventSchema, body === undefined ? facts : { ...facts, body: sentBody(body) });
}

function sentBody(body: EventBody): NewEvent['body'] {
  if (typeof body === 'string') return { case: 'data', value: new TextEncoder().encode(body) };
  if (body instanceof Uint8Array) return { case: 'data', value: body };
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { case: 'json', value: body };
  throw new TypeError(
    'a body is a plain object, bytes or text; other JSON goes as text with the content type application/json',
  );
}

/** The body's bytes; of a JSON object its text. */
export function bodyBytes({ body }: Pick<Event, 'body'>): Uint8Array {
  if (body.case === 'json') return new TextEncoder().encode(JSON.stringify(body.value));
  return body.value ?? new Uint8Array();
}

/** The body as text; bytes that are not UTF-8 read as U+FFFD. */
export function bodyText({ body }: Pick<Event, 'body'>): string {
  return body.case === 'json' ? JSON.stringify(body.value) : new TextDecoder().decode(body.value);
}

/** The body as JSON, also of bytes that are JSON. @throws SyntaxError when they are not */
export function bodyJson({ body }: Pick<Event, 'body'>): JsonValue {
  return body.case === 'json' ? body.value : JSON.parse(new TextDecoder().decode(body.value));
}

/** About how many bytes an event takes on its way; never much less than it does. */
export function sentBytes({ type, attributes, orderingKey, body }: NewEvent): number {
  let bytes = 64 + 3 * (type.length + orderingKey.length);
  for (const [name, value] of Object.entries(attributes)) bytes += 8 + 3 * (name.length + value.length);
  if (body.case === 'data') return bytes + body.value.byteLength;
  return body.case === 'json' ? bytes + structBytes(body.value) : bytes;
}

/** A google.protobuf.Struct has eight bytes for a number, and tags and lengths around everything. */
function structBytes(value: JsonValue): number {
  if (typeof value === 'string') return Buffer.byteLength(value) + 8;
  if (typeof value !== 'object' || value === null) return 12;
  let bytes = 12;
  for (const [name, item] of Object.entries(value)) {
    if (!Array.isArray(value)) bytes += Buffer.byteLength(name) + 8;
    bytes += item === undefined ? 0 : structBytes(item);
  }
  return bytes;
}
