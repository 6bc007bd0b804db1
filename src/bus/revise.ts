/**
 * Changes of settings by revision, where a request names only what is to change. The whole is made from
 * the thing as it was read and written only while it is so; when it was changed meanwhile it is made
 * again, unless the caller named the revision that it must have.
 */
import { Fault } from '../fault.js';
import { countFrom } from './numbers.js';

/** No thing's: a change that expects it changes nothing and answers the thing as it is. */
const NO_REVISION = 0;

/** Each turn is lost to somebody else's change; so many in a row means that something else is wrong. */
const MAX_TURNS = 100;

/** @param update writes what is made of `base`, if `revision` is still its revision */
export async function revise<T extends { readonly revision: number }>(
  read: T,
  expected: bigint | undefined,
  update: (base: T, revision: number) => Promise<{ readonly isUpdated: boolean; readonly current: T }>,
): Promise<T> {
  let base = read;
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const wanted = expected === undefined ? base.revision : countFrom(expected);
    // What was read may be older than what the caller saw.
    const { isUpdated, current } = await update(base, wanted === base.revision ? wanted : NO_REVISION);
    if (isUpdated) return current;
    if (expected !== undefined && current.revision !== wanted) throw revisionMismatch(current.revision);
    base = current;
  }
  throw revisionMismatch(base.revision);
}

function revisionMismatch(actual: number): Fault {
  return new Fault('REVISION_MISMATCH', 'the settings were changed meanwhile; read them and decide again', {
    facts: { actual_revision: String(actual) },
  });
}
