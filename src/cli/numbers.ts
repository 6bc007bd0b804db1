/** Numbers given as options. */
import { InvalidArgumentError } from 'commander';

/** The largest number of anything that a command is asked for. */
const MOST = 1_000_000_000;

/** Reads a whole number from `least` to 1,000,000,000. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d{1,10}$/.test(text) || number < least || number > MOST)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${MOST}.`);
    return number;
  };
}

/** At most `limit` of `items`; all of them when it is undefined. */
export async function* limited<T>(items: AsyncIterable<T>, limit: number | undefined): AsyncGenerator<T> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const item of items) {
    yield item;
    left -= 1;
    if (left <= 0) return;
  }
}

/** The page size to ask for, when only `limit` items are wanted. */
export function pageSizeFor(limit: number | undefined): { pageSize?: number } {
  return limit === undefined ? {} : { pageSize: Math.min(limit, 1_000) };
}
