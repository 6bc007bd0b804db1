/**
 * The HTTP port: HTTP/1.1 and HTTP/2 on one listening port. Under TLS the caller says which it will speak
 * (ALPN). In plaintext nothing does: browsers speak no plaintext HTTP/2 and Node's HTTP/2 server refuses
 * HTTP/1.1, so the first bytes of a connection decide which server gets the socket; so it is under TLS
 * with a caller that knows no ALPN. Both servers answer with the same function (web.ts).
 */
import { createServer as createHttp1Server, type Server as Http1Server } from 'node:http';
import { createServer as createHttp2Server, type Http2Server } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { careForHttp1 } from './http1-care.js';
import type { Limits } from './limits.js';
import { Port } from './port.js';
import { careForSessions, type SessionCare } from './session-care.js';
import type { Tls } from './tls.js';
import type { Web } from './web.js';

// What an HTTP/2 client sends first. 'PRI' is no method of HTTP/1.1, so three bytes are enough to know.
const PREFACE_START = Buffer.from('PRI');
// How often Node looks for HTTP/1.1 requests that take too long.
const CHECKS_PER_TIMEOUT = 4;

export interface HttpPortOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: Limits;
  readonly web: Web;
  /** Undefined = plaintext. */
  readonly tls?: Tls | undefined;
}

export class HttpPort {
  readonly #port: Port;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #care: SessionCare;
  readonly #limits: Limits;
  readonly #web: Web;

  constructor({ host, port, limits, web, tls }: HttpPortOptions) {
    this.#limits = limits;
    this.#web = web;
    this.#http1 = openHttp1(limits, web);
    this.#http2 = openHttp2(limits, web);
    this.#care = careForSessions(this.#http2, limits);
    const onSocket = (socket: Socket) => this.#sort(socket);
    this.#port = new Port({ host, port, limits, tls, protocols: ['h2', 'http/1.1'], onSocket });
  }

  listen(): Promise<string> {
    return this.#port.listen();
  }

  /** No new connections; those there are end after the calls under way. */
  drain(): void {
    this.#port.stopListening();
    this.#web.drain();
    this.#care.drain();
    this.#http1.closeIdleConnections();
  }

  /** Resolves when no connection is left. */
  whenIdle(): Promise<void> {
    return this.#port.whenIdle();
  }

  async close(): Promise<void> {
    // Stops its timer; it never listened, so there is nothing else to close.
    this.#http1.close(() => {});
    await this.#port.close();
  }

  #sort(socket: Socket): void {
    const agreed = (socket as Partial<TLSSocket>).alpnProtocol;
    if (typeof agreed === 'string') this.#serve(socket, agreed === 'h2');
    else this.#look(socket);
  }

  #serve(socket: Socket, isHttp2: boolean): void {
    (isHttp2 ? this.#http2 : this.#http1).emit('connection', socket);
  }

  #look(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#limits.handshakeTimeoutMs).unref();
    socket.once('close', () => clearTimeout(timer));
    let seen: Buffer = Buffer.alloc(0);
    const look = (): void => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      seen = Buffer.concat([seen, chunk]);
      const isHttp2 = PREFACE_START.subarray(0, seen.length).equals(seen.subarray(0, PREFACE_START.length));
      // One or two bytes that could begin either: wait for more, while the timer runs. They are kept here,
      // since bytes that are put back are offered again at once.
      if (isHttp2 && seen.length < PREFACE_START.length) return;
      clearTimeout(timer);
      socket.removeListener('readable', look);
      socket.unshift(seen);
      // Node's HTTP/2 refuses a socket under TLS on which that was not agreed.
      if (isHttp2 && 'alpnProtocol' in socket) socket.alpnProtocol = 'h2';
      this.#serve(socket, isHttp2);
    };
    socket.on('readable', look);
  }
}

function openHttp1(limits: Limits, web: Web): Http1Server {
  const server = createHttp1Server(
    {
      maxHeaderSize: limits.metadataMaxBytes,
      headersTimeout: limits.handshakeTimeoutMs,
      // A request that is still being sent when its answer would be overdue is not worth waiting for.
      requestTimeout: Math.max(limits.requestTimeoutMs, limits.handshakeTimeoutMs),
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.ceil(limits.handshakeTimeoutMs / CHECKS_PER_TIMEOUT),
    },
    web.listener,
  );
  careForHttp1(server, limits);
  // Node starts looking for overdue requests when a server listens; this one is only handed sockets.
  server.emit('listening');
  return server;
}

function openHttp2(limits: Limits, web: Web): Http2Server {
  const settings = {
    maxConcurrentStreams: limits.streamsPerConnection,
    maxHeaderListSize: limits.metadataMaxBytes,
  };
  return createHttp2Server({ maxSessionMemory: limits.sessionMemoryMb, settings }, web.listener as never);
}
