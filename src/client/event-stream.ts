/**
 * Many events under way on one call. Each goes out in the next frame and its promise settles with the
 * answer; what was not answered when the stream breaks rejects with EffectUnknownError, and may be sent
 * again with the same event id on a new stream.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import type { FsmService, StreamEventsRequestSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { EffectUnknownError, type SwitchgearError, toSwitchgearError } from './errors.js';
import type { CallControl, SendInit, SendResult } from './fsm.js';
import { resultOf, withEventId } from './fsm.js';

/** How many events a frame takes, and how many may be unanswered before `send` waits. */
const FRAME_EVENTS = 200;
const UNANSWERED_EVENTS = 10_000;

type Frame = MessageInitShape<typeof StreamEventsRequestSchema>;

interface Waiting {
  readonly event: ReturnType<typeof withEventId>;
  settle(result: SendResult): void;
  fail(error: SwitchgearError): void;
}

export class EventStream implements AsyncDisposable {
  readonly #queue: Waiting[] = [];
  readonly #underWay = new Map<bigint, Waiting[]>();
  readonly #done: Promise<void>;
  #unanswered = 0;
  #nextFrame = 1n;
  #closing = false;
  #failure: SwitchgearError | undefined;
  #wakeWriter: () => void = () => {};
  #wakeSenders: (() => void)[] = [];

  /** @internal use `openEventStream` */
  constructor(rpc: Client<typeof FsmService>, { signal }: CallControl) {
    const answers = rpc.streamEvents(this.#frames(), { ...(signal && { signal }), timeoutMs: 0 });
    this.#done = this.#read(answers);
  }

  /**
   * Sends one event; resolves with its outcome or its own error, whichever the service answered. Waits
   * while 10,000 events are unanswered.
   * @throws EffectUnknownError when the stream broke before the answer
   */
  async send(request: SendInit): Promise<SendResult> {
    while (this.#unanswered >= UNANSWERED_EVENTS && !this.#failure)
      await new Promise<void>((resolve) => this.#wakeSenders.push(resolve));
    if (this.#failure) throw this.#failure;
    if (this.#closing) throw new TypeError('the stream is closed');
    this.#unanswered += 1;
    return new Promise((settle, fail) => {
      this.#queue.push({ event: withEventId(request), settle, fail });
      this.#wakeWriter();
    });
  }

  /** Sends what is queued, waits for every answer, and ends the call. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wakeWriter();
    await this.#done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#frames(): AsyncGenerator<Frame> {
    while (!this.#failure) {
      const taken = this.#queue.splice(0, FRAME_EVENTS);
      if (taken.length > 0) {
        const frameId = this.#nextFrame++;
        this.#underWay.set(frameId, taken);
        yield { frameId, events: taken.map(({ event }) => event) };
      } else if (this.#closing) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve;
        });
    }
  }

  async #read(answers: AsyncIterable<{ frameId: bigint; results: StreamResults }>): Promise<void> {
    try {
      for await (const { frameId, results } of answers) this.#settle(frameId, results);
      this.#break(undefined);
    } catch (error) {
      this.#break(error);
    }
  }

  #settle(frameId: bigint, results: StreamResults): void {
    const waiting = this.#underWay.get(frameId) ?? [];
    this.#underWay.delete(frameId);
    for (const [i, { settle }] of waiting.entries()) {
      const result = results[i];
      if (result) settle(resultOf(result));
    }
    this.#unanswered -= waiting.length;
    for (const wake of this.#wakeSenders.splice(0)) wake();
  }

  /** The stream has ended: whatever is unanswered is in doubt, whatever was not sent did not happen. */
  #break(error: unknown): void {
    const cause = error === undefined ? undefined : toSwitchgearError(error);
    const message = `the stream ended before the answer${cause ? `: ${cause.message}` : ''}`;
    const facts = {
      message,
      code: 'UNAVAILABLE',
      reason: 'EFFECT_UNKNOWN',
      metadata: {},
      violations: [],
      retryAfterMs: undefined,
      cause,
    };
    this.#failure = new EffectUnknownError(facts);
    for (const waiting of [...this.#underWay.values()].flat()) waiting.fail(this.#failure);
    for (const waiting of this.#queue.splice(0)) waiting.fail(this.#failure);
    this.#underWay.clear();
    this.#wakeWriter();
    for (const wake of this.#wakeSenders.splice(0)) wake();
  }
}

type StreamResults = Parameters<typeof resultOf>[0][];
