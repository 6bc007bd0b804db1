/**
 * Pages: sizes, opaque tokens, and the cut by bytes. A token is the position of the next item in a
 * stated scope; it holds no secret and proves nothing, so whatever it says is checked like any input.
 */
import type { Access } from './call.js';
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

/** A page of a list as a store gives it: `next` is the position after its last item. */
export interface ListPage<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

/** A list of things with names, in an order that stays. */
export interface NamedList<T> {
  read(after: string | undefined, limit: number): Promise<ListPage<T>>;
  nameOf(item: T): string;
}

/** How many items of a store's list are read at a time, to find those that are granted. */
const READ_ITEMS = 1_000;
/** A page is read again when the list changed between its two readings; so often in a row it never does. */
const MAX_READINGS = 5;

/**
 * A page of only what the caller is granted, full unless it is the last. Its `next` is there only if more
 * that is granted follows, and is a position after a granted item: it names nothing else.
 */
export async function grantedPage<T>(
  access: Access,
  list: NamedList<T>,
  after: string | undefined,
  limit: number,
): Promise<ListPage<T>> {
  if (access.isUnlimited) return list.read(after, limit);
  for (let reading = 0; reading < MAX_READINGS; reading += 1) {
    const page = await filteredPage(access, list, after, limit);
    if (page !== undefined) return page;
  }
  throw new Fault('STORE_UNAVAILABLE', 'the list changes faster than it can be read; ask again');
}

/** Undefined = the list changed meanwhile. Ends with the list, or by the signal that `read` keeps to. */
async function filteredPage<T>(
  access: Access,
  { read, nameOf }: NamedList<T>,
  after: string | undefined,
  limit: number,
): Promise<ListPage<T> | undefined> {
  const items: T[] = [];
  /** Where the last item was found: the position its reading began after, and how many items on. */
  let last: { from: string | undefined; count: number; name: string } | undefined;
  for (let from = after; ; ) {
    const page = await read(from, READ_ITEMS);
    for (const [i, item] of page.items.entries()) {
      const name = nameOf(item);
      if (!access.allows(name)) continue;
      if (items.length < limit) {
        items.push(item);
        last = { from, count: i + 1, name };
        continue;
      }
      // Positions are the store's own: it tells that of the last item when that ends a page.
      const end = last && (await read(last.from, last.count));
      const ending = end?.items.at(-1);
      return ending !== undefined && nameOf(ending) === last?.name ? { items, next: end?.next } : undefined;
    }
    if (page.next === undefined) return { items, next: undefined };
    from = page.next;
  }
}

/** Checks for positions. */
export const isText = (value: unknown): value is string => typeof value === 'string';
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
