/**
 * What the HTTP port answers, over HTTP/1.1 and HTTP/2 alike: rpcs by Connect, gRPC-Web, JSON and gRPC;
 * `/healthz` (the process is up), `/readyz` (it can serve) and `/metrics`. Pages of other origins are
 * kept out unless they are listed: their requests are refused, not only their answers hidden.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from '@connectrpc/connect-node';
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticator.js';
import { METRICS_NAME, METRICS_NEED } from '../auth/rules.js';
import { Fault } from '../fault.js';
import { watchArrival } from './arrival.js';
import { authorizationIn } from './authorization.js';
import { accessOf, type Caller } from './caller.js';
import { contextWith, mountConnect } from './connect.js';
import { withDetails } from './connect-errors.js';
import { CrossOrigin } from './cross-origin.js';
import { takeTimeoutMs } from './deadline.js';
import type { Failure } from './failure.js';
import type { HealthBook } from './health.js';
import type { Limits } from './limits.js';
import type { LineShares } from './line-shares.js';
import type { Metrics } from './metrics.js';
import { peerOf } from './peers.js';
import { sendFault, sendJson } from './refusal.js';
import type { Rpc } from './rpc.js';
import { codeOf, domainOf } from './status.js';

export interface WebOptions {
  readonly rpcs: readonly Rpc[];
  readonly limits: Limits;
  readonly corsOrigins: readonly string[];
  readonly health: HealthBook;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly lines: LineShares;
  /** Undefined = nobody is asked who they are. */
  readonly authenticator?: Authenticator | undefined;
}

// Nothing that is served here is a page: a browser shall run, frame, guess and keep none of it.
const SAFETY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

export class Web {
  readonly #options: WebOptions;
  readonly #rpcs: ReadonlyMap<string, Rpc>;
  readonly #handlers: Map<string, UniversalHandler>;
  readonly #crossOrigin: CrossOrigin;
  #isDraining = false;

  constructor(options: WebOptions) {
    this.#options = options;
    this.#rpcs = new Map(options.rpcs.map((rpc) => [`/${rpc.name}`, rpc]));
    this.#handlers = mountConnect(options.rpcs, options.limits);
    this.#crossOrigin = new CrossOrigin(options.corsOrigins);
  }

  /** For a server of either HTTP; it must not throw, whatever is sent. */
  readonly listener = (request: IncomingMessage, response: ServerResponse): void => {
    for (const [name, value] of Object.entries(SAFETY_HEADERS)) response.setHeader(name, value);
    this.#endConnectionAfter(request, response);
    this.#answer(request, response).catch((error: unknown) => this.#abandon(error, request, response));
  };

  /** From now on an HTTP/1.1 connection ends with its answer. */
  drain(): void {
    this.#isDraining = true;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const refusal = this.#crossOrigin.admit(request, response);
    if (refusal === 'answered') return;
    const domain = domainOf(path.slice(1));
    if (refusal !== undefined) return sendFault(response, refusal, { domain, type: undefined });
    const caller = { authorization: authorizationIn(request.rawHeaders), peer: peerOf(request.socket) };
    const handler = this.#handlers.get(path);
    if (handler !== undefined) return this.#call(handler, path, caller, request, response);
    if (path === '/healthz') return sendJson(response, 200, { status: 'up' });
    if (path === '/readyz') return this.#sendReadiness(response);
    if (path === '/metrics') return this.#sendMetrics(caller, response);
    const type = request.headers['content-type'];
    // Connect's clients know what 404 means, whatever the shape of the call.
    sendFault(response, notServed(path), {
      domain,
      type: type?.startsWith('application/grpc') ? type : undefined,
    });
  }

  async #call(
    handler: UniversalHandler,
    path: string,
    caller: Caller,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    // The library reads the request before it calls the handler.
    const rpc = this.#rpcs.get(path) as Rpc;
    const refused = this.#options.authenticator && rpc.refuse(caller);
    if (refused !== undefined) return sendFailure(refused, request, response);
    this.#watchArrival(rpc, caller, request, response);
    const context = contextWith(takeTimeoutMs(request.headers), caller);
    const universal = universalRequestFromNodeRequest(request, response, undefined, context);
    const answer = await handler(universal);
    const domain = domainOf(handler.service.typeName);
    await universalResponseToNodeResponse(await withDetails(answer, domain), response);
  }

  #watchArrival(rpc: Rpc, caller: Caller, request: IncomingMessage, response: ServerResponse): void {
    const { stream } = request as unknown as Partial<Http2ServerRequest>;
    if (stream === undefined) return;
    const startMs = performance.now();
    watchArrival(rpc, stream, this.#options.limits.requestTimeoutMs, () => {
      sendFailure(rpc.overdue(caller, startMs), request, response);
      stream.close();
    });
  }

  #sendReadiness(response: ServerResponse): void {
    const services = this.#options.health.all();
    const isReady = this.#options.health.isServing('') === true;
    delete services[''];
    sendJson(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', services });
  }

  async #sendMetrics(caller: Caller, response: ServerResponse): Promise<void> {
    try {
      const { authenticator } = this.#options;
      if (authenticator !== undefined) accessOf(authenticator, METRICS_NEED, caller).require(METRICS_NAME);
    } catch (error) {
      return this.#refuseMetrics(error, caller, response);
    }
    const { registry } = this.#options.metrics;
    const text = await registry.metrics();
    response.writeHead(200, { 'content-type': registry.contentType }).end(text);
  }

  #refuseMetrics(error: unknown, { peer }: Caller, response: ServerResponse): void {
    if (!(error instanceof Fault)) throw error;
    const { reason, facts, message } = error;
    const { log, lines } = this.#options;
    if (lines.take(codeOf(error), { client: facts.client ?? null, address: peer.address }))
      log.info({ url: '/metrics', reason, facts, address: peer.address }, message);
    if (error.kind === 'unauthenticated')
      response.setHeader('www-authenticate', 'Basic realm="switchgear", charset="UTF-8"');
    sendFault(response, error, { domain: 'switchgear.server', type: undefined });
  }

  /** The caller has gone, or asked in a way that has no answer. */
  #abandon(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    if (response.headersSent || response.destroyed) return void response.destroy();
    this.#options.log.debug({ err: error, url: request.url }, 'request cannot be answered');
    sendJson(response, 400, { code: 'invalid_argument', message: 'the request cannot be read' });
  }

  #endConnectionAfter(request: IncomingMessage, response: ServerResponse): void {
    if (request.httpVersionMajor !== 1) return;
    if (this.#isDraining) response.setHeader('connection', 'close');
    response.once('finish', () => {
      if (this.#isDraining) request.socket.end();
    });
  }
}

function sendFailure({ fault, domain }: Failure, request: IncomingMessage, response: ServerResponse): void {
  sendFault(response, fault, { domain, type: request.headers['content-type'] });
}

function notServed(path: string): Fault {
  const method = path.slice(1, 1 + 256);
  return new Fault('NOT_SERVED', `this server does not serve ${method}`, { facts: { method } });
}
