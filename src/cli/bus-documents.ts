/**
 * Events as documents: plain objects in the names of the API, as `-o json` prints them, or with a `body`
 * that is an object or text. What an event has only once it is written may be there and means nothing.
 */
import type { JsonObject } from '@bufbuild/protobuf';
import type { EventBody, NewEventInit } from '../client/index.js';
import { InputError } from './exit.js';
import { Fields } from './fields.js';
import type { InputDocument } from './input.js';

/** @throws InputError that says where it is wrong and what was meant */
export function readNewEvent({ value, where }: InputDocument): NewEventInit {
  const outer = new Fields(value, where);
  // A line of `tail -o json` has the event within.
  const fields = outer.map('event') ?? outer;
  if (fields !== outer) {
    outer.ignore('cursor', 'leaseToken', 'attempt', 'deadline');
    outer.end();
  }
  const body = bodyOf(fields, where);
  const contentType = fields.text('contentType');
  const event = {
    type: fields.text('type'),
    attributes: attributesOf(fields, where),
    orderingKey: fields.text('orderingKey', 'key'),
    dedupeId: fields.text('dedupeId'),
    ...(contentType !== '' && { contentType }),
    ...(body !== undefined && { body }),
  };
  fields.ignore('eventId', 'stream', 'seq', 'createTime', 'status');
  fields.end();
  return event;
}

function attributesOf(fields: Fields, where: string): Record<string, string> {
  const value = fields.raw('attributes') ?? {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new InputError(`${where}: attributes must be a map of texts`);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, String(each)]));
}

function bodyOf(fields: Fields, where: string): EventBody | undefined {
  const given = ['json', 'data', 'body'].filter((name) => fields.has(name));
  if (given.length > 1) throw new InputError(`${where}: has ${given.join(' and ')}; a body is one of them`);
  const [form] = given;
  if (form === undefined) return undefined;
  const value = fields.raw(form);
  if (form === 'data') return Buffer.from(fields.text('data'), 'base64');
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  if (form === 'body' && typeof value === 'string') return value;
  throw new InputError(
    `${where}: ${form} must be an object${form === 'body' ? ' or text' : ''}; \`data\` takes any bytes as base64`,
  );
}
