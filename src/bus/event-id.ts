/**
 * What an event id says: the stream's number and the sequence, `12-345`. The one idea: an id has one
 * spelling, so that what callers keep and compare as text is the same event if and only if the text is.
 */
import { Fault } from '../fault.js';

export interface EventPlace {
  readonly number: number;
  readonly seq: number;
}

const SHAPE = /^([1-9]\d{0,15})-([1-9]\d{0,15})$/;

/** What stores have room for: 32 and 48 bits. Nothing beyond is ever given out. */
const MAX_NUMBER = 2 ** 32 - 1;
const MAX_SEQ = 2 ** 48 - 1;

export function eventId({ number, seq }: EventPlace): string {
  return `${number}-${seq}`;
}

/** What an id names; undefined = it is none. */
export function parseEventId(text: string): EventPlace | undefined {
  const [, number, seq] = SHAPE.exec(text) ?? [];
  const place = { number: Number(number), seq: Number(seq) };
  return place.number <= MAX_NUMBER && place.seq <= MAX_SEQ ? place : undefined;
}

/** What the id in this field of a request names, or INVALID_FIELD. */
export function eventPlace(text: string, field: string): EventPlace {
  const place = parseEventId(text);
  if (!place) throw Fault.invalidField(field, 'is not an event id, such as 12-345');
  return place;
}
