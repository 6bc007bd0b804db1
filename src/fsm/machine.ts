/**
 * The law of an event: given a machine, an event and what is known of that event from before, what is
 * the answer and what must be written. Pure. The LMDB store runs it as it stands; the Redis script
 * says the same in Lua, and a property test compares every answer of both with this one.
 */
import { hash, randomUUID } from 'node:crypto';
import type { Edges } from './configuration.js';

/** How many events of one machine may share one atomic step. */
export const MAX_EVENTS_PER_STEP = 100;

/** How long an outcome that is not final can be read. */
export const REFUSAL_RETENTION_MS = 10 * 60_000;

/** How long a final outcome is kept unless configured otherwise, and at most. */
export const DEFAULT_OUTCOME_RETENTION_MS = 24 * 3_600_000;
export const MAX_OUTCOME_RETENTION_MS = 7 * 24 * 3_600_000;

/** An event as its sender described it; `timestampUs` in microseconds since 1970. */
export interface Event {
  readonly eventId: string;
  readonly name: string;
  readonly originator: string;
  readonly details: string;
  readonly timestampUs: number;
}

/** An event to apply, with its sender's expectations. */
export interface Command extends Event {
  /** `bodyHash` of the event: what "the same body" means. */
  readonly bodyHash: string;
  readonly expectedVersion?: number | undefined;
  readonly expectedState?: string | undefined;
}

/** The part of a machine that the law needs. */
export interface Position {
  readonly uid: string;
  readonly state: string;
  readonly version: number;
  readonly configurationVersion: string;
}

/** A machine. Times are the store's, in milliseconds since 1970. */
export interface Machine extends Position {
  readonly configurationName: string;
  readonly id: string;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
}

/** An entry of a machine's history. */
export interface AppliedTransition {
  readonly version: number;
  readonly from: string;
  readonly to: string;
  readonly event: Event;
  readonly applyTimeMs: number;
}

/** What became of an event. `timeMs` is when that was decided, by the store's clock. */
export type Outcome =
  | { kind: 'applied'; from: string; to: string; version: number; timeMs: number }
  | {
      kind: 'not_allowed';
      state: string;
      version: number;
      /** Whose transitions forbid it: the allowed events follow from this and the state. */
      configurationVersion: string;
      timeMs: number;
    }
  | { kind: 'version_mismatch'; actualState: string; actualVersion: number; timeMs: number }
  | { kind: 'fsm_not_found'; timeMs: number };

/** The answer to a command. */
export type Answer =
  | { kind: 'outcome'; outcome: Outcome; replayed: boolean }
  /** There is no configuration of that name; nothing is stored. */
  | { kind: 'configuration_not_found' }
  /** The id was used for an event with another body, and that outcome is final. */
  | { kind: 'event_id_reused' };

/** An outcome as it is kept for (machine, event id). */
export interface StoredOutcome {
  readonly outcome: Outcome;
  readonly bodyHash: string;
  /** The machine's uid when it was decided; empty when there was no machine. */
  readonly uid: string;
}

/** APPLIED and EVENT_NOT_ALLOWED are replayed; the others are evaluated afresh. */
export function isFinal(outcome: Outcome): boolean {
  return outcome.kind === 'applied' || outcome.kind === 'not_allowed';
}

export interface Decision {
  readonly answer: Answer;
  /** What to keep for (machine, event id); undefined = write nothing. */
  readonly store?: StoredOutcome;
  /** The machine's new state and version; undefined = it does not move. */
  readonly move?: { state: string; version: number } | undefined;
}

/**
 * Decides one command.
 * @param machine where the machine is, or undefined if there is none
 * @param edges the compiled configuration version that the machine follows
 * @param earlier what is kept for (machine, event id) and has not lapsed
 * @param nowMs the store's clock
 */
export function decide(
  machine: Position | undefined,
  edges: Edges | undefined,
  command: Command,
  earlier: StoredOutcome | undefined,
  nowMs: number,
): Decision {
  if (earlier && isFinal(earlier.outcome)) return recall(command, earlier);
  const outcome = evaluate(machine, edges, command, nowMs);
  return {
    answer: { kind: 'outcome', outcome, replayed: false },
    store: { outcome, bodyHash: command.bodyHash, uid: machine?.uid ?? '' },
    move: outcome.kind === 'applied' ? { state: outcome.to, version: outcome.version } : undefined,
  };
}

function recall(command: Command, earlier: StoredOutcome): Decision {
  if (earlier.bodyHash !== command.bodyHash) return { answer: { kind: 'event_id_reused' } };
  return { answer: { kind: 'outcome', outcome: earlier.outcome, replayed: true } };
}

/** Expectations are looked at first: a caller whose view is old learns that rather than a refusal. */
function evaluate(
  machine: Position | undefined,
  edges: Edges | undefined,
  command: Command,
  timeMs: number,
): Outcome {
  if (!machine) return { kind: 'fsm_not_found', timeMs };
  const { state, version, configurationVersion } = machine;
  const versionHolds = command.expectedVersion === undefined || command.expectedVersion === version;
  const stateHolds = command.expectedState === undefined || command.expectedState === state;
  if (!versionHolds || !stateHolds)
    return { kind: 'version_mismatch', actualState: state, actualVersion: version, timeMs };
  const to = edges?.get(command.name)?.get(state);
  if (to === undefined) return { kind: 'not_allowed', state, version, configurationVersion, timeMs };
  return { kind: 'applied', from: state, to, version: version + 1, timeMs };
}

/**
 * The first 128 bits of SHA-256 over the event's body: name, originator and details, each with its
 * length before it so that no two bodies run together. The timestamp is no part of it, since a client
 * that retries may well stamp anew.
 */
export function bodyHash(event: Pick<Event, 'name' | 'originator' | 'details'>): string {
  const { name, originator, details } = event;
  const framed = `${name.length}:${name}${originator.length}:${originator}${details}`;
  return hash('sha256', framed, 'base64url').slice(0, 22);
}

/** An id for a machine whose creator gave none: the same for the same request, so a retry meets it. */
export function machineIdFor(configurationName: string, requestId: string): string {
  if (requestId === '') return randomUUID();
  const digest = hash('sha256', JSON.stringify([configurationName, requestId]), 'hex');
  return [0, 8, 12, 16, 20].map((at, i) => digest.slice(at, [8, 12, 16, 20, 32][i])).join('-');
}
