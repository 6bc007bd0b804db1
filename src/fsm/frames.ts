/**
 * StreamEvents: frames of events in, frames of answers out as they are ready. The window bounds what
 * is under way, read or answered but not yet taken by the client; beyond it nothing more is read, so a
 * client that does not read its answers is not read from either.
 */
import { create } from '@bufbuild/protobuf';
import {
  type StreamEventsRequest,
  type StreamEventsResponse,
  StreamEventsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { Fault } from '../fault.js';
import { type BatchCall, type Events, MAX_BATCH_EVENTS } from './events.js';

const MAX_FRAMES = 64;
const MAX_EVENTS = 10_000;

/** Answers every frame; ends when the input has ended and everything is answered. */
export async function* answerFrames(
  frames: AsyncIterable<StreamEventsRequest>,
  events: Events,
  call: BatchCall,
): AsyncGenerator<StreamEventsResponse> {
  const window = new FrameWindow(events, call);
  void window.read(frames);
  yield* window.answers();
}

class FrameWindow {
  readonly #events: Events;
  readonly #call: BatchCall;
  readonly #ready: { response: StreamEventsResponse; size: number }[] = [];
  /** The end of each machine's line; a machine without events under way has none. */
  readonly #lines = new Map<string, Promise<void>>();
  #frameCount = 0;
  #eventCount = 0;
  #inputEnded = false;
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(events: Events, call: BatchCall) {
    this.#events = events;
    this.#call = call;
    call.signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** Reads while there is room. Never rejects: a failure is thrown by `answers`. */
  async read(frames: AsyncIterable<StreamEventsRequest>): Promise<void> {
    try {
      for await (const frame of frames) {
        if (frame.events.length > MAX_BATCH_EVENTS) throw tooManyEvents();
        this.#start(frame);
        while (this.#isFull() && !this.#call.signal.aborted) await this.#change();
        if (this.#call.signal.aborted) throw this.#call.signal.reason;
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#inputEnded = true;
    this.#wake();
  }

  /** What is ready, as it gets ready; after a failure of the input, first what was read before it. */
  async *answers(): AsyncGenerator<StreamEventsResponse> {
    for (;;) {
      for (let next = this.#ready.shift(); next !== undefined; next = this.#ready.shift()) {
        yield next.response;
        this.#frameCount -= 1;
        this.#eventCount -= next.size;
        this.#wake();
      }
      if (this.#call.signal.aborted) throw this.#call.signal.reason;
      if (this.#inputEnded && this.#frameCount === 0) break;
      await this.#change();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #start(frame: StreamEventsRequest): void {
    const { frameId, events } = frame;
    this.#frameCount += 1;
    this.#eventCount += events.length;
    const queue = (key: string, step: () => Promise<void>) => this.#enqueue(key, step);
    void this.#events.sendAll(events, this.#call, queue).then((results) => {
      const response = create(StreamEventsResponseSchema, { frameId, results });
      this.#ready.push({ response, size: events.length });
      this.#wake();
    });
  }

  #enqueue(key: string, step: () => Promise<void>): Promise<void> {
    const before = this.#lines.get(key) ?? Promise.resolve();
    const line = before.then(step).finally(() => {
      if (this.#lines.get(key) === line) this.#lines.delete(key);
    });
    this.#lines.set(key, line);
    return line;
  }

  #isFull(): boolean {
    return this.#frameCount >= MAX_FRAMES || this.#eventCount >= MAX_EVENTS;
  }

  /** Resolves at the next change of anything above; both sides may wait at once. */
  #change(): Promise<void> {
    const before = this.#wake;
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = () => {};
        before();
        resolve();
      };
    });
  }
}

function tooManyEvents(): Fault {
  return Fault.invalidField('events', `holds more than ${MAX_BATCH_EVENTS} events; send more frames`);
}
