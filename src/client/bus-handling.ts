/** What a worker is told, and what it tells: a delivery, its handler, how it ended, and the bounds of it all. */
import type { Event, LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import type { LeaseInit, Mark, MarkInit, MarkResult } from './bus-marking.js';

/** An event given to a handler. */
export interface Delivery {
  readonly event: Event;
  /** 1 the first time, and one more with every hand-out. */
  readonly attempt: number;
  /**
   * Aborts when the lease is lost, so that the event may be in other hands, and when a worker that closes
   * waits no longer.
   */
  readonly signal: AbortSignal;
}

/** Works on one event. Resolves = PROCESSED; throws = RETRY, after the group's backoff or `retryAfter`. */
export type EventHandler = (delivery: Delivery) => unknown;

/** What became of a delivery: the mark that was sent (undefined = the lease was lost before) and its answer. */
export interface Settled {
  readonly mark: Mark | undefined;
  readonly result: MarkResult;
  /** What the handler threw. */
  readonly failure: unknown;
}

export interface WorkerOptions {
  /** The group to work for; `default` unless given. */
  readonly group?: string;
  /** How many handlers run at once; 8 unless given. */
  readonly concurrency?: number;
  /** How many events the worker may have at once; four for each handler, and at least 32, unless given. */
  readonly maxOutstanding?: number;
  /** How many bytes of events the worker may have at once; 3 MiB unless given. One event is always allowed. */
  readonly maxOutstandingBytes?: number;
  /** How long a lease runs before it is extended or lost, in milliseconds; as the group is set unless given. */
  readonly ackDeadlineMs?: number;
  /** Wait for more when nothing is left; true unless given. */
  readonly follow?: boolean;
  /** How long handlers may go on when the worker closes, in milliseconds; 10,000 unless given. */
  readonly graceMs?: number;
  /** Closes the worker when it aborts. */
  readonly signal?: AbortSignal;
  /** Told of every delivery that is over; must not throw. */
  onSettled?(delivery: Delivery, settled: Settled): void;
}

/** A handler throws it to choose when the event comes again. */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter';
  readonly delayMs: number;

  constructor(delayMs: number, message = `again in ${delayMs} ms`) {
    super(message);
    this.delayMs = delayMs;
  }
}

const MAX_DELAY_MS = 30 * 24 * 3_600_000;

/** `throw retryAfter(5_000)`: the event comes again after so many milliseconds, at most 30 days. */
export function retryAfter(delayMs: number, message?: string): RetryAfter {
  if (!(delayMs >= 0 && delayMs <= MAX_DELAY_MS))
    throw new RangeError(`a delay is 0 to ${MAX_DELAY_MS} milliseconds, not ${delayMs}`);
  return new RetryAfter(delayMs, message);
}

/** Where a worker's events come from, and where its marks go. */
export interface WorkSource {
  /** `follow` goes on for ever, `drain` until nothing can be had, `once` for one call. */
  readonly mode: 'follow' | 'drain' | 'once';
  /** How long leases run as the group is set, in milliseconds. */
  ackDeadlineMs(signal: AbortSignal): Promise<number>;
  take(ackDeadlineMs: number, signal: AbortSignal): AsyncIterable<{ events: LeasedEvent[] }>;
  mark(marks: readonly MarkInit[]): Promise<MarkResult[]>;
  extend(leases: readonly LeaseInit[], ackDeadlineMs: number): Promise<MarkResult[]>;
}

export const DEFAULT_CONCURRENCY = 8;

/** How many events a worker with these options may have at once. */
export function outstandingOf({ maxOutstanding, concurrency = DEFAULT_CONCURRENCY }: WorkerOptions): number {
  return maxOutstanding ?? Math.max(32, 4 * concurrency);
}
