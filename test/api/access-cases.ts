/**
 * One request for every rpc of every service that is served, about the thing of a name. The idea to hold:
 * each is right, so that with the grant it is not refused for anything else; and none changes what is there.
 */
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { lamp } from './access-server.js';

/** How a caller learns that it lacks the grant on the name. */
export type Denial = 'call' | 'items' | 'filter' | 'open';

export interface Case {
  readonly denial: Denial;
  /** `eventId` is that of the event in the stream of this name. */
  readonly request: (name: string, eventId: string) => object;
}

const call = (request: Case['request']): Case => ({ denial: 'call', request });
const items = (request: Case['request']): Case => ({ denial: 'items', request });
const filter = (request: Case['request'] = () => ({})): Case => ({ denial: 'filter', request });
const open = (request: object = {}): Case => ({ denial: 'open', request: () => request });

const byName = call((name) => ({ name }));
const byStream = call((stream) => ({ stream }));
const byGroup = call((stream) => ({ stream, group: 'workers' }));
const byConfiguration = call((configurationName) => ({ configurationName }));
const byMachine = call((configurationName) => ({ configurationName, fsmId: 'm-1' }));
const byEvent = call((configurationName) => ({ configurationName, eventId: 'e-1' }));
const byValue = call((value) => ({ value }));

const PRESS = { eventId: 'e-1', name: 'press' };
const press = (configurationName: string) => ({ configurationName, fsmId: 'm-1', event: PRESS });
const inState = call((config) => ({ config, query: { case: 'state', value: 'on' } }));
const mark = (eventId: string) => ({ eventId, group: 'workers', status: EventStatus.UNPROCESSED });
const reflection = open({ messageRequest: { case: 'listServices', value: '' } });

export const CASES: Readonly<Record<string, Readonly<Record<string, Case>>>> = {
  'switchgear.fsm.v1.FsmService': {
    createConfiguration: call((name) => ({ configuration: lamp(name) })),
    getConfiguration: byName,
    listConfigurations: filter(),
    listConfigurationVersions: byName,
    renderConfiguration: byName,
    setRetention: call((configurationName) => ({ configurationName, expectedRevision: 99n })),
    getRetention: byConfiguration,
    createFiniteStateMachine: byMachine,
    getFiniteStateMachine: byMachine,
    listFiniteStateMachines: byConfiguration,
    countByState: byConfiguration,
    listTransitions: byMachine,
    deleteFiniteStateMachine: call((configurationName) => ({
      configurationName,
      fsmId: 'm-1',
      uid: 'another',
    })),
    importFiniteStateMachine: call((configurationName) => ({
      configurationName,
      configurationVersion: '1',
      fsmId: 'm-1',
      importId: 'another',
      firstVersion: 1n,
      history: [{ from: 'off', to: 'on', event: { eventId: 'i-1', name: 'press' } }],
      state: 'on',
    })),
    listAllowedEvents: byMachine,
    sendEvent: call(press),
    sendEvents: items((name) => ({ events: [press(name)] })),
    streamEvents: items((name) => ({ frameId: 1n, events: [press(name)] })),
    getEventOutcome: byEvent,
    getEvent: byEvent,
    watchTransitions: byConfiguration,
    auditIndex: byConfiguration,
  },
  'statemachine.v1beta.StatemachineService': {
    health: open(),
    putConfiguration: call((name) => lamp(name)),
    getAllConfigurations: filter(),
    streamAllConfigurations: byValue,
    getConfiguration: call((name) => ({ value: `${name}:1` })),
    putFiniteStateMachine: call((name) => ({ id: 'm-1', fsm: { configId: `${name}:1` } })),
    getFiniteStateMachine: call((config) => ({ config, query: { case: 'id', value: 'm-1' } })),
    getAllInState: inState,
    streamAllInstate: inState,
    sendEvent: call((config) => ({
      config,
      id: 'm-1',
      event: { eventId: 'e-1', transition: { event: 'press' } },
    })),
    getEventOutcome: call((config) => ({ config, id: 'e-1' })),
  },
  'switchgear.bus.v1.BusService': {
    createStream: byName,
    getStream: byName,
    updateStream: call((name) => ({ name, settings: {}, expectedRevision: 99n })),
    deleteStream: call((name) => ({ name, uid: 'another' })),
    listStreams: filter(),
    getStreamInfo: byStream,
    getStreamEvents: byStream,
    writeEvent: call((stream) => ({ stream, event: { type: 'placed' }, expectedSeq: 99n })),
    writeEvents: call((stream) => ({ stream, events: [{ type: 'placed' }], expectedSeq: 99n })),
    processEvents: call((stream) => ({ stream, group: 'workers', peek: true })),
    retryEvents: byGroup,
    markEvent: call((_, eventId) => mark(eventId)),
    markEvents: items((_, eventId) => ({ marks: [mark(eventId)] })),
    extendLeases: items((_, eventId) => ({ leases: [{ eventId, leaseToken: '1.workers' }] })),
    createGroup: byGroup,
    updateGroup: call((stream) => ({ stream, group: 'workers', settings: {}, expectedRevision: 99n })),
    deleteGroup: call((stream) => ({ stream, group: 'nobody' })),
    listGroups: byStream,
    seekGroup: call((stream) => ({
      stream,
      group: 'workers',
      to: { position: { case: 'seq', value: 99n } },
    })),
    listDeadLetters: byGroup,
    replayDeadLetters: byGroup,
    purgeDeadLetters: byGroup,
    subscribe: byStream,
  },
  'grpc.health.v1.Health': { check: open(), list: open(), watch: open() },
  'grpc.reflection.v1.ServerReflection': { serverReflectionInfo: reflection },
  'grpc.reflection.v1alpha.ServerReflection': { serverReflectionInfo: reflection },
};

/** What each rpc needs, said once more and by hand: a slip in the table of rules shows here. */
export const NEEDS: Readonly<Record<string, readonly string[]>> = {
  'fsm:read': [
    'FsmService/GetConfiguration',
    'FsmService/ListConfigurations',
    'FsmService/ListConfigurationVersions',
    'FsmService/RenderConfiguration',
    'FsmService/GetRetention',
    'FsmService/GetFiniteStateMachine',
    'FsmService/ListFiniteStateMachines',
    'FsmService/CountByState',
    'FsmService/ListTransitions',
    'FsmService/ListAllowedEvents',
    'FsmService/GetEventOutcome',
    'FsmService/GetEvent',
    'FsmService/WatchTransitions',
    'StatemachineService/GetAllConfigurations',
    'StatemachineService/StreamAllConfigurations',
    'StatemachineService/GetConfiguration',
    'StatemachineService/GetFiniteStateMachine',
    'StatemachineService/GetAllInState',
    'StatemachineService/StreamAllInstate',
    'StatemachineService/GetEventOutcome',
  ],
  'fsm:write': [
    'FsmService/CreateFiniteStateMachine',
    'FsmService/DeleteFiniteStateMachine',
    'FsmService/SendEvent',
    'FsmService/SendEvents',
    'FsmService/StreamEvents',
    'StatemachineService/PutFiniteStateMachine',
    'StatemachineService/SendEvent',
  ],
  'fsm:manage': [
    'FsmService/CreateConfiguration',
    'FsmService/SetRetention',
    'FsmService/ImportFiniteStateMachine',
    'FsmService/AuditIndex',
    'StatemachineService/PutConfiguration',
  ],
  'bus:read': [
    'BusService/GetStream',
    'BusService/ListStreams',
    'BusService/GetStreamInfo',
    'BusService/GetStreamEvents',
    'BusService/ListGroups',
    'BusService/ListDeadLetters',
    'BusService/Subscribe',
  ],
  'bus:write': ['BusService/WriteEvent', 'BusService/WriteEvents'],
  'bus:process': [
    'BusService/ProcessEvents',
    'BusService/RetryEvents',
    'BusService/MarkEvent',
    'BusService/MarkEvents',
    'BusService/ExtendLeases',
  ],
  'bus:manage': [
    'BusService/CreateStream',
    'BusService/UpdateStream',
    'BusService/DeleteStream',
    'BusService/CreateGroup',
    'BusService/UpdateGroup',
    'BusService/DeleteGroup',
    'BusService/SeekGroup',
    'BusService/ReplayDeadLetters',
    'BusService/PurgeDeadLetters',
  ],
  open: [
    'StatemachineService/Health',
    'Health/Check',
    'Health/List',
    'Health/Watch',
    'ServerReflection/ServerReflectionInfo',
    'ServerReflection/ServerReflectionInfo',
  ],
};
