/**
 * A worker: takes events, runs a handler on each, and marks what became of it. The idea to hold: the
 * service's credit is the bound. What the worker was given and has not marked never exceeds
 * `maxOutstanding`, so every queue in here is as short; and the service gives out one event of an ordering
 * key at a time, so nothing in here has to keep an order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import {
  DEFAULT_CONCURRENCY,
  type Delivery,
  type EventHandler,
  outstandingOf,
  RetryAfter,
  type Settled,
  type WorkerOptions,
  type WorkSource,
} from './bus-handling.js';
import { type Lease, Leases } from './bus-leases.js';
import type { LeaseInit, Mark, MarkResult } from './bus-marking.js';
import { Marks } from './bus-marks.js';
import { toSwitchgearError } from './failure.js';
import { backOff, isLost } from './retry.js';
import { present } from './sending.js';

const DEFAULT_GRACE_MS = 10_000;
/** For handlers that end when they are told to. */
const ABORT_GRACE_MS = 1_000;
/** How long a frame that was sent already may take to be here, before the call that brings it is ended. */
const ARRIVAL_MS = 50;
/** For how many of them in a row is waited, where others write all the time. */
const MOST_ARRIVALS = 10;

interface Held extends Lease, Delivery {
  readonly controller: AbortController;
}

export class BusWorker implements AsyncDisposable {
  /**
   * Resolves when the worker has ended: it was closed, or without `follow` nothing was left. Await it: a
   * failure that nobody awaits ends the process, as any other does.
   * @throws the SwitchgearError that ended it, e.g. StreamNotFoundError
   */
  readonly done: Promise<void>;
  readonly #source: WorkSource;
  readonly #handler: EventHandler;
  readonly #options: WorkerOptions;
  readonly #leases: Leases;
  readonly #marks: Marks;
  /** Given and not begun, in order. */
  readonly #queue = new Set<Held>();
  readonly #running = new Set<Held>();
  readonly #stopTaking = new AbortController();
  /** When it was told to stop, by the clock of `performance`. */
  #stoppedMs: number | undefined;
  #unmarked = 0;
  /** How many events were ever given to it. */
  #taken = 0;
  #hasWarned = false;
  #closing: Promise<void> | undefined;
  #watchers: (() => void)[] = [];

  /** @internal use `bus.process` */
  constructor(source: WorkSource, handler: EventHandler, options: WorkerOptions) {
    this.#source = source;
    this.#handler = handler;
    this.#options = options;
    this.#leases = new Leases(source.extend);
    this.#marks = new Marks(source.mark);
    this.done = this.#run();
    if (options.signal?.aborted) void this.close();
  }

  /**
   * Stops taking events, lets handlers under way finish for at most `graceMs`, gives back what was not
   * begun, sends the marks, and ends. Never rejects; `done` tells of an error.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#stop();
    // A mark frees credit, for which the service sends events, which nobody would see any more.
    let isQuiet = false;
    void this.#marks.hold().then(() => {
      isQuiet = true;
      this.#changed();
    });
    await this.#untilOrAfter(() => isQuiet, this.#graceLeftMs);
    await this.#arrived();
    this.#stopTaking.abort();
    this.#changed();
    await this.done.catch(() => {});
  }

  /** Waits for frames that were sent already: until the credit is used, or none has come for a while. */
  async #arrived(): Promise<void> {
    for (let i = 0; i < MOST_ARRIVALS && this.#outstanding < outstandingOf(this.#options); i += 1) {
      const before = this.#taken;
      await sleep(ARRIVAL_MS);
      if (this.#taken === before) return;
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    const close = () => void this.close();
    signal?.addEventListener('abort', close, { once: true });
    try {
      await this.#take();
    } finally {
      signal?.removeEventListener('abort', close);
      this.#stop();
      await this.#finish();
    }
  }

  #stop(): void {
    this.#stoppedMs ??= performance.now();
  }

  get #graceLeftMs(): number {
    const { graceMs = DEFAULT_GRACE_MS } = this.#options;
    return Math.max(0, graceMs - (performance.now() - (this.#stoppedMs ?? performance.now())));
  }

  async #take(): Promise<void> {
    const { signal } = this.#stopTaking;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        const deadlineMs = this.#options.ackDeadlineMs ?? (await this.#source.ackDeadlineMs(signal));
        this.#leases.start(deadlineMs);
        this.#marks.lifetimeMs = deadlineMs;
        let taken = 0;
        for await (const { events } of this.#source.take(deadlineMs, signal)) {
          attempt = 0;
          taken += events.length;
          this.#accept(events);
        }
        if (this.#source.mode !== 'follow') {
          if (await this.#isFinished(taken)) return;
          attempt = 0;
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isLost(error)) throw toSwitchgearError(error);
      }
      await backOff(Math.max(1, attempt), signal).catch(() => {});
    }
  }

  /** After a call that ended by itself, having used the credit or found nothing: waits until another has a use. */
  async #isFinished(taken: number): Promise<boolean> {
    const wasIdle = taken === 0 && this.#outstanding === 0;
    const isOnly = this.#source.mode === 'once';
    const most = isOnly || taken === 0 ? 0 : outstandingOf(this.#options) / 2;
    await this.#until(() => this.#outstanding <= most || this.#stopTaking.signal.aborted);
    return wasIdle || isOnly;
  }

  get #outstanding(): number {
    return this.#queue.size + this.#running.size + this.#unmarked;
  }

  #accept(events: readonly LeasedEvent[]): void {
    this.#taken += events.length;
    for (const leased of events) {
      const held = this.#heldOf(leased);
      this.#leases.add(held);
      this.#queue.add(held);
    }
    this.#pump();
  }

  #heldOf({ event: maybe, attempt, leaseToken }: LeasedEvent): Held {
    const event = present(maybe);
    const controller = new AbortController();
    const held: Held = {
      event,
      attempt,
      controller,
      signal: controller.signal,
      eventId: event.eventId,
      leaseToken,
      heldMs: performance.now(),
      isStale: false,
      lose: () => {
        controller.abort(new Error('the lease is lost: the event may be in other hands'));
        if (!this.#queue.delete(held)) return;
        this.#leases.delete(held);
        this.#changed();
      },
    };
    return held;
  }

  #pump(): void {
    const most = this.#options.concurrency ?? DEFAULT_CONCURRENCY;
    for (const held of this.#queue) {
      if (this.#stoppedMs !== undefined || this.#running.size >= most) return;
      this.#queue.delete(held);
      this.#running.add(held);
      void this.#work(held);
    }
  }

  async #work(held: Held): Promise<void> {
    let failure: unknown;
    let mark: Mark = 'processed';
    try {
      await this.#handler(held);
    } catch (error) {
      failure = error;
      mark = 'retry';
    }
    this.#running.delete(held);
    this.#leases.delete(held);
    this.#pump();
    this.#changed();
    const result = held.isStale ? undefined : await this.#mark(held, mark, failure);
    this.#tell(held, { mark: result && mark, result: result ?? { result: 'stale' }, failure });
  }

  async #mark({ eventId, leaseToken }: LeaseInit, status: Mark, failure?: unknown): Promise<MarkResult> {
    this.#unmarked += 1;
    const delay = failure instanceof RetryAfter ? { retryDelayMs: failure.delayMs } : {};
    const result = await this.#marks.add({ eventId, leaseToken, status, ...delay });
    this.#unmarked -= 1;
    // After whoever waits for this mark: `done` is the last that is told.
    setImmediate(() => this.#changed());
    return result;
  }

  #tell(held: Held, settled: Settled): void {
    const { failure } = settled;
    if (this.#options.onSettled) this.#options.onSettled(held, settled);
    else if (failure !== undefined && !(failure instanceof RetryAfter)) this.#warn(failure);
  }

  /** Once: what a handler throws is nowhere else to be seen. */
  #warn(failure: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const text = failure instanceof Error ? failure.message : String(failure);
    process.emitWarning(`a handler of events threw: ${text}; pass onSettled to see every failure`);
  }

  async #finish(): Promise<void> {
    for (const held of this.#queue) {
      this.#leases.delete(held);
      void this.#mark(held, 'unprocessed');
    }
    this.#queue.clear();
    void this.#marks.release();
    const hasEnded = () => this.#running.size === 0;
    await this.#untilOrAfter(hasEnded, this.#graceLeftMs);
    for (const { controller } of this.#running) controller.abort(new Error('the worker closes'));
    // A handler that does not listen keeps its event until the deadline.
    await this.#untilOrAfter(hasEnded, ABORT_GRACE_MS);
    await this.#untilOrAfter(() => this.#unmarked === 0, Math.max(this.#graceLeftMs, ABORT_GRACE_MS));
    this.#leases.stop();
    this.#marks.stop();
  }

  async #untilOrAfter(holds: () => boolean, ms: number): Promise<void> {
    const timer = new AbortController();
    const late = sleep(ms, undefined, { signal: timer.signal }).catch(() => {});
    let isLate = false;
    void late.then(() => {
      isLate = true;
      this.#changed();
    });
    await this.#until(() => isLate || holds());
    timer.abort();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds())
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
  }

  #changed(): void {
    for (const wake of this.#watchers.splice(0)) wake();
  }
}
