/** How the things of the bus look, each in one place: cells of a row, fields of a record, JSON. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type BusClient,
  type BusEvent,
  bodyText,
  type DeadLetter,
  EventStatus,
  type Group,
  type GroupInfo,
  type LeasedEvent,
  messageToJson,
  type Stream,
  StreamSettings_Overflow,
  type SubscribeEvent,
  type WrittenEvent,
} from '../client/index.js';
import { STATUSES } from './bus-options.js';
import type { View } from './output.js';
import { grouped, localTime } from './text.js';
import { timeText } from './times.js';

type Fields = readonly (readonly [label: string, value: string])[];
export type StreamInfo = Awaited<ReturnType<BusClient['getStreamInfo']>>;

/** How much of a body a row shows. */
const BODY_CHARS = 60;

/** The beginning of a body; what is not text as its size. */
export function bodyCell(event: BusEvent): string {
  const bytes = event.body.case === 'data' ? event.body.value.subarray(0, 4 * BODY_CHARS) : undefined;
  const text = bytes ? new TextDecoder().decode(bytes, { stream: true }) : bodyText(event);
  if (text.includes('\ufffd'))
    return `(${grouped(event.body.case === 'data' ? event.body.value.byteLength : 0)} bytes)`;
  return text.length > BODY_CHARS ? `${text.slice(0, BODY_CHARS - 3)}...` : text;
}

export function statusName(status: EventStatus): string {
  return STATUSES.find((name) => EventStatus[name] === status) ?? '';
}

export const streams: View<Stream> = {
  columns: ['NAME', 'MAX AGE', 'MAX EVENTS', 'MAX BYTES', 'AT THE CAP', 'CREATED'],
  cells: ({ name, settings, createTime }) => [
    name,
    settings?.maxAge ? timeText(durationMs(settings.maxAge)) : '',
    cap(settings?.maxEvents),
    cap(settings?.maxBytes),
    overflowText(settings?.overflow),
    localTime(createTime),
  ],
  json: messageToJson,
};

export function streamFields({ name, settings, revision, createTime, uid }: Stream): Fields {
  return [
    ['stream', name],
    ['events kept', keptText(settings)],
    ['at the cap', overflowText(settings?.overflow)],
    ['dedupe window', settings?.dedupeWindow ? timeText(durationMs(settings.dedupeWindow)) : ''],
    ['revision', String(revision)],
    ['created', localTime(createTime)],
    ['uid', uid],
  ];
}

function keptText(settings: Stream['settings']): string {
  const age = settings?.maxAge ? `for ${timeText(durationMs(settings.maxAge))}` : '';
  const count = settings?.maxEvents ? `at most ${grouped(settings.maxEvents)} events` : '';
  const bytes = settings?.maxBytes ? `at most ${grouped(settings.maxBytes)} bytes` : '';
  return [age, count, bytes].filter(Boolean).join(', ');
}

function cap(value: bigint | undefined): string {
  return value ? grouped(value) : '-';
}

function overflowText(overflow: StreamSettings_Overflow | undefined): string {
  return overflow === StreamSettings_Overflow.DROP_OLDEST ? 'drop oldest' : 'reject';
}

export function infoFields(info: StreamInfo): Fields {
  const { stream, firstSeq, lastSeq, bytes, durability, groups } = info;
  const held = lastSeq >= firstSeq ? `${firstSeq} to ${lastSeq}, ${grouped(bytes)} bytes` : '(none)';
  return [
    ...(stream ? streamFields(stream) : []),
    ['events', held],
    ['durability', durability],
    ...groups.map((each, i) => [i === 0 ? 'groups' : '', groupLine(each)] as const),
    ...(groups.length === 0 ? [['groups', '(none)'] as const] : []),
  ];
}

function groupLine(info: GroupInfo): string {
  const counts: [string, bigint | undefined][] = [
    ['unprocessed', info.unprocessed],
    ['leased', info.leased],
    ['retrying', info.retrying],
    ['waiting', info.waiting],
    ['dead', info.dead],
    ['trimmed unprocessed', info.trimmedUnprocessed || undefined],
    ['dead dropped', info.droppedDead || undefined],
  ];
  const parts = counts.flatMap(([word, count]) => (count === undefined ? [] : [`${grouped(count)} ${word}`]));
  const blocked = info.blockedByKey === '' ? [] : [`stands still for the key ${info.blockedByKey}`];
  const text = [...parts, ...blocked, ...heldText(info)].join(', ');
  return `${info.group?.name}: lag ${grouped(info.lag)}, ${text}`;
}

/** Which event holds the key that others wait for, and so is the one to look at. */
function heldText({ heldKey: held }: GroupInfo): string[] {
  if (!held) return [];
  const times = held.attempts === 1 ? '1 attempt' : `${grouped(held.attempts)} attempts`;
  return [`key ${held.orderingKey} held by ${held.eventId} after ${times}`];
}

/** A group as it stood when a watch looked. */
export interface Standing {
  readonly info: StreamInfo;
  readonly group: GroupInfo | undefined;
}

export const standings: View<Standing> = {
  columns: ['TIME', 'LAST SEQ', 'GROUP', 'LAG', 'UNPROCESSED', 'LEASED', 'RETRYING', 'WAITING', 'DEAD'],
  widths: [19, 9, 12, 8, 11, 6, 8, 7, 4],
  cells: ({ info, group }) => {
    const now = timestampFromMs(Date.now());
    const counts = [
      group?.lag,
      group?.unprocessed,
      group?.leased,
      group?.retrying,
      group?.waiting,
      group?.dead,
    ];
    const numbers = counts.map((count) => (count === undefined ? '-' : String(count)));
    return [localTime(now), String(info.lastSeq), group?.group?.name ?? '(none)', ...numbers];
  },
  json: ({ info }) => messageToJson(info),
};

export const events: View<BusEvent> = {
  columns: ['SEQ', 'STATUS', 'TYPE', 'KEY', 'WRITTEN', 'EVENT ID', 'BODY'],
  cells: (event) => [
    String(event.seq),
    statusName(event.status),
    event.type,
    event.orderingKey,
    localTime(event.createTime),
    event.eventId,
    bodyCell(event),
  ],
  json: messageToJson,
};

export const leasedEvents: View<LeasedEvent> = {
  columns: ['SEQ', 'TYPE', 'KEY', 'WRITTEN', 'EVENT ID', 'BODY'],
  cells: ({ event }) =>
    event
      ? [
          String(event.seq),
          event.type,
          event.orderingKey,
          localTime(event.createTime),
          event.eventId,
          bodyCell(event),
        ]
      : [],
  json: messageToJson,
};

export const written: View<WrittenEvent> = {
  columns: ['EVENT ID', 'SEQ', 'DUPLICATE'],
  cells: ({ eventId, seq, duplicate }) => [eventId, String(seq), duplicate ? 'yes' : 'no'],
  json: messageToJson,
};

export function writtenFields({ eventId, seq, duplicate, createTime }: WrittenEvent): Fields {
  return [
    ['event', eventId],
    ['sequence', String(seq)],
    ...(duplicate ? [['duplicate', 'yes: it was there, and nothing was written now'] as const] : []),
    ['written', localTime(createTime)],
  ];
}

/** What a tail prints; a cursor on its own is not shown. */
export const subscribed: View<SubscribeEvent> = {
  columns: ['SEQ', 'WRITTEN', 'TYPE', 'KEY', 'BODY'],
  widths: [6, 19, 12, 10],
  cells: (each) => {
    if (each.kind === 'gap')
      return ['gap', '', '', '', `events ${each.fromSeq} to ${each.toSeq} are gone: retention took them`];
    if (each.kind === 'cursor') return [];
    const { seq, createTime, type, orderingKey } = each.event;
    return [String(seq), localTime(createTime), type, orderingKey, bodyCell(each.event)];
  },
  json: (each): JsonObject => {
    if (each.kind === 'gap') return { gap: { fromSeq: String(each.fromSeq), toSeq: String(each.toSeq) } };
    if (each.kind === 'cursor') return { cursor: each.cursor };
    return { event: messageToJson(each.event), ...(each.cursor && { cursor: each.cursor }) };
  },
};

export const deadLetters: View<DeadLetter> = {
  columns: ['SEQ', 'ATTEMPTS', 'DIED', 'TYPE', 'KEY', 'EVENT ID', 'BODY'],
  cells: ({ event, attempts, deadTime }) => [
    String(event?.seq ?? ''),
    String(attempts),
    localTime(deadTime),
    event?.type ?? '',
    event?.orderingKey ?? '',
    event?.eventId ?? '',
    event ? bodyCell(event) : '',
  ],
  json: messageToJson,
};

export const groups: View<Group> = {
  columns: ['GROUP', 'ACK DEADLINE', 'MAX ATTEMPTS', 'BACKOFF', 'FILTER', 'CREATED'],
  cells: (group) => [
    group.name,
    group.settings?.ackDeadline ? timeText(durationMs(group.settings.ackDeadline)) : '',
    String(group.settings?.maxAttempts || 'any'),
    backoffText(group),
    filterText(group),
    localTime(group.createTime),
  ],
  json: messageToJson,
};

export function groupFields(group: Group): Fields {
  const { name, settings, revision, generation, createTime } = group;
  return [
    ['group', name],
    ['ack deadline', settings?.ackDeadline ? timeText(durationMs(settings.ackDeadline)) : ''],
    ['max attempts', String(settings?.maxAttempts || 'any number')],
    ['backoff', backoffText(group)],
    ['filter', filterText(group)],
    ['revision', String(revision)],
    ['generation', String(generation)],
    ['created', localTime(createTime)],
  ];
}

function backoffText({ settings }: Group): string {
  const { minBackoff, maxBackoff } = settings ?? {};
  if (!minBackoff || !maxBackoff) return '';
  return `${timeText(durationMs(minBackoff))} to ${timeText(durationMs(maxBackoff))}`;
}

function filterText({ filter }: Group): string {
  const types = filter?.types.length ? [`type ${filter.types.join('|')}`] : [];
  const attributes = Object.entries(filter?.attributes ?? {}).map(([name, value]) => `${name}=${value}`);
  return [...types, ...attributes].join(', ') || '(all events)';
}

/** A count with its word, as JSON and as a record. */
export function countFields(word: string, count: bigint): [json: JsonValue, fields: Fields] {
  return [{ [word]: String(count) }, [[word, grouped(count)]]];
}
