/**
 * A connection to a Switchgear: one HTTP/2 connection, opened at the first call and again when it is
 * lost, shared by every call made through it.
 */
import { readFileSync } from 'node:fs';
import { createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { BusClient } from './bus.js';
import { carriesBusId } from './bus-ids.js';
import { FsmClient } from './fsm.js';
import { HealthClient } from './health.js';
import { retrying } from './retry.js';
import { carriesId } from './sending.js';

export interface TlsOptions {
  /** PEM file of the CA that the server's certificate is checked against; the system's CAs if unset. */
  readonly caFile?: string;
  /** PEM files of this client's certificate and key, for mutual TLS. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** The name in the server's certificate, when it is not the one in the address. */
  readonly serverName?: string;
}

export interface ConnectOptions {
  /** TLS settings; `true` = TLS with the system's CAs; unset = plaintext. */
  readonly tls?: TlsOptions | boolean;
  /** Sent with every call; refused over plaintext to other machines. */
  readonly credentials?: { readonly id: string; readonly secret: string };
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
 * @throws TypeError when the address is not `host:port`, or when credentials would travel in plaintext
 */
export function connect(address: string, options: ConnectOptions = {}): Switchgear {
  const { tls, credentials, timeoutMs = DEFAULT_TIMEOUT_MS, retryForMs = timeoutMs } = options;
  const url = urlOf(address, tls !== undefined && tls !== false);
  if (credentials && url.protocol === 'http:' && !isLoopback(url.hostname))
    throw new TypeError(`credentials would travel to ${url.host} in plaintext; connect with tls`);
  const nodeOptions = typeof tls === 'object' ? tlsOptions(tls) : {};
  const pingIntervalMs = options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS;
  const pingTimeoutMs = Math.min(pingIntervalMs, PING_TIMEOUT_MS);
  const sessions = new Http2SessionManager(url.origin, { pingIntervalMs, pingTimeoutMs }, nodeOptions);
  const closed = new AbortController();
  const transport = createGrpcTransport({
    baseUrl: url.origin,
    nodeOptions,
    sessionManager: sessions,
    defaultTimeoutMs: timeoutMs,
    interceptors: [
      retrying({ carriesId: carriesAnyId, retryForMs, closed: closed.signal }),
      ...(credentials ? [withCredentials(credentials)] : []),
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
  if (!/^(\[[0-9a-fA-F:]+\]|[^\s:/@?#]+):\d{1,5}$/.test(address))
    throw new TypeError(`"${address}" is not an address; it must be host:port, such as 127.0.0.1:7398`);
  return new URL(`${isTls ? 'https' : 'http'}://${address}`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\./.test(host);
}

function tlsOptions({ caFile, certFile, keyFile, serverName }: TlsOptions) {
  return {
    ...(caFile && { ca: readFileSync(caFile) }),
    ...(certFile && { cert: readFileSync(certFile) }),
    ...(keyFile && { key: readFileSync(keyFile) }),
    ...(serverName && { servername: serverName }),
    minVersion: 'TLSv1.2' as const,
  };
}

function withCredentials({ id, secret }: { id: string; secret: string }): Interceptor {
  const value = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
  return (next) => (request) => {
    request.header.set('authorization', value);
    return next(request);
  };
}
