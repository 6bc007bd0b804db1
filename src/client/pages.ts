/** Lists as callers want them: one iterable over all pages, each read when the one before is used up. */
import { failing } from './failure.js';

/** Yields the items of every page; `read` gets a page token and answers the items and the next token. */
export async function* pages<T>(
  read: (pageToken: string) => Promise<[readonly T[], string]>,
): AsyncGenerator<T> {
  let pageToken = '';
  do {
    const [items, next] = await failing(read(pageToken));
    yield* items;
    pageToken = next;
  } while (pageToken !== '');
}
