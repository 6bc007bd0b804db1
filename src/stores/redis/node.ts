/**
 * One connection to one Redis server. The idea to hold: a command is either certainly unsent (NotSent)
 * or it was written once and is never written again; whoever sends it learns which.
 *
 * What the driver (ioredis 6) does by itself, as read in its source, and how it is kept from it:
 * - it resends unanswered commands after a reconnect unless `autoResendUnfulfilledCommands` is off, and
 *   keeps them waiting for it unless `maxRetriesPerRequest` is 0: then all fail when the socket closes;
 * - it queues what is sent while not connected: `enableOfflineQueue` off, and `ready` is asked first;
 * - its auto-pipelining holds a batch back until the batch before it is answered, so a slow reply stops
 *   what was never sent. Here the socket is corked until the end of the turn of the event loop instead:
 *   as few writes, and nothing waits; the first urgent command of a turn takes along what is held back;
 * - its Cluster client resends whole pipelines, or leaves MOVED to the caller when answers are mixed:
 *   routing is done in router.ts, one command at a time.
 */
import { once } from 'node:events';
import type { ConnectionOptions } from 'node:tls';
import { Command, Redis, type RedisOptions } from 'ioredis';
import { NotSent } from './errors.js';
import type { Script } from './scripts.js';

/** A part of a command: text, or bytes that go as they are. */
export type Argument = string | Buffer;

/** Where a server is. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface NodeOptions {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: number | undefined;
  readonly tls?: ConnectionOptions | undefined;
  /** How long a server may leave commands unanswered before its connection is given up. */
  readonly commandTimeoutMs: number;
}

const MAX_RECONNECT_DELAY_MS = 500;
const CONNECT_TIMEOUT_MS = 2_000;

const TEXT = { replyEncoding: 'utf8' } as const;
const BINARY = { replyEncoding: null } as const;

/** The driver's options for a connection that neither queues nor resends. */
export function driverOptions({ host, port }: Address, options: NodeOptions): RedisOptions {
  return {
    host,
    port,
    db: options.database ?? 0,
    ...(options.username ? { username: options.username } : {}),
    ...(options.password ? { password: options.password } : {}),
    ...(options.tls ? { tls: options.tls } : {}),
    lazyConnect: true,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxLoadingRetryTime: MAX_RECONNECT_DELAY_MS,
    // Replies come in the order of commands, so one timer for the socket is the timeout of each of them.
    socketTimeout: options.commandTimeoutMs,
    retryStrategy: (attempt) => Math.min(50 * attempt, MAX_RECONNECT_DELAY_MS),
  };
}

/** A binary reply comes in Buffers; what is urgent is not held back until the turn of the event loop ends. */
export type SendOptions = Partial<Pick<Script, 'isBinary' | 'isUrgent'>>;

export class Node {
  readonly address: Address;
  readonly #redis: Redis;
  #corked = false;
  /** Whether this turn of the event loop has sent something before its end. */
  #flushed = false;
  #inFlight = 0;
  /** Of the attempts to connect since it was last ready. */
  #lastError: Error | undefined;
  #connecting: Promise<unknown> | undefined;
  readonly #closing = new AbortController();

  constructor(address: Address, options: NodeOptions) {
    this.address = address;
    this.#redis = new Redis(driverOptions(address, options));
    this.#redis.on('error', (error) => {
      this.#lastError = error;
    });
    this.#redis.on('ready', () => {
      this.#lastError = undefined;
    });
    // A failed attempt is followed by the next one; `ready` and `lastError` say how it stands.
    this.#redis.connect().catch(() => {});
  }

  get ready(): boolean {
    return this.#redis.status === 'ready';
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Resolves once commands can be sent; rejects with the first error of an attempt to connect. */
  async connected(): Promise<void> {
    if (this.ready) return;
    if (this.#lastError) throw this.#lastError;
    // One wait for all who ask, or a redirection met by thousands would hang thousands of listeners here.
    this.#connecting ??= once(this.#redis, 'ready', { signal: this.#closing.signal }).finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
  }

  /** Writes a command; rejects with NotSent if it was not written. */
  send(name: string, args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    if (!this.ready) return Promise.reject(new NotSent(this.#lastError?.message ?? 'not connected'));
    return this.#write(name, args, options);
  }

  /** Writes a command to a node that is taking over its slot: the permission goes just before it. */
  sendAsking(name: string, args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    if (!this.ready) return Promise.reject(new NotSent('not connected'));
    // Refused or lost, the command behind it tells.
    this.#write('asking', []).catch(() => {});
    return this.#write(name, args, options);
  }

  /** Calls `listener` whenever the connection is gone. */
  onClose(listener: () => void): void {
    this.#redis.on('close', listener);
  }

  /** Closes at once; what is unanswered fails. */
  close(): void {
    this.#closing.abort(new NotSent('the connection was closed'));
    this.#redis.disconnect();
  }

  #write(name: string, args: readonly Argument[], options?: SendOptions): Promise<unknown> {
    this.#cork();
    const command = new Command(name, args as Argument[], options?.isBinary ? BINARY : TEXT);
    this.#inFlight++;
    const settled = () => {
      this.#inFlight--;
    };
    command.promise.then(settled, settled);
    this.#redis.sendCommand(command);
    if (options?.isUrgent && !this.#flushed) this.#flush();
    return command.promise;
  }

  /** Sends what is held back by now; once a turn, or many claims at once would be as many writes. */
  #flush(): void {
    const { stream } = this.#redis;
    this.#flushed = true;
    stream.uncork();
    stream.cork();
  }

  #cork(): void {
    if (this.#corked) return;
    const { stream } = this.#redis;
    this.#corked = true;
    stream.cork();
    setImmediate(() => {
      this.#corked = false;
      this.#flushed = false;
      stream.uncork();
    });
  }
}
