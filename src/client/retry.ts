/**
 * When a call is made again: UNAVAILABLE, before its deadline, and only if a second one cannot do more
 * than the first. That is so when the service says that nothing happened, or when the request carries
 * an id (or the rpc is one that repeats well by its contract). Waits are "full jitter": a random time up
 * to a bound that doubles, so that callers that failed together do not come back together
 * (M. Brooker, "Exponential Backoff And Jitter", 2015).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { tlsFailureOf } from './tls-failure.js';

const FIRST_BOUND_MS = 50;
const LAST_BOUND_MS = 2_000;

/** Reasons with which the service says that nothing has happened. */
const NOTHING_HAPPENED = new Set(['STORE_UNAVAILABLE', 'DRAINING']);

/** A random wait before attempt number `attempt` (1 = the first repeat), in milliseconds. */
export function jitterMs(attempt: number): number {
  return Math.random() * Math.min(LAST_BOUND_MS, FIRST_BOUND_MS * 2 ** attempt);
}

/** Waits before attempt number `attempt`; rejects when the signal aborts. */
export async function backOff(attempt: number, signal?: AbortSignal): Promise<void> {
  await sleep(jitterMs(attempt), undefined, signal ? { signal } : {});
}

export function isUnavailable(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unavailable;
}

/** The server, or the way to it, is gone: UNAVAILABLE, or a stream cut in the middle of a frame, which
 * the library reports in several ways. Two ends that do not agree on TLS are not lost to each other. */
export function isLost(error: unknown): boolean {
  if (tlsFailureOf(error)) return false;
  const { code, cause } = ConnectError.from(error);
  if (code === Code.Unavailable || code === Code.Aborted || code === Code.Canceled) return true;
  return code === Code.Internal && cause !== undefined;
}

/**
 * A connection that broke under a unary call is UNAVAILABLE, which the library says only of one that was
 * never there: what Node reports, with a code that is text, becomes ABORTED or INTERNAL, and a stream
 * that ended without a word CANCELLED, as if the caller had done that.
 */
function asUnavailable(error: unknown, isOurs: boolean): unknown {
  const { code, cause, rawMessage } = ConnectError.from(error);
  const tls = tlsFailureOf(error);
  if (tls) return new ConnectError(tls.text, Code.Unavailable, undefined, undefined, cause);
  const isNodes = cause instanceof Error && 'code' in cause && typeof cause.code === 'string';
  const isBroken = (code === Code.Aborted || code === Code.Internal) && isNodes;
  if (!isBroken && !(code === Code.Canceled && !isOurs)) return error;
  return new ConnectError(rawMessage, Code.Unavailable, undefined, undefined, cause);
}

export interface RetryOptions {
  /** Whether a request holds the id that makes it safe to repeat. */
  carriesId(message: object): boolean;
  /** For how long a call is repeated, in milliseconds; its deadline ends it in any case. */
  readonly retryForMs: number;
  /** Aborts when the caller closes the connection. */
  readonly closed: AbortSignal;
}

/** Repeats unary calls until their deadline, or for `retryForMs` if that is shorter. */
export function retrying({ carriesId, retryForMs, closed }: RetryOptions): Interceptor {
  return (next) => async (request) => {
    // Not one that `isLost`: whoever would go on over another connection has to end.
    if (closed.aborted) throw new ConnectError('the connection was closed', Code.FailedPrecondition);
    if (request.stream)
      return next(request).catch((error) =>
        Promise.reject(tlsFailureOf(error) ? asUnavailable(error, false) : error),
      );
    const { idempotency } = request.method;
    const repeats = idempotency !== undefined && idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN;
    const endMs = performance.now() + Math.min(retryForMs, timeoutMsOf(request.header));
    for (let attempt = 1; ; attempt += 1)
      try {
        return await next(request);
      } catch (thrown) {
        const error = asUnavailable(thrown, closed.aborted || request.signal.aborted);
        const safe = repeats || nothingHappened(error) || carriesId(request.message);
        if (!isUnavailable(error) || !safe || tlsFailureOf(error)) throw error;
        const waitMs = jitterMs(attempt);
        // What went wrong tells more than that the time is over, so it ends before its deadline does.
        if (request.signal.aborted || performance.now() + waitMs >= endMs) throw error;
        await sleep(waitMs, undefined, { signal: request.signal }).catch(() => Promise.reject(error));
      }
  };
}

/** The deadline of a call as the transport has written it down, in milliseconds from its start. */
function timeoutMsOf(header: Headers): number {
  const [, ms] = /^(\d+)m$/.exec(header.get('grpc-timeout') ?? '') ?? [];
  return ms === undefined ? Number.POSITIVE_INFINITY : Number(ms);
}

function nothingHappened(error: unknown): boolean {
  const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
  return info !== undefined && NOTHING_HAPPENED.has(info.reason);
}
