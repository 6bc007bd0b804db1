/**
 * What a writer says of events, from the messages to plain values: limits that a proto cannot state, and
 * the hashes that tell a repeat from another event under the same id, made only for those who gave one.
 */
import { hash } from 'node:crypto';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { NewEvent as NewEventMessage } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { Fault } from '../fault.js';
import { MAX_PAGE_BYTES } from '../page.js';
import type { NewEvent } from './event.js';
import { STRUCT_MOST_TIMES, structSize } from './struct-size.js';

/** Of one body, also of what a JSON object takes as a message. */
export const MAX_BODY_BYTES = 1024 * 1024;

const NO_BODY = new Uint8Array();

/**
 * `field` is where the message is in the request. The body is a view on the request's bytes, which are its own
 * and nobody writes to; a store has taken them when it answers.
 */
export function newEventFrom(message: NewEventMessage, field: string): NewEvent {
  const { type, attributes, orderingKey, dedupeId, body } = message;
  const form = body.case === 'json' ? 'json' : 'data';
  return {
    type,
    attributes,
    orderingKey,
    contentType: contentTypeOf(message),
    form,
    body: body.case === 'json' ? jsonBody(body.value, `${field}.json`) : (body.value ?? NO_BODY),
    dedupeId,
    bodyHash: dedupeId === '' ? '' : bodyHash(message),
  };
}

/** The events of a batch; INVALID_FIELD if their bodies are too much together. */
export function newEventsFrom(messages: readonly NewEventMessage[]): NewEvent[] {
  const events = messages.map((message, i) => newEventFrom(message, `events[${i}]`));
  const bytes = events.reduce((sum, { body }) => sum + body.byteLength, 0);
  if (bytes > MAX_PAGE_BYTES)
    throw Fault.invalidField(
      'events',
      `hold more than ${MAX_PAGE_BYTES} bytes of bodies; send several batches`,
    );
  return events;
}

/** What makes a batch the same batch: its events, with their ids, in order. */
export function batchHash(messages: readonly NewEventMessage[]): string {
  return hash('sha256', JSON.stringify(messages.map((each) => [each.dedupeId, bodyHash(each)])), 'base64url');
}

function jsonBody(value: JsonObject, field: string): Uint8Array {
  const text = JSON.stringify(value);
  // A Struct may hold them; JSON writes them as null, so only a text with a null has to be looked at.
  if (text.includes('null') && !isJson(value))
    throw Fault.invalidField(field, 'holds a number that JSON does not have (NaN or infinity)');
  const body = Buffer.from(text);
  const isLarge =
    body.byteLength > MAX_BODY_BYTES ||
    (body.byteLength * STRUCT_MOST_TIMES > MAX_BODY_BYTES && structSize(value) > MAX_BODY_BYTES);
  if (isLarge) throw Fault.invalidField(field, `is larger than ${MAX_BODY_BYTES} bytes`);
  return body;
}

function contentTypeOf({ contentType, body }: NewEventMessage): string {
  return contentType || (body.case === 'json' ? 'application/json' : 'application/octet-stream');
}

/**
 * Everything that the event is but its dedupe id. The members of a JSON object come in any order (they
 * are a map on the wire), and so are put in one.
 */
function bodyHash(message: NewEventMessage): string {
  const { type, attributes, orderingKey, body } = message;
  const header = [type, sorted(attributes), orderingKey, contentTypeOf(message), body.case ?? 'data'];
  const text = JSON.stringify(header);
  const all =
    body.case === 'json'
      ? text + JSON.stringify(sorted(body.value))
      : Buffer.concat([Buffer.from(text), body.value ?? new Uint8Array()]);
  return hash('sha256', all, 'base64url').slice(0, 22);
}

function sorted(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name] as JsonValue)]));
}

function isJson(value: JsonValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value as object).every(isJson);
}
