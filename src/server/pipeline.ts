/**
 * What happens around every handler, once for both ports: one signal for deadline, cancellation and
 * drain; who calls, and what that caller may do; validation; the handler; what it threw becomes a status;
 * duration and code are counted; a failed call is one line in the log. The transports before it know
 * bytes, the handlers behind it know messages, and neither knows the other.
 *
 * The hot path is a unary call that succeeds: one object per call, one promise, no closure, no timer of
 * its own, and a signal only when the handler asks for it. Server processor time a call, of which
 * validation is a third of what is added (test/bench/echo.ts): grpc-js with bytes 58 us, with messages
 * 64 us, through here 69 us.
 */
import { randomUUID } from 'node:crypto';
import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticator.js';
import type { ClientAccess } from '../auth/client.js';
import { BY_HANDLER, type Rule, ruleOf } from '../auth/rules.js';
import type { ServiceBinding, Validate } from '../call.js';
import { Fault } from '../fault.js';
import { Audit } from './audit.js';
import { CallList } from './call-list.js';
import { RequestStream, ResponseStream } from './call-streams.js';
import { accessOf, type Caller, objectionTo } from './caller.js';
import { UNARY_DEADLINE_MAX_MS, unreadableTimeout } from './deadline.js';
import { type Failure, logUnforeseen, toFailure } from './failure.js';
import type { RpcLatency } from './latency-histogram.js';
import { DEFAULT_LIMITS } from './limits.js';
import { type LineLimits, LineShares } from './line-shares.js';
import type { Metrics } from './metrics.js';
import type { OpenCall } from './open-call.js';
import { RefusedCall } from './refusal.js';
import { type CodeName, domainOf } from './status.js';
import { TimerWheel } from './timer-wheel.js';

/** A request whose bytes are no message: the transports hand it on in the message's place. */
export class Malformed {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

export interface PipelineOptions {
  readonly validate: Validate;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Undefined = nobody is asked who they are, and everybody may do everything. */
  readonly authenticator?: Authenticator | undefined;
  readonly limits?: Partial<LineLimits> | undefined;
  /** Who may call what; those of the product, unless other services are served. */
  readonly ruleOf?: (method: DescMethod) => Rule;
}

/** All calls of one server. */
export class Pipeline {
  readonly options: PipelineOptions;
  readonly wheel = new TimerWheel();
  /** Who may have how many lines of the log. */
  readonly lines: LineShares;
  readonly #calls = new CallList<OpenCall>();
  readonly #authenticator: Authenticator | undefined;
  readonly #audit: Audit;
  readonly #draining = new Fault('DRAINING', 'the server is stopping; another one will answer');
  #isDraining = false;
  #onIdle: (() => void) | undefined;

  constructor(options: PipelineOptions) {
    this.options = options;
    this.#authenticator = options.authenticator;
    this.#authenticator?.onChange(() => this.#reviewStreams());
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.lines = new LineShares(limits, (left) => options.log.info(left, 'more was refused than is told'));
    this.#audit = new Audit(options.log, limits);
    options.metrics.showLoad({
      callsInFlight: () => this.#calls.size,
      streamsOpen: () => this.#streams().length,
    });
  }

  /** Wraps every rpc of a service. */
  wrap(binding: ServiceBinding): Rpc[] {
    return binding.service.methods.map((method) => {
      const handler = binding.handlers[method.localName];
      if (typeof handler !== 'function') throw new Error(`${method} has no handler`);
      return new Rpc(this, method, (this.options.ruleOf ?? ruleOf)(method), handler as Handler);
    });
  }

  /** Takes a call in; false when it was turned away. */
  admit(call: OpenCall): boolean {
    if (this.#isDraining) {
      call.fail(this.#draining);
      return false;
    }
    if (this.#authenticator !== undefined && !this.identify(call)) return false;
    if (Number.isNaN(call.deadlineMs)) {
      call.fail(unreadableTimeout());
      return false;
    }
    if (call.rpc.isUnary) call.deadlineMs = Math.min(call.deadlineMs, call.startMs + UNARY_DEADLINE_MAX_MS);
    this.#calls.add(call);
    call.watchDeadline();
    return true;
  }

  /** A call has ended. */
  retire(call: OpenCall): void {
    this.wheel.remove(call);
    this.#calls.remove(call);
    const durationMs = performance.now() - call.startMs;
    call.rpc.latency.observe(call.failure?.code ?? 'OK', durationMs);
    if (call.failure !== undefined) this.#log(call.failure, call, durationMs);
    if (call.rpc.isAudited) this.#audit.act(actOf(call, durationMs));
    if (this.#calls.size === 0) this.#onIdle?.();
  }

  /** A handler that failed while cleaning up after its call had ended. */
  report(error: unknown, call: OpenCall): void {
    const { fault } = call.rpc.describe(error, call);
    if (fault.kind === 'internal') logUnforeseen(this.options.log, fault, { rpc: call.rpc.name });
  }

  /** Turns new calls away and tells streams to end; resolves when no call is left, or after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    for (const call of this.#streams()) call.abort(this.#draining);
    if (this.#calls.size > 0) await this.#idle(graceMs);
  }

  /** Ends whatever is still under way. */
  close(): void {
    for (const call of this.#calls.all()) {
      call.abort(this.#draining);
      call.fail(call.abortFault);
    }
    this.wheel.close();
    this.lines.close();
    this.#audit.close();
  }

  /**
   * Asks who calls, and whether that client may call this about anything at all. False when not; the call
   * has failed then, and nothing that it sent was looked at.
   */
  identify(call: OpenCall): boolean {
    const { rule } = call.rpc;
    if (this.#authenticator === undefined || rule.kind === 'open') return true;
    try {
      call.granted = accessOf(this.#authenticator, rule.need, call);
      if (call.granted.isAny) return true;
      call.fail(call.granted.denial());
    } catch (error) {
      call.fail(error);
    }
    return false;
  }

  /** Like `identify`, for a call that there is only if it fails: what it fails as, or undefined. */
  refuse(rpc: Rpc, caller: Caller): Failure | undefined {
    const { rule } = rpc;
    if (this.#authenticator === undefined || rule.kind === 'open') return undefined;
    let granted: ClientAccess | undefined;
    let error: unknown;
    try {
      granted = accessOf(this.#authenticator, rule.need, caller);
      if (granted.isAny) return undefined;
      error = granted.denial();
    } catch (thrown) {
      error = thrown;
    }
    const call = new RefusedCall(rpc, caller);
    call.granted = granted;
    call.fail(error);
    return call.failure;
  }

  /** Ends the streams that would not be let in any more with what they showed, or for what they are about. */
  #reviewStreams(): void {
    const identify = this.#authenticator?.review();
    for (const call of this.#streams()) {
      const fault = identify && call.granted && objectionTo(call.granted, call, call.name, identify);
      if (fault !== undefined) call.end(fault);
    }
  }

  #streams(): OpenCall[] {
    return this.#calls.all().filter((call) => !call.rpc.isUnary);
  }

  #idle(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #log({ fault, code }: Failure, call: OpenCall, durationMs: number): void {
    const { log } = this.options;
    const isRefusal = fault.kind === 'unauthenticated' || fault.kind === 'denied';
    const context = {
      rpc: call.rpc.name,
      code,
      duration_ms: rounded(durationMs),
      ...(isRefusal ? whoseCall(call) : {}),
    };
    if (fault.kind === 'internal') {
      logUnforeseen(log, fault, context);
      return;
    }
    if (!this.#mayTell(code, call)) return;
    const line = { ...context, reason: fault.reason, correlation_id: randomUUID(), facts: fault.facts };
    // A fault is expected: its cause in a few words, not where in the code it came up.
    log.info(fault.cause === undefined ? line : { ...line, cause: messageOf(fault.cause) }, fault.message);
  }

  /** Where callers are asked who they are, those who do not say it do not fill the log with anything. */
  #mayTell(code: CodeName, call: OpenCall): boolean {
    const isOfAnybody = this.#authenticator !== undefined && call.rpc.rule.kind === 'open';
    return isOfAnybody ? this.lines.takeOfAddress(call.peer.address) : this.lines.take(code, whoseCall(call));
  }
}

type Handler = (input: unknown, call: OpenCall) => unknown;

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

function actOf(call: OpenCall, durationMs: number) {
  const code = call.failure?.code ?? ('OK' as const);
  const name = call.name ?? null;
  return { rpc: call.rpc.name, ...whoseCall(call), name, code, duration_ms: rounded(durationMs) };
}

/** Never what the caller said it was: only what was shown. */
function whoseCall({ granted, peer }: OpenCall) {
  return { client: granted?.client.id ?? null, address: peer.address };
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function malformed({ cause }: Malformed, input: DescMessage): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault('MALFORMED_MESSAGE', `the request is not a valid ${input.typeName}`, { cause });
}
