/**
 * The state machine services over the embedded store behind both real ports, in the test's own process.
 */
import { type Client, createClient, type Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { pino } from 'pino';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { bind } from '../../src/call.js';
import { systemClock } from '../../src/clock.js';
import { fsmService } from '../../src/fsm/service.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { v1betaService } from '../../src/fsm/v1beta.js';
import { itemStatus } from '../../src/server/failure.js';
import { HealthBook } from '../../src/server/health.js';
import { startTransports } from '../../src/server/listen.js';
import { Metrics } from '../../src/server/metrics.js';
import { createValidate } from '../../src/server/validation.js';
import { openLmdb } from '../../src/stores/lmdb/open.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { type FieldsServer, firstAnswer } from './every-field.js';

export interface FsmServer extends FieldsServer {
  readonly transport: Transport;
  readonly fsm: Client<typeof FsmService>;
  readonly beta: Client<typeof StatemachineService>;
  readonly store: FsmStore;
  readonly httpUrl: string;
}

export const LAMP = {
  name: 'lamp',
  version: '1',
  states: ['off', 'on'],
  startingState: 'off',
  transitions: [
    { from: 'off', to: 'on', event: 'press' },
    { from: 'on', to: 'off', event: 'press' },
  ],
};

/** Starts it with configuration `lamp:1` and machine `l-1`, to which event `e-1` was applied. */
export async function startFsmServer(): Promise<FsmServer> {
  const dataDir = temporaryDirectory('api');
  const engine = await openLmdb({ dataDir, durability: 'relaxed' });
  const store = engine.fsmStore({ outcomeRetentionMs: 3_600_000 });
  const log = pino({ level: 'silent' });
  const validate = createValidate([FsmService, StatemachineService]);
  const events = { store, clock: systemClock, validate, statusOf: itemStatus(log, 'switchgear.fsm') };
  const transports = await startTransports({
    host: '127.0.0.1',
    grpcPort: 0,
    httpPort: 0,
    bindings: [
      bind(FsmService, fsmService(events)),
      bind(StatemachineService, v1betaService({ ...events, release: 'test', tlsEnabled: false })),
    ],
    health: new HealthBook([]),
    validate,
    metrics: new Metrics(),
    log,
  });
  const transport = createGrpcTransport({ baseUrl: `http://${transports.grpcAddress}` });
  const fsm = createClient(FsmService, transport);
  await seed(fsm);
  return {
    transport,
    fsm,
    beta: createClient(StatemachineService, transport),
    store,
    httpUrl: `http://${transports.httpAddress}`,
    call: (rpc, request) => firstAnswer(fsm, rpc, request),
    rightRequest: (rpc) => RIGHT_REQUESTS[rpc] ?? {},
    snapshot: () => snapshot(fsm),
    async stop() {
      await transports.drain(1_000);
      await engine.close();
      removeDirectory(dataDir);
    },
  };
}

async function seed(fsm: Client<typeof FsmService>): Promise<void> {
  await fsm.createConfiguration({ configuration: LAMP });
  await fsm.createFiniteStateMachine({ configurationName: 'lamp', fsmId: 'l-1' });
  const event = { eventId: 'e-1', name: 'press' };
  await fsm.sendEvent({ configurationName: 'lamp', fsmId: 'l-1', event });
}

async function snapshot(fsm: Client<typeof FsmService>): Promise<unknown> {
  return Promise.all([
    fsm.listConfigurations({}),
    fsm.listConfigurationVersions({ name: 'lamp' }),
    fsm.listFiniteStateMachines({ configurationName: 'lamp' }),
    fsm.getRetention({ configurationName: 'lamp' }),
  ]);
}

const NAMED = { configurationName: 'lamp' };
const MACHINE = { ...NAMED, fsmId: 'l-1' };
const RIGHT_REQUESTS: Readonly<Record<string, object>> = {
  createConfiguration: { configuration: LAMP },
  getConfiguration: { name: 'lamp' },
  listConfigurations: {},
  listConfigurationVersions: { name: 'lamp' },
  renderConfiguration: { name: 'lamp' },
  setRetention: NAMED,
  getRetention: NAMED,
  createFiniteStateMachine: MACHINE,
  importFiniteStateMachine: {
    ...MACHINE,
    configurationVersion: '1',
    importId: 'another',
    firstVersion: 1n,
    history: [{ from: 'off', to: 'on', event: { eventId: 'i-1', name: 'press' } }],
    refused: [{ event: { eventId: 'i-2', name: 'hold' }, state: 'on', version: 1n }],
    state: 'on',
  },
  getFiniteStateMachine: MACHINE,
  listFiniteStateMachines: NAMED,
  countByState: NAMED,
  listTransitions: MACHINE,
  deleteFiniteStateMachine: { ...MACHINE, uid: 'another' },
  listAllowedEvents: MACHINE,
  sendEvent: { ...MACHINE, event: { eventId: 'e-1', name: 'press' } },
  sendEvents: {},
  getEventOutcome: { ...MACHINE, eventId: 'e-1' },
  getEvent: { ...MACHINE, eventId: 'e-1' },
  watchTransitions: NAMED,
  auditIndex: NAMED,
};
