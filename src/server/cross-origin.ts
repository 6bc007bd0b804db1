/**
 * Which web pages may call. A browser says with `Origin` whose page asks; the listed origins may, and
 * this port's own by a name of this machine, any other is refused before a handler runs, with or without
 * CORS. (By any other name the own origin may be a page elsewhere whose name was pointed at this machine
 * after it was loaded: DNS rebinding. Behind a proxy that keeps the name, list it.) A page's POST must also
 * carry a header that only a script may set (`Connect-Protocol-Version`, or a gRPC-Web content type),
 * so that a form never reaches a handler. Callers that are no browser send no `Origin`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { cors } from '@connectrpc/connect';
import { Fault } from '../fault.js';

const PREFLIGHT_MAX_AGE_S = 7_200;
const LOCAL_NAME = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;
const GRPC_TYPE = /^application\/grpc/;

export class CrossOrigin {
  readonly #allowed: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#allowed = new Set(origins);
  }

  /** Undefined = go on; a Fault = refuse; 'answered' = it was a preflight. */
  admit(request: IncomingMessage, response: ServerResponse): Fault | 'answered' | undefined {
    const { origin } = request.headers;
    if (origin === undefined) return undefined;
    response.setHeader('vary', 'Origin');
    if (this.#allowed.has(origin)) allow(response, origin);
    else if (!isOwn(origin, request)) return foreign(origin);
    if (request.method === 'OPTIONS') return answerPreflight(response);
    return request.method === 'POST' && !isByScript(request) ? unmarked() : undefined;
  }
}

function isOwn(origin: string, { headers, socket }: IncomingMessage): boolean {
  const host = String(headers.host ?? headers[':authority']);
  if (!LOCAL_NAME.test(host)) return false;
  // A page that came in plaintext is none of a port that speaks TLS; the other way round it came by a proxy.
  const isTls = (socket as Partial<TLSSocket>).encrypted === true;
  return origin === `https://${host}` || (!isTls && origin === `http://${host}`);
}

function isByScript({ headers }: IncomingMessage): boolean {
  return headers['connect-protocol-version'] !== undefined || GRPC_TYPE.test(headers['content-type'] ?? '');
}

function allow(response: ServerResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-expose-headers', cors.exposedHeaders.join(', '));
  response.setHeader('cross-origin-resource-policy', 'cross-origin');
}

function answerPreflight(response: ServerResponse): 'answered' {
  response.writeHead(204, {
    'access-control-allow-methods': cors.allowedMethods.join(', '),
    'access-control-allow-headers': [...cors.allowedHeaders, 'Authorization'].join(', '),
    'access-control-max-age': String(PREFLIGHT_MAX_AGE_S),
  });
  response.end();
  return 'answered';
}

function foreign(origin: string): Fault {
  const facts = { origin: origin.slice(0, 256) };
  return new Fault('ORIGIN_REFUSED', 'pages of this origin may not call; the server lists those that may', {
    facts,
  });
}

function unmarked(): Fault {
  return new Fault('ORIGIN_REFUSED', 'a page must send the header Connect-Protocol-Version');
}
