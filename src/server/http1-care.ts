/**
 * How long an HTTP/1.1 connection may live: as long as one of HTTP/2 (session-care.ts). Node looks after slow
 * and idle ones; what is left is age, and being told to go. Nothing in HTTP/1.1 says goodbye between calls, so
 * the answer to a call says it, with `connection: close`.
 */
import type { Server as Http1Server, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Limits } from './limits.js';
import { onToldToGo } from './peers.js';
import { ageMsOf } from './session-care.js';

/** Takes care of every connection of a server from now on. */
export function careForHttp1(server: Http1Server, limits: Limits): void {
  const watches = new WeakMap<Socket, ConnectionWatch>();
  server.on('connection', (socket: Socket) => watches.set(socket, new ConnectionWatch(socket, limits)));
  // Before whatever answers: its first words are too late for a header.
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) =>
    watches.get(socket)?.count(response),
  );
}

class ConnectionWatch {
  readonly #socket: Socket;
  readonly #limits: Limits;
  readonly #age: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;
  /** Not answered in full; more than one when the caller does not wait for answers. */
  readonly #answers = new Set<ServerResponse>();

  constructor(socket: Socket, limits: Limits) {
    this.#socket = socket;
    this.#limits = limits;
    this.#age = setTimeout(() => this.#retire(), ageMsOf(socket, limits)).unref();
    onToldToGo(socket, () => {
      this.#retire();
      // Whatever is on its way there would be refused.
      if (this.#answers.size === 0) socket.end();
    });
    socket.once('close', () => {
      clearTimeout(this.#age);
      clearTimeout(this.#grace);
    });
  }

  count(response: ServerResponse): void {
    this.#answers.add(response);
    response.once('close', () => this.#answers.delete(response));
    if (this.#isRetired) response.setHeader('connection', 'close');
  }

  get #isRetired(): boolean {
    return this.#grace !== undefined;
  }

  /** One that nobody uses stays for its next call, which may be on its way: Node closes it when none comes. */
  #retire(): void {
    this.#grace ??= setTimeout(() => this.#socket.destroy(), this.#limits.connectionAgeGraceMs).unref();
    for (const answer of this.#answers) if (!answer.headersSent) answer.setHeader('connection', 'close');
  }
}
