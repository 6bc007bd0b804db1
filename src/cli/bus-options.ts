/** Values of the bus as people type them: times, sizes, places in a stream, attributes, settings. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type EventFilterInit, EventStatus, type PositionInit } from '../client/index.js';
import { wholeNumber } from './numbers.js';
import { timeMs } from './times.js';

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** A time such as 500ms, 30s, 5m, 12h or 30d, in milliseconds. */
export function time(text: string): number {
  const ms = timeMs(text);
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('It must be a time such as 500ms, 30s, 5m, 12h or 30d.');
  return ms;
}

/** A number of bytes, also as 10KiB, 64MiB, 5GiB or 1TiB. */
export function size(text: string): bigint {
  const [, amount, unit = ''] = /^(\d{1,15})(B|KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  if (amount === undefined)
    throw new InvalidArgumentError('It must be a number of bytes such as 1000000, 64MiB or 5GiB.');
  return BigInt(amount) * BigInt(UNIT_BYTES[unit] ?? 1);
}

/** A sequence or a count of any size. */
export function bigNumber(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return BigInt(text);
}

export const POSITION = 'beginning|end|SEQ|TIME';

/** A place in a stream: a word, a sequence, or a time as RFC 3339. */
export function position(text: string): PositionInit {
  if (text === 'beginning' || text === 'end') return text;
  if (/^[1-9]\d{0,17}$/.test(text)) return { seq: BigInt(text) };
  const date = new Date(text);
  if (!/^\d{4}-\d\d-\d\d(T|$)/.test(text) || Number.isNaN(date.getTime()))
    throw new InvalidArgumentError(
      'It must be beginning, end, a sequence, or a time such as 2026-01-31T12:00:00Z.',
    );
  return { time: date };
}

/** One `name=value`, added to those before it. */
export function attribute(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be name=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** One more of a list. */
export function another(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

export interface FilterOptions {
  readonly type?: readonly string[];
  readonly attribute?: Readonly<Record<string, string>>;
}

export function withFilter(command: Command): Command {
  return command
    .option('--type <type>', 'only events of this type; may be given again for others', another)
    .option('--attribute <name=value>', 'only events with this attribute; may be given again', attribute);
}

export function filterFrom({ type, attribute }: FilterOptions): { filter?: EventFilterInit } {
  if (type === undefined && attribute === undefined) return {};
  return { filter: { ...(type && { types: type }), ...(attribute && { attributes: attribute }) } };
}

export interface StreamSettingOptions {
  readonly maxAge?: number;
  readonly maxEvents?: bigint;
  readonly maxBytes?: bigint;
  readonly overflow?: 'reject' | 'drop-oldest';
  readonly dedupeWindow?: number;
}

export function withStreamSettings(command: Command): Command {
  return command
    .option('--max-age <time>', 'events older than this go, such as 12h or 30d', time)
    .option('--max-events <count>', 'keep at most so many events; 0 = any number', bigNumber)
    .option('--max-bytes <size>', 'keep at most so many bytes, such as 5GiB; 0 = any number', size)
    .addOption(
      new Option('--overflow <what>', 'at a cap: refuse the write, or let the oldest events go').choices([
        'reject',
        'drop-oldest',
      ]),
    )
    .option('--dedupe-window <time>', 'how long dedupe and request ids are remembered', time);
}

export function streamSettingsFrom(options: StreamSettingOptions) {
  const { maxAge, maxEvents, maxBytes, overflow, dedupeWindow } = options;
  return {
    ...(maxAge !== undefined && { maxAgeMs: maxAge }),
    ...(maxEvents !== undefined && { maxEvents }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(overflow && { overflow: overflow === 'reject' ? ('reject' as const) : ('drop_oldest' as const) }),
    ...(dedupeWindow !== undefined && { dedupeWindowMs: dedupeWindow }),
  };
}

export interface GroupSettingOptions {
  readonly ackDeadline?: number;
  readonly maxAttempts?: number;
  readonly minBackoff?: number;
  readonly maxBackoff?: number;
}

export function withGroupSettings(command: Command): Command {
  return command
    .option('--ack-deadline <time>', 'how long a worker has an event before it goes to another', time)
    .option(
      '--max-attempts <count>',
      'hand-outs before an event is a dead letter; 0 = any number',
      wholeNumber(0),
    )
    .option('--min-backoff <time>', 'pause after the first failed attempt, doubled after each', time)
    .option('--max-backoff <time>', 'longest pause', time);
}

export function groupSettingsFrom({ ackDeadline, maxAttempts, minBackoff, maxBackoff }: GroupSettingOptions) {
  return {
    ...(ackDeadline !== undefined && { ackDeadlineMs: ackDeadline }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(minBackoff !== undefined && { minBackoffMs: minBackoff }),
    ...(maxBackoff !== undefined && { maxBackoffMs: maxBackoff }),
  };
}

export const STATUSES = ['UNPROCESSED', 'PROCESSED', 'RETRY', 'LEASED', 'WAITING', 'DEAD'] as const;
export type StatusName = (typeof STATUSES)[number];

export function statusOf(name: StatusName): EventStatus {
  return EventStatus[name];
}
