/**
 * A listening TCP port with a cap on connections, in all and per network. It accepts, counts, speaks TLS
 * if it is to, leaves on the socket who is at its other end, and hands it on; what speaks on it is the
 * owner's matter. grpc-js and Node's servers can listen for themselves, but none of them counts by address,
 * and the HTTP port must look at the first bytes before it knows which server is meant. Handing a socket
 * on costs nothing per call.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { isLoopback } from '../config-checks.js';
import { ConnectionCounts } from './connection-counts.js';
import type { Limits } from './limits.js';
import { addressOf, leavePeer } from './peers.js';
import type { Tls } from './tls.js';

export interface PortOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: Limits;
  /** Undefined = plaintext. */
  readonly tls: Tls | undefined;
  /** What may be spoken under TLS, the preferred first. */
  readonly protocols: readonly string[];
  /** Gets each connection, under TLS once its handshake is done. `peerOf` knows its peer. */
  readonly onSocket: (socket: Socket) => void;
}

export class Port {
  readonly #server: Server;
  readonly #options: PortOptions;
  /** What a counted connection goes to. */
  readonly #handOn: (socket: Socket) => void;
  readonly #sockets = new Set<Socket>();
  readonly #counts: ConnectionCounts;

  constructor(options: PortOptions) {
    this.#options = options;
    this.#counts = new ConnectionCounts(options.limits.connectionsPerAddress);
    const { tls, protocols, onSocket } = options;
    this.#handOn = tls === undefined ? plain(onSocket) : tls.front(protocols, onSocket);
    this.#server = createServer({ noDelay: true, pauseOnConnect: false }, (socket) => this.#accept(socket));
    // Beyond this Node closes a connection before anything is made for it.
    this.#server.maxConnections = options.limits.connections;
  }

  /** Resolves to `host:port`; rejects with one line that says what is in the way. */
  listen(): Promise<string> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(refusal(error, host, port)));
      this.#server.listen({ host, port }, () => {
        // A connection that breaks while it is accepted is no reason to stop accepting.
        this.#server.removeAllListeners('error').on('error', () => {});
        const bound = this.#server.address() as AddressInfo;
        // What a name stands for is known only now.
        if (!isLoopback(host) || isLoopback(bound.address)) return resolve(describe(bound));
        this.#server.close();
        reject(new Error(`${host} is ${bound.address} here, which other machines can reach: say 127.0.0.1`));
      });
    });
  }

  /** Accepts no more; what is open stays open. */
  stopListening(): void {
    this.#server.close();
  }

  /** Resolves when no connection is left. */
  async whenIdle(): Promise<void> {
    await Promise.all(
      Array.from(this.#sockets, (socket) => new Promise((done) => socket.once('close', done))),
    );
  }

  /** Closes every connection, and resolves when they are gone. */
  async close(): Promise<void> {
    const idle = this.whenIdle();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) this.#server.close();
    await idle;
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    if (!this.#counts.take(address)) {
      socket.resetAndDestroy();
      return;
    }
    this.#sockets.add(socket);
    // A caller that resets its connection is no fault of ours; 'close' follows.
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#counts.leave(address);
    });
    this.#handOn(socket);
  }
}

function plain(onSocket: (socket: Socket) => void) {
  return (socket: Socket): void => {
    leavePeer(socket, { address: addressOf(socket), certificate: undefined });
    onSocket(socket);
  };
}

function describe({ address, port, family }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

function refusal(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const why: Record<string, string> = {
    EADDRINUSE: 'something else is listening there',
    EACCES: 'this user may not listen there',
    EADDRNOTAVAIL: 'this machine has no such address',
  };
  return new Error(`cannot listen on ${host}:${port}: ${why[error.code ?? ''] ?? error.message}`, {
    cause: error,
  });
}
