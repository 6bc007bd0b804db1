/**
 * The one place that joins stores to services. Each service is put on the engine it was given, or on
 * the embedded store; what comes out is handlers to mount, ways to ask how the stores are, and one
 * close.
 */

import { Counter } from 'prom-client';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { bind, type ServiceBinding, type Validate } from '../call.js';
import { systemClock } from '../clock.js';
import type { Config, ServiceName } from '../config.js';
import { type FsmServiceOptions, fsmService } from '../fsm/service.js';
import type { FsmStore } from '../fsm/store.js';
import { v1betaService } from '../fsm/v1beta.js';
import {
  type EngineDescription,
  type Home,
  join,
  PlacementRefusal,
  type PlacementStore,
} from '../placement.js';
import type { Metrics } from './metrics.js';

/** What can be served, for everything that is prepared before it is. */
export const SERVED_PROTOS = [FsmService, StatemachineService];

/** How many parts a service's keys are spread over in a shared engine; fixed at first start. */
const SHARED_SHARDS = 16;

/** What every engine offers. */
interface Engine {
  readonly placement: PlacementStore;
  fsmStore(options: { shardCount: number; outcomeRetentionMs: number }): FsmStore;
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

export interface Composition {
  readonly bindings: readonly ServiceBinding[];
  readonly services: readonly ServedService[];
  close(): Promise<void>;
}

export interface ComposeOptions {
  config: Config;
  release: string;
  validate: Validate;
  statusOf: FsmServiceOptions['statusOf'];
  metrics: Metrics;
}

/** Opens what the configuration asks for; throws an Error that is one line for the operator. */
export async function compose(options: ComposeOptions): Promise<Composition> {
  const { config } = options;
  const home: Home = config.redisUrl === undefined ? 'embedded' : 'redis';
  if (home !== 'embedded') await refuseToLeaveBehind(config);
  const engine = await openEngine(config);
  try {
    return await placeFsm(options, engine, home);
  } catch (error) {
    await engine.close();
    throw error;
  }
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

async function placeFsm(options: ComposeOptions, engine: Engine, home: Home): Promise<Composition> {
  const { config, validate, statusOf, release } = options;
  const shardCounts = { fsm: home === 'embedded' ? 1 : SHARED_SHARDS };
  const record = await join(engine.placement, { homes: { fsm: home }, shardCounts });
  const store = engine.fsmStore({
    shardCount: record.shardCounts.fsm ?? shardCounts.fsm,
    outcomeRetentionMs: config.fsmOutcomeRetentionMs,
  });
  const outcomes = outcomeCounter(options.metrics);
  const onOutcome = (outcome: string) => outcomes.inc({ outcome });
  const events = { store, clock: systemClock, validate, statusOf, onOutcome };
  return {
    bindings: [
      bind(FsmService, fsmService(events)),
      bind(StatemachineService, v1betaService({ ...events, release, tlsEnabled: false })),
    ],
    services: [
      {
        name: 'fsm',
        protoServices: [FsmService.typeName, StatemachineService.typeName],
        engine: engine.describe(),
        ping: (signal) => store.ping(signal),
      },
    ],
    close: () => engine.close(),
  };
}

function outcomeCounter({ registry }: Metrics): Counter<'outcome'> {
  return new Counter({
    name: 'switchgear_fsm_events_total',
    help: 'Events by what became of them, replays included.',
    labelNames: ['outcome'],
    registers: [registry],
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
