/** The laws of what a stream says of itself: every count is right after every act, and lists agree with it. */
import { describe, expect, it } from 'vitest';
import { type EventStatus, eventBytes, type LeasedEvent } from '../../../src/bus/event.js';
import type { BusStore } from '../../../src/bus/store.js';
import type { GroupFacts } from '../../../src/bus/verbs.js';
import {
  type BusLaws,
  claim,
  claimOne,
  GROUP,
  givenGroup,
  givenStream,
  groupFacts,
  keyed,
  listStatuses,
  makeDead,
  mark,
  markAll,
  never,
  newEvents,
  otherHandle,
  pass,
  range,
  streamFacts,
  useBus,
  write,
} from './subject.js';

const STATUSES: readonly EventStatus[] = ['unprocessed', 'processed', 'retry', 'leased', 'waiting', 'dead'];

type Counts = Partial<Pick<GroupFacts, 'unprocessed' | 'leased' | 'retrying' | 'waiting' | 'dead' | 'lag'>>;

const NONE: Counts = { unprocessed: 0, leased: 0, retrying: 0, waiting: 0, dead: 0 };

/** The facts say these counts, and what is listed by status adds up to them. */
async function expectCounts(store: BusStore, number: number, counts: Counts): Promise<void> {
  const facts = await groupFacts(store, number);
  expect(facts).toMatchObject({ ...NONE, ...counts });
  const listed = async (status: EventStatus) => (await listStatuses(store, number, { status })).length;
  expect({
    unprocessed: await listed('unprocessed'),
    leased: await listed('leased'),
    retrying: await listed('retry'),
    waiting: await listed('waiting'),
    dead: await listed('dead'),
  }).toEqual({
    unprocessed: facts.unprocessed,
    leased: facts.leased,
    retrying: facts.retrying,
    waiting: facts.waiting,
    dead: facts.dead,
  });
}

export const describeFacts: BusLaws = (open, profile) => {
  describe('the facts of a stream', () => {
    const subject = useBus(open);

    it('have its first and last sequence and its bytes', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 5, overflow: 'drop_oldest' });
      const events = newEvents(8, (i) => ({ body: Buffer.alloc(i * 10) }));
      for (const event of events) await write(store, number, [event]);
      const { stream } = await streamFacts(store, number);
      expect(await streamFacts(otherHandle(subject, profile), number)).toEqual({
        kind: 'facts',
        stream,
        firstSeq: 4,
        lastSeq: 8,
        bytes: events.slice(3).reduce((sum, each) => sum + eventBytes(each), 0),
        groups: [],
      });
    });

    it('count a group through every act', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await expectCounts(store, number, { lag: 0 });
      await write(store, number, newEvents(10));
      await expectCounts(store, number, { unprocessed: 10, lag: 10 });
      const held = await claim(store, number, { maxEvents: 6 });
      await expectCounts(store, number, { unprocessed: 4, leased: 6, lag: 4 });
      await mark(store, number, held[0] as LeasedEvent);
      await expectCounts(store, number, { unprocessed: 4, leased: 5, lag: 4 });
      await mark(store, number, held[1] as LeasedEvent, 'retry', { delayMs: 60_000 });
      await expectCounts(store, number, { unprocessed: 4, leased: 4, retrying: 1 });
      await mark(store, number, held[2] as LeasedEvent, 'unprocessed');
      await expectCounts(store, number, { unprocessed: 5, leased: 3, retrying: 1 });
      await markAll(store, number, [9, 10]);
      await expectCounts(store, number, { unprocessed: 3, leased: 3, retrying: 1, lag: 4 });
      await mark(store, number, 9, 'retry', { delayMs: 60_000 });
      await expectCounts(store, number, { unprocessed: 3, leased: 3, retrying: 2, lag: 4 });
      await mark(store, number, 10, 'unprocessed');
      await expectCounts(store, number, { unprocessed: 4, leased: 3, retrying: 2, lag: 4 });
      await mark(store, number, 1, 'unprocessed');
      await expectCounts(store, number, { unprocessed: 5, leased: 3, retrying: 2 });
      await markAll(store, number, range(1, 10));
      await expectCounts(store, number, { lag: 4 });
      await store.seekGroup(number, GROUP, { kind: 'seq', seq: 3 }, never);
      await expectCounts(store, number, { unprocessed: 8, lag: 8 });
    });

    it('count dead letters and what becomes of them', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(4));
      await makeDead(store, number, 1);
      await expectCounts(store, number, { leased: 3, dead: 1 });
      await markAll(store, number, [2, 3, 4], 'unprocessed');
      await makeDead(store, number, 3);
      await expectCounts(store, number, { leased: 2, dead: 2 });
      await markAll(store, number, [2, 4]);
      await expectCounts(store, number, { dead: 2 });
      await store.replayDead(number, GROUP, { kind: 'some', seqs: [3] }, never);
      await expectCounts(store, number, { unprocessed: 1, dead: 1 });
      await store.purgeDead(number, GROUP, { kind: 'some', seqs: [1] }, never);
      await expectCounts(store, number, { unprocessed: 1 });
      await mark(store, number, 3);
      await expectCounts(store, number, {});
    });

    it('count events that wait behind a key', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a', 'a', 'b', 'b', ''));
      await claim(store, number);
      await expectCounts(store, number, { leased: 3, waiting: 3 });
      await markAll(store, number, [1, 5]);
      await expectCounts(store, number, { leased: 2, waiting: 1, unprocessed: 1 });
    });

    it('have the time of the oldest event that is not dealt with', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const oldest = async () => (await groupFacts(store, number)).oldestUnprocessedTimeMs;
      expect(await oldest()).toBeUndefined();
      const times: number[] = [];
      for (const event of keyed('', 'a', 'a', '', '')) {
        times.push((await write(store, number, [event]))[0]?.createTimeMs ?? 0);
        await pass(subject, 3);
      }
      expect(await oldest()).toBe(times[0]);
      await claimOne(store, number);
      expect(await oldest()).toBe(times[1]);
      await claim(store, number, { maxEvents: 2 });
      // The second is leased, the third waits behind it, the fourth is leased.
      expect(await oldest()).toBe(times[2]);
      await mark(store, number, 1, 'retry', { delayMs: 60_000 });
      expect(await oldest()).toBe(times[0]);
      await markAll(store, number, [1, 3]);
      expect(await oldest()).toBe(times[4]);
      await markAll(store, number, [2, 4, 5]);
      expect(await oldest()).toBeUndefined();
      await mark(store, number, 4, 'unprocessed');
      expect(await oldest()).toBe(times[3]);
    });

    it('pass over what was marked ahead when they say what is oldest', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const times: number[] = [];
      for (const event of newEvents(4)) {
        times.push((await write(store, number, [event]))[0]?.createTimeMs ?? 0);
        await pass(subject, 3);
      }
      await markAll(store, number, [1, 2]);
      expect((await groupFacts(store, number)).oldestUnprocessedTimeMs).toBe(times[2]);
    });

    it('of a group with a filter have its lag, and no count of what it has not looked at', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { filter: { types: ['b'], attributes: {} } });
      await write(
        store,
        number,
        newEvents(6, (i) => ({ type: i % 2 === 0 ? 'a' : 'b' })),
      );
      expect(await groupFacts(store, number)).toMatchObject({ unprocessed: undefined, leased: 0, lag: 6 });
      const held = await claim(store, number);
      expect(await groupFacts(store, number)).toMatchObject({ leased: 3, lag: 0 });
      await mark(store, number, held[0] as LeasedEvent, 'retry', { delayMs: 60_000 });
      expect(await groupFacts(store, number)).toMatchObject({ leased: 2, retrying: 1, lag: 0 });
    });

    it('have every group, by name, each with its own', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      await claimOne(store, number, { group: 'default' });
      const { groups } = await streamFacts(store, number);
      expect(groups.map(({ group, leased, unprocessed }) => [group.name, leased, unprocessed])).toEqual([
        ['default', 1, 2],
        [GROUP, 0, 3],
      ]);
    });
  });

  describe('listing events', () => {
    const subject = useBus(open);

    /** Events of every status, three of each; by status. */
    async function givenEvery(): Promise<{ number: number; seqs: Record<EventStatus, number[]> }> {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('', 'k', '', '', '', '', 'k', 'k', '', '', '', ''));
      await write(store, number, newEvents(9));
      for (const seq of [1, 5, 9]) await makeDead(store, number, seq);
      await markAll(store, number, [3, 10, 15]);
      await markAll(store, number, [4, 11, 19], 'retry', { delayMs: 60_000 });
      // Everything else was claimed on the way; what is written now is not.
      await markAll(store, number, [6, 12, 13, 14, 16, 17, 18, 20, 21], 'unprocessed');
      await claim(store, number, { maxEvents: 3 });
      const seqs = {
        dead: [1, 5, 9],
        leased: [2, 6, 12, 13],
        processed: [3, 10, 15],
        retry: [4, 11, 19],
        waiting: [7, 8],
        unprocessed: [14, 16, 17, 18, 20, 21],
      };
      return { number, seqs };
    }

    it('has every event kept, each with its status, in pages of any size', async () => {
      const { number, seqs } = await givenEvery();
      const expected = range(1, 21).map((seq) => STATUSES.find((status) => seqs[status].includes(seq)));
      for (const limit of [1, 4, 21, 1_000]) {
        const listed = await listStatuses(otherHandle(subject, profile), number, { limit });
        expect(listed.map(({ seq }) => seq)).toEqual(range(1, 21));
        expect(listed.map(({ status }) => status)).toEqual(expected);
      }
    });

    it.each(STATUSES)('by status %s has those alone, in order, in pages of any size', async (status) => {
      const { store } = subject;
      const { number, seqs } = await givenEvery();
      for (const limit of [1, 2, 100]) {
        const listed = await listStatuses(store, number, { status, limit });
        expect(listed.map(({ seq }) => seq)).toEqual(seqs[status]);
        expect(new Set(listed.map((each) => each.status))).toEqual(new Set([status]));
      }
      const from = seqs[status][1] ?? 0;
      const page = await store.listEvents(number, GROUP, status, from, 1, never);
      expect(page.kind === 'page' && page.items.map(({ event }) => event.seq)).toEqual([from]);
    });

    it('gives the events as they are, and how often they were handed out', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const events = newEvents(3, (i) => ({ type: `t${i}`, attributes: { i: `${i}` }, form: 'data' }));
      await write(store, number, events);
      await mark(store, number, await claimOne(store, number), 'retry', { delayMs: 0 });
      await claim(store, number, { maxEvents: 2 });
      const page = await store.listEvents(number, GROUP, undefined, 1, 10, never);
      expect(page.kind).toBe('page');
      const items = page.kind === 'page' ? page.items : [];
      expect(items.map(({ attempts }) => attempts)).toEqual([2, 1, 0]);
      for (const [i, { event }] of items.entries()) {
        expect(event).toMatchObject({ seq: i + 1, type: `t${i}`, attributes: { i: `${i}` }, form: 'data' });
        expect(Buffer.from(event.body).toString()).toBe(`{"n":${i}}`);
      }
    });

    it('of a group that nobody made is refused', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      expect(await store.listEvents(number, 'nobody', undefined, 1, 10, never)).toEqual({
        kind: 'group_not_found',
      });
      expect(await store.listEvents(number, 'default', undefined, 1, 10, never)).toMatchObject({
        kind: 'page',
        items: [],
        nextSeq: undefined,
      });
      expect(await store.listEvents(number, 'default', 'leased', 1, 10, never)).toMatchObject({ items: [] });
    });

    it('by a status that is rare goes through thousands in short pages, and ends', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      for (let i = 0; i < 3; i++) await write(store, number, newEvents(1_000));
      await markAll(store, number, [2_500, 2_999]);
      const listed = await listStatuses(store, number, { status: 'processed', limit: 10 });
      expect(listed.map(({ seq }) => seq)).toEqual([2_500, 2_999]);
    });
  });
};
