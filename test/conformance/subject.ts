/**
 * What a suite of laws runs against: an opened store, what its backend says of itself, and the verbs
 * that every law is written in. The idea to hold: a law speaks only through the port; what it cannot
 * say there (damage, the age of the feed) the adapter's test hands in with its profile.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ConfigurationContent, Transition } from '../../src/fsm/configuration.js';
import type { AppliedTransition } from '../../src/fsm/machine.js';
import { type Answer, bodyHash, type Command, type Machine, type Outcome } from '../../src/fsm/machine.js';
import type {
  FsmStore,
  HistoryPosition,
  IndexDifference,
  MachineFilter,
  NewMachine,
} from '../../src/fsm/store.js';
import { never, type Opened, type OpenedProfile, useOpened } from './opened.js';

export { handles, never } from './opened.js';

/** A store opened for a theme. */
export type Subject = Opened<FsmStore>;

/** What a law needs the store to be opened with; everything else is the adapter's default. */
export interface OpenOptions {
  outcomeRetentionMs?: number;
}

export type OpenSubject = (options?: OpenOptions) => Promise<Subject>;

/** One wrong entry of the state index. */
export interface Damage {
  readonly kind: 'remove_entry' | 'add_entry';
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly configurationVersion: string;
}

/** How a backend differs, and the hooks for what the port cannot say. */
export interface FsmStoreProfile extends OpenedProfile {
  readonly shards: number;
  /** Does to the state index, behind the store's back, what a bug would do. */
  damage(subject: Subject, damage: Damage): Promise<void>;
  /** Makes the changes of `name` so far fall out of the feed, as if they were too old. */
  expireFeed(subject: Subject, name: string): Promise<void>;
}

/** One theme's laws. */
export type Laws = (open: OpenSubject, profile: FsmStoreProfile) => void;

/** Opens one subject for all tests of the enclosing `describe`; each test makes names of its own. */
export function useSubject(open: OpenSubject, options?: OpenOptions): Subject {
  return useOpened(() => open(options));
}

/** A door: closed <-> open, closed <-> locked, and a knock that leaves it closed. */
export const DOOR = {
  states: ['closed', 'open', 'locked'],
  transitions: [
    edge('closed', 'open', 'open'),
    edge('open', 'close', 'closed'),
    edge('closed', 'lock', 'locked'),
    edge('locked', 'unlock', 'closed'),
    edge('closed', 'knock', 'closed'),
  ],
  startingState: 'closed',
  finalStates: [],
} satisfies Partial<ConfigurationContent>;

export function edge(from: string, event: string, to: string): Transition {
  return { from, event, to };
}

export function newName(label = 'door'): string {
  return `${label}-${randomUUID().slice(0, 13)}`;
}

export function content(changes: Partial<ConfigurationContent> = {}): ConfigurationContent {
  return { name: newName(), version: 'v1', ...DOOR, ...changes };
}

/** A fresh configuration name with `versions` of the door. */
export async function givenName(store: FsmStore, ...versions: string[]): Promise<string> {
  const name = newName();
  for (const version of versions.length > 0 ? versions : ['v1'])
    await store.createConfiguration(content({ name, version }), never);
  return name;
}

export function newMachine(name: string, id: string, changes: Partial<NewMachine> = {}): NewMachine {
  return {
    configurationName: name,
    configurationVersion: 'v1',
    id,
    uid: randomUUID(),
    state: 'closed',
    requestId: '',
    requestHash: 'hash',
    ...changes,
  };
}

/** Creates a machine and fails if it was not. */
export async function givenMachine(
  store: FsmStore,
  name: string,
  id: string,
  changes: Partial<NewMachine> = {},
): Promise<Machine> {
  const answer = await store.createMachine(newMachine(name, id, changes), never);
  if (answer.kind !== 'created') throw new Error(`machine ${id}: ${answer.kind}`);
  return answer.machine;
}

/** An event called `name`; without an id, one never used before. */
export function command(
  name: string,
  eventId: string = randomUUID(),
  changes: Partial<Command> = {},
): Command {
  const event = { eventId, name, originator: 'tester', details: '{}', timestampUs: 1_700_000_000_000_001 };
  const body = { ...event, ...changes };
  return { ...body, bodyHash: bodyHash(body), ...changes };
}

/** Sends one command and returns its answer. */
export async function send(store: FsmStore, name: string, id: string, sent: Command): Promise<Answer> {
  const answers = await store.advance(name, id, [sent], never);
  if (answers.length !== 1 || !answers[0]) throw new Error(`${answers.length} answers to one command`);
  return answers[0];
}

/** Sends one command and returns its outcome; fails when the answer is none. */
export async function outcomeOf(store: FsmStore, name: string, id: string, sent: Command): Promise<Outcome> {
  const answer = await send(store, name, id, sent);
  if (answer.kind !== 'outcome') throw new Error(answer.kind);
  return answer.outcome;
}

/** What an answer comes to, in one word: the outcome's kind, or the answer's own. */
export function gist(answer: Answer): string {
  if (answer.kind !== 'outcome') return answer.kind;
  return answer.replayed ? `${answer.outcome.kind} again` : answer.outcome.kind;
}

/** A store that hands out a `next` for ever would otherwise hang its test. */
const MAX_PAGES = 20_000;

interface AnyPage<T, P> {
  readonly items: readonly T[];
  readonly next: P | undefined;
}

/** Follows `next` from the first page to the last. A list that does not end, or stands still, throws. */
export async function* pagesOf<T, P>(
  read: (after: P | undefined) => Promise<AnyPage<T, P> | undefined>,
): AsyncGenerator<readonly T[]> {
  let after: P | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page = await read(after);
    if (!page) throw new Error('no such thing to list');
    yield page.items;
    if (page.next === undefined) return;
    if (JSON.stringify(page.next) === JSON.stringify(after)) throw new Error('the list stands still');
    after = page.next;
    // A store in this process may answer without a turn of the event loop, and a timeout needs turns.
    await nextTurn();
  }
  throw new Error(`the list did not end after ${MAX_PAGES} pages`);
}

async function allPages<T, P>(
  read: (after: P | undefined) => Promise<AnyPage<T, P> | undefined>,
): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pagesOf(read)) items.push(...page);
  return items;
}

export async function listAll(
  store: FsmStore,
  name: string,
  filter: MachineFilter = {},
  limit = 100,
): Promise<Machine[]> {
  return allPages((after: string | undefined) => store.listMachines(name, filter, after, limit, never));
}

export async function listNames(store: FsmStore, limit: number): Promise<string[]> {
  return allPages((after: string | undefined) => store.listConfigurationNames(after, limit, never));
}

export async function listVersions(store: FsmStore, name: string, limit: number): Promise<string[]> {
  const all = await allPages((after: number | undefined) =>
    store.listConfigurationVersions(name, after, limit, never),
  );
  return all.map(({ version }) => version);
}

export async function historyOf(
  store: FsmStore,
  name: string,
  id: string,
  { newestFirst = false, limit = 100 } = {},
): Promise<AppliedTransition[]> {
  return allPages(async (from: HistoryPosition | undefined) => {
    const page = await store.listTransitions(name, id, from, newestFirst, limit, never);
    if (page.kind !== 'page') throw new Error(page.kind);
    return page;
  });
}

export async function getMachine(store: FsmStore, name: string, id: string): Promise<Machine | undefined> {
  return (await store.getMachine(name, id, 0, never))?.machine;
}

export interface Audit {
  machinesScanned: number;
  entriesScanned: number;
  differences: IndexDifference[];
}

/** Runs an audit to its end. */
export async function audit(store: FsmStore, name: string): Promise<Audit> {
  const sum: Audit = { machinesScanned: 0, entriesScanned: 0, differences: [] };
  for await (const progress of store.auditIndex(name, never)) {
    sum.machinesScanned = progress.machinesScanned;
    sum.entriesScanned = progress.entriesScanned;
    sum.differences.push(...progress.differences);
  }
  return sum;
}

export function sorted(texts: Iterable<string>): string[] {
  return [...texts].sort();
}
