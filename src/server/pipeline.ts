/**
 * What happens around every handler, once for both ports: one signal for deadline, cancellation and
 * drain; who calls, and what that caller may do; validation; the handler; what it threw becomes a status;
 * duration and code are counted; a failed call is one line in the log. The transports before it know
 * bytes, the handlers behind it know messages, and neither knows the other.
 *
 * The hot path is a unary call that succeeds: one object per call, one promise, no closure, no timer of
 * its own, and a signal only when the handler asks for it. Server processor time a call, in one run of
 * test/bench/echo.ts: grpc-js with bytes 75 us, with messages 83 us, through here 100 us.
 */
import { randomUUID } from 'node:crypto';
import type { DescMethod } from '@bufbuild/protobuf';
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticator.js';
import { type Rule, ruleOf } from '../auth/rules.js';
import type { ServiceBinding, Validate } from '../call.js';
import { Fault } from '../fault.js';
import { Audit } from './audit.js';
import { CallList } from './call-list.js';
import { accessOf, type Caller, objectionTo } from './caller.js';
import { UNARY_DEADLINE_MAX_MS, unreadableTimeout } from './deadline.js';
import { type Failure, logUnforeseen } from './failure.js';
import { DEFAULT_LIMITS } from './limits.js';
import { type LineLimits, LineShares } from './line-shares.js';
import type { Metrics } from './metrics.js';
import type { OpenCall } from './open-call.js';
import { RefusedCall } from './refusal.js';
import { type Handler, Rpc } from './rpc.js';
import type { CodeName } from './status.js';
import { TimerWheel } from './timer-wheel.js';

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

  /** Whether callers are asked who they are. */
  get asksWho(): boolean {
    return this.#authenticator !== undefined;
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
    if (!this.identify(call)) return false;
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
    const objection = this.#objectionTo(call.rpc, call);
    if (objection === undefined) return true;
    call.fail(objection);
    return false;
  }

  /** Like `identify`, for a caller whose call is not made yet; what it fails as, or undefined. */
  refuse(rpc: Rpc, caller: Caller): Failure | undefined {
    const objection = this.#objectionTo(rpc, caller);
    if (objection === undefined) return undefined;
    const call = new RefusedCall(rpc, caller);
    call.fail(objection);
    return call.failure;
  }

  /** What stands against a caller of an rpc, whatever the call is about; leaves with it what it is granted. */
  #objectionTo({ rule }: Rpc, caller: Caller): unknown {
    if (this.#authenticator === undefined || rule.kind === 'open') return undefined;
    try {
      const granted = accessOf(this.#authenticator, rule.need, caller);
      caller.granted = granted;
      return granted.isAny ? undefined : granted.denial();
    } catch (error) {
      return error;
    }
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
