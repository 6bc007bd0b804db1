/**
 * The table of rules: what each rpc of each service needs of its caller, and where the name is that the
 * caller must be granted. The one idea: an rpc without a rule is a type error here and no server starts
 * with it, so nothing is served that nobody thought about.
 */
import type { DescMessage, DescMethod, DescService, MessageShape } from '@bufbuild/protobuf';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { ServerReflection as ReflectionV1 } from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ReflectionV1Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Need } from './client.js';

/** What a name finder answers when this request is of the kind that its handler checks. */
export const BY_HANDLER = Symbol('checked by the handler');

/** Anybody may call. */
interface OpenRule {
  readonly kind: 'open';
}
/** The request holds the one name that is needed; it is asked for before the handler is called. */
interface NamedRule<I> {
  readonly kind: 'named';
  readonly need: Need;
  readonly nameIn: (request: I) => string | typeof BY_HANDLER;
}
/** The handler asks, by name: for the items of a batch, for what an id names, for what a list shows. */
interface HandlerRule {
  readonly kind: 'handler';
  readonly need: Need;
}

/** The rule of an rpc whose requests are `I`. */
export type Rule<I = never> = OpenRule | NamedRule<I> | HandlerRule;

type RuleOf<M> = M extends { methodKind: infer K; input: infer I extends DescMessage }
  ? K extends 'unary' | 'server_streaming'
    ? Rule<MessageShape<I>>
    : // A stream of requests has no one request to find a name in.
      OpenRule | HandlerRule
  : never;

/** One rule for every rpc of a service: forgetting one is a type error. */
export type RulesOf<S extends DescService> = { readonly [K in keyof S['method']]: RuleOf<S['method'][K]> };

const FSM_READ: Need = { service: 'fsm', verb: 'read' };
const FSM_WRITE: Need = { service: 'fsm', verb: 'write' };
const FSM_MANAGE: Need = { service: 'fsm', verb: 'manage' };
const BUS_READ: Need = { service: 'bus', verb: 'read' };
const BUS_WRITE: Need = { service: 'bus', verb: 'write' };
const BUS_PROCESS: Need = { service: 'bus', verb: 'process' };
const BUS_MANAGE: Need = { service: 'bus', verb: 'manage' };

/** For `/metrics`, which is no rpc; the name is METRICS_NAME. */
export const METRICS_NEED: Need = { service: 'server', verb: 'read' };
export const METRICS_NAME = 'metrics';

const open: OpenRule = { kind: 'open' };
const inHandler = (need: Need): HandlerRule => ({ kind: 'handler', need });
const named = <I>(need: Need, nameIn: NamedRule<I>['nameIn']): NamedRule<I> => ({
  kind: 'named',
  need,
  nameIn,
});

const byName = (need: Need) => named(need, ({ name }: { name: string }) => name);
const byStream = (need: Need) => named(need, ({ stream }: { stream: string }) => stream);
const byConfiguration = (need: Need) =>
  named(need, ({ configurationName }: { configurationName: string }) => configurationName);
/** In v1beta: the bare name of a configuration. */
const byConfig = (need: Need) => named(need, ({ config }: { config: string }) => config);

/** Of `name:version`, as the handlers of v1beta take it apart: at its first colon, if there is one. */
const bareName = (id: string): string => id.split(':', 1)[0] as string;

const FSM_RULES: RulesOf<typeof FsmService> = {
  createConfiguration: named(FSM_MANAGE, ({ configuration }) => configuration?.name ?? ''),
  getConfiguration: byName(FSM_READ),
  listConfigurations: inHandler(FSM_READ),
  listConfigurationVersions: byName(FSM_READ),
  renderConfiguration: byName(FSM_READ),
  setRetention: byConfiguration(FSM_MANAGE),
  getRetention: byConfiguration(FSM_READ),
  createFiniteStateMachine: byConfiguration(FSM_WRITE),
  getFiniteStateMachine: byConfiguration(FSM_READ),
  listFiniteStateMachines: byConfiguration(FSM_READ),
  countByState: byConfiguration(FSM_READ),
  listTransitions: byConfiguration(FSM_READ),
  deleteFiniteStateMachine: byConfiguration(FSM_WRITE),
  importFiniteStateMachine: byConfiguration(FSM_MANAGE),
  listAllowedEvents: byConfiguration(FSM_READ),
  sendEvent: byConfiguration(FSM_WRITE),
  sendEvents: inHandler(FSM_WRITE),
  streamEvents: inHandler(FSM_WRITE),
  getEventOutcome: byConfiguration(FSM_READ),
  getEvent: byConfiguration(FSM_READ),
  watchTransitions: byConfiguration(FSM_READ),
  auditIndex: byConfiguration(FSM_MANAGE),
};

const V1BETA_RULES: RulesOf<typeof StatemachineService> = {
  health: open,
  putConfiguration: byName(FSM_MANAGE),
  getAllConfigurations: named(FSM_READ, ({ value }) => (value === '' ? BY_HANDLER : value)),
  streamAllConfigurations: named(FSM_READ, ({ value }) => value),
  getConfiguration: named(FSM_READ, ({ value }) => bareName(value)),
  putFiniteStateMachine: named(FSM_WRITE, ({ fsm }) => bareName(fsm?.configId ?? '')),
  getFiniteStateMachine: byConfig(FSM_READ),
  getAllInState: byConfig(FSM_READ),
  streamAllInstate: byConfig(FSM_READ),
  sendEvent: byConfig(FSM_WRITE),
  getEventOutcome: byConfig(FSM_READ),
};

const BUS_RULES: RulesOf<typeof BusService> = {
  createStream: byName(BUS_MANAGE),
  getStream: byName(BUS_READ),
  updateStream: byName(BUS_MANAGE),
  deleteStream: byName(BUS_MANAGE),
  listStreams: inHandler(BUS_READ),
  getStreamInfo: byStream(BUS_READ),
  getStreamEvents: byStream(BUS_READ),
  writeEvent: byStream(BUS_WRITE),
  writeEvents: byStream(BUS_WRITE),
  processEvents: byStream(BUS_PROCESS),
  retryEvents: byStream(BUS_PROCESS),
  markEvent: inHandler(BUS_PROCESS),
  markEvents: inHandler(BUS_PROCESS),
  extendLeases: inHandler(BUS_PROCESS),
  createGroup: byStream(BUS_MANAGE),
  updateGroup: byStream(BUS_MANAGE),
  deleteGroup: byStream(BUS_MANAGE),
  listGroups: byStream(BUS_READ),
  seekGroup: byStream(BUS_MANAGE),
  listDeadLetters: byStream(BUS_READ),
  replayDeadLetters: byStream(BUS_MANAGE),
  purgeDeadLetters: byStream(BUS_MANAGE),
  subscribe: byStream(BUS_READ),
};

const HEALTH_RULES: RulesOf<typeof Health> = { check: open, list: open, watch: open };
const REFLECTION_V1_RULES: RulesOf<typeof ReflectionV1> = { serverReflectionInfo: open };
const REFLECTION_V1ALPHA_RULES: RulesOf<typeof ReflectionV1Alpha> = { serverReflectionInfo: open };

const TABLE: ReadonlyMap<string, Readonly<Record<string, Rule>>> = new Map<string, Record<string, Rule>>([
  [FsmService.typeName, { ...FSM_RULES }],
  [StatemachineService.typeName, { ...V1BETA_RULES }],
  [BusService.typeName, { ...BUS_RULES }],
  [Health.typeName, { ...HEALTH_RULES }],
  [ReflectionV1.typeName, { ...REFLECTION_V1_RULES }],
  [ReflectionV1Alpha.typeName, { ...REFLECTION_V1ALPHA_RULES }],
]);

/** Every service that has rules, by its full name. */
export const RULED_SERVICES: readonly string[] = [...TABLE.keys()];

/** The rule of an rpc; throws if it has none, and then nothing may serve it. */
export function ruleOf(method: DescMethod): Rule {
  const rule = TABLE.get(method.parent.typeName)?.[method.localName];
  if (rule === undefined) throw new Error(`${method} has no rule about who may call it`);
  return rule;
}
