/**
 * Many events under way on one call. Each goes out in the next frame and its promise settles with the
 * answer; what was not answered when the stream breaks rejects with EffectUnknownError, and may be sent
 * again with the same event id on a new stream. When the service no longer takes this caller's word, it
 * rejects with that error, for which no new stream is of use.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import type { FsmService, StreamEventsRequestSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { EffectUnknownError, type SwitchgearError } from './errors.js';
import { toSwitchgearError } from './failure.js';
import {
  type CallControl,
  type Identified,
  present,
  resultOf,
  type SendInit,
  type SendResult,
  withEventId,
} from './sending.js';

/** How many events a frame takes, and how many may be on their way; the service takes no more. */
const FRAME_EVENTS = 200;
const UNANSWERED_EVENTS = 10_000;

type Frame = MessageInitShape<typeof StreamEventsRequestSchema>;

interface Waiting {
  readonly event: Identified;
  settle(result: SendResult): void;
  fail(error: SwitchgearError): void;
}

export class EventStream implements AsyncDisposable {
  /** Not sent yet, in order: those within the bound, then those that wait for room. */
  readonly #queue: Waiting[] = [];
  readonly #underWay = new Map<bigint, Waiting[]>();
  readonly #done: Promise<void>;
  #sentEvents = 0;
  #nextFrame = 1n;
  #closing = false;
  #failure: SwitchgearError | undefined;
  #wakeWriter: () => void = () => {};

  /** @internal use `openEventStream` */
  constructor(rpc: Client<typeof FsmService>, { signal }: CallControl) {
    const answers = rpc.streamEvents(this.#frames(), { ...(signal && { signal }), timeoutMs: 0 });
    this.#done = this.#read(answers);
  }

  /** How many events have no answer yet. Hold back at 10,000: beyond that they wait here, not on their way. */
  get unanswered(): number {
    return this.#queue.length + this.#sentEvents;
  }

  /**
   * Sends one event; resolves with its outcome or its own error, whichever the service answered. Events
   * go out in the order of these calls. At most 10,000 are on their way; the others wait for their turn
   * in the caller's memory (`sendAll` holds its input back instead).
   * @throws EffectUnknownError when the stream broke before the answer; the service's own error when it
   *   refuses these credentials (what was under way by then may have been applied)
   */
  send(request: SendInit): Promise<SendResult> {
    if (this.#closing) return Promise.reject(new TypeError('the stream is closed'));
    if (this.#failure) return Promise.reject(this.#failure);
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
      const room = Math.min(FRAME_EVENTS, UNANSWERED_EVENTS - this.#sentEvents);
      const taken = this.#queue.splice(0, room);
      if (taken.length > 0) {
        const frameId = this.#nextFrame++;
        this.#underWay.set(frameId, taken);
        this.#sentEvents += taken.length;
        yield { frameId, events: taken.map(({ event }) => event) };
      } else if (this.#closing && this.#queue.length === 0) return;
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
    if (results.length !== waiting.length)
      throw new TypeError(
        `frame ${frameId} of ${waiting.length} events was answered ${results.length} times`,
      );
    this.#underWay.delete(frameId);
    this.#sentEvents -= waiting.length;
    for (const [i, { settle }] of waiting.entries()) settle(resultOf(present(results[i])));
    this.#wakeWriter();
  }

  /** The stream has ended: what is unanswered is in doubt, and what was not sent is told the same. */
  #break(error: unknown): void {
    const cause = error === undefined ? undefined : toSwitchgearError(error);
    const message = `the stream ended before the answer${cause ? `: ${cause.message}` : ''}`;
    const facts = {
      message,
      code: 'UNAVAILABLE',
      reason: 'EFFECT_UNKNOWN',
      domain: 'switchgear.fsm',
      metadata: {},
      violations: [],
      retryAfterMs: undefined,
      cause,
    };
    const isRefused = cause?.code === 'UNAUTHENTICATED' || cause?.code === 'PERMISSION_DENIED';
    this.#failure = isRefused ? cause : new EffectUnknownError(facts);
    for (const waiting of [...this.#underWay.values()].flat()) waiting.fail(this.#failure);
    for (const waiting of this.#queue.splice(0)) waiting.fail(this.#failure);
    this.#underWay.clear();
    this.#sentEvents = 0;
    this.#wakeWriter();
  }
}

type StreamResults = Parameters<typeof resultOf>[0][];
