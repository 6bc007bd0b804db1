/**
 * The law of an import: given a machine and a chunk of its past, what of the chunk is new, and may it be
 * written. The idea to hold: a chunk says where in the past it lies, so whatever of it is there already
 * is skipped, and the same chunk again, an import that was cut short, and one whose source has grown
 * since are all the same case. Pure; the Redis script says the same in Lua.
 */
import type { FieldViolation } from '../fault.js';
import type { Configuration } from './configuration.js';
import { type Event, isFinal, type Position, type StoredOutcome } from './machine.js';

/** What is kept in the place of a creator's request hash: a create never meets an imported machine. */
export const IMPORT_MARK = 'import';

/** How many transitions, and how many refusals, may share one atomic step. */
export const MAX_IMPORTED_PER_STEP = 1_000;

export interface PastTransition {
  readonly from: string;
  readonly to: string;
  readonly event: Event;
  /** `bodyHash` of the event. */
  readonly bodyHash: string;
}

export interface RefusedEvent {
  readonly event: Event;
  readonly bodyHash: string;
  /** Where the machine was when it refused. */
  readonly state: string;
  readonly version: number;
}

export interface Chunk {
  readonly configurationName: string;
  readonly configurationVersion: string;
  readonly id: string;
  /** Made by the caller for this attempt; kept only if the machine is created. */
  readonly uid: string;
  /** The same in every chunk of this machine, and in every repeat. */
  readonly importId: string;
  /** The version after the first of `history`. */
  readonly firstVersion: number;
  readonly history: readonly PastTransition[];
  /** The state after `history`. */
  readonly state: string;
  readonly refused: readonly RefusedEvent[];
}

/** A machine as an import meets it. */
export interface ImportedPosition extends Position {
  readonly requestId: string;
  readonly requestHash: string;
}

/** What an import looks up, each only where the answer depends on it. */
export interface Kept {
  /** The id of the event that led to `version`, if that entry is kept. */
  eventIdAt(version: number): string | undefined;
  /** What is kept for (machine, event id) and has not lapsed. */
  outcomeOf(eventId: string): StoredOutcome | undefined;
}

export type ImportRefusal =
  | { kind: 'exists' }
  | { kind: 'fsm_not_found' }
  /** `history[index]` does not start where the machine is. */
  | { kind: 'broken'; index: number }
  | { kind: 'event_id_reused'; eventId: string };

export type ImportDecision =
  | ImportRefusal
  /** What is new, perhaps nothing. A machine that is not there starts in `startState`. */
  | {
      kind: 'import';
      startState: string;
      history: readonly PastTransition[];
      refused: readonly RefusedEvent[];
    };

/** Decides one chunk. @param machine where the machine is, or undefined if there is none */
export function decideImport(
  machine: ImportedPosition | undefined,
  chunk: Chunk,
  kept: Kept,
): ImportDecision {
  if (!machine && chunk.firstVersion > 1) return { kind: 'fsm_not_found' };
  if (machine && !isOfImport(machine, chunk)) return { kind: 'exists' };
  const known = (machine?.version ?? 0) - (chunk.firstVersion - 1);
  if (known < 0) return { kind: 'exists' };
  const skipped = Math.min(known, chunk.history.length);
  if (skipped > 0 && !holds(chunk, skipped, kept)) return { kind: 'exists' };
  const history = chunk.history.slice(skipped);
  const startState = machine?.state ?? chunk.history[0]?.from ?? chunk.state;
  if (history[0] && history[0].from !== startState) return { kind: 'broken', index: skipped };
  const reused = [...history, ...chunk.refused].find((each) => isReused(each, kept));
  if (reused) return { kind: 'event_id_reused', eventId: reused.event.eventId };
  const refused = chunk.refused.filter(({ event }) => !finalOf(event, kept));
  return { kind: 'import', startState, history, refused };
}

function isOfImport(machine: ImportedPosition, { importId, configurationVersion }: Chunk): boolean {
  const { requestId, requestHash } = machine;
  const isSame = requestId === importId && requestHash === IMPORT_MARK;
  return isSame && machine.configurationVersion === configurationVersion;
}

/** Whether the last entry to be skipped is the one that is there; one that is no longer kept is believed. */
function holds({ firstVersion, history }: Chunk, skipped: number, kept: Kept): boolean {
  const there = kept.eventIdAt(firstVersion - 1 + skipped);
  return there === undefined || there === history[skipped - 1]?.event.eventId;
}

function finalOf({ eventId }: Event, kept: Kept): StoredOutcome | undefined {
  const earlier = kept.outcomeOf(eventId);
  return earlier && isFinal(earlier.outcome) ? earlier : undefined;
}

function isReused({ event, bodyHash }: PastTransition | RefusedEvent, kept: Kept): boolean {
  const earlier = finalOf(event, kept);
  return earlier !== undefined && earlier.bodyHash !== bodyHash;
}

/** Everything in which a chunk contradicts itself or its configuration, by field; empty = it may be tried. */
export function lintChunk(
  { history, state, refused }: Chunk,
  configuration: Configuration,
): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const complain = (field: string, description: string) => violations.push({ field, description });
  const states = new Set(configuration.states);
  const mustBeKnown = (field: string, value: string) => {
    if (!states.has(value)) complain(field, 'is not a state of the configuration');
  };
  history.forEach(({ from, to }, i) => {
    mustBeKnown(`history[${i}].from`, from);
    mustBeKnown(`history[${i}].to`, to);
    const before = history[i - 1];
    if (before && before.to !== from)
      complain(`history[${i}].from`, 'is not where the entry before it ended');
  });
  mustBeKnown('state', state);
  const last = history.at(-1);
  if (last && last.to !== state) complain('state', 'is not where the last entry of `history` ended');
  refused.forEach((each, i) => {
    mustBeKnown(`refused[${i}].state`, each.state);
  });
  lintEventIds(history, refused, complain);
  return violations;
}

/** Two events of one id in one step could not both be remembered. */
function lintEventIds(
  history: readonly PastTransition[],
  refused: readonly RefusedEvent[],
  complain: (field: string, description: string) => void,
): void {
  const seen = new Set<string>();
  const look = (field: string, { eventId }: Event) => {
    if (eventId === '') complain(field, 'is required');
    else if (seen.has(eventId)) complain(field, 'appears twice in this chunk');
    seen.add(eventId);
  };
  history.forEach(({ event }, i) => {
    look(`history[${i}].event.event_id`, event);
  });
  refused.forEach(({ event }, i) => {
    look(`refused[${i}].event.event_id`, event);
  });
}
