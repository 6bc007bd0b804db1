/**
 * Opening Redis: one URL in, everything the product keeps there out. What the server is set to (its
 * version, how much its own death may cost, what it does when full) is read once here and reported,
 * since Switchgear can neither choose nor repair it.
 */
import type { BusStore, BusStoreObserver } from '../../bus/store.js';
import { Fault } from '../../fault.js';
import type { FsmStore } from '../../fsm/store.js';
import type { EngineDescription, PlacementStore } from '../../placement.js';
import { RedisBusStore } from './bus.js';
import { Client } from './client.js';
import { bareCause } from './errors.js';
import { type FsmStoreOptions, RedisFsmStore } from './fsm.js';
import { describeAddresses, type Location, locationFrom } from './location.js';
import type { NodeOptions } from './node.js';
import { RedisPlacementStore } from './placement.js';
import { Router } from './router.js';
import { readDescription } from './server-facts.js';
import { tlsMaterial } from './tls-material.js';
import { Wakes } from './wakes.js';

export interface RedisOptions {
  readonly url: string;
  /** Prefix of every key. */
  readonly namespace: string;
  /** TLS material, as names of PEM files; the URL says whether TLS is used. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** How long Redis may leave commands unanswered before its connection is given up; 5 s by default. */
  readonly commandTimeoutMs?: number;
  /** How many commands may be under way; beyond it TOO_MANY_REQUESTS. */
  readonly maxInFlight?: number;
}

export interface RedisEngine {
  readonly placement: PlacementStore;
  fsmStore(options: FsmStoreOptions): FsmStore;
  busStore(observer?: BusStoreObserver): BusStore;
  describe(): EngineDescription;
  /** Resolves when every server that holds data answers. */
  ping(signal: AbortSignal): Promise<void>;
  /** Takes on nothing more, lets what is under way finish, and disconnects. */
  close(): Promise<void>;
}

const DEFAULT_COMMAND_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_IN_FLIGHT = 20_000;
const OPEN_DEADLINE_MS = 10_000;
const CLOSE_GRACE_MS = 5_000;

/** Connects; rejects with one line for the operator if Redis cannot be reached or is too old. */
export async function openRedis(options: RedisOptions): Promise<RedisEngine> {
  const location = locationFrom(options.url);
  const nodeOptions = nodeOptionsFrom(options, location);
  const router = new Router(location.addresses, location.isCluster, nodeOptions);
  const client = new Client(router, options.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT);
  try {
    await withinDeadline(router.connect());
    const description = await withinDeadline(readDescription(client, describeAddresses(location.addresses)));
    return new Engine(client, nodeOptions, options.namespace, description);
  } catch (error) {
    router.close();
    throw refusal(error, location);
  }
}

class Engine implements RedisEngine {
  readonly placement: PlacementStore;
  readonly #client: Client;
  readonly #nodeOptions: NodeOptions;
  readonly #namespace: string;
  readonly #description: EngineDescription;
  readonly #wakes = new Map<string, Wakes>();
  readonly #busStores: RedisBusStore[] = [];

  constructor(client: Client, nodeOptions: NodeOptions, namespace: string, description: EngineDescription) {
    this.#client = client;
    this.#nodeOptions = nodeOptions;
    this.#namespace = namespace;
    this.#description = description;
    this.placement = new RedisPlacementStore(client, namespace);
  }

  fsmStore(options: FsmStoreOptions): FsmStore {
    return new RedisFsmStore(this.#client, (channel) => this.#wakesOf(channel), this.#namespace, options);
  }

  busStore(observer?: BusStoreObserver): BusStore {
    const wakesOf = (channel: string) => this.#wakesOf(channel);
    const store = new RedisBusStore(this.#client, wakesOf, this.#namespace, observer);
    this.#busStores.push(store);
    return store;
  }

  describe(): EngineDescription {
    return this.#description;
  }

  ping(signal: AbortSignal): Promise<void> {
    return this.#client.ping(signal);
  }

  async close(): Promise<void> {
    for (const store of this.#busStores) store.close();
    for (const wakes of this.#wakes.values()) wakes.close();
    await this.#client.drain(CLOSE_GRACE_MS);
    this.#client.router.close();
  }

  /** One subscriber connection for each domain's channel, made when the first watcher comes. */
  #wakesOf(channel: string): Wakes {
    const known = this.#wakes.get(channel);
    if (known) return known;
    const wakes = new Wakes(channel, this.#nodeOptions, () => this.#client.router.anyAddress());
    this.#wakes.set(channel, wakes);
    return wakes;
  }
}

function nodeOptionsFrom(
  options: RedisOptions,
  { isTls, username, password, database }: Location,
): NodeOptions {
  const { caFile, certFile, keyFile, commandTimeoutMs = DEFAULT_COMMAND_TIMEOUT_MS } = options;
  const tls = isTls ? tlsMaterial({ ca: caFile, cert: certFile, key: keyFile }) : undefined;
  return { username, password, database, tls, commandTimeoutMs };
}

async function withinDeadline<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${OPEN_DEADLINE_MS / 1000} s`)),
      OPEN_DEADLINE_MS,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function refusal(error: unknown, { addresses }: Location): Fault {
  const original = error instanceof Fault && error.cause ? error.cause : error;
  const why = inWords(original) ?? bareCause(original).message;
  // Without its cause, which would only be said twice.
  return new Fault('STORE_UNAVAILABLE', `Redis at ${describeAddresses(addresses)}: ${why}`);
}

/** What the TLS library reports as its own source code lines, and what its words leave to be guessed. */
function inWords(error: unknown): string | undefined {
  const { code = '', reason, message } = error as NodeJS.ErrnoException & { reason?: string };
  if (/^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/.test(code))
    return `${message}: --redis-ca must name the authority that its certificate is from`;
  if (/^ERR_SSL_TLSV\d+_ALERT_(CERTIFICATE_REQUIRED|UNKNOWN_CA)|ALERT_HANDSHAKE_FAILURE/.test(code))
    return `${reason}: it wants a client certificate that it knows (--redis-cert, --redis-key)`;
  return code.startsWith('ERR_SSL') ? reason : undefined;
}
