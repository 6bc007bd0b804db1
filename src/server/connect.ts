/**
 * Connect, gRPC-Web and JSON (and gRPC once more) on connect-node: the same rpcs as on the gRPC port,
 * mounted on connect's router. What the library would decide by itself and differently on each protocol
 * is taken from it: timeouts (deadline.ts), and what an error looks like (connect-errors.ts).
 */
import {
  ConnectError,
  type ConnectRouter,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { compressionGzip } from '@connectrpc/connect-node';
import type { Caller } from './caller.js';
import { connectError, faultOf } from './connect-errors.js';
import type { Failure } from './failure.js';
import type { Limits } from './limits.js';
import { OpenCall } from './open-call.js';
import type { Rpc } from './rpc.js';

const TIMEOUT_KEY = createContextKey(Number.POSITIVE_INFINITY, { description: 'timeout in ms' });
const NOBODY: Caller = { authorization: undefined, peer: { address: '', certificate: undefined } };
const CALLER_KEY = createContextKey(NOBODY, { description: 'who calls' });

/** The rpcs by path. */
export function mountConnect(rpcs: readonly Rpc[], limits: Limits): Map<string, UniversalHandler> {
  const router = createConnectRouter({
    // Browsers set the header and http-port.ts insists on it for them; curl need not.
    requireConnectProtocolHeader: false,
    writeMaxBytes: limits.sendMaxBytes,
    acceptCompression: [compressionGzip],
    jsonOptions: { ignoreUnknownFields: false },
  });
  for (const rpc of rpcs) mount(router, rpc, limits);
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}

/** Hands a request's timeout, and what is known of its caller, to its handler. */
export function contextWith(timeoutMs: number, caller: Caller) {
  return createContextValues().set(TIMEOUT_KEY, timeoutMs).set(CALLER_KEY, caller);
}

function mount(router: ConnectRouter, rpc: Rpc, { receiveMaxBytes, openReceiveMaxBytes }: Limits): void {
  const readMaxBytes = rpc.rule.kind === 'open' ? openReceiveMaxBytes : receiveMaxBytes;
  router.rpc(rpc.method, implementation(rpc) as never, { readMaxBytes });
}

function implementation(rpc: Rpc): unknown {
  switch (rpc.method.methodKind) {
    case 'unary':
      return (request: unknown, context: HandlerContext) =>
        answer(rpc, context, (call) => rpc.unary(call, request));
    case 'client_streaming':
      return (requests: AsyncIterable<unknown>, context: HandlerContext) =>
        answer(rpc, context, (call) => rpc.clientStream(call, readable(requests)));
    case 'server_streaming':
      return (request: unknown, context: HandlerContext) =>
        stream(rpc, context, (call) => rpc.serverStream(call, request));
    case 'bidi_streaming':
      return (requests: AsyncIterable<unknown>, context: HandlerContext) =>
        stream(rpc, context, (call) => rpc.bidi(call, readable(requests)));
  }
}

/** A call with one answer, as a promise of it. */
function answer(rpc: Rpc, context: HandlerContext, run: (call: OpenCall) => Promise<void>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    void run(new ConnectCall(rpc, context, resolve, reject));
  });
}

/** A call with a stream of answers, asked for one by one as the caller reads them. */
async function* stream(rpc: Rpc, context: HandlerContext, run: (call: OpenCall) => AsyncIterable<unknown>) {
  const call = new ConnectCall(rpc, context);
  for await (const response of run(call)) yield response;
  if (call.failure !== undefined) throw connectError(call.failure.fault, call.failure.domain);
}

/** Requests, with what the library throws for bytes that are none as a Fault. */
async function* readable(requests: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  try {
    yield* requests;
  } catch (error) {
    throw error instanceof ConnectError ? faultOf(error) : error;
  }
}

class ConnectCall extends OpenCall {
  readonly #context: HandlerContext;
  readonly #resolve: ((response: unknown) => void) | undefined;
  readonly #reject: ((error: ConnectError) => void) | undefined;

  constructor(
    rpc: Rpc,
    context: HandlerContext,
    resolve?: (response: unknown) => void,
    reject?: (error: ConnectError) => void,
  ) {
    super(rpc, context.values.get(TIMEOUT_KEY));
    this.#context = context;
    this.#resolve = resolve;
    this.#reject = reject;
    context.signal.addEventListener('abort', () => this.cancel(), { once: true });
    if (context.signal.aborted) this.cancel();
  }

  override get authorization() {
    return this.#context.values.get(CALLER_KEY).authorization;
  }

  override get peer() {
    return this.#context.values.get(CALLER_KEY).peer;
  }

  protected override reply(response: unknown): void {
    this.#sendTrailers();
    this.#resolve?.(response);
  }

  protected override close(failure: Failure | undefined): void {
    this.#sendTrailers();
    if (failure !== undefined) this.#reject?.(connectError(failure.fault, failure.domain));
  }

  #sendTrailers(): void {
    for (const [name, value] of this.trailers ?? []) this.#context.responseTrailer.append(name, value);
  }
}
