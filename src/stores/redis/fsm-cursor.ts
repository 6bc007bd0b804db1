/**
 * A watcher's place in the change feed, as text. The idea to hold: a place in one shard's stream is the
 * id of the last entry seen and how many entries had been added with it, so that a loss shows as a
 * difference of numbers; a cursor is one such place for every shard, and says which feed it is of.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Fault } from '../../fault.js';

export interface FeedPosition {
  /** `milliseconds-sequence`, as Redis writes it. */
  readonly id: string;
  readonly count: number;
}

/** The longest cursor that the API takes. */
const MAX_CURSOR_CHARS = 4096;

const POSITION = /^([0-9a-z]{1,11})-([0-9a-z]{1,11})-([0-9a-z]{1,11})$/;

/** Names a feed: cursors of another name, namespace or number of shards do not fit it. */
export function feedScope(namespace: string, deploymentId: string, shardCount: number, name: string): string {
  const facts = JSON.stringify([namespace, deploymentId, shardCount, name]);
  return createHash('sha256').update(facts).digest('base64url').slice(0, 12);
}

export function cursorFrom(scope: string, positions: readonly FeedPosition[]): string {
  const texts = positions.map(({ id, count }) => [...id.split('-').map(Number), count].map(base36).join('-'));
  const list = texts.join(',');
  return Buffer.from(`1.${scope}.${list}.${checksum(list)}`).toString('base64url');
}

/** The positions in a cursor, one for each shard; Fault INVALID_FIELD if it is not of this feed. */
export function positionsFrom(cursor: string, scope: string, shardCount: number): FeedPosition[] {
  if (cursor.length > MAX_CURSOR_CHARS) throw invalid('is too long to be a cursor');
  const [version, foundScope, list = '', sum] = Buffer.from(cursor, 'base64url').toString().split('.');
  if (version !== '1' || foundScope !== scope) throw invalid('is not a cursor of this configuration name');
  // A cursor that was cut short is still made of numbers.
  if (sum !== checksum(list)) throw invalid('is damaged');
  const positions = list.split(',').map(positionFrom);
  if (positions.length !== shardCount) throw invalid('is damaged');
  return positions;
}

function positionFrom(text: string): FeedPosition {
  const [, ...numbers] = POSITION.exec(text) ?? [];
  const [ms, sequence, count] = numbers.map((digits) => Number.parseInt(digits, 36));
  if (ms === undefined || sequence === undefined || count === undefined) throw invalid('is damaged');
  if (![ms, sequence, count].every(Number.isSafeInteger)) throw invalid('is damaged');
  return { id: `${ms}-${sequence}`, count };
}

function checksum(list: string): string {
  return base36(crc32(list));
}

function base36(value: number): string {
  return value.toString(36);
}

function invalid(description: string): Fault {
  return Fault.invalidField('cursor', `${description}; start without one`);
}
