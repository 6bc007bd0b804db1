/** How the things of fsm look, each in one place: cells of a row, fields of a record, JSON. */
import type { JsonObject } from '@bufbuild/protobuf';
import {
  type AppliedTransition,
  type Configuration,
  type EventOutcome,
  type FiniteStateMachine,
  messageToJson,
  refusalText,
  type SentEvent,
  type WatchEvent,
} from '../client/index.js';
import type { View } from './output.js';
import { localTime } from './text.js';

type Fields = readonly (readonly [label: string, value: string])[];

export const configurationNames: View<string> = {
  columns: ['NAME'],
  cells: (name) => [name],
  json: (name) => ({ name }),
};

export const configurations: View<Configuration> = {
  columns: ['NAME', 'VERSION', 'STATES', 'TRANSITIONS', 'CREATED'],
  cells: (each) => [
    each.name,
    each.version,
    String(each.states.length),
    String(each.transitions.length),
    localTime(each.createTime),
  ],
  json: messageToJson,
};

export function configurationFields(configuration: Configuration): Fields {
  const { name, version, states, startingState, finalStates, transitions, createTime } = configuration;
  return [
    ['configuration', `${name}:${version}`],
    ['states', states.join(', ')],
    ['starts in', startingState],
    ['final', finalStates.join(', ') || '(none)'],
    ...transitions.map(
      ({ from, to, event }, i) => [i === 0 ? 'transitions' : '', `${from} --${event}--> ${to}`] as const,
    ),
    ['created', localTime(createTime)],
  ];
}

export const machines: View<FiniteStateMachine> = {
  columns: ['ID', 'STATE', 'VERSION', 'CONFIGURATION', 'UPDATED'],
  cells: (fsm) => [
    fsm.id,
    fsm.state,
    String(fsm.version),
    `${fsm.configurationName}:${fsm.configurationVersion}`,
    localTime(fsm.updateTime),
  ],
  json: messageToJson,
};

export function machineFields(fsm: FiniteStateMachine): Fields {
  const last = fsm.lastTransition;
  return [
    ['machine', fsm.id],
    ['configuration', `${fsm.configurationName}:${fsm.configurationVersion}`],
    ['state', fsm.state],
    ['version', String(fsm.version)],
    ['last event', last ? `${last.event?.name}: ${last.from} -> ${last.to}` : '(none)'],
    ['created', localTime(fsm.createTime)],
    ['updated', localTime(fsm.updateTime)],
    ['uid', fsm.uid],
    ...fsm.history.map((each, i) => [i === 0 ? 'history' : '', historyLine(each)] as const),
  ];
}

function historyLine({ version, from, to, event, applyTime }: AppliedTransition): string {
  return `${version}  ${from} -> ${to}  ${event?.name}  ${localTime(applyTime)}`;
}

export const transitions: View<AppliedTransition> = {
  columns: ['VERSION', 'FROM', 'TO', 'EVENT', 'EVENT ID', 'ORIGINATOR', 'APPLIED'],
  cells: ({ version, from, to, event, applyTime }) => [
    String(version),
    from,
    to,
    event?.name ?? '',
    event?.eventId ?? '',
    event?.originator ?? '',
    localTime(applyTime),
  ],
  json: messageToJson,
};

export function outcomeFields(outcome: EventOutcome): Fields {
  return [
    ['event', outcome.eventId],
    ['machine', outcome.fsmId],
    ['outcome', outcomeText(outcome)],
    ...(outcome.replayed ? [['replayed', 'yes: nothing was done now'] as const] : []),
    ['evaluated', localTime(outcome.evaluateTime)],
  ];
}

export function outcomeText(outcome: EventOutcome): string {
  const { result } = outcome;
  if (result.case !== 'applied') return `refused: ${refusalText(outcome)}`;
  return `applied: ${result.value.from} -> ${result.value.to} (version ${result.value.version})`;
}

export const sentEvents: View<SentEvent> = {
  columns: ['MACHINE', 'EVENT', 'EVENT ID', 'OUTCOME'],
  cells: ({ request, result }) => [
    request.fsmId,
    request.event.name ?? '',
    request.event.eventId,
    'outcome' in result ? outcomeText(result.outcome) : `failed: ${result.error.message}`,
  ],
  json: ({ request, result }) => {
    if ('outcome' in result) return messageToJson(result.outcome);
    const { configurationName, fsmId, event } = request;
    const { code, reason, message } = result.error;
    return { configurationName, fsmId, eventId: event.eventId, error: { code, reason, message } };
  },
};

const CHANGE_WORDS = ['', 'created', 'transition', 'deleted'] as const;

/** What a watch prints; a cursor on its own is not shown. */
export const watchEvents: View<WatchEvent> = {
  columns: ['TIME', 'WHAT', 'ID', 'VERSION', 'FROM', 'TO', 'EVENT'],
  widths: [19, 10, 12, 7, 8, 8, 8],
  cells: (event) => {
    switch (event.kind) {
      case 'fsm': {
        const { updateTime, id, version, state } = event.fsm;
        return [localTime(updateTime), 'is', id, String(version), '', state, ''];
      }
      case 'change': {
        const { change } = event;
        const what = CHANGE_WORDS[change.kind] ?? '';
        const { fsmId, version, from, to, eventName } = change;
        return [localTime(change.changeTime), what, fsmId, String(version), from, to, eventName];
      }
      default:
        return ['', event.kind === 'snapshot_started' ? 'snapshot' : 'complete', '', '', '', '', ''];
    }
  },
  json: (event) => watchEventJson(event),
};

function watchEventJson(event: WatchEvent): JsonObject {
  switch (event.kind) {
    case 'fsm':
      return { fsm: messageToJson(event.fsm) };
    case 'change':
      return { change: messageToJson(event.change), ...(event.cursor && { cursor: event.cursor }) };
    case 'snapshot_started':
      return { snapshotStarted: true };
    case 'snapshot_complete':
      return { snapshotComplete: true, cursor: event.cursor };
    default:
      return { cursor: event.cursor };
  }
}
