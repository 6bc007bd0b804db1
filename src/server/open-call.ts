/**
 * One call under way, whichever port it came by: what its handler sees (Call), the clock that ends it
 * and the one place where it ends. A transport extends it with how an answer is sent. A call ends exactly
 * once, by its answer, its failure, its deadline, its caller's leaving or the drain, and everything that
 * happens afterwards is ignored.
 */
import type { ClientAccess } from '../auth/client.js';
import type { Peer } from '../auth/peer.js';
import type { Access, Call } from '../call.js';
import { Fault } from '../fault.js';
import { CallSignal } from './call-signal.js';
import type { Caller } from './caller.js';
import { marginMs } from './deadline.js';
import type { Failure } from './failure.js';
import type { Rpc } from './rpc.js';
import { TICK_MS, WheelEntry } from './timer-wheel.js';

export abstract class OpenCall extends WheelEntry implements Call, Caller {
  readonly rpc: Rpc;
  /** By performance.now(). */
  readonly startMs: number;
  /** By performance.now(). */
  deadlineMs: number;
  /** Why the handler was told to stop, if it was. */
  abortFault: Fault | undefined = undefined;
  /** How the call failed, if it did. */
  failure: Failure | undefined = undefined;
  ended = false;
  /** In the pipeline's list of calls. */
  place = -1;
  /** What the caller is granted; undefined = nobody was asked who they are, or could not show it. */
  granted: ClientAccess | undefined = undefined;
  /** The one name that the request is about, once the pipeline has looked. */
  name: string | undefined = undefined;
  /** Trailers to send with the status. */
  trailers: [name: string, value: string][] | undefined = undefined;
  /** For streams: what else has to stop when the call ends. */
  onEnd: (() => void) | undefined = undefined;
  #signal: CallSignal | undefined = undefined;

  constructor(rpc: Rpc, timeoutMs: number, startMs = performance.now()) {
    super();
    this.rpc = rpc;
    this.startMs = startMs;
    this.deadlineMs = this.startMs + timeoutMs;
  }

  /** What the transport knows of the other end; asked only where it matters who calls. */
  abstract get authorization(): string | undefined;
  abstract get peer(): Peer;

  /** Sends the answer of a unary call. Throws a Fault if it cannot be sent, and nothing was. */
  protected abstract reply(response: unknown): void;
  /** Sends the end of a call: its failure, or for a stream its success. */
  protected abstract close(failure: Failure | undefined): void;

  get access(): Access {
    return this.granted ?? this.rpc.accessOfAnybody;
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      this.#signal = new CallSignal();
      if (this.abortFault !== undefined) this.#signal.abort(this.abortFault);
    }
    return this.#signal;
  }

  setTrailer(name: string, value: string): void {
    this.trailers ??= [];
    this.trailers.push([name, value]);
  }

  /** Tells the handler to stop; the first reason stays. */
  abort(fault: Fault): void {
    if (this.ended || this.abortFault !== undefined) return;
    this.abortFault = fault;
    this.#signal?.abort(fault);
  }

  /** The caller has gone: nobody waits for the handler's answer. */
  cancel(): void {
    if (this.ended) return;
    this.end(new Fault('CANCELLED', 'the caller cancelled the call'));
  }

  /** Ends the call at once, whatever its handler is at. */
  end(fault: Fault): void {
    this.abort(fault);
    this.fail(this.abortFault);
  }

  /** Puts the call's deadline on the wheel; the first time round only the handler is told. */
  watchDeadline(): void {
    const margin = marginMs(this.deadlineMs - this.startMs);
    if (this.deadlineMs < Infinity) this.rpc.pipeline.wheel.add(this, this.deadlineMs - margin - TICK_MS);
  }

  override expire(): void {
    if (this.ended) return;
    this.abort(new Fault('DEADLINE_EXCEEDED', 'the deadline passed before the call was done'));
    if (performance.now() >= this.deadlineMs) this.fail(this.abortFault);
    else this.rpc.pipeline.wheel.add(this, this.deadlineMs);
  }

  /** Ends a unary or client streaming call with its answer. */
  succeed(response: unknown): void {
    if (this.ended) return;
    try {
      this.reply(response);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#end();
  }

  /** Ends a stream of answers well. */
  complete(): void {
    if (this.ended) return;
    this.#end();
    this.close(undefined);
  }

  /** Ends the call with whatever was thrown. */
  fail(error: unknown): void {
    if (this.ended) return;
    this.failure = this.rpc.describe(error, this);
    this.#end();
    this.close(this.failure);
  }

  #end(): void {
    this.ended = true;
    this.rpc.pipeline.retire(this);
    // A handler that is still at work has nobody left to work for.
    if (this.failure !== undefined && this.abortFault === undefined) {
      this.abortFault = this.failure.fault;
      this.#signal?.abort(this.abortFault);
    }
    this.onEnd?.();
  }
}
