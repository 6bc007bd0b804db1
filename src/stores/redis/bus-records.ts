/**
 * The texts that streams, groups and events are kept as, and what the bus scripts answer with. Tokens
 * joined by '!', as for machines (fsm-records.ts); only a body is bytes, and it always stands alone.
 *
 * | stream   | `number!uid!revision!createMs!maxAge!maxEvents!maxBytes!overflow!dedupe!requestId!requestHash!L`, |
 * |          | at the end `D` while it is being deleted                                                     |
 * | header   | `createMs!size!key!type!contentType!form!name=value!...`, attributes by name                 |
 * | settings | of a group: `ackDeadline!maxAttempts!minBackoff!maxBackoff`                                  |
 * | filter   | `!type!type!|name=value!name=value`; empty = everything                                      |
 */
import {
  type EventFilter,
  type EventStatus,
  eventBytes,
  type Group,
  type GroupSettings,
  type NewEvent,
  type Position,
  type StoredEvent,
  type Stream,
  type StreamSettings,
} from '../../bus/event.js';
import type { BusStoreObserver } from '../../bus/store.js';
import { decodeToken, encodeToken, SEPARATOR } from './tokens.js';

export function streamSettingsTexts(settings: StreamSettings): string[] {
  const { maxAgeMs, maxEvents, maxBytes, overflow, dedupeWindowMs } = settings;
  return [maxAgeMs, maxEvents, maxBytes, overflow, dedupeWindowMs].map(String);
}

export function streamFrom(nameToken: string, record: string): Stream {
  const [number, uid = '', revision, createMs, maxAge, maxEvents, maxBytes, overflow, dedupe] =
    record.split(SEPARATOR);
  return {
    number: Number(number),
    name: decodeToken(nameToken),
    uid: decodeToken(uid),
    settings: {
      maxAgeMs: Number(maxAge),
      maxEvents: Number(maxEvents),
      maxBytes: Number(maxBytes),
      overflow: overflow === 'drop_oldest' ? 'drop_oldest' : 'reject',
      dedupeWindowMs: Number(dedupe),
    },
    revision: Number(revision),
    createTimeMs: Number(createMs),
  };
}

export function requestText(requestId: string, requestHash: string): string {
  return `${encodeToken(requestId)}${SEPARATOR}${encodeToken(requestHash)}`;
}

/** Whether a stream's record is of this request; without an id it is of none. */
export function isOfRequest(record: string, requestId: string, requestHash: string): boolean {
  const [id, hash] = record.split(SEPARATOR).slice(-3);
  return requestId !== '' && id === encodeToken(requestId) && hash === encodeToken(requestHash);
}

export function groupSettingsText(settings: GroupSettings): string {
  const { ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs } = settings;
  return [ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs].join(SEPARATOR);
}

function pairText([name, value]: [string, string]): string {
  return `${encodeToken(name)}=${encodeToken(value)}`;
}

function attributesText(attributes: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(attributes);
  if (pairs.length === 0) return '';
  return pairs.map(pairText).sort().join(SEPARATOR);
}

function attributesFrom(pairs: readonly string[]): Record<string, string> {
  const entries = pairs
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      return [decodeToken(pair.slice(0, at)), decodeToken(pair.slice(at + 1))] as const;
    });
  return Object.fromEntries(entries);
}

export function filterText(filter: EventFilter | undefined): string {
  if (!filter) return '';
  const types = filter.types.map((type) => `${SEPARATOR}${encodeToken(type)}`).join('');
  return `${types === '' ? '' : `${types}${SEPARATOR}`}|${attributesText(filter.attributes)}`;
}

function filterFrom(text: string): EventFilter | undefined {
  if (text === '') return undefined;
  const [types = '', attributes = ''] = text.split('|');
  return {
    types: types.split(SEPARATOR).slice(1, -1).map(decodeToken),
    attributes: attributesFrom(attributes.split(SEPARATOR)),
  };
}

/** A group as scripts answer it: settings, filter, revision, generation, created ms, request. */
export function groupFrom(name: string, texts: readonly string[]): Group {
  const [settings = '', filter = '', revision, generation, createMs] = texts;
  const [ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs] = settings.split(SEPARATOR).map(Number);
  return {
    name,
    settings: {
      ackDeadlineMs: ackDeadlineMs as number,
      maxAttempts: maxAttempts as number,
      minBackoffMs: minBackoffMs as number,
      maxBackoffMs: maxBackoffMs as number,
    },
    filter: filterFrom(filter),
    revision: Number(revision),
    generation: Number(generation),
    createTimeMs: Number(createMs),
  };
}

/** What a script is told of a position: its kind and its value. */
export function positionTexts(position: Position): [string, string] {
  if (position.kind === 'seq') return ['seq', String(position.seq)];
  if (position.kind === 'time') return ['time', String(position.timeMs)];
  return [position.kind, ''];
}

/** A header but for the time of creation, which the script puts before it. */
export function headerText(event: NewEvent): string {
  const { type, orderingKey, contentType, form, attributes } = event;
  return [
    eventBytes(event),
    encodeToken(orderingKey),
    encodeToken(type),
    encodeToken(contentType),
    form,
    attributesText(attributes),
  ].join(SEPARATOR);
}

/** The id of an event's row: of one width, so that ids sort as sequences do. */
export function rowId(seq: number): string {
  return String(seq).padStart(16, '0');
}

/** An event from its sequence, the parts of its header and its body. */
export function eventFrom(seq: string | undefined, header: readonly string[], body: Buffer): StoredEvent {
  const [createMs, , key = '', type = '', contentType = '', form, ...attributes] = header;
  return {
    seq: Number(seq),
    createTimeMs: Number(createMs),
    type: decodeToken(type),
    attributes: attributes.length === 1 && attributes[0] === '' ? {} : attributesFrom(attributes),
    orderingKey: decodeToken(key),
    contentType: decodeToken(contentType),
    form: form === 'json' ? 'json' : 'data',
    body,
  };
}

const STATUSES: Readonly<Record<string, EventStatus>> = {
  U: 'unprocessed',
  P: 'processed',
  R: 'retry',
  L: 'leased',
  W: 'waiting',
  D: 'dead',
};

export function statusFrom(letter: string | undefined): EventStatus {
  return STATUSES[letter ?? ''] ?? 'unprocessed';
}

export function statusText(status: EventStatus | undefined): string {
  return Object.keys(STATUSES).find((letter) => STATUSES[letter] === status) ?? '';
}

/** Tells how many events more a group counts as trimmed before it had processed them, as scripts answer it. */
export function tellTrimmed(observer: BusStoreObserver, count: string | undefined): void {
  if (count !== '0') observer.onTrimmedUnprocessed(Number(count));
}

/** Pairs of a text and a body, as binary scripts answer events; from `at` on. */
export function* pairsFrom(reply: readonly Buffer[], at: number): Generator<[string[], Buffer]> {
  for (let i = at; i + 1 < reply.length; i += 2)
    yield [(reply[i] as Buffer).toString('latin1').split(SEPARATOR), reply[i + 1] as Buffer];
}
