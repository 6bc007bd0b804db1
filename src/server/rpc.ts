/**
 * One rpc with everything around its handler: the four shapes of a call, who may go on, what a request must
 * keep to, and what becomes of what is thrown. The calls themselves are the pipeline's.
 */
import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { BY_HANDLER, type Rule } from '../auth/rules.js';
import { type Access, EVERYTHING, NOTHING } from '../call.js';
import { Fault } from '../fault.js';
import { RequestStream, ResponseStream } from './call-streams.js';
import type { Caller } from './caller.js';
import { type Failure, toFailure } from './failure.js';
import type { RpcLatency } from './latency-histogram.js';
import type { OpenCall } from './open-call.js';
import type { Pipeline } from './pipeline.js';
import { RefusedCall } from './refusal.js';
import { domainOf } from './status.js';

/** A request whose bytes are no message: the transports hand it on in the message's place. */
export class Malformed {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

export type Handler = (input: unknown, call: OpenCall) => unknown;

/** One rpc: its handler with everything around it. */
export class Rpc {
  readonly pipeline: Pipeline;
  readonly method: DescMethod;
  /** `switchgear.fsm.v1.FsmService/SendEvent` */
  readonly name: string;
  readonly isUnary: boolean;
  readonly rule: Rule;
  /** Whether every call of it is an administrative act. */
  readonly isAudited: boolean;
  /** What a caller may do of whom nothing is known. */
  readonly accessOfAnybody: Access;
  readonly latency: RpcLatency;
  readonly #domain: string;
  readonly #handler: Handler;

  constructor(pipeline: Pipeline, method: DescMethod, rule: Rule, handler: Handler) {
    this.pipeline = pipeline;
    this.method = method;
    this.name = `${method.parent.typeName}/${method.name}`;
    this.isUnary = method.methodKind === 'unary';
    this.latency = pipeline.options.metrics.latencyOf(this.name);
    this.rule = rule;
    this.isAudited = rule.kind !== 'open' && rule.need.verb === 'manage';
    this.accessOfAnybody = rule.kind === 'open' || !pipeline.asksWho ? EVERYTHING : NOTHING;
    this.#domain = domainOf(method.parent.typeName);
    this.#handler = handler;
  }

  /**
   * Refuses a call for whose it is, before anything of its request is read; undefined = it may be read. Both
   * ports ask as soon as they have the headers. Who may go on is asked once more when the request is there:
   * by then the caller may have lost what it had.
   */
  refuse(caller: Caller): Failure | undefined {
    return this.pipeline.refuse(this, caller);
  }

  /** How a call fails whose request does not arrive. `startMs` is when it began, by performance.now(). */
  overdue(caller: Caller, startMs: number): Failure {
    const call = new RefusedCall(this, caller, startMs);
    if (this.pipeline.identify(call))
      call.fail(new Fault('DEADLINE_EXCEEDED', 'the request took too long to arrive'));
    return call.failure as Failure;
  }

  async unary(call: OpenCall, request: unknown): Promise<void> {
    if (!this.pipeline.admit(call)) return;
    try {
      this.#admitRequest(call, request);
      call.succeed(await this.#handler(request, call));
    } catch (error) {
      call.fail(error);
    }
  }

  async clientStream(call: OpenCall, requests: AsyncIterable<unknown>): Promise<void> {
    if (!this.pipeline.admit(call)) return;
    try {
      call.succeed(await this.#handler(new RequestStream(call, requests), call));
    } catch (error) {
      call.fail(error);
    }
  }

  /** The answers end with the call; how it failed, if it did, is in `call.failure`. */
  serverStream(call: OpenCall, request: unknown): AsyncIterable<unknown> {
    return new ResponseStream(call, () => {
      this.#admitRequest(call, request);
      return this.#handler(request, call) as AsyncIterable<unknown>;
    });
  }

  bidi(call: OpenCall, requests: AsyncIterable<unknown>): AsyncIterable<unknown> {
    const input = new RequestStream(call, requests);
    return new ResponseStream(call, () => this.#handler(input, call) as AsyncIterable<unknown>);
  }

  /** Throws unless the one request of a call is right and about something that the caller is granted. */
  #admitRequest(call: OpenCall, request: unknown): void {
    this.check(request);
    if (call.granted === undefined && !this.isAudited) return;
    const name = this.rule.kind === 'named' ? this.rule.nameIn(request as never) : BY_HANDLER;
    if (name === BY_HANDLER) return;
    call.name = name;
    call.access.require(name);
  }

  /** Throws unless a request is a message that keeps to its proto. */
  check(request: unknown): void {
    if (request instanceof Malformed) throw malformed(request, this.method.input);
    const violations = this.pipeline.options.validate(this.method.input, request as never);
    if (violations.length === 0) return;
    const [first] = violations;
    const message = `${first?.field}: ${first?.description}`;
    throw new Fault('INVALID_FIELD', message, { violations });
  }

  /** What becomes of something thrown. */
  describe(error: unknown, call: OpenCall): Failure {
    return toFailure(error, call.abortFault, this.#domain);
  }
}

function malformed({ cause }: Malformed, input: DescMessage): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault('MALFORMED_MESSAGE', `the request is not a valid ${input.typeName}`, { cause });
}
