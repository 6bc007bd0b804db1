/**
 * What the state machine store keeps under its keys: tuples, because a field's name need not be written
 * again with every record. One codec a record, beside its drawing; what a key says its value does not
 * repeat.
 */
import type { Configuration, Transition } from '../../fsm/configuration.js';
import type { AppliedTransition, Event, Machine, Outcome, StoredOutcome } from '../../fsm/machine.js';
import type { Change, Retention } from '../../fsm/store.js';

/** What is known of a configuration name. */
export interface NameRecord {
  readonly no: number;
  /** How many versions were created. */
  readonly versionCount: number;
  readonly newestVersion: string;
  readonly retention: Retention;
}

export type NameTuple = [
  no: number,
  versionCount: number,
  newest: string,
  historyMax: number,
  revision: number,
];

export function encodeName({ no, versionCount, newestVersion, retention }: NameRecord): NameTuple {
  return [no, versionCount, newestVersion, retention.historyMaxCount, retention.revision];
}

export function decodeName([
  no,
  versionCount,
  newestVersion,
  historyMaxCount,
  revision,
]: NameTuple): NameRecord {
  return { no, versionCount, newestVersion, retention: { historyMaxCount, revision } };
}

export interface ConfigurationRecord {
  readonly hash: string;
  readonly configuration: Configuration;
}

export type ConfigurationTuple = [
  hash: string,
  createTimeMs: number,
  states: readonly string[],
  edges: [from: string, to: string, event: string][],
  startingState: string,
  finalStates: readonly string[],
];

export function encodeConfiguration({ hash, configuration }: ConfigurationRecord): ConfigurationTuple {
  const { createTimeMs, states, transitions, startingState, finalStates } = configuration;
  const edges = transitions.map(({ from, to, event }): [string, string, string] => [from, to, event]);
  return [hash, createTimeMs, states, edges, startingState, finalStates];
}

export function decodeConfiguration(
  name: string,
  version: string,
  [hash, createTimeMs, states, edges, startingState, finalStates]: ConfigurationTuple,
): ConfigurationRecord {
  const transitions = edges.map(([from, to, event]): Transition => ({ from, to, event }));
  return {
    hash,
    configuration: { name, version, states, transitions, startingState, finalStates, createTimeMs },
  };
}

/** A machine, and what of it only the store needs. */
export interface MachineRecord {
  readonly uid: string;
  readonly state: string;
  readonly version: number;
  readonly configurationVersion: string;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
  /** Names its history; given once and never again. */
  readonly serial: number;
  /** Version of the oldest transition that is kept; one above `version` when none is. */
  readonly historyFrom: number;
  readonly firstState: string;
  readonly requestId: string;
  readonly requestHash: string;
}

export type MachineTuple = [
  uid: string,
  state: string,
  version: number,
  configurationVersion: string,
  createTimeMs: number,
  updateTimeMs: number,
  serial: number,
  historyFrom: number,
  firstState: string,
  requestId: string,
  requestHash: string,
];

export function encodeMachine(record: MachineRecord): MachineTuple {
  return [
    record.uid,
    record.state,
    record.version,
    record.configurationVersion,
    record.createTimeMs,
    record.updateTimeMs,
    record.serial,
    record.historyFrom,
    record.firstState,
    record.requestId,
    record.requestHash,
  ];
}

export function decodeMachine(tuple: MachineTuple): MachineRecord {
  return {
    uid: tuple[0],
    state: tuple[1],
    version: tuple[2],
    configurationVersion: tuple[3],
    createTimeMs: tuple[4],
    updateTimeMs: tuple[5],
    serial: tuple[6],
    historyFrom: tuple[7],
    firstState: tuple[8],
    requestId: tuple[9],
    requestHash: tuple[10],
  };
}

export function machineOf(configurationName: string, id: string, record: MachineRecord): Machine {
  const { uid, state, version, configurationVersion, createTimeMs, updateTimeMs } = record;
  return { configurationName, id, uid, state, version, configurationVersion, createTimeMs, updateTimeMs };
}

export type TransitionTuple = [
  from: string,
  to: string,
  eventId: string,
  name: string,
  originator: string,
  details: string,
  timestampUs: number,
  applyTimeMs: number,
];

export function encodeTransition(
  from: string,
  to: string,
  event: Event,
  applyTimeMs: number,
): TransitionTuple {
  const { eventId, name, originator, details, timestampUs } = event;
  return [from, to, eventId, name, originator, details, timestampUs, applyTimeMs];
}

export function decodeTransition(version: number, tuple: TransitionTuple): AppliedTransition {
  const [from, to, eventId, name, originator, details, timestampUs, applyTimeMs] = tuple;
  return { version, from, to, event: { eventId, name, originator, details, timestampUs }, applyTimeMs };
}

/** An outcome and when it may be forgotten. */
export interface OutcomeRecord {
  readonly stored: StoredOutcome;
  readonly expireTimeMs: number;
}

type OutcomeHead = [expireTimeMs: number, bodyHash: string, uid: string, timeMs: number];
export type OutcomeTuple =
  | [...OutcomeHead, kind: 1, from: string, to: string, version: number]
  | [...OutcomeHead, kind: 2, state: string, version: number, configurationVersion: string]
  | [...OutcomeHead, kind: 3, actualState: string, actualVersion: number]
  | [...OutcomeHead, kind: 4];

export function encodeOutcome({ stored, expireTimeMs }: OutcomeRecord): OutcomeTuple {
  const { outcome, bodyHash, uid } = stored;
  const head: OutcomeHead = [expireTimeMs, bodyHash, uid, outcome.timeMs];
  switch (outcome.kind) {
    case 'applied':
      return [...head, 1, outcome.from, outcome.to, outcome.version];
    case 'not_allowed':
      return [...head, 2, outcome.state, outcome.version, outcome.configurationVersion];
    case 'version_mismatch':
      return [...head, 3, outcome.actualState, outcome.actualVersion];
    case 'fsm_not_found':
      return [...head, 4];
  }
}

export function decodeOutcome(tuple: OutcomeTuple): OutcomeRecord {
  const [expireTimeMs, bodyHash, uid] = tuple;
  return { stored: { outcome: outcomeIn(tuple), bodyHash, uid }, expireTimeMs };
}

function outcomeIn(tuple: OutcomeTuple): Outcome {
  const timeMs = tuple[3];
  switch (tuple[4]) {
    case 1:
      return { kind: 'applied', from: tuple[5], to: tuple[6], version: tuple[7], timeMs };
    case 2:
      return {
        kind: 'not_allowed',
        state: tuple[5],
        version: tuple[6],
        configurationVersion: tuple[7],
        timeMs,
      };
    case 3:
      return { kind: 'version_mismatch', actualState: tuple[5], actualVersion: tuple[6], timeMs };
    case 4:
      return { kind: 'fsm_not_found', timeMs };
  }
}

const CHANGE_KINDS = ['created', 'transition', 'deleted'] as const;

export type ChangeTuple = [
  kind: number,
  timeMs: number,
  id: string,
  uid: string,
  version: number,
  configurationVersion: string,
  from: string,
  to: string,
  eventName: string,
  eventId: string,
];

export function encodeChange(change: Change): ChangeTuple {
  return [
    CHANGE_KINDS.indexOf(change.kind),
    change.timeMs,
    change.id,
    change.uid,
    change.version,
    change.configurationVersion,
    change.from,
    change.to,
    change.eventName,
    change.eventId,
  ];
}

export function decodeChange(tuple: ChangeTuple): Change {
  const [kind, timeMs, id, uid, version, configurationVersion, from, to, eventName, eventId] = tuple;
  return {
    kind: CHANGE_KINDS[kind] ?? 'transition',
    id,
    uid,
    version,
    configurationVersion,
    from,
    to,
    eventName,
    eventId,
    timeMs,
  };
}

/** [sequence of the newest entry, sequence up to which entries are gone] */
export type FeedEndsTuple = [last: number, trimmed: number];

/** [next number for a name, next serial for a machine] */
export type CountersTuple = [nextNo: number, nextSerial: number];
