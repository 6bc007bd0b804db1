/**
 * What a gRPC call shows in its headers, from the gate that reads them to the handler. It is left on the
 * call's HTTP/2 stream, which is the one thing that both see: as headers grpc-js would check and copy each of
 * them for every call (0.24 us a header), and a caller could send them too.
 */
import type { Status } from '../../gen/google/rpc/status_pb.js';
import type { Caller } from './caller.js';

export interface Entry extends Caller {
  /** Infinity = the call has no deadline, NaN = it could not be read. */
  readonly timeoutMs: number;
  /** What it is answered with before anything of it is read; undefined = it is served. */
  answer: Status | undefined;
}

const ENTRY = Symbol('entry of a call');

interface Marked {
  [ENTRY]?: Entry;
}

/** The parts of a call of grpc-js that have no name of their own. */
interface CallInside {
  readonly call?: { readonly stream?: Marked };
}

export function leaveEntry(stream: object, entry: Entry): void {
  (stream as Marked)[ENTRY] = entry;
}

/**
 * What was left for a call, as grpc-js shows it to a handler.
 * @throws Error when nothing was: a caller of whom nothing is known must not pass for one that showed nothing
 */
export function entryOf(grpcCall: object): Entry {
  const entry = (grpcCall as CallInside).call?.stream?.[ENTRY];
  if (entry === undefined)
    throw new Error('this release of grpc-js is built differently; a call does not show its stream');
  return entry;
}
