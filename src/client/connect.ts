/**
 * A connection to a Switchgear: one HTTP/2 connection, opened at the first call and again when it is
 * lost, shared by every call made through it.
 */
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { checkAddress, isLoopback } from './address.js';
import { authorizing, type ReadCredentials } from './authorization.js';
import { BusClient } from './bus.js';
import { carriesBusId } from './bus-ids.js';
import { basicHeader, type Credentials, readCredentialsFile } from './credentials.js';
import { FsmClient } from './fsm.js';
import { HealthClient } from './health.js';
import { retrying } from './retry.js';
import { carriesId } from './sending.js';
import { Sessions } from './sessions.js';
import { type TlsOptions, tlsSession } from './tls.js';

export interface ConnectOptions {
  /** TLS settings; `true` = TLS with the system's CAs; unset = plaintext. */
  readonly tls?: TlsOptions | boolean;
  /**
   * Sent with every call; refused over plaintext to other machines. A function is asked at the first call,
   * and again when the server refuses what it gave, at most once a second.
   */
  readonly credentials?: Credentials | (() => Credentials | Promise<Credentials>);
  /**
   * The same from a file that holds `ID:SECRET`, which is read again when the server refuses what it held: a
   * rotated secret is taken without a restart. A file that every user can read is refused.
   */
  readonly credentialsFile?: string;
  /** How long a unary call may take in all, repeats included; 10,000 unless given, at most 60,000. */
  readonly timeoutMs?: number;
  /** For how long a unary call that finds nobody is repeated, in milliseconds; until its deadline unless given. */
  readonly retryForMs?: number;
  /** How often a connection with calls under way is checked, in milliseconds; 30,000 unless given. */
  readonly keepAliveMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_KEEP_ALIVE_MS = 30_000;
/** How long the answer to such a check may take before the connection counts as lost. */
const PING_TIMEOUT_MS = 10_000;

/** A connected Switchgear. Close it, or let `await using` do that. */
export class Switchgear {
  /** State machines. */
  readonly fsm: FsmClient;
  /** The event bus. */
  readonly bus: BusClient;
  /** Who is ready, and which release answers. */
  readonly health: HealthClient;
  readonly #close: () => void;

  /** @internal use `connect` */
  constructor(clients: { fsm: FsmClient; bus: BusClient; health: HealthClient }, close: () => void) {
    this.fsm = clients.fsm;
    this.bus = clients.bus;
    this.health = clients.health;
    this.#close = close;
  }

  /** Closes the connection for good; calls under way fail with CANCELLED, and what would go on ends. */
  close(): void {
    this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/**
 * Connects to the gRPC port of a Switchgear, e.g. `connect('127.0.0.1:7398')`. Nothing is sent until the
 * first call.
 * @throws TypeError when the address is not `host:port`, when a file cannot be used, or when credentials
 *   would travel in plaintext
 */
export function connect(address: string, options: ConnectOptions = {}): Switchgear {
  const { tls, timeoutMs = DEFAULT_TIMEOUT_MS, retryForMs = timeoutMs } = options;
  const url = urlOf(address, tls !== undefined && tls !== false);
  const credentials = credentialsOf(options);
  if (credentials && url.protocol === 'http:' && !isLoopback(url.hostname))
    throw new TypeError(`credentials would travel to ${url.host} in plaintext; connect with tls`);
  const session = url.protocol === 'https:' ? tlsSession(typeof tls === 'object' ? tls : {}) : {};
  const pingIntervalMs = options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS;
  const pingTimeoutMs = Math.min(pingIntervalMs, PING_TIMEOUT_MS);
  const sessions = new Sessions(url.origin, { pingIntervalMs, pingTimeoutMs }, session);
  const closed = new AbortController();
  const transport = createGrpcTransport({
    baseUrl: url.origin,
    sessionManager: sessions,
    defaultTimeoutMs: timeoutMs,
    interceptors: [
      retrying({ carriesId: carriesAnyId, retryForMs, closed: closed.signal }),
      ...(credentials ? [authorizing(credentials)] : []),
    ],
  });
  const fsm = new FsmClient(createClient(FsmService, transport), timeoutMs);
  const bus = new BusClient(createClient(BusService, transport), timeoutMs);
  return new Switchgear({ fsm, bus, health: new HealthClient(transport) }, () => {
    closed.abort();
    sessions.abort();
  });
}

function carriesAnyId(message: object): boolean {
  return carriesId(message) || carriesBusId(message);
}

function urlOf(address: string, isTls: boolean): URL {
  checkAddress(address);
  return new URL(`${isTls ? 'https' : 'http'}://${address}`);
}

/** How credentials are read; those that stand in the options or in a file are looked at now. */
function credentialsOf({ credentials, credentialsFile }: ConnectOptions): ReadCredentials | undefined {
  if (credentials !== undefined && credentialsFile !== undefined)
    throw new TypeError('credentials come from `credentials` or from `credentialsFile`, not from both');
  if (credentialsFile !== undefined) {
    readCredentialsFile(credentialsFile);
    return () => readCredentialsFile(credentialsFile);
  }
  if (credentials === undefined || typeof credentials === 'function') return credentials;
  basicHeader(credentials);
  const { id, secret } = credentials;
  return () => ({ id, secret });
}
