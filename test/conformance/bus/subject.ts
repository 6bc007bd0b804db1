/**
 * What a suite of laws of the bus runs against: an opened store, what its backend says of itself, and the
 * verbs that every law is written in. The idea to hold: a law speaks only through the port, and lets time
 * pass only by `pass`, which a backend with a clock of its own really waits for.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DEFAULT_GROUP_SETTINGS,
  DEFAULT_STREAM_SETTINGS,
  type EventStatus,
  type GroupSettings,
  type LeasedEvent,
  type Mark,
  type NewEvent,
  type Stream,
  type StreamSettings,
} from '../../../src/bus/event.js';
import type { BusStore, BusStoreObserver } from '../../../src/bus/store.js';
import type {
  ClaimAnswer,
  ClaimRequest,
  DeadLetter,
  GroupFacts,
  NewGroup,
  SettleAnswer,
  StreamFacts,
  WriteOptions,
  WrittenEvent,
} from '../../../src/bus/verbs.js';
import { handles, never, type Opened, type OpenedProfile, useOpened } from '../opened.js';

export { handles as busHandles, never } from '../opened.js';

/** A store opened for a theme. */
export interface BusSubject extends Opened<BusStore> {
  /** What each handle has told of, `store` first. */
  readonly told: readonly Told[];
}

/** Adds up what a store tells of. */
export class Told implements BusStoreObserver {
  trimmedUnprocessed = 0;

  onTrimmedUnprocessed(count: number): void {
    this.trimmedUnprocessed += count;
  }
}

export type OpenBus = () => Promise<BusSubject>;

/** How a backend differs. */
export interface BusStoreProfile extends OpenedProfile {
  /** False for what does not claim to be fast; then its costs are not looked at. */
  readonly scales: boolean;
}

/** One theme's laws. */
export type BusLaws = (open: OpenBus, profile: BusStoreProfile) => void;

/** Opens one subject for all tests of the enclosing `describe`; each test makes streams of its own. */
export const useBus = useOpened<BusSubject>;

/** The handle that is another process where there is one, for what must not depend on who asks. */
export function otherHandle(subject: BusSubject, profile: BusStoreProfile): BusStore {
  return handles(subject, profile).at(-1) ?? subject.store;
}

/** Lets at least this much of the store's time pass. */
export async function pass({ clock }: BusSubject, ms: number): Promise<void> {
  if (clock) clock.advance(ms);
  else await sleep(ms + 2);
}

/** The store's time, which is the time an event gets that is written now. */
export async function storeTimeMs(store: BusStore): Promise<number> {
  const written = await write(store, await givenStream(store), [newEvent()]);
  return written[0]?.createTimeMs ?? Number.NaN;
}

/** A group of the tests: soon to give up, and with a backoff that can be waited for. */
export const TEST_GROUP: GroupSettings = {
  ...DEFAULT_GROUP_SETTINGS,
  maxAttempts: 3,
  minBackoffMs: 40,
  maxBackoffMs: 100,
};

/** The group that laws are about if they do not say which. */
export const GROUP = 'workers';

export function newStreamName(label = 'stream'): string {
  return `${label}-${randomUUID().slice(0, 13)}`;
}

/** Creates a stream of its own and returns it. */
export async function createStream(
  store: BusStore,
  settings: Partial<StreamSettings> = {},
  name = newStreamName(),
): Promise<Stream> {
  const { kind, stream } = await store.createStream(
    {
      name,
      uid: randomUUID(),
      settings: { ...DEFAULT_STREAM_SETTINGS, ...settings },
      requestId: '',
      requestHash: '',
    },
    never,
  );
  if (kind !== 'created') throw new Error(`stream ${name}: ${kind}`);
  return stream;
}

/** The number of a stream of its own. */
export async function givenStream(store: BusStore, settings: Partial<StreamSettings> = {}): Promise<number> {
  return (await createStream(store, settings)).number;
}

export function newGroup(
  name = GROUP,
  {
    settings = {},
    ...rest
  }: Partial<Omit<NewGroup, 'settings'>> & { settings?: Partial<GroupSettings> } = {},
): NewGroup {
  return {
    name,
    settings: { ...TEST_GROUP, ...settings },
    filter: undefined,
    start: { kind: 'beginning' },
    requestId: '',
    requestHash: '',
    ...rest,
  };
}

/** A stream with a group `workers`. */
export async function givenGroup(
  store: BusStore,
  { stream = {}, ...group }: Parameters<typeof newGroup>[1] & { stream?: Partial<StreamSettings> } = {},
): Promise<number> {
  const number = await givenStream(store, stream);
  await addGroup(store, number, newGroup(GROUP, group));
  return number;
}

export async function addGroup(store: BusStore, number: number, group: NewGroup): Promise<void> {
  const { kind } = await store.createGroup(number, group, never);
  if (kind !== 'created') throw new Error(`group ${group.name}: ${kind}`);
}

/** An event with the hash of what it says. */
export function newEvent({ bodyHash, ...changes }: Partial<NewEvent> = {}): NewEvent {
  const event = {
    type: 'order.placed',
    attributes: {},
    orderingKey: '',
    contentType: 'application/json',
    form: 'json' as const,
    body: Buffer.from('{"n":1}'),
    dedupeId: '',
    ...changes,
  };
  const { dedupeId: _, body, ...said } = event;
  const hash = createHash('sha256').update(JSON.stringify(said)).update(body).digest('base64');
  return { ...event, bodyHash: bodyHash ?? hash };
}

/** Events that differ in their bodies, and in whatever else is said. */
export function newEvents(count: number, changes: (i: number) => Partial<NewEvent> = () => ({})): NewEvent[] {
  return Array.from({ length: count }, (_, i) =>
    newEvent({ body: Buffer.from(`{"n":${i}}`), ...changes(i) }),
  );
}

/** Events of these ordering keys, in order. */
export function keyed(...keys: string[]): NewEvent[] {
  return newEvents(keys.length, (i) => ({ orderingKey: keys[i] ?? '' }));
}

export const NO_OPTIONS: WriteOptions = { requestId: '', requestHash: '', expectedSeq: undefined };

/** Writes and fails if it was refused. */
export async function write(
  store: BusStore,
  number: number,
  events: readonly NewEvent[],
  options: Partial<WriteOptions> = {},
): Promise<readonly WrittenEvent[]> {
  const answer = await store.write(number, events, { ...NO_OPTIONS, ...options }, never);
  if (answer.kind !== 'written') throw new Error(`write: ${answer.kind}`);
  return answer.events;
}

export async function seqsWritten(...args: Parameters<typeof write>): Promise<number[]> {
  return (await write(...args)).map(({ seq }) => seq);
}

export function claimRequest(changes: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    group: GROUP,
    consumer: 'c1',
    claimId: randomUUID(),
    maxEvents: 100,
    maxBytes: 8 * 2 ** 20,
    credit: { messages: 1_000, bytes: 16 * 2 ** 20 },
    ackDeadlineMs: undefined,
    retry: undefined,
    ...changes,
  };
}

export type Claimed = Extract<ClaimAnswer, { kind: 'claimed' }>;

/** Claims and fails if that is refused. */
export async function claimed(
  store: BusStore,
  number: number,
  changes: Partial<ClaimRequest> = {},
): Promise<Claimed> {
  const answer = await store.claim(number, claimRequest(changes), never);
  if (answer.kind !== 'claimed') throw new Error(`claim: ${answer.kind}`);
  return answer;
}

/** The events that a claim hands out. */
export async function claim(...args: Parameters<typeof claimed>): Promise<readonly LeasedEvent[]> {
  return (await claimed(...args)).events;
}

/** Claims as long as there is more. */
export async function claimAll(
  store: BusStore,
  number: number,
  changes: Partial<ClaimRequest> = {},
): Promise<LeasedEvent[]> {
  const all: LeasedEvent[] = [];
  for (let claims = 0; claims < 10_000; claims++) {
    const { events, more } = await claimed(store, number, { maxEvents: 1_000, ...changes });
    all.push(...events);
    if (!more) return all;
  }
  throw new Error('there is always more');
}

/** The one event that a claim of one hands out. */
export async function claimOne(
  store: BusStore,
  number: number,
  changes: Partial<ClaimRequest> = {},
): Promise<LeasedEvent> {
  const [event] = await claim(store, number, { maxEvents: 1, ...changes });
  if (!event) throw new Error('nothing was claimed');
  return event;
}

export function seqsOf(events: readonly LeasedEvent[]): number[] {
  return events.map(({ event }) => event.seq);
}

/** The sequences that a claim hands out. */
export async function seqsClaimed(...args: Parameters<typeof claimed>): Promise<number[]> {
  return seqsOf(await claim(...args));
}

/** Everything that a mark may say. */
export const MARKS: readonly Mark[] = ['processed', 'retry', 'unprocessed'];

/** What a mark is for: a sequence, whatever stands there, or a lease on one. */
export type Marked = number | LeasedEvent;

/** Marks events of the group, as one step. */
export async function markAll(
  store: BusStore,
  number: number,
  marked: readonly Marked[],
  mark: Mark = 'processed',
  { group = GROUP, delayMs }: { group?: string; delayMs?: number } = {},
): Promise<readonly SettleAnswer[]> {
  const marks = marked.map((each) => ({
    seq: typeof each === 'number' ? each : each.event.seq,
    lease: typeof each === 'number' ? undefined : each.lease,
    mark,
    delayMs,
  }));
  const answer = await store.settle(number, group, marks, never);
  if (answer.kind !== 'settled') throw new Error(`settle: ${answer.kind}`);
  return answer.answers;
}

/** Marks one event. */
export async function mark(
  store: BusStore,
  number: number,
  marked: Marked,
  as: Mark = 'processed',
  options: { group?: string; delayMs?: number } = {},
): Promise<SettleAnswer | undefined> {
  return (await markAll(store, number, [marked], as, options))[0];
}

/** Sets the deadline of a lease to this much from now. */
export async function accept(
  store: BusStore,
  number: number,
  { lease }: LeasedEvent,
  ackDeadlineMs: number | undefined,
  { group = GROUP, consumer = 'c1' } = {},
): Promise<void> {
  await store.accept(number, group, { consumer, lease, ackDeadlineMs }, never);
}

/** Lets the lease run out; nobody has noticed yet. */
export async function expire(
  subject: BusSubject,
  number: number,
  leased: LeasedEvent,
  names: { group?: string; consumer?: string } = {},
): Promise<void> {
  await accept(subject.store, number, leased, 20, names);
  await pass(subject, 20);
}

/** Claims one event and marks it RETRY, due at once, until it is a dead letter. */
export async function makeDead(store: BusStore, number: number, seq: number): Promise<void> {
  await mark(store, number, seq, 'unprocessed');
  for (let attempt = 1; attempt <= 10; attempt++) {
    const [leased] = (await claim(store, number)).filter(({ event }) => event.seq === seq);
    if (!leased) throw new Error(`event ${seq} was not handed out`);
    await mark(store, number, leased, 'retry', { delayMs: 0 });
    if ((await statusOf(store, number, seq)) === 'dead') return;
  }
  throw new Error(`event ${seq} does not die`);
}

/** Follows `nextSeq` from the first page of events to the last. */
export async function listStatuses(
  store: BusStore,
  number: number,
  { group = GROUP, status, limit = 100 }: { group?: string; status?: EventStatus; limit?: number } = {},
): Promise<{ seq: number; status: EventStatus; attempts: number }[]> {
  const all: { seq: number; status: EventStatus; attempts: number }[] = [];
  let from: number | undefined = 1;
  for (let pages = 0; from !== undefined; pages++) {
    const page = await store.listEvents(number, group, status, from, limit, never);
    if (page.kind !== 'page') throw new Error(`list: ${page.kind}`);
    if (page.items.length > limit) throw new Error(`a page of ${page.items.length}, not ${limit}`);
    for (const { event, ...rest } of page.items) all.push({ seq: event.seq, ...rest });
    if (pages > 10_000 || (page.nextSeq ?? Number.MAX_SAFE_INTEGER) <= from)
      throw new Error('the list stands still');
    from = page.nextSeq;
  }
  return all;
}

/** The status of every event kept, in order. */
export async function statuses(store: BusStore, number: number, group = GROUP): Promise<EventStatus[]> {
  return (await listStatuses(store, number, { group })).map(({ status }) => status);
}

export async function statusOf(
  store: BusStore,
  number: number,
  seq: number,
  group = GROUP,
): Promise<EventStatus | undefined> {
  const page = await store.listEvents(number, group, undefined, seq, 1, never);
  if (page.kind !== 'page') throw new Error(`list: ${page.kind}`);
  return page.items[0]?.event.seq === seq ? page.items[0].status : undefined;
}

export async function streamFacts(store: BusStore, number: number): Promise<StreamFacts> {
  const facts = await store.getStreamFacts(number, never);
  if (facts.kind !== 'facts') throw new Error(`facts: ${facts.kind}`);
  return facts;
}

export async function groupFacts(store: BusStore, number: number, group = GROUP): Promise<GroupFacts> {
  const found = (await streamFacts(store, number)).groups.find((each) => each.group.name === group);
  if (!found) throw new Error(`no facts of group ${group}`);
  return found;
}

/** Follows `next` through the dead letters. */
export async function listDead(
  store: BusStore,
  number: number,
  { group = GROUP, limit = 100 } = {},
): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < 10_000; pages++) {
    const page = await store.listDead(number, group, after, limit, never);
    if (page.kind !== 'page') throw new Error(`dead letters: ${page.kind}`);
    if (page.items.length > limit) throw new Error(`a page of ${page.items.length}, not ${limit}`);
    all.push(...page.items);
    if (page.next === undefined) return all;
    after = page.next;
  }
  throw new Error('the list does not end');
}

export function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
