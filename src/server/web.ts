/**
 * What the HTTP port answers, over HTTP/1.1 and HTTP/2 alike: rpcs by Connect, gRPC-Web, JSON and gRPC;
 * `/healthz` (the process is up), `/readyz` (it can serve) and `/metrics`. Pages of other origins are
 * kept out unless they are listed: their requests are refused, not only their answers hidden.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from '@connectrpc/connect-node';
import type { Logger } from 'pino';
import { Fault } from '../fault.js';
import { contextWith, mountConnect } from './connect.js';
import { errorJson, withDetails } from './connect-errors.js';
import { CrossOrigin } from './cross-origin.js';
import { takeTimeoutMs } from './deadline.js';
import type { HealthBook } from './health.js';
import type { Limits } from './limits.js';
import type { Metrics } from './metrics.js';
import type { Rpc } from './pipeline.js';
import { domainOf, faultToStatus, statusBytes } from './status.js';

export interface WebOptions {
  readonly rpcs: readonly Rpc[];
  readonly limits: Limits;
  readonly corsOrigins: readonly string[];
  readonly health: HealthBook;
  readonly metrics: Metrics;
  readonly log: Logger;
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
  readonly #handlers: Map<string, UniversalHandler>;
  readonly #crossOrigin: CrossOrigin;
  #isDraining = false;

  constructor(options: WebOptions) {
    this.#options = options;
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
    if (refusal !== undefined) return sendJson(response, 403, errorJson(refusal, domainOf(path.slice(1))));
    const handler = this.#handlers.get(path);
    if (handler !== undefined) return this.#call(handler, request, response);
    if (path === '/healthz') return sendJson(response, 200, { status: 'up' });
    if (path === '/readyz') return this.#sendReadiness(response);
    if (path === '/metrics') return this.#sendMetrics(response);
    refuseUnknown(request, response, path);
  }

  async #call(handler: UniversalHandler, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const context = contextWith(takeTimeoutMs(request.headers));
    const universal = universalRequestFromNodeRequest(request, response, undefined, context);
    const answer = await handler(universal);
    await universalResponseToNodeResponse(withDetails(answer, domainOf(handler.service.typeName)), response);
  }

  #sendReadiness(response: ServerResponse): void {
    const services = this.#options.health.all();
    const isReady = this.#options.health.isServing('') === true;
    delete services[''];
    sendJson(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', services });
  }

  async #sendMetrics(response: ServerResponse): Promise<void> {
    const { registry } = this.#options.metrics;
    const text = await registry.metrics();
    response.writeHead(200, { 'content-type': registry.contentType }).end(text);
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

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

/** For paths that are no rpc's: gRPC reads its status from headers, everyone else from the body. */
function refuseUnknown(request: IncomingMessage, response: ServerResponse, path: string): void {
  const method = path.slice(1, 1 + 256);
  const domain = domainOf(method);
  const fault = new Fault('NOT_SERVED', `this server does not serve ${method}`, { facts: { method } });
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('application/grpc')) {
    sendJson(response, 404, errorJson(fault, domain));
    return;
  }
  const status = faultToStatus(fault, domain);
  const details = Buffer.from(statusBytes(status)).toString('base64');
  const trailers = { 'grpc-status': status.code, 'grpc-message': encodeURI(status.message) };
  response.writeHead(200, { 'content-type': type, ...trailers, 'grpc-status-details-bin': details }).end();
}
