/**
 * The texts that machines, outcomes, history entries and changes are kept as: tokens joined by '!', so
 * that scripts take them apart with one pattern and the driver hands them over as they are. Text rather
 * than MessagePack: it is as small, needs no second decoding here, and can be read with redis-cli.
 *
 * | machine | `version!state!updateMs!configuration!uid!createMs[!initialState!requestId!requestHash]` |
 * | entry   | `from!to!ms!eventId!name!originator!timestampUs!details`, the details as they came     |
 * | outcome | `A!hash!uid!ms!version!from!to` · `N!hash!uid!ms!version!state!configuration` ·        |
 * |         | `M!hash!uid!ms!version!state` · `F!hash!!ms`                                           |
 * | change  | `C`, `T` or `D`, then `!id!uid!version!configuration!from!to!ms!eventId!name`          |
 */
import type { Answer, AppliedTransition, Event, Machine, Outcome, StoredOutcome } from '../../fsm/machine.js';
import type { Change } from '../../fsm/store.js';
import { decodeToken, encodeToken, SEPARATOR } from './tokens.js';

/** The parts of a text; one that is missing is empty. */
function parts(text: string): (at: number) => string {
  const all = text.split(SEPARATOR);
  return (at) => all[at] ?? '';
}

export function machineFrom(configurationName: string, id: string, record: string): Machine {
  const part = parts(record);
  return {
    configurationName,
    configurationVersion: decodeToken(part(3)),
    id,
    uid: decodeToken(part(4)),
    state: decodeToken(part(1)),
    version: Number(part(0)),
    createTimeMs: Number(part(5)),
    updateTimeMs: Number(part(2)),
  };
}

/** What is kept of a creator's request; empty without a request id, which nothing could repeat. */
export function requestText(initialState: string, requestId: string, requestHash: string): string {
  if (requestId === '') return '';
  return ['', initialState, requestId, requestHash].map(encodeToken).join(SEPARATOR);
}

/** The machine as its creator got it, if the record is of the same request. */
export function machineOfRequest(machine: Machine, record: string, request: string): Machine | undefined {
  const [, , , , , , initialState, requestId, requestHash] = record.split(SEPARATOR);
  if (requestId === undefined || !request.endsWith(`${SEPARATOR}${requestId}${SEPARATOR}${requestHash}`))
    return undefined;
  const state = decodeToken(initialState ?? '');
  return { ...machine, state, version: 0, updateTimeMs: machine.createTimeMs };
}

/** The index entry of a machine with this record. */
export function memberOf(record: string, idToken: string): string {
  const part = parts(record);
  return [part(1), part(3), idToken].join(SEPARATOR);
}

/** The part of a history entry that comes from the event: `eventId!name` and the rest. */
export function eventText({ eventId, name, originator, details, timestampUs }: Event): [string, string] {
  return [
    `${encodeToken(eventId)}${SEPARATOR}${encodeToken(name)}`,
    `${encodeToken(originator)}${SEPARATOR}${timestampUs}${SEPARATOR}${details}`,
  ];
}

const FIELDS_BEFORE_DETAILS = 7;

export function transitionFrom(entry: string, version: number): AppliedTransition {
  const part = parts(entry);
  let detailsAt = 0;
  for (let i = 0; i < FIELDS_BEFORE_DETAILS; i++) detailsAt = entry.indexOf(SEPARATOR, detailsAt) + 1;
  return {
    version,
    from: decodeToken(part(0)),
    to: decodeToken(part(1)),
    applyTimeMs: Number(part(2)),
    event: {
      eventId: decodeToken(part(3)),
      name: decodeToken(part(4)),
      originator: decodeToken(part(5)),
      timestampUs: Number(part(6)),
      details: entry.slice(detailsAt),
    },
  };
}

export function storedOutcomeFrom(text: string): StoredOutcome {
  const part = parts(text);
  return {
    outcome: outcomeFrom(part),
    bodyHash: decodeToken(part(1)),
    uid: decodeToken(part(2)),
  };
}

function outcomeFrom(part: (at: number) => string): Outcome {
  const timeMs = Number(part(3));
  const version = Number(part(4));
  const state = decodeToken(part(5));
  switch (part(0)) {
    case 'A':
      return { kind: 'applied', from: state, to: decodeToken(part(6)), version, timeMs };
    case 'N':
      return { kind: 'not_allowed', state, version, configurationVersion: decodeToken(part(6)), timeMs };
    case 'M':
      return { kind: 'version_mismatch', actualState: state, actualVersion: version, timeMs };
    default:
      return { kind: 'fsm_not_found', timeMs };
  }
}

/** An answer of the advance script: `+outcome`, `=outcome` or `X`. */
export function answerFrom(text: string): Answer {
  if (text === 'X') return { kind: 'event_id_reused' };
  return { kind: 'outcome', outcome: outcomeFrom(parts(text.slice(1))), replayed: text.startsWith('=') };
}

const CHANGE_KINDS: Readonly<Record<string, Change['kind']>> = {
  C: 'created',
  T: 'transition',
  D: 'deleted',
};

export function changeFrom(text: string): Change {
  const part = parts(text);
  return {
    kind: CHANGE_KINDS[part(0)] ?? 'transition',
    id: decodeToken(part(1)),
    uid: decodeToken(part(2)),
    version: Number(part(3)),
    configurationVersion: decodeToken(part(4)),
    from: decodeToken(part(5)),
    to: decodeToken(part(6)),
    timeMs: Number(part(7)),
    eventId: decodeToken(part(8)),
    eventName: decodeToken(part(9)),
  };
}
