/**
 * What a caller's timeout header means. Both ports take the header off the request and hand the number
 * to the pipeline, so that one clock, one cap and one answer hold for both: the libraries below would
 * cut far deadlines to 32 bits, refuse those above a maximum, and answer without details.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Fault } from '../fault.js';

/** A unary call that asks for more, or for nothing, gets this. */
export const UNARY_DEADLINE_MAX_MS = 60_000;
// The handler is told to give up this much before the deadline, so that it can still say what is known
// and the answer reaches a caller that is busy (100 ms was too little under a burst on two cores).
const MARGIN_MAX_MS = 250;
const MARGIN_SHARE = 0.2;
// Beyond this a deadline is as good as none (and a timer's 32 bits end soon after).
const FAR_MS = 2_000_000_000;

/** A timeout that could not be read. */
export const UNREADABLE = Number.NaN;

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Takes the timeout off the headers. Infinity = there is none. */
export function takeTimeoutMs(headers: IncomingHttpHeaders): number {
  const grpc = headers['grpc-timeout'];
  if (grpc !== undefined) {
    delete headers['grpc-timeout'];
    return parseGrpcTimeoutMs(grpc);
  }
  const connect = headers['connect-timeout-ms'];
  if (connect === undefined) return Number.POSITIVE_INFINITY;
  delete headers['connect-timeout-ms'];
  return typeof connect === 'string' && /^\d{1,10}$/.test(connect) ? far(Number(connect)) : UNREADABLE;
}

/** Reads `<1 to 8 digits><unit>`. */
export function parseGrpcTimeoutMs(text: string | string[]): number {
  if (typeof text !== 'string' || !/^\d{1,8}[HMSmun]$/.test(text)) return UNREADABLE;
  return far(Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] as number));
}

/** How long before the deadline the handler's signal aborts. */
export function marginMs(timeoutMs: number): number {
  return Math.min(MARGIN_MAX_MS, timeoutMs * MARGIN_SHARE);
}

export function unreadableTimeout(): Fault {
  return new Fault('MALFORMED_MESSAGE', 'the timeout header cannot be read', {
    facts: { header: 'timeout' },
  });
}

function far(timeoutMs: number): number {
  return timeoutMs > FAR_MS ? Number.POSITIVE_INFINITY : timeoutMs;
}
