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

/**
 * Repeats unary calls until their deadline. `carriesId` says of a request whether it holds the id that
 * makes it safe to repeat.
 */
export function retrying(carriesId: (message: object) => boolean): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return next(request);
    const { idempotency } = request.method;
    const repeats = idempotency !== undefined && idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN;
    for (let attempt = 1; ; attempt += 1)
      try {
        return await next(request);
      } catch (error) {
        if (!isUnavailable(error) || request.signal.aborted) throw error;
        const safe = repeats || nothingHappened(error) || carriesId(request.message);
        if (!safe) throw error;
        // The signal is the call's deadline and its caller's: when it aborts, the last error stands.
        await backOff(attempt, request.signal).catch(() => Promise.reject(error));
      }
  };
}

function nothingHappened(error: unknown): boolean {
  const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
  return info !== undefined && NOTHING_HAPPENED.has(info.reason);
}
