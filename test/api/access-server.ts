/**
 * Every service of the product over one store, embedded unless said otherwise, behind both real ports, with clients that the test
 * makes up: for tests of who may do what. There are two of everything, `mine` and `theirs`, alike but for
 * the name.
 */
import type { DescMethod, MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { pino } from 'pino';
import { describe, inject } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Authenticator, Identify } from '../../src/auth/authenticator.js';
import { Client } from '../../src/auth/client.js';
import { parseGrant } from '../../src/auth/grants.js';
import type { Peer } from '../../src/auth/peer.js';
import { busService } from '../../src/bus/service.js';
import type { BusStore } from '../../src/bus/store.js';
import { bind, type ServiceBinding } from '../../src/call.js';
import { systemClock } from '../../src/clock.js';
import { Fault } from '../../src/fault.js';
import { fsmService } from '../../src/fsm/service.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { v1betaService } from '../../src/fsm/v1beta.js';
import { itemStatus } from '../../src/server/failure.js';
import { HealthBook, healthService } from '../../src/server/health.js';
import type { Limits } from '../../src/server/limits.js';
import { startTransports } from '../../src/server/listen.js';
import { Metrics } from '../../src/server/metrics.js';
import { reflectionBindings } from '../../src/server/reflection.js';
import { createValidate } from '../../src/server/validation.js';
import { openLmdb } from '../../src/stores/lmdb/open.js';
import { openRedis } from '../../src/stores/redis/open.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import type { LogLine } from '../support/transports.js';
import { deferred } from '../support/waiting.js';

/** Clients that a test adds, changes and takes away; the header of each is its id. */
export class TestClients implements Authenticator {
  readonly peers: Peer[] = [];
  readonly #clients = new Map<string, Client>();
  readonly #listeners: (() => void)[] = [];

  identify(authorization: string | undefined, peer: Peer): Client {
    this.peers.push(peer);
    return this.#find(authorization);
  }

  review(): Identify {
    return (authorization) => this.#find(authorization);
  }

  #find(authorization: string | undefined): Client {
    const client = authorization === undefined ? undefined : this.#clients.get(authorization);
    if (client) return client;
    throw authorization === undefined
      ? new Fault('CREDENTIALS_MISSING', 'none')
      : new Fault('CREDENTIALS_INVALID', 'none such');
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Adds a client, or changes what it is granted. */
  grant(id: string, ...grants: string[]): Record<string, string> {
    const client = this.#clients.get(id);
    if (client) client.grants = grants.map(parseGrant);
    else this.#clients.set(id, new Client(id, grants.map(parseGrant)));
    for (const listener of this.#listeners) listener();
    return { authorization: id };
  }

  remove(id: string): void {
    const client = this.#clients.get(id);
    this.#clients.delete(id);
    if (client) client.isKnown = false;
    for (const listener of this.#listeners) listener();
  }
}

export interface Outcome {
  /** As Connect names it, or `OK`. */
  readonly code: string;
  readonly reason: string;
  readonly error: ConnectError | undefined;
  /** The first answer. */
  readonly answer: unknown;
}

/** The ways to call, by the port and the protocol. */
export type Way = 'gRPC' | 'Connect' | 'gRPC-Web' | 'gRPC on the HTTP port';
export const WAYS: readonly Way[] = ['gRPC', 'Connect', 'gRPC-Web', 'gRPC on the HTTP port'];

export interface AccessServer {
  readonly clients: TestClients;
  readonly bindings: readonly ServiceBinding[];
  readonly log: LogLine[];
  readonly httpUrl: string;
  /** The id of the event of a stream. */
  eventId(stream: string): string;
  call(way: Way, method: DescMethod, request: object, headers?: Record<string, string>): Promise<Outcome>;
  /** Reads a stream of answers to its end, by gRPC. */
  frames(
    method: DescMethod,
    request: object,
    headers: Record<string, string>,
  ): Promise<{ frames: number; reason: string }>;
  /** Everything that a call could change. */
  snapshot(): Promise<unknown>;
  stop(): Promise<void>;
}

export const NAMES = ['mine', 'theirs'] as const;

const RETENTION_MS = 3_600_000;

/** What the server is put on; closing it takes its data away. */
export interface AccessEngine {
  fsmStore(): FsmStore;
  busStore(): BusStore;
  close(): Promise<void>;
}

/** Runs the same tests on each engine: those of Redis are skipped when the run has none. */
export function describeOnEngines(tests: (open: () => Promise<AccessEngine>) => void): void {
  describe('on LMDB', () => tests(openEmbedded));
  const { redis } = inject('engines');
  if ('url' in redis) describe('on Redis', () => tests(openSharedRedis));
  else describe.skip(`on Redis: ${redis.missing}`, () => tests(openSharedRedis));
}

async function openEmbedded(): Promise<AccessEngine> {
  const dataDir = temporaryDirectory('api');
  const engine = await openLmdb({ dataDir, durability: 'relaxed' });
  return {
    fsmStore: () => engine.fsmStore({ outcomeRetentionMs: RETENTION_MS }),
    busStore: () => engine.busStore(),
    async close() {
      await engine.close();
      removeDirectory(dataDir);
    },
  };
}

/** In a namespace of its own. */
async function openSharedRedis(): Promise<AccessEngine> {
  const engine = await openRedis({ url: engineUrl('redis') ?? '', namespace: randomNamespace() });
  return {
    fsmStore: () => engine.fsmStore({ shardCount: 4, outcomeRetentionMs: RETENTION_MS }),
    busStore: () => engine.busStore(),
    close: () => engine.close(),
  };
}

export interface AccessServerOptions {
  readonly open?: () => Promise<AccessEngine>;
  /** Without, nobody is asked who they are. */
  readonly clients?: TestClients;
  readonly logLevel?: string;
  readonly limits?: Partial<Limits>;
}

export async function startAccessServer({
  open = openEmbedded,
  clients,
  logLevel = 'debug',
  limits,
}: AccessServerOptions): Promise<AccessServer> {
  const engine = await open();
  const lines: LogLine[] = [];
  const log = pino({ base: null, level: logLevel }, { write: (line) => void lines.push(JSON.parse(line)) });
  const validate = createValidate([FsmService, StatemachineService, BusService]);
  const store = engine.fsmStore();
  const events = { store, clock: systemClock, validate, statusOf: itemStatus(log, 'switchgear.fsm') };
  const bus = { store: engine.busStore(), statusOf: itemStatus(log, 'switchgear.bus'), durability: '' };
  const health = new HealthBook([]);
  const bindings = [
    bind(FsmService, fsmService(events)),
    bind(StatemachineService, v1betaService({ ...events, release: 'test', tlsEnabled: false })),
    bind(BusService, busService(bus)),
    bind(Health, healthService(health)),
    ...reflectionBindings([FsmService.typeName]),
  ];
  const transports = await startTransports({
    host: '127.0.0.1',
    grpcPort: 0,
    httpPort: 0,
    bindings,
    health,
    validate,
    metrics: new Metrics(),
    log,
    authenticator: clients,
    limits,
  });
  const root = clients?.grant('root', '*:*:*') ?? {};
  const httpUrl = `http://${transports.httpAddress}`;
  const ways = waysTo(`http://${transports.grpcAddress}`, httpUrl);
  const call: AccessServer['call'] = (way, method, request, headers = {}) =>
    outcomeOf(ways[way], method, request, headers);
  const asRoot = async (method: DescMethod, request: object) => {
    const { error, answer } = await call('gRPC', method, request, root);
    if (error) throw error;
    return answer;
  };
  const ids = new Map<string, string>();
  for (const name of NAMES) ids.set(name, await seed(asRoot, name));
  lines.length = 0;
  return {
    clients: clients ?? new TestClients(),
    bindings,
    log: lines,
    httpUrl,
    eventId: (stream) => ids.get(stream) ?? '',
    call,
    frames: (method, request, headers) => framesOf(ways.gRPC, method, request, headers),
    snapshot: () => Promise.all(NAMES.map((name) => snapshot(asRoot, name))),
    async stop() {
      await transports.drain(1_000);
      await engine.close();
    },
  };
}

/** A transport for every way; `nodeOptions` are those of TLS. */
export function waysTo(grpcUrl: string, httpUrl: string, nodeOptions: object = {}): Record<Way, Transport> {
  return {
    gRPC: createGrpcTransport({ baseUrl: grpcUrl, nodeOptions }),
    Connect: createConnectTransport({ baseUrl: httpUrl, httpVersion: '2', nodeOptions }),
    'gRPC-Web': createGrpcWebTransport({ baseUrl: httpUrl, httpVersion: '2', nodeOptions }),
    'gRPC on the HTTP port': createGrpcTransport({ baseUrl: httpUrl, nodeOptions }),
  };
}

/** Calls an rpc of any shape with one request; of a stream the first answer is enough. */
export async function outcomeOf(
  transport: Transport,
  method: DescMethod,
  request: object,
  headers: Record<string, string>,
): Promise<Outcome> {
  const leaving = new AbortController();
  try {
    const answer = await firstAnswer(transport, method, request, headers, leaving.signal);
    return { code: 'OK', reason: 'OK', error: undefined, answer };
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? '';
    return { code: Code[error.code], reason, error, answer: undefined };
  } finally {
    leaving.abort();
  }
}

async function firstAnswer(
  transport: Transport,
  method: DescMethod,
  request: object,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<unknown> {
  const message = request as MessageInitShape<DescMethod['input']>;
  if (method.methodKind === 'unary')
    return (await transport.unary(method as never, signal, 10_000, headers, message)).message;
  const input = async function* () {
    yield message;
  };
  const { message: answers } = await transport.stream(method as never, signal, 10_000, headers, input());
  for await (const answer of answers) return answer;
  return undefined;
}

async function framesOf(
  transport: Transport,
  method: DescMethod,
  request: object,
  headers: Record<string, string>,
): Promise<{ frames: number; reason: string }> {
  let frames = 0;
  const input = async function* () {
    yield request as MessageInitShape<DescMethod['input']>;
  };
  try {
    const { message } = await transport.stream(method as never, undefined, 10_000, headers, input());
    for await (const _ of message) frames += 1;
    return { frames, reason: 'OK' };
  } catch (thrown) {
    const [info] = ConnectError.from(thrown).findDetails(ErrorInfoSchema);
    return { frames, reason: info?.reason ?? '' };
  }
}

const LONGEST_STREAM_MS = 5_000;

/**
 * How a stream ends, of any shape, whose requests do not end by themselves: the code and the reason. One
 * that goes on is left after a while, and said to: a test that waits for an end fails, and does not hang.
 */
export async function endOfStream(
  transport: Transport,
  method: DescMethod,
  request: object,
  headers: Record<string, string>,
): Promise<string> {
  const leaving = new AbortController();
  const timer = setTimeout(() => leaving.abort(), LONGEST_STREAM_MS);
  const over = deferred<void>();
  async function* requests() {
    yield request as MessageInitShape<DescMethod['input']>;
    if (method.methodKind !== 'server_streaming') await over.promise;
  }
  try {
    const { signal } = leaving;
    const { message } = await transport.stream(method as never, signal, undefined, headers, requests());
    for await (const _ of message);
    return 'OK';
  } catch (thrown) {
    if (leaving.signal.aborted) return `still open after ${LONGEST_STREAM_MS} ms`;
    const error = ConnectError.from(thrown);
    return `${Code[error.code]} ${error.findDetails(ErrorInfoSchema)[0]?.reason}`;
  } finally {
    clearTimeout(timer);
    over.resolve();
  }
}

type AsRoot = (method: DescMethod, request: object) => Promise<unknown>;

async function seed(ask: AsRoot, name: string): Promise<string> {
  const { method: fsm } = FsmService;
  const { method: bus } = BusService;
  await ask(fsm.createConfiguration, { configuration: lamp(name) });
  await ask(fsm.createFiniteStateMachine, { configurationName: name, fsmId: 'm-1' });
  const event = { eventId: 'e-1', name: 'press' };
  await ask(fsm.sendEvent, { configurationName: name, fsmId: 'm-1', event });
  await ask(bus.createStream, { name });
  await ask(bus.createGroup, { stream: name, group: 'workers' });
  const written = await ask(bus.writeEvent, { stream: name, event: { type: 'placed' } });
  return (written as { event: { eventId: string } }).event.eventId;
}

async function snapshot(ask: AsRoot, name: string): Promise<unknown> {
  const { method: fsm } = FsmService;
  const { method: bus } = BusService;
  return Promise.all([
    ask(fsm.listConfigurations, {}),
    ask(fsm.listConfigurationVersions, { name }),
    ask(fsm.listFiniteStateMachines, { configurationName: name }),
    ask(fsm.listTransitions, { configurationName: name, fsmId: 'm-1' }),
    ask(fsm.getRetention, { configurationName: name }),
    ask(bus.listStreams, {}),
    ask(bus.getStreamInfo, { stream: name }).then(withoutAges),
    ask(bus.getStreamEvents, { stream: name }),
    ask(bus.listGroups, { stream: name }),
  ]);
}

/** An age grows by itself. */
function withoutAges(info: unknown): unknown {
  return JSON.parse(
    JSON.stringify(info, (key, value) =>
      /age/i.test(key) ? undefined : typeof value === 'bigint' ? String(value) : value,
    ),
  );
}

export function lamp(name: string, version = '1') {
  return {
    name,
    version,
    states: ['off', 'on'],
    startingState: 'off',
    transitions: [
      { from: 'off', to: 'on', event: 'press' },
      { from: 'on', to: 'off', event: 'press' },
    ],
  };
}
