/**
 * What a configuration is and what can be said about it without a store: whether it contradicts
 * itself, what is odd about it, and where an event leads. Pure; a stored configuration never changes,
 * so everything derived from one may be kept for ever.
 */
import { createHash } from 'node:crypto';
import type { FieldViolation } from '../fault.js';

export interface Transition {
  readonly from: string;
  readonly to: string;
  readonly event: string;
}

/** A definition as its author wrote it. */
export interface ConfigurationContent {
  readonly name: string;
  readonly version: string;
  readonly states: readonly string[];
  readonly transitions: readonly Transition[];
  readonly startingState: string;
  readonly finalStates: readonly string[];
}

/** A definition as the store keeps it. */
export interface Configuration extends ConfigurationContent {
  readonly createTimeMs: number;
}

export interface Warning {
  readonly kind: 'unreachable' | 'dead_end';
  readonly state: string;
}

export interface LintOptions {
  /** Accept a repeated (from, event), of which the first counts: the rule of statemachine.v1beta. */
  allowRepeatedEdges?: boolean;
}

/** Everything in which a configuration contradicts itself, by field; empty = it can be stored. */
export function lint(content: ConfigurationContent, options: LintOptions = {}): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const complain = (field: string, description: string) => violations.push({ field, description });
  const states = new Set(content.states);
  if (content.name === '') complain('name', 'is missing');
  if (content.version === '') complain('version', 'is missing');
  if (states.size === 0) complain('states', 'must name at least one state');
  if (!states.has(content.startingState)) complain('starting_state', 'must be one of `states`');
  lintTransitions(content, states, options, complain);
  content.finalStates.forEach((state, i) => {
    if (!states.has(state)) complain(`final_states[${i}]`, 'must be one of `states`');
  });
  lintUnused(content, states, complain);
  return violations;
}

type Complain = (field: string, description: string) => void;

function lintTransitions(
  { transitions }: ConfigurationContent,
  states: ReadonlySet<string>,
  options: LintOptions,
  complain: Complain,
): void {
  const seen = new Map<string, number>();
  transitions.forEach((transition, i) => {
    if (!states.has(transition.from)) complain(`transitions[${i}].from`, 'must be one of `states`');
    if (!states.has(transition.to)) complain(`transitions[${i}].to`, 'must be one of `states`');
    if (transition.event === '') complain(`transitions[${i}].event`, 'is missing');
    const edge = JSON.stringify([transition.from, transition.event]);
    const first = seen.get(edge);
    if (first === undefined) seen.set(edge, i);
    else if (!options.allowRepeatedEdges)
      complain(
        `transitions[${i}]`,
        `has the same (from, event) as transitions[${first}]; an event leads to one state`,
      );
  });
}

/** A state that no transition touches can be neither entered nor left: a slip, unless it is alone. */
function lintUnused(content: ConfigurationContent, states: ReadonlySet<string>, complain: Complain): void {
  if (states.size === 1) return;
  const used = new Set(content.transitions.flatMap(({ from, to }) => [from, to]));
  content.states.forEach((state, i) => {
    if (!used.has(state)) complain(`states[${i}]`, 'is used by no transition');
  });
}

/** What is allowed but rarely meant. */
export function warnings(content: ConfigurationContent): Warning[] {
  const reached = reachable(content);
  const hasExit = new Set(content.transitions.map(({ from }) => from));
  const final = new Set(content.finalStates);
  return content.states.flatMap((state): Warning[] => [
    ...(reached.has(state) ? [] : [{ kind: 'unreachable' as const, state }]),
    ...(hasExit.has(state) || final.has(state) ? [] : [{ kind: 'dead_end' as const, state }]),
  ]);
}

function reachable({ startingState, transitions }: ConfigurationContent): Set<string> {
  const next = new Map<string, string[]>();
  for (const { from, to } of transitions) next.set(from, [...(next.get(from) ?? []), to]);
  const reached = new Set([startingState]);
  const queue = [startingState];
  for (let state = queue.pop(); state !== undefined; state = queue.pop())
    for (const to of next.get(state) ?? []) {
      if (reached.has(to)) continue;
      reached.add(to);
      queue.push(to);
    }
  return reached;
}

/** Same content = same hash. Order counts; the creation time does not. */
export function contentHash(content: ConfigurationContent): string {
  const { name, version, states, transitions, startingState, finalStates } = content;
  const edges = transitions.map(({ from, to, event }) => [from, to, event]);
  const canonical = JSON.stringify([name, version, states, edges, startingState, finalStates]);
  return createHash('sha256').update(canonical).digest('base64url');
}

/** What leads out of a state, in the order of the configuration; of a repeated event the first. */
export function transitionsFrom(content: ConfigurationContent, state: string): Transition[] {
  const seen = new Set<string>();
  return content.transitions.filter(({ from, event }) => {
    if (from !== state || seen.has(event)) return false;
    seen.add(event);
    return true;
  });
}

/** The names of the events a state allows, in the order of the configuration. */
export function allowedEvents(content: ConfigurationContent, state: string): string[] {
  return transitionsFrom(content, state).map(({ event }) => event);
}

/** Where each event leads, by event and then by state: `edges.get(event)?.get(from)` is `to`. */
export type Edges = ReadonlyMap<string, ReadonlyMap<string, string>>;

const compiled = new WeakMap<ConfigurationContent, Edges>();

/** The edges of a configuration, compiled once for as long as the object lives. */
export function edgesOf(content: ConfigurationContent): Edges {
  const known = compiled.get(content);
  if (known) return known;
  const edges = new Map<string, Map<string, string>>();
  for (const { from, to, event } of content.transitions) {
    const targets = edges.get(event) ?? new Map<string, string>();
    if (!targets.has(from)) targets.set(from, to);
    edges.set(event, targets);
  }
  compiled.set(content, edges);
  return edges;
}
