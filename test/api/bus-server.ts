/**
 * The event bus over a real store behind both real ports, in the test's own process.
 */
import { type Client, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { pino } from 'pino';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { type BusObserver, busService } from '../../src/bus/service.js';
import type { BusStore } from '../../src/bus/store.js';
import { bind } from '../../src/call.js';
import { itemStatus } from '../../src/server/failure.js';
import { HealthBook } from '../../src/server/health.js';
import { startTransports } from '../../src/server/listen.js';
import { Metrics } from '../../src/server/metrics.js';
import { createValidate } from '../../src/server/validation.js';
import { openLmdb } from '../../src/stores/lmdb/open.js';
import { openRedis } from '../../src/stores/redis/open.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { type FieldsServer, firstAnswer } from './every-field.js';

export interface BusServer extends FieldsServer {
  readonly transport: Transport;
  readonly bus: Client<typeof BusService>;
  readonly store: BusStore;
  readonly httpUrl: string;
  /** Ends the streams as a stopping service does. */
  drain(): Promise<void>;
}

/** What the server is put on; closing it takes its data away. */
export interface TestEngine {
  busStore(): BusStore;
  close(): Promise<void>;
}

export async function openEmbedded(): Promise<TestEngine> {
  const dataDir = temporaryDirectory('api');
  const engine = await openLmdb({ dataDir, durability: 'relaxed' });
  return {
    busStore: () => engine.busStore(),
    async close() {
      await engine.close();
      removeDirectory(dataDir);
    },
  };
}

export async function openSharedRedis(): Promise<TestEngine> {
  return openRedis({ url: engineUrl('redis') ?? '', namespace: randomNamespace() });
}

export interface BusServerOptions {
  readonly open?: () => Promise<TestEngine>;
  readonly observer?: BusObserver;
  /** Puts something between the service and the store. */
  readonly around?: (store: BusStore) => BusStore;
}

/** Starts it with stream `orders`, which holds one event and has a group `workers`. */
export async function startBusServer({
  open = openEmbedded,
  observer,
  around,
}: BusServerOptions = {}): Promise<BusServer> {
  const engine = await open();
  const store = engine.busStore();
  const log = pino({ level: 'silent' });
  const handlers = busService({
    store: around ? around(store) : store,
    statusOf: itemStatus(log, 'switchgear.bus'),
    durability: 'as tests need it',
    ...(observer && { observer }),
  });
  const transports = await startTransports({
    host: '127.0.0.1',
    grpcPort: 0,
    httpPort: 0,
    bindings: [bind(BusService, handlers)],
    health: new HealthBook([]),
    validate: createValidate([BusService]),
    metrics: new Metrics(),
    log,
  });
  const transport = createGrpcTransport({ baseUrl: `http://${transports.grpcAddress}` });
  const bus = createClient(BusService, transport);
  await bus.createStream({ name: 'orders' });
  await bus.createGroup({ stream: 'orders', group: 'workers' });
  await bus.writeEvent({ stream: 'orders', event: { type: 'placed' } });
  return {
    transport,
    bus,
    store,
    httpUrl: `http://${transports.httpAddress}`,
    call: (rpc, request) => firstAnswer(bus, rpc, request),
    rightRequest: (rpc) => RIGHT_REQUESTS[rpc] ?? {},
    snapshot: () => snapshot(bus),
    drain: () => transports.drain(5_000),
    async stop() {
      await transports.drain(1_000);
      await engine.close();
    },
  };
}

async function snapshot(bus: Client<typeof BusService>): Promise<unknown> {
  const { streams } = await bus.listStreams({});
  return Promise.all(
    streams.map(async ({ name: stream }) => [
      await bus.getStreamInfo({ stream }),
      await bus.getStreamEvents({ stream }),
    ]),
  );
}

/** The reason of a failed call, or OK. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'OK',
    (error: unknown) => ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? String(error),
  );
}

const IN_ORDERS = { stream: 'orders' };
const IN_WORKERS = { ...IN_ORDERS, group: 'workers' };
const MARK = { eventId: '1-1', status: EventStatus.PROCESSED };
const RIGHT_REQUESTS: Readonly<Record<string, object>> = {
  createStream: { name: 'orders' },
  getStream: { name: 'orders' },
  updateStream: { name: 'orders', settings: {} },
  deleteStream: { name: 'orders', uid: 'another' },
  listStreams: {},
  getStreamInfo: IN_ORDERS,
  getStreamEvents: IN_ORDERS,
  writeEvent: { ...IN_ORDERS, event: { type: 'placed' } },
  writeEvents: { ...IN_ORDERS, events: [{ type: 'placed' }] },
  processEvents: IN_WORKERS,
  retryEvents: IN_WORKERS,
  markEvent: MARK,
  markEvents: { marks: [MARK] },
  extendLeases: { leases: [{ eventId: '1-1', leaseToken: '1.workers' }] },
  createGroup: IN_WORKERS,
  updateGroup: { ...IN_WORKERS, settings: {} },
  deleteGroup: { ...IN_ORDERS, group: 'nobody' },
  listGroups: IN_ORDERS,
  seekGroup: { ...IN_WORKERS, to: { position: { case: 'beginning', value: {} } } },
  listDeadLetters: IN_WORKERS,
  replayDeadLetters: IN_WORKERS,
  purgeDeadLetters: IN_WORKERS,
  subscribe: IN_ORDERS,
};
