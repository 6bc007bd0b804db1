/**
 * What a lease token says: the claim's lease number and the group, `2s.workers`. It proves nothing by
 * itself (numbers can be guessed); it names the hand-out that a mark is about, and the store compares.
 */
import { Fault } from '../fault.js';

export interface LeaseName {
  readonly lease: number;
  readonly group: string;
}

/** Percent-encoded, `.` may be part of the group: the first one ends the number. */
const SHAPE = /^([1-9a-z][0-9a-z]{0,10})\.(.+)$/;

export function leaseToken({ lease, group }: LeaseName): string {
  return `${lease.toString(36)}.${encodeURIComponent(group)}`;
}

/** What a token names; undefined = it is none. A token has one spelling. */
export function parseLeaseToken(text: string): LeaseName | undefined {
  const [, digits = '', encoded = ''] = SHAPE.exec(text) ?? [];
  const lease = Number.parseInt(digits, 36);
  const group = decode(encoded);
  if (!Number.isSafeInteger(lease) || group === undefined) return undefined;
  return leaseToken({ lease, group }) === text ? { lease, group } : undefined;
}

/** All events of a frame have one token, so that most marks ask for the one that was asked for last. */
let lastAsked: { readonly text: string; readonly name: LeaseName } | undefined;

/** What the token in this field of a request names, or INVALID_FIELD. */
export function leaseName(text: string, field: string): LeaseName {
  if (lastAsked?.text === text) return lastAsked.name;
  const name = parseLeaseToken(text);
  if (!name) throw Fault.invalidField(field, 'is not a lease token; give it as it came with the event');
  lastAsked = { text, name };
  return name;
}

function decode(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
