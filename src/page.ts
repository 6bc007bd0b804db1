/**
 * Pages: sizes, opaque tokens, and the cut by bytes. A token is the position of the next item in a
 * stated scope; it holds no secret and proves nothing, so whatever it says is checked like any input.
 */
import { Fault } from './fault.js';

/** Where a page or frame is cut, since clients refuse messages above 4 MiB by default. */
export const MAX_PAGE_BYTES = 3 * 1024 * 1024;

/** The number of items to return: the default for 0, and never more than the most. */
export function pageSize(asked: number, fallback: number, most: number): number {
  return Math.min(asked > 0 ? asked : fallback, most);
}

/** Makes a token for `position` that is only good for the same `scope` (rpc and filter). */
export function pageToken(scope: readonly unknown[], position: unknown): string {
  return Buffer.from(JSON.stringify([scope, position])).toString('base64url');
}

/** The position in a token, or undefined for the first page; INVALID_FIELD if it is of another scope. */
export function pagePosition<P>(
  token: string,
  scope: readonly unknown[],
  isPosition: (value: unknown) => value is P,
  field = 'page_token',
): P | undefined {
  if (token === '') return undefined;
  const parsed = parse(token);
  if (!Array.isArray(parsed) || parsed.length !== 2 || JSON.stringify(parsed[0]) !== JSON.stringify(scope))
    throw Fault.invalidField(field, 'is not a token of this list with these filters; start over');
  const position: unknown = parsed[1];
  if (!isPosition(position)) throw Fault.invalidField(field, 'is damaged; start over');
  return position;
}

function parse(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The leading items that fit in MAX_PAGE_BYTES together, at least one. */
export function cutAtBytes<T>(items: readonly T[], bytesOf: (item: T) => number): readonly T[] {
  let total = 0;
  const end = items.findIndex((item, i) => {
    total += bytesOf(item);
    return total > MAX_PAGE_BYTES && i > 0;
  });
  return end === -1 ? items : items.slice(0, end);
}

/** Checks for positions. */
export const isText = (value: unknown): value is string => typeof value === 'string';
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
