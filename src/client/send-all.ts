/**
 * Any number of events, whatever becomes of the streams that carry them. The idea to hold: the window is
 * the memory. What was sent and not yet yielded stays in it in order, and when a stream breaks, what has
 * no answer goes out again on the next one with the ids it had, so each event has one effect and those
 * of one machine keep their order.
 */
import { EffectUnknownError, SwitchgearError } from './errors.js';
import type { EventStream } from './event-stream.js';
import { backOff, isLost } from './retry.js';
import { type CallControl, type Identified, type SendInit, type SendResult, withEventId } from './sending.js';

/** How many events are read ahead of the one that is yielded next; half of what a stream holds. */
const WINDOW_EVENTS = 5_000;

/** An event with its answer. */
export interface SentEvent {
  /** As it was sent, event id included. */
  readonly request: Identified;
  readonly result: SendResult;
}

interface Entry {
  readonly request: Identified;
  result: SendResult | undefined;
  failure: SwitchgearError | undefined;
  /** Resolves when `result` or `failure` is set. */
  settled: Promise<unknown>;
}

type Control = CallControl & { readonly timeoutMs: number };

export async function* sendAll(
  open: () => EventStream,
  requests: Iterable<SendInit> | AsyncIterable<SendInit>,
  control: Control,
): AsyncGenerator<SentEvent> {
  const window = new Window(open, control);
  const input = iteratorOf(requests);
  let reading: Promise<IteratorResult<SendInit>> | undefined;
  let hasEnded = false;
  try {
    while (!hasEnded || window.first) {
      if (!hasEnded && !window.isFull) reading ??= Promise.resolve(input.next());
      // A slow input must not keep back an answer that is there, nor a slow answer the next event.
      const next = await Promise.race([reading, window.first?.settled.then(() => undefined)].filter(Boolean));
      if (next) {
        reading = undefined;
        hasEnded = next.done === true;
        if (!next.done) window.send(next.value);
      }
      yield* window.takeAnswered();
      await window.mend();
    }
  } finally {
    // A read that is under way cannot be ended from here, and may never be.
    if (!reading) await input.return?.();
    await window.close();
  }
}

class Window {
  readonly #open: () => EventStream;
  readonly #control: Control;
  readonly #entries: Entry[] = [];
  #stream: EventStream;
  #attempt = 0;
  #lastAnswerMs = performance.now();

  constructor(open: () => EventStream, control: Control) {
    this.#open = open;
    this.#control = control;
    this.#stream = open();
  }

  get first(): Entry | undefined {
    return this.#entries[0];
  }

  get isFull(): boolean {
    return this.#entries.length >= WINDOW_EVENTS;
  }

  send(init: SendInit): void {
    if (this.#entries.length === 0) this.#lastAnswerMs = performance.now();
    const request = withEventId(init);
    const entry: Entry = { request, result: undefined, failure: undefined, settled: Promise.resolve() };
    this.#entries.push(entry);
    this.#dispatch(entry);
  }

  *takeAnswered(): Generator<SentEvent> {
    let taken = 0;
    try {
      for (const { request, result } of this.#entries) {
        if (!result) break;
        taken += 1;
        yield { request, result };
      }
    } finally {
      if (taken > 0) this.#attempt = 0;
      if (taken > 0) this.#lastAnswerMs = performance.now();
      this.#entries.splice(0, taken);
    }
  }

  /** After a break: a new stream, and everything without an answer on it. */
  async mend(): Promise<void> {
    const failure = this.first?.failure;
    if (!failure) return;
    const { signal, timeoutMs } = this.#control;
    // An end without an error has no cause: the server closed the call before it answered.
    const told = failure instanceof EffectUnknownError ? failure.cause : failure;
    const cause = told instanceof SwitchgearError ? told : undefined;
    const isOver = performance.now() - this.#lastAnswerMs >= timeoutMs;
    if (signal?.aborted || isOver || (cause && !isLost(cause.cause))) throw cause ?? failure;
    this.#attempt += 1;
    await backOff(this.#attempt, signal).catch(() => Promise.reject(cause ?? failure));
    this.#stream = this.#open();
    for (const entry of this.#entries) if (!entry.result) this.#dispatch(entry);
  }

  async close(): Promise<void> {
    await this.#stream.close();
  }

  #dispatch(entry: Entry): void {
    entry.failure = undefined;
    entry.settled = this.#stream.send(entry.request).then(
      (result) => {
        entry.result = result;
      },
      (failure: SwitchgearError) => {
        entry.failure = failure;
      },
    );
  }
}

function iteratorOf<T>(items: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}
