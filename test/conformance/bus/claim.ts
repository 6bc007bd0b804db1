/** The laws of claiming: each event to one consumer alone, in order, within its credit. */
import { describe, expect, it } from 'vitest';
import { ACCEPT_GRACE_MS, MAX_LOOK_EVENTS } from '../../../src/bus/bounds.js';
import { eventBytes, type LeasedEvent } from '../../../src/bus/event.js';
import { concurrently } from '../../support/waiting.js';
import {
  accept,
  type BusLaws,
  busHandles,
  claim,
  claimed,
  claimOne,
  claimRequest,
  expire,
  GROUP,
  givenGroup,
  givenStream,
  groupFacts,
  mark,
  markAll,
  never,
  newEvent,
  newEvents,
  otherHandle,
  pass,
  range,
  seqsClaimed,
  seqsOf,
  statuses,
  TEST_GROUP,
  useBus,
  write,
} from './subject.js';

export const describeClaim: BusLaws = (open, profile) => {
  describe('a claim', () => {
    const subject = useBus(open);

    it('leases events in order, each as it was written, by one number', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const written = await write(
        store,
        number,
        newEvents(5, (i) => ({ type: `t${i}`, attributes: { i: `${i}` } })),
      );
      const answer = await claimed(store, number, { maxEvents: 3 });
      expect(answer).toMatchObject({ kind: 'claimed', more: true, creditSpent: false });
      expect(seqsOf(answer.events)).toEqual([1, 2, 3]);
      for (const [i, { event, attempt, deadlineMs, lease }] of answer.events.entries()) {
        expect(event).toMatchObject({ type: `t${i}`, attributes: { i: `${i}` }, form: 'json' });
        expect(event.createTimeMs).toBe(written[i]?.createTimeMs);
        expect(Buffer.from(event.body).toString()).toBe(`{"n":${i}}`);
        expect(attempt).toBe(1);
        expect(lease).toBe(answer.events[0]?.lease);
        expect(deadlineMs).toBe(answer.nowMs + TEST_GROUP.ackDeadlineMs + ACCEPT_GRACE_MS);
      }
      expect(answer.nextDueMs).toBe(answer.events[0]?.deadlineMs);
      const next = await claimed(otherHandle(subject, profile), number, { consumer: 'c2' });
      expect(seqsOf(next.events)).toEqual([4, 5]);
      expect(next.more).toBe(false);
      expect(next.events[0]?.lease).toBeGreaterThan(answer.events[0]?.lease ?? Number.NaN);
      expect(await claimed(store, number)).toMatchObject({ events: [], more: false, creditSpent: false });
      expect(await statuses(store, number)).toEqual(Array(5).fill('leased'));
    });

    it('of an empty stream, or of a group that has had all, is empty', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const nothing = { events: [], more: false, creditSpent: false, nextDueMs: undefined };
      expect(await claimed(store, number)).toMatchObject(nothing);
      await write(store, number, newEvents(2));
      await markAll(store, number, await claim(store, number));
      expect(await claimed(store, number)).toMatchObject(nothing);
      await write(store, number, newEvents(1));
      expect(await seqsClaimed(store, number)).toEqual([3]);
    });

    it('of a group that nobody made is refused, but default springs into being at the beginning', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, newEvents(3));
      const none = await store.claim(number, claimRequest({ group: 'nobody' }), never);
      expect(none).toEqual({ kind: 'group_not_found' });
      expect(await seqsClaimed(store, number, { group: 'default' })).toEqual([1, 2, 3]);
    });

    it("takes its own deadline, or the group's", async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { ackDeadlineMs: 7_000 } });
      await write(store, number, newEvents(2));
      const own = await claimed(store, number, { maxEvents: 1, ackDeadlineMs: 3_000 });
      expect(own.events[0]?.deadlineMs).toBe(own.nowMs + 3_000 + ACCEPT_GRACE_MS);
      const other = await claimed(store, number);
      expect(other.events[0]?.deadlineMs).toBe(other.nowMs + 7_000 + ACCEPT_GRACE_MS);
      expect(other.nextDueMs).toBe(own.events[0]?.deadlineMs);
    });

    it('by many at once gives each event to one of them', async () => {
      const number = await givenGroup(subject.store);
      await write(subject.store, number, newEvents(300));
      const stores = busHandles(subject, profile);
      const all: LeasedEvent[] = [];
      await concurrently(120, 40, async (i) => {
        const store = stores[i % stores.length] ?? subject.store;
        all.push(...(await claim(store, number, { consumer: `c${i}`, maxEvents: 1 + (i % 5) })));
      });
      all.push(...(await claim(subject.store, number, { consumer: 'last', maxEvents: 1_000 })));
      expect(seqsOf(all).sort((a, b) => a - b)).toEqual(range(1, 300));
      expect(all.every(({ attempt }) => attempt === 1)).toBe(true);
    });

    it('of one group leaves the others theirs', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await store.createGroup(
        number,
        {
          name: 'g2',
          settings: TEST_GROUP,
          filter: undefined,
          start: { kind: 'beginning' },
          requestId: '',
          requestHash: '',
        },
        never,
      );
      await write(store, number, newEvents(4));
      for (const group of [GROUP, 'g2', 'default']) {
        const events = await claim(store, number, { group });
        expect(seqsOf(events)).toEqual([1, 2, 3, 4]);
        await markAll(store, number, events.slice(0, 2), 'processed', { group });
      }
      for (const group of [GROUP, 'g2', 'default'])
        expect(await statuses(store, number, group)).toEqual(['processed', 'processed', 'leased', 'leased']);
    });

    it('gives what is due again first, in the order it came due, then what is new', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(6));
      await claim(store, number, { maxEvents: 4 });
      await mark(store, number, 3, 'retry', { delayMs: 10 });
      await mark(store, number, 1, 'retry', { delayMs: 30 });
      await mark(store, number, 2, 'retry', { delayMs: 60_000 });
      await pass(subject, 30);
      const events = await claim(store, number);
      expect(seqsOf(events)).toEqual([3, 1, 5, 6]);
      expect(events.map(({ attempt }) => attempt)).toEqual([2, 2, 1, 1]);
    });

    it('does not give what is not due yet, and says when the next is', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(2));
      const [first] = await claim(store, number, { maxEvents: 1 });
      const { nowMs } = await claimed(store, number);
      await mark(store, number, first as LeasedEvent, 'retry', { delayMs: 300 });
      const early = await claimed(store, number);
      expect(early.events).toEqual([]);
      expect(early.nextDueMs).toBeGreaterThanOrEqual(nowMs + 300);
      expect(early.nextDueMs).toBeLessThanOrEqual(early.nowMs + 300);
      await pass(subject, 300);
      expect(await seqsClaimed(store, number)).toEqual([1]);
    });

    it('gives an event whose lease ran out to another, once its backoff is over', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(1));
      const first = await claimOne(store, number);
      await expire(subject, number, first);
      expect(await statuses(store, number)).toEqual(['retry']);
      await pass(subject, TEST_GROUP.minBackoffMs);
      const [second] = await claim(otherHandle(subject, profile), number, { consumer: 'c2' });
      expect(second).toMatchObject({ attempt: 2, event: { seq: 1 } });
      expect(second?.lease).toBeGreaterThan(first.lease);
      expect(await mark(store, number, first)).toBe('stale');
      expect(await mark(store, number, second as LeasedEvent)).toBe('ok');
    });

    it('waits longer after each attempt, up to the longest backoff', async () => {
      const { store } = subject;
      const number = await givenGroup(store, {
        settings: { minBackoffMs: 100, maxBackoffMs: 250, maxAttempts: 0 },
      });
      await write(store, number, newEvents(1));
      for (const backoffMs of [100, 200, 250, 250]) {
        const leased = await claimOne(store, number);
        const before = await claimed(store, number);
        await mark(store, number, leased, 'retry');
        const after = await claimed(store, number);
        expect(after.events).toEqual([]);
        expect(after.nextDueMs).toBeGreaterThanOrEqual(before.nowMs + backoffMs);
        expect(after.nextDueMs).toBeLessThanOrEqual(after.nowMs + backoffMs);
        await pass(subject, backoffMs);
      }
    });
  });

  describe('the credit of a consumer', () => {
    const subject = useBus(open);
    const size = eventBytes(newEvent({ body: Buffer.alloc(1_000) }));
    const events = (count: number) => newEvents(count, () => ({ body: Buffer.alloc(1_000) }));

    it('clips a claim by messages, is spent then, and comes back with a mark by another process', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, events(10));
      const credit = { messages: 4, bytes: 2 ** 24 };
      const held = [...(await claim(store, number, { credit, maxEvents: 3 }))];
      expect(seqsOf(held)).toEqual([1, 2, 3]);
      held.push(...(await claim(store, number, { credit })));
      expect(seqsOf(held)).toEqual([1, 2, 3, 4]);
      expect(await claimed(store, number, { credit })).toMatchObject({ events: [], creditSpent: true });
      expect(await mark(otherHandle(subject, profile), number, held[1] as LeasedEvent)).toBe('ok');
      expect(await seqsClaimed(store, number, { credit })).toEqual([5]);
      expect(await claimed(store, number, { credit })).toMatchObject({ events: [], creditSpent: true });
    });

    it('clips a claim by bytes likewise', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, events(10));
      const credit = { messages: 1_000, bytes: 3 * size };
      const held = await claim(store, number, { credit });
      expect(seqsOf(held)).toEqual([1, 2, 3]);
      expect(await claimed(store, number, { credit })).toMatchObject({ events: [], creditSpent: true });
      await markAll(otherHandle(subject, profile), number, held.slice(0, 2));
      expect(await seqsClaimed(store, number, { credit })).toEqual([4, 5]);
    });

    it("is each consumer's own", async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, events(5));
      const credit = { messages: 2, bytes: 2 ** 24 };
      expect(await seqsClaimed(store, number, { credit, consumer: 'a' })).toEqual([1, 2]);
      expect(await seqsClaimed(store, number, { credit, consumer: 'b' })).toEqual([3, 4]);
      expect((await claimed(store, number, { credit, consumer: 'a' })).creditSpent).toBe(true);
      expect(await seqsClaimed(store, number, { credit, consumer: 'c' })).toEqual([5]);
    });

    it.each(['retry', 'unprocessed', 'release', 'expiry', 'seek'] as const)(
      'comes back with a %s',
      async (how) => {
        const { store } = subject;
        const number = await givenGroup(store);
        await write(store, number, events(3));
        const credit = { messages: 1, bytes: 2 ** 24 };
        const request = claimRequest({ credit, consumer: 'c1' });
        const first = await claimOne(store, number, request);
        expect((await claimed(store, number, { credit })).creditSpent).toBe(true);
        const other = otherHandle(subject, profile);
        if (how === 'release') await other.release(number, GROUP, 'c1', request.claimId, never);
        else if (how === 'expiry') await expire(subject, number, first);
        else if (how === 'seek') await other.seekGroup(number, GROUP, { kind: 'beginning' }, never);
        else await mark(other, number, first, how, { delayMs: how === 'retry' ? 60_000 : undefined });
        const again = await claimed(store, number, { credit });
        const comesFirst = how === 'retry' || how === 'expiry' ? 2 : 1;
        expect(again).toMatchObject({ creditSpent: false, events: [{ event: { seq: comesFirst } }] });
        expect((await claimed(store, number, { credit })).creditSpent).toBe(true);
      },
    );

    it('that is smaller than an event still lets one through', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, events(2));
      const credit = { messages: 10, bytes: 1 };
      const [first, ...rest] = await claim(store, number, { credit });
      expect([first?.event.seq, rest]).toEqual([1, []]);
      expect((await claimed(store, number, { credit })).creditSpent).toBe(true);
      await mark(store, number, first as LeasedEvent);
      expect(await seqsClaimed(store, number, { credit })).toEqual([2]);
    });
  });

  describe('the bytes of a claim', () => {
    const subject = useBus(open);

    it('are kept to, and one event is given at least', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const event = newEvent({ body: Buffer.alloc(50_000) });
      await write(store, number, [event, event, event, event, newEvent(), event]);
      expect(await seqsClaimed(store, number, { maxBytes: 10 })).toEqual([1]);
      const two = await claimed(store, number, { maxBytes: 2 * eventBytes(event) });
      expect(seqsOf(two.events)).toEqual([2, 3]);
      expect(two.more).toBe(true);
      expect(await seqsClaimed(store, number)).toEqual([4, 5, 6]);
    });
  });

  describe('a claim that is repeated by its id', () => {
    const subject = useBus(open);

    it('answers the same events under the same lease, on every handle', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(5));
      const request = claimRequest({ maxEvents: 3 });
      const first = await claimed(store, number, request);
      for (const each of busHandles(subject, profile)) {
        const again = await claimed(each, number, request);
        expect(again.events).toEqual(first.events);
      }
      expect(await statuses(store, number)).toEqual([
        'leased',
        'leased',
        'leased',
        'unprocessed',
        'unprocessed',
      ]);
    });

    it('answers what is left of them, with the deadlines that are theirs now', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(5));
      const request = claimRequest({ maxEvents: 3 });
      const first = await claim(store, number, request);
      await mark(store, number, first[1] as LeasedEvent);
      await accept(store, number, first[0] as LeasedEvent, 9_000);
      const again = await claimed(store, number, request);
      expect(seqsOf(again.events)).toEqual([1, 3]);
      for (const { lease, attempt, deadlineMs } of again.events) {
        expect([lease, attempt]).toEqual([first[0]?.lease, 1]);
        expect(deadlineMs).toBeLessThanOrEqual(again.nowMs + 9_000);
      }
    });

    it('whose events are all dealt with is a new claim', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(5));
      const request = claimRequest({ maxEvents: 2 });
      await markAll(store, number, await claim(store, number, request));
      expect(await seqsClaimed(store, number, request)).toEqual([3, 4]);
    });

    it("is known of each consumer's last claim alone", async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(9));
      const request = claimRequest({ maxEvents: 2 });
      const first = await claim(store, number, request);
      expect(await seqsClaimed(store, number, { ...request, consumer: 'c2' })).toEqual([3, 4]);
      expect(await claim(store, number, request)).toEqual(first);
      expect(await seqsClaimed(store, number, claimRequest({ maxEvents: 1 }))).toEqual([5]);
      expect(await seqsClaimed(store, number, request)).toEqual([6, 7]);
    });

    it('by many at once leases its events once', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(20));
      const stores = busHandles(subject, profile);
      const request = claimRequest({ maxEvents: 4 });
      const answers = await concurrently(30, 30, (i) =>
        seqsClaimed(stores[i % stores.length] ?? store, number, request),
      );
      for (const seqs of answers) expect(seqs).toEqual([1, 2, 3, 4]);
      expect((await groupFacts(store, number)).leased).toBe(4);
    });
  });

  describe('a claim of what is to be retried', () => {
    const subject = useBus(open);
    const ALL = { afterSeq: 0, beganMs: Number.MAX_SAFE_INTEGER };

    it('gives it in order, due or not, expired or marked, and nothing else', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(7));
      const leased = await claim(store, number, { maxEvents: 6 });
      await mark(store, number, leased[4] as LeasedEvent, 'retry', { delayMs: 60_000 });
      await mark(store, number, leased[1] as LeasedEvent, 'retry', { delayMs: 0 });
      await mark(store, number, leased[2] as LeasedEvent, 'unprocessed');
      await store.extend(number, GROUP, [{ seq: 4, lease: leased[3]?.lease ?? 0 }], 20, never);
      await pass(subject, 20);
      expect(await seqsClaimed(store, number, { retry: ALL, maxEvents: 1 })).toEqual([2]);
      const rest = await claim(store, number, { retry: { ...ALL, afterSeq: 2 } });
      expect(seqsOf(rest)).toEqual([4, 5]);
      expect(rest.map(({ attempt }) => attempt)).toEqual([2, 2]);
      expect(await seqsClaimed(store, number, { retry: { ...ALL, afterSeq: 5 } })).toEqual([]);
      expect(await seqsClaimed(store, number)).toEqual([3, 7]);
    });

    it('leaves what came to be so after it began', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      const leased = await claim(store, number);
      await mark(store, number, leased[0] as LeasedEvent, 'retry');
      await pass(subject, 5);
      const { nowMs: beganMs } = await claimed(store, number);
      await pass(subject, 5);
      await mark(store, number, leased[1] as LeasedEvent, 'retry');
      expect(await seqsClaimed(store, number, { retry: { afterSeq: 0, beganMs } })).toEqual([1]);
      expect(await seqsClaimed(store, number, { retry: { afterSeq: 1, beganMs } })).toEqual([]);
      expect(await seqsClaimed(store, number, { retry: ALL })).toEqual([2]);
    });

    it('is clipped by credit like any other', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(4));
      await markAll(store, number, await claim(store, number), 'retry', { delayMs: 60_000 });
      const credit = { messages: 3, bytes: 2 ** 24 };
      expect(await seqsClaimed(store, number, { retry: ALL, credit })).toEqual([1, 2, 3]);
      expect((await claimed(store, number, { retry: ALL, credit })).creditSpent).toBe(true);
    });
  });

  describe('a group with a filter', () => {
    const subject = useBus(open);

    it.each([
      ['types', { types: ['a', 'b'], attributes: {} }, [1, 2, 5, 6]],
      ['an attribute', { types: [], attributes: { color: 'red' } }, [1, 3, 5]],
      ['types and attributes', { types: ['a'], attributes: { color: 'red', size: '2' } }, [5]],
      ['an attribute that is empty', { types: [], attributes: { note: '' } }, [4]],
      ['nothing at all', { types: [], attributes: {} }, [1, 2, 3, 4, 5, 6]],
      ['what nothing has', { types: ['z'], attributes: {} }, []],
    ])('is given what has %s', async (_, filter, expected) => {
      const { store } = subject;
      const number = await givenGroup(store, { filter });
      await write(store, number, [
        newEvent({ type: 'a', attributes: { color: 'red', size: '1' } }),
        newEvent({ type: 'b', attributes: { color: 'blue' } }),
        newEvent({ type: 'c', attributes: { color: 'red' } }),
        newEvent({ type: 'c', attributes: { note: '', colors: 'red' } }),
        newEvent({ type: 'a', attributes: { size: '2', color: 'red' } }),
        newEvent({ type: 'a', attributes: { color: 'redder' } }),
      ]);
      const events = await claim(store, number);
      expect(seqsOf(events)).toEqual(expected);
      await markAll(store, number, events);
      expect(await statuses(store, number)).toEqual(Array(6).fill('processed'));
      expect((await groupFacts(store, number)).lag).toBe(0);
    });

    it('is looked for in at most 256 events a claim, and the claim says that there may be more', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { filter: { types: ['wanted'], attributes: {} } });
      await write(store, number, newEvents(2 * MAX_LOOK_EVENTS + 50));
      await write(store, number, [newEvent({ type: 'wanted' })]);
      for (let looks = 0; looks < 2; looks++)
        expect(await claimed(store, number)).toMatchObject({ events: [], more: true });
      expect(await claimed(store, number)).toMatchObject({
        events: [{ event: { type: 'wanted' } }],
        more: false,
      });
    });

    it('leaves the other groups what it passes over', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { filter: { types: ['b'], attributes: {} } });
      await write(
        store,
        number,
        newEvents(4, (i) => ({ type: i % 2 === 0 ? 'a' : 'b' })),
      );
      expect(await seqsClaimed(store, number)).toEqual([2, 4]);
      expect(await seqsClaimed(store, number, { group: 'default' })).toEqual([1, 2, 3, 4]);
    });
  });

  describe('what retention took', () => {
    const subject = useBus(open);

    it('is passed over and counted, but not what was processed before', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 5, overflow: 'drop_oldest' } });
      await write(store, number, newEvents(5));
      await markAll(store, number, [2, 3]);
      await write(store, number, newEvents(5));
      await write(store, number, newEvents(2));
      // Seen at once, and not only when somebody claims.
      const counts = { trimmedUnprocessed: 7 - 2, unprocessed: 5 };
      expect(await groupFacts(store, number)).toMatchObject(counts);
      expect(await seqsClaimed(store, number)).toEqual(range(8, 12));
      expect(await groupFacts(store, number)).toMatchObject({ ...counts, unprocessed: 0 });
    });

    it('is not counted by a group that was made after', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 3, overflow: 'drop_oldest' });
      for (let i = 0; i < 4; i++) await write(store, number, newEvents(2));
      const start = { kind: 'beginning' } as const;
      await store.createGroup(
        number,
        { name: GROUP, settings: TEST_GROUP, filter: undefined, start, requestId: '', requestHash: '' },
        never,
      );
      for (const group of [GROUP, 'default']) {
        expect(await seqsClaimed(store, number, { group })).toEqual([6, 7, 8]);
        expect((await groupFacts(store, number, group)).trimmedUnprocessed).toBe(0);
      }
    });

    it('is dropped when it comes up again, and counted once', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 3, overflow: 'drop_oldest' } });
      await write(store, number, newEvents(3));
      const leased = await claim(store, number);
      await mark(store, number, leased[0] as LeasedEvent, 'retry', { delayMs: 10 });
      await mark(store, number, leased[1] as LeasedEvent);
      for (let i = 0; i < 3; i++) await write(store, number, newEvents(1));
      expect(await mark(store, number, leased[2] as LeasedEvent)).toBe('ok');
      await pass(subject, 10);
      expect(await seqsClaimed(store, number)).toEqual([4, 5, 6]);
      expect(await groupFacts(store, number)).toMatchObject({
        trimmedUnprocessed: 1,
        retrying: 0,
        leased: 3,
      });
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect((await groupFacts(store, number)).trimmedUnprocessed).toBe(1);
    });
  });
};
