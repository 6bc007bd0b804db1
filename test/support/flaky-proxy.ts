/**
 * A TCP proxy before any engine, which fails in the ways that networks do. The one that matters most:
 * a request is passed on and executed, and the connection is cut before a byte of its reply arrives.
 */
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { deferred } from './waiting.js';

/** `pause`: bytes wait. `refuse`: new connections are closed at once. */
export type ProxyMode = 'pass' | 'pause' | 'refuse';

interface Trap {
  matches(requestBytes: Buffer): boolean;
  spring(): void;
}

interface Link {
  readonly client: Socket;
  readonly upstream: Socket;
  /** Set when a trapped request went through: its reply must not. */
  doomed: Trap | undefined;
}

export class FlakyProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: { host: string; port: number };
  readonly #links = new Set<Link>();
  readonly #traps = new Set<Trap>();
  #mode: ProxyMode = 'pass';

  private constructor(server: Server, port: number, target: { host: string; port: number }) {
    this.#server = server;
    this.port = port;
    this.#target = target;
    server.on('connection', (client) => this.#connect(client));
  }

  /** Listens on a port of the system's choice, before `target`. */
  static async start(target: { host?: string; port: number }): Promise<FlakyProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new FlakyProxy(server, address.port, { host: target.host ?? '127.0.0.1', port: target.port });
  }

  get connections(): number {
    return this.#links.size;
  }

  get mode(): ProxyMode {
    return this.#mode;
  }

  set mode(mode: ProxyMode) {
    this.#mode = mode;
    for (const { client, upstream } of this.#links)
      for (const socket of [client, upstream]) mode === 'pause' ? socket.pause() : socket.resume();
  }

  /** Cuts every connection, both ways, without a farewell. */
  cut(): void {
    for (const link of this.#links) cutLink(link);
  }

  /**
   * Arms one trap: the next request that matches (any, by default) goes to the engine, and when the
   * engine's next bytes on that connection come, they are thrown away and the connection is cut.
   * Resolves when that has happened. With pipelining, replies that are under way are lost with it.
   */
  dropNextReply(matches: (requestBytes: Buffer) => boolean = () => true): Promise<void> {
    const { promise, resolve } = deferred<void>();
    this.#traps.add({ matches, spring: () => resolve() });
    return promise;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }

  #connect(client: Socket): void {
    if (this.#mode === 'refuse') return void client.destroy();
    const link: Link = { client, upstream: createConnection(this.#target), doomed: undefined };
    this.#links.add(link);
    for (const socket of [link.client, link.upstream]) {
      socket.setNoDelay(true);
      if (this.#mode === 'pause') socket.pause();
      // A cut is what this proxy is for; the other end learns of it as its own error.
      socket.on('error', () => {});
      socket.on('close', () => {
        cutLink(link);
        this.#links.delete(link);
      });
    }
    link.client.on('data', (bytes) => this.#request(link, bytes as Buffer));
    link.upstream.on('data', (bytes) => this.#reply(link, bytes as Buffer));
  }

  #request(link: Link, bytes: Buffer): void {
    const trap = [...this.#traps].find(({ matches }) => matches(bytes));
    if (trap && !link.doomed) {
      this.#traps.delete(trap);
      link.doomed = trap;
    }
    pass(bytes, link.client, link.upstream);
  }

  #reply(link: Link, bytes: Buffer): void {
    if (link.doomed) {
      cutLink(link);
      link.doomed.spring();
    } else pass(bytes, link.upstream, link.client);
  }
}

function cutLink({ client, upstream }: Link): void {
  client.destroy();
  upstream.destroy();
}

/** A slow receiver holds back the sender, so that nothing piles up here. */
function pass(bytes: Buffer, from: Socket, to: Socket): void {
  if (to.write(bytes)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
