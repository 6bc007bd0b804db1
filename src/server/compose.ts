/**
 * The one place that joins stores to services. Each service is put on the engine it was given, or on
 * the embedded store; what comes out is handlers to mount, ways to ask how the stores are, and one
 * close.
 */
import type { Status } from '../../gen/google/rpc/status_pb.js';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { BusStore, BusStoreObserver } from '../bus/store.js';
import type { ServiceBinding, Validate } from '../call.js';
import { systemClock } from '../clock.js';
import type { Config, ServiceName } from '../config.js';
import type { FsmStore } from '../fsm/store.js';
import {
  type DeploymentRecord,
  type EngineDescription,
  type Home,
  join,
  PlacementRefusal,
  type PlacementStore,
} from '../placement.js';
import type { Metrics } from './metrics.js';
import { placeBus } from './place-bus.js';
import { placeFsm } from './place-fsm.js';

/** What can be served, for everything that is prepared before it is. */
export const SERVED_PROTOS = [FsmService, StatemachineService, BusService];

/** How many parts a service's keys are spread over in a shared engine; fixed at first start. */
const SHARED_SHARDS = 16;

/** What every engine offers. */
export interface Engine {
  readonly placement: PlacementStore;
  fsmStore(options: { shardCount: number; outcomeRetentionMs: number }): FsmStore;
  busStore(observer?: BusStoreObserver): BusStore;
  describe(): EngineDescription;
  close(): Promise<void>;
}

/** A service on its store. */
export interface ServedService {
  readonly name: ServiceName;
  /** The proto services it answers, for health. */
  readonly protoServices: readonly string[];
  readonly engine: EngineDescription;
  /** Rejects while the store does not answer. */
  ping(signal: AbortSignal): Promise<void>;
}

/** A service put on an engine, with what it answers. */
export interface PlacedService extends ServedService {
  readonly bindings: readonly ServiceBinding[];
}

export interface Composition {
  readonly bindings: readonly ServiceBinding[];
  readonly services: readonly ServedService[];
  close(): Promise<void>;
}

export interface ComposeOptions {
  config: Config;
  release: string;
  validate: Validate;
  /** For the items of a batch that fail alone, by the domain of their errors. */
  itemStatus: (domain: string) => (error: unknown) => Status;
  metrics: Metrics;
}

/** Puts a service on an engine that the deployment's record allows it. */
export type Place = (options: ComposeOptions, engine: Engine, record: DeploymentRecord) => PlacedService;

const PLACES: Readonly<Record<ServiceName, Place>> = { fsm: placeFsm, bus: placeBus };

/** Opens what the configuration asks for; throws an Error that is one line for the operator. */
export async function compose(options: ComposeOptions): Promise<Composition> {
  const { config } = options;
  const home: Home = config.redisUrl === undefined ? 'embedded' : 'redis';
  if (home !== 'embedded') await refuseToLeaveBehind(config);
  const engine = await openEngine(config);
  try {
    const homes = Object.fromEntries(config.services.map((service) => [service, home]));
    const record = await join(engine.placement, { homes, shardCounts: shardCountsOf(config, home) });
    const services = config.services.map((service) => PLACES[service](options, engine, record));
    return {
      bindings: services.flatMap(({ bindings }) => bindings),
      services,
      close: () => engine.close(),
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** The bus has none: its streams are spread by themselves. */
function shardCountsOf({ services }: Config, home: Home): Record<string, number> {
  return services.includes('fsm') ? { fsm: home === 'embedded' ? 1 : SHARED_SHARDS } : {};
}

/** Adapters are loaded when they are needed: a driver that is not used costs no time at start. */
async function openEngine(config: Config): Promise<Engine> {
  const { dataDir, durability, namespace } = config;
  if (config.redisUrl === undefined) {
    const { openLmdb } = await import('../stores/lmdb/open.js');
    return openLmdb({ dataDir, durability, clock: systemClock });
  }
  const { openRedis } = await import('../stores/redis/open.js');
  return openRedis({
    url: config.redisUrl,
    namespace,
    caFile: config.redisCaFile,
    certFile: config.redisCertFile,
    keyFile: config.redisKeyFile,
  });
}

/** A start with an engine must not quietly leave what was embedded in the data directory behind. */
async function refuseToLeaveBehind({ dataDir, services }: Config): Promise<void> {
  const { peekDeployment } = await import('../stores/lmdb/open.js');
  const record = await peekDeployment(dataDir);
  const left = services.find((service) => record?.homes[service] === 'embedded');
  if (left !== undefined)
    throw new PlacementRefusal(
      `service ${left} of this deployment is embedded in ${dataDir}, this start would put it on redis and leave ` +
        'that behind: name another directory with --data, or start without --redis',
    );
}
