/**
 * How long an HTTP/2 connection may live, on both ports: it has to finish its handshake in time, answer
 * pings, be used now and then, make room for a rebalance once it is old, and go when it is told to. One timer
 * per connection looks at all of that; nothing happens per call but a counter.
 */
import { constants, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Limits } from './limits.js';
import { onToldToGo, peerOf } from './peers.js';

// GOAWAY with the highest stream id: calls that are just being sent are still served.
const ALL_STREAMS = 2 ** 31 - 1;

/** Takes care of every session of a server from now on. */
export function careForSessions(server: Http2Server, limits: Limits): SessionCare {
  const care = new SessionCare(limits);
  server.on('session', (session) => care.adopt(session));
  return care;
}

export class SessionCare {
  readonly #limits: Limits;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  adopt(session: ServerHttp2Session): void {
    const watch = new SessionWatch(session, this.#limits);
    this.#sessions.add(session);
    // A session that breaks closes; there is nobody to tell.
    session.on('error', () => {});
    session.once('close', () => {
      watch.stop();
      this.#sessions.delete(session);
    });
  }

  /** GOAWAY to everyone: calls under way go on, new ones go elsewhere. */
  drain(): void {
    for (const session of this.#sessions) retire(session);
  }
}

class SessionWatch {
  readonly #session: ServerHttp2Session;
  readonly #limits: Limits;
  readonly #handshake: NodeJS.Timeout;
  readonly #keepalive: NodeJS.Timeout;
  readonly #age: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;
  #streams = 0;
  #idleSinceMs = performance.now();

  constructor(session: ServerHttp2Session, limits: Limits) {
    this.#session = session;
    this.#limits = limits;
    this.#handshake = setTimeout(() => session.destroy(), limits.handshakeTimeoutMs).unref();
    this.#keepalive = setInterval(() => this.#check(), limits.keepaliveIntervalMs).unref();
    this.#age = setTimeout(() => this.#retire(), ageMsOf(session.socket, limits)).unref();
    session.once('remoteSettings', () => clearTimeout(this.#handshake));
    session.on('stream', (stream: ServerHttp2Stream) => this.#count(stream));
    onToldToGo(session.socket, () => this.#retire());
  }

  stop(): void {
    for (const timer of [this.#handshake, this.#keepalive, this.#age, this.#grace]) clearTimeout(timer);
  }

  #count(stream: ServerHttp2Stream): void {
    this.#streams++;
    stream.once('close', () => {
      this.#streams--;
      if (this.#streams === 0) this.#idleSinceMs = performance.now();
    });
  }

  #check(): void {
    if (this.#session.destroyed) return;
    const idleMs = this.#streams > 0 ? 0 : performance.now() - this.#idleSinceMs;
    if (idleMs >= this.#limits.idleMs) this.#retire();
    else this.#ping();
  }

  #ping(): void {
    const overdue = setTimeout(() => this.#session.destroy(), this.#limits.keepaliveTimeoutMs).unref();
    const isSent = this.#session.ping(() => clearTimeout(overdue));
    if (!isSent) clearTimeout(overdue);
  }

  #retire(): void {
    retire(this.#session);
    this.#grace ??= setTimeout(() => this.#session.destroy(), this.#limits.connectionAgeGraceMs).unref();
  }
}

function retire(session: ServerHttp2Session): void {
  if (session.closed || session.destroyed) return;
  session.goaway(constants.NGHTTP2_NO_ERROR, ALL_STREAMS);
  session.close();
}

/** Of what a certificate still has, its connection gets so much: the next one shows what it was renewed to. */
const SHARE_OF_CERTIFICATE = 0.9;

/** How old a connection may become. */
export function ageMsOf(socket: Socket, { connectionAgeMs }: Limits): number {
  const { validToMs = Number.POSITIVE_INFINITY } = peerOf(socket).certificate ?? {};
  const leftMs = (validToMs - Date.now()) * SHARE_OF_CERTIFICATE;
  // One that has ended is refused call by call, and what needs no certificate goes on.
  return leftMs > 0 ? Math.min(jittered(connectionAgeMs), leftMs) : jittered(connectionAgeMs);
}

/** A tenth more or less, so that clients which came together do not leave together. */
function jittered(ms: number): number {
  return ms * (0.9 + Math.random() * 0.2);
}
