/**
 * What go-statemachine stores, and what becomes of it here. Pure. The idea to hold: a value says what
 * it belongs to (a machine its configuration, an outcome its configuration and machine), so its key is
 * taken apart by what the value says and never guessed, whatever characters names and ids hold.
 *
 * | key                             | value                                              |
 * |---------------------------------|----------------------------------------------------|
 * | `configs`                       | set of configuration names                         |
 * | `configs#NAME`                  | set of `NAME:VERSION`                              |
 * | `configs#NAME:VERSION`          | Configuration                                      |
 * | `fsm:NAME#ID`                   | FiniteStateMachine, with its whole history         |
 * | `fsm:NAME:state#STATE`          | set of machine ids: an index, nothing to bring     |
 * | `events:NAME#EVENT`             | Event, as it was sent; without states              |
 * | `events:NAME:outcome#EVENT`     | EventOutcome                                       |
 */
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import * as beta from '../../client/statemachine-v1beta.js';
import { LeftOut } from './report.js';

/** Kept with every machine that is brought: by it a second run knows its own. */
const IMPORT_ID = 'go-statemachine';
/** What go-statemachine calls a version that is not given; so does its contract here. */
const DEFAULT_VERSION = 'v1';
const CHUNK_ENTRIES = 1_000;
/** Under the 3 MiB that a chunk may have, by an estimate that is never too low. */
const CHUNK_BYTES = 2 * 1024 * 1024;

export interface SourceConfiguration {
  /** `NAME:VERSION` as machines name it. */
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly states: ReadonlySet<string>;
  readonly content: beta.ConfigurationInit;
  /** In what `content` differs from what is stored, without doing anything else. */
  readonly amendments: readonly string[];
}

export function configurationFrom(key: string, bytes: Buffer): SourceConfiguration {
  const stored = decode(beta.ConfigurationSchema, bytes);
  const { name, startingState } = stored;
  const id = `${name}:${stored.version}`;
  if (key !== `configs#${id}`)
    throw new LeftOut(`holds the configuration ${id}, which its key does not name`);
  const version = stored.version || DEFAULT_VERSION;
  const transitions = firstOfEach(stored.transitions);
  const listed = new Set(stored.states);
  const ends = new Set(transitions.flatMap(({ from, to }) => [from, to]));
  const states = new Set([...listed, ...ends]);
  checkStates(listed, ends, startingState);
  const content = { name, version, startingState, states: [...states], transitions };
  const amendments = [
    ...count(
      stored.transitions.length - transitions.length,
      'of its transitions were dropped: they repeat the (from, event) of an earlier one and never counted',
    ),
    ...count(states.size - listed.size, 'states were added: its transitions name them and its list did not'),
  ];
  return { id, name, version, states, content, amendments };
}

function count(number: number, what: string): string[] {
  return number === 0 ? [] : [`${number} ${what}`];
}

/** What the service refuses for its meaning and not for its form, so that a dry run tells it too. */
function checkStates(listed: ReadonlySet<string>, ends: ReadonlySet<string>, startingState: string): void {
  if (!listed.has(startingState))
    throw new LeftOut(`starts in "${startingState}", which is not one of its states`);
  const unused = [...listed].find((state) => !ends.has(state));
  if (unused !== undefined && listed.size > 1)
    throw new LeftOut(`has the state "${unused}", which is used by no transition`);
}

/** Of transitions with the same (from, event) go-statemachine takes the first and never sees the others. */
function firstOfEach(transitions: readonly beta.Transition[]): { from: string; to: string; event: string }[] {
  const first = new Map<string, { from: string; to: string; event: string }>();
  for (const { from, to, event } of transitions) {
    const edge = JSON.stringify([from, event]);
    if (!first.has(edge)) first.set(edge, { from, to, event });
  }
  return [...first.values()];
}

const natural = new Intl.Collator('en', { numeric: true });

/** v9 before v10: the order of creation is not stored, and this is the likeliest. */
export function byVersion(a: SourceConfiguration, b: SourceConfiguration): number {
  return natural.compare(a.version, b.version) || (a.version < b.version ? -1 : 1);
}

type PastTransition = NonNullable<beta.ImportInit['history']>[number];

/** A machine with all that happened to it, checked against its configuration. */
export interface Past {
  readonly id: string;
  readonly configuration: SourceConfiguration;
  readonly startState: string;
  readonly state: string;
  readonly history: readonly PastEntry[];
  /** How many events got another id, since theirs was empty or used before on this machine. */
  readonly renamed: number;
}

interface PastEntry {
  readonly from: string;
  readonly to: string;
  readonly eventId: string;
  readonly event: beta.Event;
}

export function pastFrom(
  key: string,
  bytes: Buffer,
  configurations: ReadonlyMap<string, SourceConfiguration | undefined>,
): Past {
  const machine = decode(beta.FiniteStateMachineSchema, bytes);
  const { configId, state } = machine;
  // go-statemachine takes the name up to the first colon, and so do its keys.
  const prefix = `fsm:${configId.split(':', 1)[0]}#`;
  if (!key.startsWith(prefix))
    throw new LeftOut(`follows ${configId || 'no configuration'}, which its key does not name`);
  const configuration = configurations.get(configId);
  if (!configuration)
    throw new LeftOut(
      `follows the configuration ${configId}, which ${configurations.has(configId) ? 'was left out' : 'is not there'}`,
    );
  const history = entriesOf(machine.history);
  checkChain(history, state, configuration);
  const renamed = history.filter(({ eventId, event }) => eventId !== event.eventId).length;
  const startState = history[0]?.from ?? state;
  return { id: key.slice(prefix.length), configuration, startState, state, history, renamed };
}

/** go-statemachine applies an event again when its id comes again; here an id stands for one event. */
function entriesOf(events: readonly beta.Event[]): PastEntry[] {
  const seen = new Set<string>();
  return events.map((event, i) => {
    const isOwn = event.eventId !== '' && !seen.has(event.eventId);
    const eventId = isOwn ? event.eventId : `${event.eventId || 'imported'}~${i + 1}`;
    seen.add(eventId);
    return { from: event.transition?.from ?? '', to: event.transition?.to ?? '', eventId, event };
  });
}

function checkChain(history: readonly PastEntry[], state: string, { id, states }: SourceConfiguration): void {
  let at = history[0]?.from ?? state;
  for (const [i, { from, to }] of history.entries()) {
    const where = `its transition ${i + 1}`;
    for (const each of [from, to])
      if (!states.has(each)) throw new LeftOut(`${where} is in state "${each}", which ${id} does not have`);
    if (from !== at) throw new LeftOut(`${where} leaves "${from}", and the one before it ended in "${at}"`);
    at = to;
  }
  if (!states.has(state)) throw new LeftOut(`is in state "${state}", which ${id} does not have`);
  if (at !== state) throw new LeftOut(`is in state "${state}", and its history ends in "${at}"`);
}

/** The requests that bring a machine, in order; one without entries when it has no history. */
export function* chunksOf(past: Past): Generator<beta.ImportInit & { history: PastTransition[] }> {
  let history: PastTransition[] = [];
  let bytes = 0;
  let firstVersion = 1;
  for (const { from, to, eventId, event } of past.history) {
    const size = sizeOf(from, to, eventId, event);
    if (history.length === CHUNK_ENTRIES || (history.length > 0 && bytes + size > CHUNK_BYTES)) {
      yield chunk(past, firstVersion, history);
      firstVersion += history.length;
      history = [];
      bytes = 0;
    }
    history.push({ from, to, event: eventInit(event, eventId) });
    bytes += size;
  }
  yield chunk(past, firstVersion, history);
}

function chunk(past: Past, firstVersion: number, history: PastTransition[]) {
  const state = history.at(-1)?.to ?? past.state;
  return { ...machineInit(past), firstVersion: BigInt(firstVersion), history, state };
}

function machineInit({ id: fsmId, configuration: { name, version } }: Pick<Past, 'id' | 'configuration'>) {
  return { configurationName: name, configurationVersion: version, fsmId, importId: IMPORT_ID };
}

function eventInit({ transition, originator, details, timestamp }: beta.Event, eventId: string) {
  return { eventId, name: transition?.event ?? '', originator, details, ...(timestamp && { timestamp }) };
}

function sizeOf(from: string, to: string, eventId: string, event: beta.Event): number {
  const texts = [from, to, eventId, event.transition?.event ?? '', event.originator, event.details];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 6, 64);
}

/** What outcomes ask of a machine, without the events' texts. */
export interface Outline {
  readonly id: string;
  readonly configuration: SourceConfiguration;
  readonly startState: string;
  readonly state: string;
  readonly eventIds: ReadonlySet<string>;
  /** When each transition was, if it says so, and where it led. */
  readonly steps: readonly { readonly atMs: number; readonly to: string }[];
}

export function outlineOf({ id, configuration, startState, state, history }: Past): Outline {
  const steps = history.map(({ to, event }) => ({ atMs: msOf(event.timestamp), to }));
  return {
    id,
    configuration,
    startState,
    state,
    eventIds: new Set(history.map((each) => each.eventId)),
    steps,
  };
}

/** The request that brings a refusal to a machine that was brought. */
export function refusalInit(outline: Outline, eventId: string, event: beta.Event): beta.ImportInit {
  const { steps, state } = outline;
  const refused = [{ event: eventInit(event, eventId), ...placeAt(outline, msOf(event.timestamp)) }];
  return { ...machineInit(outline), firstVersion: BigInt(steps.length + 1), history: [], state, refused };
}

/** Where the machine was at a time: go-statemachine does not keep where it was when it refused. */
function placeAt({ steps, startState }: Outline, atMs: number): { state: string; version: bigint } {
  const version = steps.findLastIndex((step) => !(step.atMs > atMs)) + 1;
  return { state: steps[version - 1]?.to ?? startState, version: BigInt(version) };
}

/** Not a number when there is none, which is neither before nor after any. */
function msOf(timestamp: Timestamp | undefined): number {
  return timestamp ? Number(timestamp.seconds) * 1_000 + timestamp.nanos / 1_000_000 : Number.NaN;
}

const { EventNotAllowed, TransitionNotAllowed, InternalError } = beta.EventOutcome_StatusCode;

/** What go-statemachine's current release says of a transition that is not there, as an internal error. */
const NO_TRANSITION = /unexpected event transition$/;

export interface SourceOutcome {
  readonly name: string;
  readonly machineId: string;
  readonly eventId: string;
  /** Of the others nothing stays: Switchgear would evaluate such an event afresh. */
  readonly verdict: 'applied' | 'refused' | 'not_final';
}

/** Undefined = the value is no outcome, or of another key: `key` is that of an event. */
export function outcomeFrom(key: string, bytes: Buffer): SourceOutcome | undefined {
  const { code, details, id, config } = decode(beta.EventOutcomeSchema, bytes);
  const prefix = `events:${config}:outcome#`;
  if (!key.startsWith(prefix)) return undefined;
  const isRefused =
    code === EventNotAllowed ||
    code === TransitionNotAllowed ||
    (code === InternalError && NO_TRANSITION.test(details));
  const verdict = code === beta.EventOutcome_StatusCode.Ok ? 'applied' : isRefused ? 'refused' : 'not_final';
  return { name: config, machineId: id, eventId: key.slice(prefix.length), verdict };
}

export function eventFrom(bytes: Buffer): beta.Event {
  return decode(beta.EventSchema, bytes);
}

/** What has fields that the message does not know is not taken for it: it would lose them. */
function decode<D extends DescMessage>(schema: D, bytes: Buffer): MessageShape<D> {
  let message: MessageShape<D>;
  try {
    message = fromBinary(schema, bytes);
  } catch (error) {
    throw new LeftOut(`is not a ${schema.name}: ${(error as Error).message}`);
  }
  if ((message.$unknown ?? []).length > 0)
    throw new LeftOut(`is not a ${schema.name}: it has fields that are not known`);
  return message;
}
