/**
 * Requests as bytes with a hole where the ids go, so that making one is a copy and two short writes. All
 * ids have a fixed width; the counter in the event id makes every event a new one.
 */
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { EventRequestSchema } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import {
  SendEventRequestSchema,
  StreamEventsRequestSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';

export const NAME = 'order';
const EVENT_ID = 'e-00000000000000';
const FSM_ID = 'm-0000000';

/** The id of a machine by its number. */
export function fsmId(number: number): string {
  return `m-${String(number).padStart(FSM_ID.length - 2, '0')}`;
}

const event = { eventId: EVENT_ID, name: 'toggle', originator: 'bench', details: '{"amount":12}' };

/** Bytes with holes at every occurrence of the ids. */
class Template {
  readonly #bytes: Buffer;
  readonly #eventIdsAt: readonly number[];
  readonly #fsmIdsAt: readonly number[];

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
    this.#eventIdsAt = occurrences(this.#bytes, EVENT_ID);
    this.#fsmIdsAt = occurrences(this.#bytes, FSM_ID);
  }

  /** @param ids for each occurrence of an event: its number, and its machine's */
  fill(ids: () => { event: number; fsm: number }): Buffer {
    const bytes = Buffer.from(this.#bytes);
    for (const [i, at] of this.#eventIdsAt.entries()) {
      const { event: eventNumber, fsm } = ids();
      bytes.write(String(eventNumber).padStart(EVENT_ID.length - 2, '0'), at + 2, 'latin1');
      bytes.write(fsmId(fsm), this.#fsmIdsAt[i] as number, 'latin1');
    }
    return bytes;
  }
}

function occurrences(bytes: Buffer, text: string): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) found.push(at);
  return found;
}

function template<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Template {
  return new Template(toBinary(schema, create(schema, init)));
}

// One counter for the whole run: no event id is ever sent twice.
let events = Date.now() % 1_000_000_000;

/** New events, machine after machine of `machines`; `first` is the number of the first one. */
function source(made: Template, machines: number, first: number): () => Buffer {
  let sent = 0;
  const ids = () => {
    events += 1;
    sent += 1;
    return { event: events, fsm: first + (sent % machines) };
  };
  return () => made.fill(ids);
}

export function sendEvents(machines: number, first = 0): () => Buffer {
  const made = template(SendEventRequestSchema, { configurationName: NAME, fsmId: FSM_ID, event });
  return source(made, machines, first);
}

export function sendV1betaEvents(machines: number): () => Buffer {
  const { eventId, originator, details, name } = event;
  const sent = { eventId, originator, details, transition: { event: name } };
  return source(template(EventRequestSchema, { config: NAME, id: FSM_ID, event: sent }), machines, 0);
}

export function eventFrames(machines: number, eventsPerFrame: number): () => Buffer {
  const one = { configurationName: NAME, fsmId: FSM_ID, event };
  const frame = { frameId: 1n, events: Array.from({ length: eventsPerFrame }, () => one) };
  return source(template(StreamEventsRequestSchema, frame), machines, 0);
}
