/**
 * Between the messages of statemachine.v1beta and ours. The v1 messages carry the limits, so what
 * comes in is turned into them and checked there; only the field names in complaints are turned back.
 */
import { create } from '@bufbuild/protobuf';
import * as beta from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { ConfigurationSchema, type EventOutcome } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import { type SendEventRequest, SendEventRequestSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { FieldViolation } from '../fault.js';
import type { Configuration } from './configuration.js';
import type { AppliedTransition, Machine } from './machine.js';
import { timestampFromUs } from './messages.js';

const DEFAULT_VERSION = 'v1';

export function configurationId({ name, version }: { name: string; version: string }): string {
  return `${name}:${version}`;
}

/** `name:version` in its two parts; version is empty when there is none. Neither part holds a colon. */
export function splitConfigurationId(id: string): { name: string; version: string } {
  const colon = id.indexOf(':');
  return colon < 0 ? { name: id, version: '' } : { name: id.slice(0, colon), version: id.slice(colon + 1) };
}

/** A state named twice is one state; of repeated edges the store keeps all and the first counts. */
export function v1Configuration(message: beta.Configuration) {
  const { name, transitions, startingState } = message;
  return create(ConfigurationSchema, {
    name,
    version: message.version || DEFAULT_VERSION,
    states: [...new Set(message.states)],
    transitions: transitions.map(({ from, to, event }) => ({ from, to, event })),
    startingState,
  });
}

export function betaConfiguration(configuration: Configuration): beta.Configuration {
  const { name, version, states, transitions, startingState } = configuration;
  return create(beta.ConfigurationSchema, {
    name,
    version,
    states: [...states],
    transitions: [...transitions],
    startingState,
  });
}

export function v1SendEvent({ config, id, event }: beta.EventRequest): SendEventRequest {
  return create(SendEventRequestSchema, {
    configurationName: config,
    fsmId: id,
    event: {
      eventId: event?.eventId ?? '',
      name: event?.transition?.event ?? '',
      originator: event?.originator ?? '',
      details: event?.details ?? '',
      ...(event?.timestamp && { timestamp: event.timestamp }),
    },
  });
}

const BETA_FIELDS: Readonly<Record<string, string>> = {
  configuration_name: 'config',
  fsm_id: 'id',
  event_id: 'id',
  name: 'value',
  version: 'value',
  'event.name': 'event.transition.event',
};

/** The same for PutFiniteStateMachine. */
export const PUT_FIELDS: typeof BETA_FIELDS = {
  configuration_name: 'fsm.config_id',
  configuration_version: 'fsm.config_id',
  fsm_id: 'id',
  state: 'fsm.state',
};

/** Complaints about a v1 message, in the field names that the caller used. */
export function inBetaFields(
  violations: readonly FieldViolation[],
  fields: typeof BETA_FIELDS = BETA_FIELDS,
): FieldViolation[] {
  return violations.map((violation) => ({ ...violation, field: fields[violation.field] ?? violation.field }));
}

export function betaMachine(
  machine: Machine,
  history: readonly AppliedTransition[],
): beta.FiniteStateMachine {
  return create(beta.FiniteStateMachineSchema, {
    configId: configurationId({ name: machine.configurationName, version: machine.configurationVersion }),
    state: machine.state,
    history: history.map(betaEvent),
  });
}

function betaEvent({ from, to, event }: AppliedTransition): beta.Event {
  const { eventId, originator, details } = event;
  return create(beta.EventSchema, {
    eventId,
    timestamp: timestampFromUs(event.timestampUs),
    transition: { from, to, event: event.name },
    originator,
    details,
  });
}

const { Ok, EventNotAllowed, FsmNotFound, ConfigurationNotFound, GenericError } =
  beta.EventOutcome_StatusCode;

export function betaOutcome(outcome: EventOutcome): beta.EventOutcome {
  const { fsmId: id, configurationName: config, result } = outcome;
  const as = (code: beta.EventOutcome_StatusCode, details: string) =>
    create(beta.EventOutcomeSchema, { code, details, id, config });
  switch (result.case) {
    case 'applied':
      return as(Ok, `${result.value.from} -> ${result.value.to}`);
    case 'eventNotAllowed':
      return as(EventNotAllowed, `state ${result.value.state} has no transition for this event`);
    case 'fsmNotFound':
      return as(FsmNotFound, `there is no machine with this id`);
    case 'configurationNotFound':
      return as(ConfigurationNotFound, `there is no configuration of this name`);
    default:
      return as(GenericError, 'the expectation sent with the event did not hold');
  }
}
