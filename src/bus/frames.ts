/**
 * Where pages and frames of events are cut, since clients refuse messages above 4 MiB. What an event
 * takes on the wire is bounded from what it is made of; only when the bounds together are too much are
 * bodies written as JSON measured, which can take five times their text as a Struct (`[0,0,0]`).
 */
import { cutAtBytes, MAX_PAGE_BYTES } from '../page.js';
import { eventBytes, type StoredEvent } from './event.js';
import { jsonFrom } from './messages.js';
import { STRUCT_MOST_TIMES, structSize } from './struct-size.js';

/** Of an event's message, beside what eventBytes counts and the stream's name. */
const FIXED_BYTES = 160;
const ATTRIBUTE_BYTES = 12;

/** The leading items that fit in one message, at least one. `itemBytes` = of each item beside its event. */
export function cutFrame<T>(
  items: readonly T[],
  eventOf: (item: T) => StoredEvent,
  itemBytes: number,
): readonly T[] {
  const most = items.reduce((sum, item) => sum + mostBytes(eventOf(item)) + itemBytes, 0);
  if (most <= MAX_PAGE_BYTES) return items;
  return cutAtBytes(items, (item) => wireBytes(eventOf(item)) + itemBytes);
}

/** How many bytes of events, as eventBytes counts, a frame of so many may hold. */
export function frameBytes(maxEvents: number, itemBytes: number): number {
  return MAX_PAGE_BYTES - maxEvents * (FIXED_BYTES + itemBytes);
}

function mostBytes(event: StoredEvent): number {
  const body = event.form === 'json' ? event.body.byteLength * (STRUCT_MOST_TIMES - 1) : 0;
  return besidesBody(event) + body;
}

function wireBytes(event: StoredEvent): number {
  const body = event.form === 'json' ? structSize(jsonFrom(event.body)) - event.body.byteLength : 0;
  return besidesBody(event) + body;
}

function besidesBody(event: StoredEvent): number {
  return eventBytes(event) + FIXED_BYTES + Object.keys(event.attributes).length * ATTRIBUTE_BYTES;
}
