/**
 * statemachine.v1beta: go-statemachine's contract over the same store, so that its clients work
 * unchanged. What differs on purpose: SendEvent answers after the event was evaluated, with the
 * outcome; a machine that exists is never overwritten; sizes are limited as everywhere.
 */
import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import * as beta from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { ConfigurationSchema } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import {
  CreateFiniteStateMachineRequestSchema,
  GetConfigurationRequestSchema,
  GetEventOutcomeRequestSchema,
  GetFiniteStateMachineRequestSchema,
  ListFiniteStateMachinesRequestSchema,
  SendEventRequestSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Call, Handlers } from '../call.js';
import { Fault, type FieldViolation } from '../fault.js';
import { MAX_PAGE_BYTES } from '../page.js';
import { lint } from './configuration.js';
import { checkConfigurationSize } from './configuration-rpcs.js';
import { Events, type EventsOptions } from './events.js';
import type { AppliedTransition, Machine } from './machine.js';
import { contentFrom, transitionBytes } from './messages.js';
import { fsmNotFound, mustGetConfiguration } from './missing.js';
import type { FsmStore } from './store.js';
import * as messages from './v1beta-messages.js';

/** How many things are read at a time when a whole list is asked for. */
const CHUNK = 1_000;
const CONFIGURATION_CHUNK = 20;

export interface V1betaOptions extends EventsOptions {
  /** The release to report. */
  release: string;
  /** Whether the gRPC port speaks TLS. */
  tlsEnabled: boolean;
}

type Service = Handlers<typeof beta.StatemachineService>;

export function v1betaService(options: V1betaOptions): Service {
  return {
    health: (_request, call) => health(options, call),
    ...configurationRpcs(options),
    ...machineRpcs(options),
    ...eventRpcs(options),
  };
}

async function health(
  { store, release, tlsEnabled }: V1betaOptions,
  call: Call,
): Promise<beta.HealthResponse> {
  const { READY, NOT_READY } = beta.HealthResponse_ReadyState;
  const state = await store.ping(call.signal).then(
    () => READY,
    () => NOT_READY,
  );
  return create(beta.HealthResponseSchema, { state, release, tlsEnabled });
}

function configurationRpcs({
  store,
  validate,
}: V1betaOptions): Pick<
  Service,
  'putConfiguration' | 'getConfiguration' | 'getAllConfigurations' | 'streamAllConfigurations'
> {
  const boundValue = (name: string, version = ''): void =>
    bound(validate(GetConfigurationRequestSchema, create(GetConfigurationRequestSchema, { name, version })));
  return {
    async putConfiguration(request, call) {
      const message = messages.v1Configuration(request);
      const content = contentFrom(message);
      const lints = lint(content, { allowRepeatedEdges: true });
      refuse([...validate(ConfigurationSchema, message), ...lints]);
      checkConfigurationSize(message);
      const { kind, configuration } = await store.createConfiguration(content, call.signal);
      const id = messages.configurationId(content);
      if (kind !== 'created') throw new Fault('CONFIGURATION_EXISTS', `configuration ${id} already exists`);
      const config = messages.betaConfiguration(configuration);
      return create(beta.PutResponseSchema, { id, entityResponse: { case: 'config', value: config } });
    },

    async getConfiguration({ value }, call) {
      const { name, version } = messages.splitConfigurationId(value);
      boundValue(name, version);
      return messages.betaConfiguration(await mustGetConfiguration(store, name, version, call));
    },

    async getAllConfigurations({ value: name }, call) {
      boundValue(name);
      const list = new IdList('StreamAllConfigurations');
      if (name === '') for await (const each of grantedNames(store, call)) list.add(each);
      else
        for await (const found of allVersions(store, name, call)) list.add(messages.configurationId(found));
      return create(beta.ListResponseSchema, { ids: list.ids });
    },

    async *streamAllConfigurations({ value: name }, call) {
      if (name === '') throw Fault.invalidField('value', 'must be the name of a configuration');
      boundValue(name);
      for await (const found of allVersions(store, name, call)) yield messages.betaConfiguration(found);
    },
  };
}

function machineRpcs(
  options: V1betaOptions,
): Pick<Service, 'putFiniteStateMachine' | 'getFiniteStateMachine' | 'getAllInState' | 'streamAllInstate'> {
  const { store, validate } = options;
  return {
    async putFiniteStateMachine({ id, fsm }, call) {
      if (!fsm) throw Fault.invalidField('fsm', 'is required');
      const { name, version } = messages.splitConfigurationId(fsm.configId);
      const asV1 = { configurationName: name, configurationVersion: version, fsmId: id, state: fsm.state };
      // No version has a colon: then there is no such configuration.
      const isVersion = version !== '' && !version.includes(':');
      const schema = CreateFiniteStateMachineRequestSchema;
      if (isVersion) bound(validate(schema, create(schema, asV1)), messages.PUT_FIELDS);
      const configuration = isVersion && (await store.getConfiguration(name, version, call.signal));
      if (!configuration)
        throw new Fault('CONFIGURATION_MISSING', `there is no configuration ${fsm.configId}; put it first`);
      const state = fsm.state || configuration.startingState;
      if (!configuration.states.includes(state))
        throw Fault.invalidField('fsm.state', `is not a state of ${fsm.configId}`);
      const answer = await store.createMachine(
        {
          configurationName: name,
          configurationVersion: version,
          id: id || randomUUID(),
          uid: randomUUID(),
          state,
          requestId: '',
          requestHash: '',
        },
        call.signal,
      );
      if (answer.kind === 'exists')
        throw new Fault('FSM_EXISTS', 'a machine with this id exists; it was left as it is');
      return putFsmResponse(answer.machine, []);
    },

    async getFiniteStateMachine({ config, query }, call) {
      const id = query.case === 'id' ? query.value : '';
      if (config === '') throw Fault.invalidField('config', 'must be the name of a configuration');
      if (id === '') throw Fault.invalidField('id', 'must be the id of a machine');
      const asV1 = { configurationName: config, fsmId: id };
      bound(validate(GetFiniteStateMachineRequestSchema, create(GetFiniteStateMachineRequestSchema, asV1)));
      const found = await store.getMachine(config, id, 0, call.signal);
      if (!found) throw fsmNotFound(config, id);
      const { history, omitted } = await newestHistory(store, found.machine, call);
      if (omitted > 0) call.setTrailer('switchgear-truncated', String(omitted));
      return messages.betaMachine(found.machine, history);
    },

    async getAllInState(request, call) {
      const list = new IdList('StreamAllInstate');
      for await (const { id } of allInState(options, request, call)) list.add(id);
      return create(beta.ListResponseSchema, { ids: list.ids });
    },

    async *streamAllInstate(request, call) {
      for await (const machine of allInState(options, request, call)) {
        const { history } = await newestHistory(store, machine, call);
        yield putFsmResponse(machine, history);
      }
    },
  };
}

function eventRpcs(options: V1betaOptions): Pick<Service, 'sendEvent' | 'getEventOutcome'> {
  const { store, validate } = options;
  const events = new Events(options);
  return {
    async sendEvent(request, call) {
      const asV1 = messages.v1SendEvent(request);
      if (asV1.configurationName === '') throw fieldMissing('config', 'the name of a configuration');
      if (asV1.fsmId === '') throw fieldMissing('id', 'the id of a machine');
      if (asV1.event?.name === '') throw fieldMissing('event.transition.event', 'the name of an event');
      refuse(messages.inBetaFields(validate(SendEventRequestSchema, asV1)));
      const outcome = await events.send(asV1, call.signal);
      return create(beta.EventResponseSchema, {
        eventId: outcome.eventId,
        outcome: messages.betaOutcome(outcome),
      });
    },

    async getEventOutcome({ config: configurationName, id: eventId }, call) {
      const asV1 = create(GetEventOutcomeRequestSchema, { configurationName, eventId });
      bound(validate(GetEventOutcomeRequestSchema, asV1));
      const found = await store.getOutcome(configurationName, undefined, eventId, call.signal);
      if (!found) throw new Fault('OUTCOME_NOT_FOUND', 'no outcome of this event is kept');
      const addressee = { configurationName, fsmId: found.id, eventId };
      const answer = { kind: 'outcome', outcome: found.stored.outcome, replayed: true } as const;
      const outcome = await events.outcome(addressee, answer, call.signal);
      return create(beta.EventResponseSchema, { eventId, outcome: messages.betaOutcome(outcome) });
    },
  };
}

/** The newest of a machine's history that fits a message, oldest first, and how many were left out. */
async function newestHistory(
  store: FsmStore,
  machine: Machine,
  call: Call,
): Promise<{ history: AppliedTransition[]; omitted: number }> {
  const { configurationName: name, id } = machine;
  const history: AppliedTransition[] = [];
  let bytes = 0;
  let from: Parameters<FsmStore['listTransitions']>[2];
  do {
    const page = await store.listTransitions(name, id, from, true, CHUNK, call.signal);
    if (page.kind !== 'page') break;
    for (const entry of page.items) {
      bytes += transitionBytes(entry);
      if (bytes > MAX_PAGE_BYTES) return { history: history.reverse(), omitted: entry.version };
      history.push(entry);
    }
    from = page.next;
  } while (from !== undefined);
  return { history: history.reverse(), omitted: 0 };
}

async function* grantedNames(store: FsmStore, call: Call): AsyncGenerator<string> {
  let after: string | undefined;
  do {
    const page = await store.listConfigurationNames(after, CHUNK, call.signal);
    yield* page.items.filter((name) => call.access.allows(name));
    after = page.next;
  } while (after !== undefined);
}

async function* allVersions(store: FsmStore, name: string, call: Call) {
  let after: number | undefined;
  do {
    const page = await store.listConfigurationVersions(name, after, CONFIGURATION_CHUNK, call.signal);
    if (!page) return;
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}

async function* allInState(
  { store, validate }: V1betaOptions,
  { config, query }: beta.GetFsmRequest,
  call: Call,
): AsyncGenerator<Machine> {
  const state = query.case === 'state' ? query.value : '';
  if (config === '') throw Fault.invalidField('config', 'must be the name of a configuration');
  if (state === '')
    throw new Fault('NOT_SERVED', 'a state is required; use switchgear.fsm.v1 to list all machines');
  const asV1 = create(ListFiniteStateMachinesRequestSchema, { configurationName: config, state });
  bound(validate(ListFiniteStateMachinesRequestSchema, asV1));
  let after: string | undefined;
  do {
    const page = await store.listMachines(config, { states: [state] }, after, CHUNK, call.signal);
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}

/** Ids for one answer, which a client refuses above 4 MiB. */
class IdList {
  readonly ids: string[] = [];
  readonly #streamRpc: string;
  #bytes = 0;

  constructor(streamRpc: string) {
    this.#streamRpc = streamRpc;
  }

  add(id: string): void {
    this.#bytes += Buffer.byteLength(id) + 3;
    if (this.#bytes > MAX_PAGE_BYTES)
      throw new Fault('MESSAGE_TOO_LARGE', `the list is larger than 3 MiB; use ${this.#streamRpc}`, {
        facts: { stream_rpc: this.#streamRpc },
      });
    this.ids.push(id);
  }
}

function putFsmResponse(machine: Machine, history: readonly AppliedTransition[]): beta.PutResponse {
  const value = messages.betaMachine(machine, history);
  return create(beta.PutResponseSchema, { id: machine.id, entityResponse: { case: 'fsm', value } });
}

function refuse(violations: FieldViolation[]): void {
  const [first] = violations;
  if (first) throw new Fault('INVALID_FIELD', `${first.field}: ${first.description}`, { violations });
}

/**
 * Refuses names and ids that the store cannot look for, of v1 requests that ask for the same. Empty ones are
 * not found, each in its own words, since the original does not refuse them.
 */
function bound(violations: FieldViolation[], fields?: typeof messages.PUT_FIELDS): void {
  refuse(
    messages.inBetaFields(
      violations.filter(({ rule }) => rule !== 'string.min_bytes'),
      fields,
    ),
  );
}

function fieldMissing(field: string, what: string): Fault {
  return new Fault('FIELD_MISSING', `${field} is missing: it must be ${what}`, { facts: { field } });
}
