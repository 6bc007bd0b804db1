/**
 * The two directions of a streaming call, as the handler reads and as the transport reads. Both end with
 * the call, whatever the other side does: a handler that waits for a request which never comes is woken,
 * and a transport that waits for an answer which never comes too.
 */
import type { Fault } from '../fault.js';
import type { OpenCall } from './open-call.js';

type Step = IteratorResult<unknown, undefined>;
const DONE: Step = { done: true, value: undefined };

interface Waiting {
  resolve(step: Step): void;
  reject(error: unknown): void;
}

/**
 * What the caller sends, each message checked before the handler sees it. When the call is aborted,
 * reading on throws the abort's Fault; only at the drain do the requests of a bidirectional stream just
 * end, so that its handler answers what it has taken and then ends in good order.
 */
export class RequestStream implements AsyncIterableIterator<unknown, undefined> {
  readonly #call: OpenCall;
  readonly #source: AsyncIterator<unknown>;
  #waiting: Waiting | undefined;

  constructor(call: OpenCall, requests: AsyncIterable<unknown>) {
    this.#call = call;
    this.#source = requests[Symbol.asyncIterator]();
    call.signal.addEventListener('abort', () => this.#stop());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (this.#call.abortFault !== undefined) return this.#stop();
      this.#source.next().then(this.#onStep, this.#onError);
    });
  }

  async return(): Promise<Step> {
    await this.#source.return?.();
    return DONE;
  }

  readonly #onStep = (step: IteratorResult<unknown>): void => {
    const waiting = this.#take();
    try {
      if (!step.done) this.#call.rpc.check(step.value);
      waiting?.resolve(step.done ? DONE : step);
    } catch (error) {
      waiting?.reject(error);
    }
  };

  readonly #onError = (error: unknown): void => {
    this.#take()?.reject(this.#call.abortFault ?? error);
  };

  #stop(): void {
    const waiting = this.#take();
    const fault = this.#call.abortFault as Fault;
    const isOrderly = fault.reason === 'DRAINING' && this.#call.rpc.method.methodKind === 'bidi_streaming';
    if (isOrderly) waiting?.resolve(DONE);
    else waiting?.reject(fault);
  }

  #take(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}

/**
 * What the handler answers. It never throws: it ends when the call does, and the call knows how. An
 * answer is asked of the handler only when the transport wants one, so a reader that stops, stops it.
 */
export class ResponseStream implements AsyncIterableIterator<unknown, undefined> {
  readonly #call: OpenCall;
  readonly #open: () => AsyncIterable<unknown>;
  #source: AsyncIterator<unknown> | undefined;
  #waiting: Waiting | undefined;

  constructor(call: OpenCall, open: () => AsyncIterable<unknown>) {
    this.#call = call;
    this.#open = open;
    call.onEnd = () => this.#stop();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (!this.#start()) return this.#stop();
      this.#source?.next().then(this.#onStep, this.#onError);
    });
  }

  /** The transport wants no more: the caller has gone. */
  async return(): Promise<Step> {
    this.#call.cancel();
    return DONE;
  }

  /** Opens the handler's stream the first time; false if there is nothing to read from. */
  #start(): boolean {
    if (this.#call.ended) return false;
    if (this.#source !== undefined) return true;
    if (!this.#call.rpc.pipeline.admit(this.#call)) return false;
    try {
      this.#source = this.#open()[Symbol.asyncIterator]();
    } catch (error) {
      this.#call.fail(error);
    }
    return !this.#call.ended;
  }

  readonly #onStep = (step: IteratorResult<unknown>): void => {
    // A handler that was told to stop and just ends has not finished: the caller must not take it so.
    if (!step.done) this.#take()?.resolve(step);
    else if (this.#call.abortFault === undefined) this.#call.complete();
    else this.#call.fail(this.#call.abortFault);
  };

  readonly #onError = (error: unknown): void => {
    this.#call.fail(error);
  };

  #stop(): void {
    this.#take()?.resolve(DONE);
    // The handler's own clean-up; nobody is left to tell what it throws, unless it is a bug.
    this.#source?.return?.()?.then(undefined, (error) => this.#call.rpc.pipeline.report(error, this.#call));
  }

  #take(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
