/**
 * Being woken: one subscriber connection for all watches of a process. A writer publishes the flag of
 * its shard, but only while a watcher has set that flag, so an unwatched shard publishes nothing. The
 * idea to hold: a message may be lost (the subscriber reconnects, a Cluster is mending), so it is never
 * the only way: after every reconnect all who wait are told to look, and once a second a few of them.
 */
import { Redis } from 'ioredis';
import { type Address, driverOptions, type NodeOptions } from './node.js';

/** How many waiting shards look by themselves each second, in turn: what a lost message costs. */
const SAFETY_LOOKS_PER_SECOND = 16;
const RECONNECT_DELAY_MS = 200;

export class Wakes {
  readonly #channel: string;
  readonly #options: NodeOptions;
  /** A server to subscribe at; any one of a Cluster hears all. */
  readonly #pick: () => Address | undefined;
  readonly #waiting = new Map<string, Set<() => void>>();
  /** The flags in the order of their safety looks. */
  #turn: string[] = [];
  #subscriber: Redis | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #heard = 0;

  constructor(channel: string, options: NodeOptions, pick: () => Address | undefined) {
    this.#channel = channel;
    this.#options = options;
    this.#pick = pick;
  }

  /** Rises with every message: what was read before the last one may have missed what it was for. */
  get heard(): number {
    return this.#heard;
  }

  /** Calls `look` whenever the shard of `flag` may have changed; returns what ends that. */
  listen(flag: string, look: () => void): () => void {
    const looks = this.#waiting.get(flag) ?? new Set();
    this.#waiting.set(flag, looks);
    looks.add(look);
    this.#start();
    return () => {
      looks.delete(look);
      if (looks.size === 0 && this.#waiting.get(flag) === looks) this.#waiting.delete(flag);
      if (this.#waiting.size === 0) this.#stop();
    };
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    this.#subscriber?.disconnect();
  }

  #start(): void {
    if (this.#closed) return;
    if (!this.#subscriber) this.#subscribe();
    this.#timer ??= setInterval(() => this.#safetyRound(), 1_000).unref();
  }

  /** The connection stays for the next watch; only the looking ends. */
  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#turn = [];
  }

  #subscribe(): void {
    const address = this.#pick();
    if (!address) {
      this.#subscribeLater();
      return;
    }
    const options = { ...driverOptions(address, this.#options), enableOfflineQueue: true };
    // A new connection each time, so that a Cluster's next server is tried when one is gone.
    const subscriber = new Redis({ ...options, retryStrategy: () => null });
    this.#subscriber = subscriber;
    subscriber.on('error', () => {});
    subscriber.on('message', (_channel, flag) => this.#wake(flag));
    subscriber.once('end', () => this.#subscribeLater());
    subscriber.subscribe(this.#channel).then(
      () => this.#wakeAll(),
      () => subscriber.disconnect(),
    );
  }

  #subscribeLater(): void {
    if (this.#closed) return;
    setTimeout(() => {
      if (!this.#closed) this.#subscribe();
    }, RECONNECT_DELAY_MS).unref();
  }

  #wake(flag: string): void {
    this.#heard++;
    for (const look of this.#waiting.get(flag) ?? []) look();
  }

  #wakeAll(): void {
    for (const flag of this.#waiting.keys()) this.#wake(flag);
  }

  #safetyRound(): void {
    if (this.#turn.length === 0) this.#turn = [...this.#waiting.keys()];
    for (const flag of this.#turn.splice(0, SAFETY_LOOKS_PER_SECOND)) this.#wake(flag);
  }
}
