/** What every rpc says, in the same words, when a thing it needs is not there. */
import type { Call } from '../call.js';
import { Fault } from '../fault.js';
import type { Stream } from './event.js';
import { type EventPlace, eventId } from './event-id.js';
import type { BusStore } from './store.js';

export function streamNotFound(stream: string): Fault {
  return new Fault('STREAM_NOT_FOUND', `there is no stream ${stream}`, { facts: { stream } });
}

export function groupNotFound(stream: string, group: string): Fault {
  return new Fault('GROUP_NOT_FOUND', `stream ${stream} has no group ${group}`, { facts: { stream, group } });
}

export function eventNotFound(place: EventPlace): Fault {
  const facts = { event_id: eventId(place) };
  return new Fault('EVENT_NOT_FOUND', 'no event with this id was ever written', { facts });
}

/** A stream, or STREAM_NOT_FOUND. */
export async function mustGetStream(store: BusStore, name: string, signal: AbortSignal): Promise<Stream> {
  const stream = await store.getStream(name, signal);
  if (!stream) throw streamNotFound(name);
  return stream;
}

/**
 * Throws GRANT_MISSING unless the caller may touch the stream of this number, which came inside an event
 * id. A number without a stream is nobody's: only who may touch every stream learns that it names nothing.
 */
export async function requireStream(
  store: BusStore,
  number: number,
  { access, signal }: Pick<Call, 'access' | 'signal'>,
): Promise<void> {
  if (access.isUnlimited) return;
  const stream = await store.getStreamByNumber(number, signal);
  access.require(stream?.name);
}

/** What the store answered, unless that is that the stream or the group is not there. */
export function found<A extends { readonly kind: string }>(
  answer: A,
  stream: string,
  group = '',
): Exclude<A, { readonly kind: 'gone' | 'group_not_found' }> {
  if (answer.kind === 'gone') throw streamNotFound(stream);
  if (answer.kind === 'group_not_found') throw groupNotFound(stream, group);
  return answer as Exclude<A, { readonly kind: 'gone' | 'group_not_found' }>;
}

/** A sequence that the stream does not keep, or has not written yet. */
export function seqOutOfRange({ firstSeq, lastSeq }: { firstSeq: number; lastSeq: number }): Fault {
  return new Fault(
    'SEQ_OUT_OF_RANGE',
    `the stream holds the sequences ${firstSeq} to ${lastSeq}; the place is before the first or after the end`,
    { facts: { first_seq: String(firstSeq), last_seq: String(lastSeq) } },
  );
}
