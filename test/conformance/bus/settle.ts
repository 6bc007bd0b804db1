/** The law of marks, row by row: what a mark answers and makes of an event, with a token and without. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent, Mark } from '../../../src/bus/event.js';
import {
  accept,
  addGroup,
  type BusLaws,
  claim,
  claimAll,
  claimed,
  claimOne,
  claimRequest,
  expire,
  GROUP,
  givenGroup,
  givenStream,
  groupFacts,
  listDead,
  listStatuses,
  makeDead,
  mark,
  markAll,
  never,
  newEvents,
  newGroup,
  otherHandle,
  pass,
  range,
  seqsClaimed,
  statuses,
  statusOf,
  TEST_GROUP,
  useBus,
  write,
} from './subject.js';

const MARKS: readonly Mark[] = ['processed', 'retry', 'unprocessed'];

export const describeSettle: BusLaws = (open, profile) => {
  describe('a mark with a token', () => {
    const subject = useBus(open);

    it('PROCESSED ends it: the event is never given to the group again', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(2));
      const leased = await claimOne(store, number);
      expect(await mark(otherHandle(subject, profile), number, leased)).toBe('ok');
      expect(await statuses(store, number)).toEqual(['processed', 'unprocessed']);
      await pass(subject, 200);
      expect(await seqsClaimed(store, number)).toEqual([2]);
      for (const each of MARKS) expect(await mark(store, number, leased, each)).toBe('stale');
      expect(await statuses(store, number)).toEqual(['processed', 'leased']);
    });

    it('RETRY gives it again after the delay, counting the attempt', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(1));
      const leased = await claimOne(store, number);
      expect(await mark(store, number, leased, 'retry', { delayMs: 200 })).toBe('ok');
      expect(await listStatuses(store, number)).toEqual([{ seq: 1, status: 'retry', attempts: 1 }]);
      expect(await seqsClaimed(store, number)).toEqual([]);
      for (const each of MARKS) expect(await mark(store, number, leased, each)).toBe('stale');
      await pass(subject, 200);
      expect((await claimOne(store, number)).attempt).toBe(2);
    });

    it('UNPROCESSED gives it again at once, as if for the first time', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(1));
      for (let i = 0; i < 2 * TEST_GROUP.maxAttempts; i++) {
        const leased = await claimOne(store, number);
        expect(leased.attempt).toBe(1);
        expect(await mark(store, number, leased, 'unprocessed')).toBe('ok');
        expect(await listStatuses(store, number)).toEqual([{ seq: 1, status: 'unprocessed', attempts: 0 }]);
        expect(await mark(store, number, leased)).toBe('stale');
      }
    });

    it.each(['expired', 'claimed again', 'marked without one', 'sought', 'group made again'] as const)(
      'that is older than what stands is STALE and changes nothing: %s',
      async (how) => {
        const { store } = subject;
        const number = await givenGroup(store);
        await write(store, number, newEvents(2));
        const old = await claimOne(store, number);
        if (how === 'expired' || how === 'claimed again') await expire(subject, number, old);
        if (how === 'claimed again') {
          await pass(subject, TEST_GROUP.minBackoffMs);
          expect((await claimOne(store, number)).event.seq).toBe(1);
        }
        if (how === 'marked without one') await mark(store, number, 1, 'retry', { delayMs: 60_000 });
        if (how === 'sought') await store.seekGroup(number, GROUP, { kind: 'beginning' }, never);
        if (how === 'group made again') {
          await store.deleteGroup(number, GROUP, never);
          await addGroup(store, number, newGroup());
          expect((await claimOne(store, number)).event.seq).toBe(1);
        }
        const before = await listStatuses(store, number);
        for (const each of MARKS)
          expect(await mark(otherHandle(subject, profile), number, old, each)).toBe('stale');
        expect(await listStatuses(store, number)).toEqual(before);
      },
    );

    it('of another claim, another event or nobody is STALE', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      const one = await claimOne(store, number);
      const two = await claimOne(store, number);
      expect(await mark(store, number, { ...one, lease: two.lease })).toBe('stale');
      expect(await mark(store, number, { ...one, event: two.event })).toBe('stale');
      expect(await mark(store, number, { ...one, lease: 987_654_321 })).toBe('stale');
      expect(await mark(store, number, { ...one, event: { ...one.event, seq: 3 } })).toBe('stale');
      expect(await statuses(store, number)).toEqual(['leased', 'leased', 'unprocessed']);
    });

    it('is of one group alone', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await addGroup(store, number, newGroup('g2'));
      await write(store, number, newEvents(1));
      const [one, two] = [await claimOne(store, number), await claimOne(store, number, { group: 'g2' })];
      expect(one.lease).not.toBe(two.lease);
      expect(await mark(store, number, one, 'processed', { group: 'g2' })).toBe('stale');
      expect(await mark(store, number, two, 'processed', { group: 'g2' })).toBe('ok');
      expect(await mark(store, number, one)).toBe('ok');
    });

    it('of the last attempt: RETRY makes a dead letter, once, in the same step', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 2 } });
      await write(store, number, newEvents(2));
      const first = await claimOne(store, number);
      expect(await mark(store, number, first, 'retry', { delayMs: 0 })).toBe('ok');
      const second = await claimOne(store, number);
      expect(second).toMatchObject({ attempt: 2, event: { seq: 1 } });
      expect(await mark(store, number, second, 'retry', { delayMs: 0 })).toBe('ok');
      expect(await listStatuses(store, number)).toEqual([
        { seq: 1, status: 'dead', attempts: 2 },
        { seq: 2, status: 'unprocessed', attempts: 0 },
      ]);
      expect(await listDead(store, number)).toMatchObject([
        { event: { seq: 1 }, attempts: 2, reason: 'attempts_exhausted' },
      ]);
      await pass(subject, 200);
      expect(await seqsClaimed(store, number)).toEqual([2]);
      expect(await mark(store, number, second, 'retry')).toBe('stale');
      expect(await listDead(store, number)).toHaveLength(1);
    });
  });

  describe('a lease that runs out', () => {
    const subject = useBus(open);

    it('for the last time makes a dead letter', async () => {
      const { store } = subject;
      const number = await givenGroup(store, {
        settings: { maxAttempts: 2, minBackoffMs: 10, maxBackoffMs: 10 },
      });
      await write(store, number, newEvents(1));
      for (let attempt = 1; attempt <= 2; attempt++) {
        const leased = await claimOne(store, number);
        expect(leased.attempt).toBe(attempt);
        await expire(subject, number, leased);
        await pass(subject, 10);
      }
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await statuses(store, number)).toEqual(['dead']);
      expect(await listDead(store, number)).toMatchObject([{ event: { seq: 1 }, attempts: 2 }]);
      await pass(subject, 200);
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await listDead(store, number)).toHaveLength(1);
    });

    it('never does in a group without a limit', async () => {
      const { store } = subject;
      const number = await givenGroup(store, {
        settings: { maxAttempts: 0, minBackoffMs: 1, maxBackoffMs: 2 },
      });
      await write(store, number, newEvents(1));
      for (let attempt = 1; attempt <= 12; attempt++) {
        const leased = await claimOne(store, number);
        expect(leased.attempt).toBe(attempt);
        await mark(store, number, leased, 'retry');
        await pass(subject, 3);
      }
      expect(await listDead(store, number)).toEqual([]);
    });

    it('reads as RETRY though nobody has noticed, and counts as such', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      const [first] = await claim(store, number);
      await accept(store, number, first as LeasedEvent, 20);
      await pass(subject, 20);
      expect(await statuses(otherHandle(subject, profile), number)).toEqual(Array(3).fill('retry'));
      expect(await groupFacts(store, number)).toMatchObject({ leased: 0, retrying: 3 });
      expect(await markAll(store, number, [1, 2])).toEqual(['ok', 'ok']);
      expect(await groupFacts(store, number)).toMatchObject({ leased: 0, retrying: 1 });
    });

    it('runs out for 600 events, though a step handles 256', async () => {
      const { store } = subject;
      const number = await givenGroup(store, {
        settings: { minBackoffMs: 0, maxBackoffMs: 0, maxAttempts: 0 },
      });
      await write(store, number, newEvents(600));
      const leased = await claimAll(store, number);
      expect(leased).toHaveLength(600);
      for (const lease of new Set(leased.map((each) => each.lease)))
        await store.accept(number, GROUP, { consumer: 'c1', lease, ackDeadlineMs: 20 }, never);
      await pass(subject, 20);
      expect(await groupFacts(store, number)).toMatchObject({ leased: 0, retrying: 600 });
      expect(await listStatuses(store, number, { status: 'retry' })).toHaveLength(600);
      const again: number[] = [];
      for (let i = 0; i < 8; i++)
        again.push(...(await seqsClaimed(store, number, { consumer: 'c2', maxEvents: 200 })));
      expect(again.sort((a, b) => a - b)).toEqual(range(1, 600));
    });
  });

  describe('a mark without a token', () => {
    const subject = useBus(open);

    /** Seven events: processed, leased, retry, ready, dead, and two ahead of the cursor, one of them marked. */
    async function givenOneOfEach(): Promise<{ number: number; leased: LeasedEvent }> {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(5));
      await makeDead(store, number, 5);
      const leased = (await claim(store, number, { consumer: 'c2', maxEvents: 5 }))[0];
      expect(leased).toBeUndefined();
      await markAll(store, number, [1]);
      await markAll(store, number, [2], 'unprocessed');
      const [again] = await claim(store, number, { maxEvents: 1 });
      expect(again?.event.seq).toBe(2);
      await markAll(store, number, [3], 'retry', { delayMs: 60_000 });
      await markAll(store, number, [4], 'unprocessed');
      await write(store, number, newEvents(2));
      await markAll(store, number, [7]);
      expect(await statuses(store, number)).toEqual([
        'processed',
        'leased',
        'retry',
        'unprocessed',
        'dead',
        'unprocessed',
        'processed',
      ]);
      return { number, leased: again as LeasedEvent };
    }

    it('PROCESSED makes anything processed but a dead letter', async () => {
      const { store } = subject;
      const { number, leased } = await givenOneOfEach();
      expect(await markAll(store, number, [1, 2, 3, 4, 5, 6, 7])).toEqual(Array(7).fill('ok'));
      const expected = Array(7).fill('processed');
      expected[4] = 'dead';
      expect(await statuses(store, number)).toEqual(expected);
      expect(await mark(store, number, leased)).toBe('stale');
      await write(store, number, newEvents(1));
      expect(await seqsClaimed(store, number)).toEqual([8]);
      expect(await statuses(store, number)).toEqual([...expected, 'leased']);
    });

    it('RETRY has anything given again after its delay but a dead letter', async () => {
      const { store } = subject;
      const { number, leased } = await givenOneOfEach();
      const answers = await markAll(store, number, [1, 2, 3, 4, 5, 6, 7], 'retry', { delayMs: 300 });
      expect(answers).toEqual(Array(7).fill('ok'));
      const expected = Array(7).fill('retry');
      expected[4] = 'dead';
      expect(await statuses(store, number)).toEqual(expected);
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await mark(store, number, leased)).toBe('stale');
      await pass(subject, 300);
      const again = await claim(store, number);
      expect(again.map(({ event, attempt }) => [event.seq, attempt])).toEqual([
        [1, 1],
        [2, 2],
        [3, 2],
        [4, 1],
        [6, 1],
        [7, 1],
      ]);
      expect(await seqsClaimed(store, number)).toEqual([]);
    });

    it('UNPROCESSED has anything given again at once, also a dead letter', async () => {
      const { store } = subject;
      const { number, leased } = await givenOneOfEach();
      expect(await markAll(store, number, [1, 2, 3, 4, 5, 6, 7], 'unprocessed')).toEqual(Array(7).fill('ok'));
      expect(await listStatuses(store, number)).toEqual(
        [1, 2, 3, 4, 5, 6, 7].map((seq) => ({ seq, status: 'unprocessed', attempts: 0 })),
      );
      expect(await listDead(store, number)).toEqual([]);
      expect(await mark(store, number, leased)).toBe('stale');
      const again = await claim(store, number);
      expect(again.map(({ event, attempt }) => [event.seq, attempt])).toEqual(
        [1, 2, 3, 4, 5, 6, 7].map((seq) => [seq, 1]),
      );
      expect(await seqsClaimed(store, number)).toEqual([]);
    });

    it('RETRY of what was given for the last time makes a dead letter of a lease only', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 1 } });
      await write(store, number, newEvents(2));
      await claim(store, number);
      await mark(store, number, 2, 'unprocessed');
      expect(await markAll(store, number, [1, 2], 'retry', { delayMs: 0 })).toEqual(['ok', 'ok']);
      expect(await statuses(store, number)).toEqual(['dead', 'retry']);
      expect(await claim(store, number)).toMatchObject([{ attempt: 1, event: { seq: 2 } }]);
    });

    it('brings the default group into being, and of another that is not there is refused', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, newEvents(3));
      const marks = [{ seq: 2, lease: undefined, mark: 'processed', delayMs: undefined }] as const;
      expect(await store.settle(number, 'nobody', marks, never)).toEqual({ kind: 'group_not_found' });
      expect(await store.settle(number, 'default', marks, never)).toEqual({
        kind: 'settled',
        answers: ['ok'],
      });
      expect(await seqsClaimed(store, number, { group: 'default' })).toEqual([1, 3]);
    });

    it('of the delay or else of the least backoff, when nothing was in flight', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { minBackoffMs: 500, maxBackoffMs: 60_000 } });
      await write(store, number, newEvents(2));
      await markAll(store, number, [1], 'retry');
      await markAll(store, number, [2], 'retry', { delayMs: 40_000 });
      const answer = await claimed(store, number);
      expect(answer.events).toEqual([]);
      expect(answer.nextDueMs).toBeLessThanOrEqual(answer.nowMs + 500);
      expect(answer.nextDueMs).toBeGreaterThan(answer.nowMs);
      await markAll(store, number, [1]);
      expect((await claimed(store, number)).nextDueMs).toBeGreaterThan(answer.nowMs + 30_000);
    });
  });

  describe('a mark ahead of the cursor', () => {
    const subject = useBus(open);

    it('is kept: the event is passed over when the group comes to it', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(9));
      await markAll(store, number, [2, 5, 9]);
      expect(await groupFacts(store, number)).toMatchObject({ unprocessed: 6, lag: 9 });
      expect(await seqsClaimed(store, number, { maxEvents: 3 })).toEqual([1, 3, 4]);
      expect(await seqsClaimed(store, number)).toEqual([6, 7, 8]);
      expect(await groupFacts(store, number)).toMatchObject({ unprocessed: 0, lag: 0, leased: 6 });
    });

    it('is taken back by UNPROCESSED, which does nothing to what nobody has looked at', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(4));
      await markAll(store, number, [2, 3]);
      expect(await markAll(store, number, [2, 4], 'unprocessed')).toEqual(['ok', 'ok']);
      expect(await statuses(store, number)).toEqual([
        'unprocessed',
        'unprocessed',
        'processed',
        'unprocessed',
      ]);
      expect(await seqsClaimed(store, number)).toEqual([1, 2, 4]);
      expect(await seqsClaimed(store, number)).toEqual([]);
    });

    it('RETRY is given once, when it is due', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      await mark(store, number, 2, 'retry', { delayMs: 30 });
      expect(await seqsClaimed(store, number)).toEqual([1, 3]);
      await pass(subject, 30);
      const again = await claim(store, number);
      expect(again).toMatchObject([{ attempt: 1, event: { seq: 2 } }]);
      await markAll(store, number, again);
      expect(await statusOf(store, number, 2)).toBe('processed');
      expect(await seqsClaimed(store, number)).toEqual([]);
    });
  });

  describe('a mark of what is not there', () => {
    const subject = useBus(open);

    it('answers NOT_FOUND for what was never written, with a token or without', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(2));
      const leased = await claimOne(store, number);
      for (const seq of [3, 4_000_000]) {
        for (const each of MARKS) expect(await mark(store, number, seq, each)).toBe('not_found');
        expect(await mark(store, number, { ...leased, event: { ...leased.event, seq } })).toBe('not_found');
      }
      await write(store, number, newEvents(1));
      expect(await statuses(store, number)).toEqual(['leased', 'unprocessed', 'unprocessed']);
    });

    it('answers EXPIRED for what retention took and is not in flight', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 2, overflow: 'drop_oldest' } });
      for (let i = 0; i < 4; i++) await write(store, number, newEvents(1));
      for (const each of MARKS)
        expect(await markAll(store, number, [1, 2, 3], each)).toEqual(['expired', 'expired', 'ok']);
      expect(await mark(store, number, 3)).toBe('ok');
      expect(await seqsClaimed(store, number)).toEqual([4]);
    });

    it('answers OK for what retention took while it was in flight', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 2, overflow: 'drop_oldest' } });
      await write(store, number, newEvents(2));
      const leased = await claim(store, number);
      await write(store, number, newEvents(2));
      expect(await markAll(store, number, leased.slice(0, 1))).toEqual(['ok']);
      expect(await mark(store, number, 1)).toBe('expired');
      expect(await mark(store, number, 2, 'retry', { delayMs: 60_000 })).toBe('ok');
      expect(await mark(store, number, 2)).toBe('ok');
      expect(await mark(store, number, 2)).toBe('expired');
      expect((await groupFacts(store, number)).trimmedUnprocessed).toBe(0);
    });
  });

  describe('marks in one step', () => {
    const subject = useBus(open);

    it('are taken in order, each with its own answer', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      const [first, second] = await claim(store, number, { maxEvents: 2 });
      const none = undefined;
      const answer = await store.settle(
        number,
        GROUP,
        [
          { seq: 1, lease: first?.lease, mark: 'processed', delayMs: none },
          { seq: 1, lease: first?.lease, mark: 'processed', delayMs: none },
          { seq: 9, lease: none, mark: 'processed', delayMs: none },
          { seq: 2, lease: second?.lease, mark: 'retry', delayMs: 60_000 },
          { seq: 2, lease: none, mark: 'unprocessed', delayMs: none },
          { seq: 1, lease: none, mark: 'unprocessed', delayMs: none },
          { seq: 3, lease: none, mark: 'processed', delayMs: none },
          { seq: 1, lease: none, mark: 'processed', delayMs: none },
        ],
        never,
      );
      expect(answer).toEqual({
        kind: 'settled',
        answers: ['ok', 'stale', 'not_found', 'ok', 'ok', 'ok', 'ok', 'ok'],
      });
      expect(await statuses(store, number)).toEqual(['processed', 'unprocessed', 'processed']);
    });

    it('may be 1,000, and none', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(1_000));
      expect(await store.settle(number, GROUP, [], never)).toEqual({ kind: 'settled', answers: [] });
      const seqs = Array.from({ length: 1_000 }, (_, i) => i + 1);
      expect(await markAll(store, number, seqs)).toEqual(Array(1_000).fill('ok'));
      expect((await groupFacts(store, number)).unprocessed).toBe(0);
      let { more } = await claimed(store, number);
      for (let i = 0; i < 10 && more; i++) ({ more } = await claimed(store, number));
      expect(await groupFacts(store, number)).toMatchObject({ unprocessed: 0, lag: 0, leased: 0 });
    });
  });

  describe('a claim that is given back', () => {
    const subject = useBus(open);

    it('has its events ready at once, their attempt not counted, and its token stale', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(4));
      const request = claimRequest({ maxEvents: 3 });
      const leased = await claim(store, number, request);
      await mark(store, number, leased[1] as LeasedEvent);
      await otherHandle(subject, profile).release(number, GROUP, 'c1', request.claimId, never);
      expect(await statuses(store, number)).toEqual([
        'unprocessed',
        'processed',
        'unprocessed',
        'unprocessed',
      ]);
      for (const each of MARKS)
        expect(await mark(store, number, leased[0] as LeasedEvent, each)).toBe('stale');
      const again = await claim(store, number, { consumer: 'c2' });
      expect(again.map(({ event, attempt }) => [event.seq, attempt])).toEqual([
        [1, 1],
        [3, 1],
        [4, 1],
      ]);
    });

    it('keeps the attempts that were counted before', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 2 } });
      await write(store, number, newEvents(1));
      await mark(store, number, await claimOne(store, number), 'retry', { delayMs: 0 });
      for (let i = 0; i < 3; i++) {
        const request = claimRequest();
        expect((await claimOne(store, number, request)).attempt).toBe(2);
        await store.release(number, GROUP, 'c1', request.claimId, never);
      }
      expect(await listDead(store, number)).toEqual([]);
    });

    it('changes nothing when the claim, the consumer or the group is unknown', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(2));
      const old = claimRequest({ maxEvents: 1 });
      await claim(store, number, old);
      const request = claimRequest({ maxEvents: 1 });
      await claim(store, number, request);
      await store.release(number, GROUP, 'c2', request.claimId, never);
      await store.release(number, GROUP, 'c1', 'nothing', never);
      await store.release(number, GROUP, 'c1', old.claimId, never);
      await store.release(number, 'nobody', 'c1', request.claimId, never);
      expect(await statuses(store, number)).toEqual(['leased', 'leased']);
    });
  });

  describe('the deadline of a lease', () => {
    const subject = useBus(open);

    it("counts from when the frame was accepted, its own or the group's", async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { ackDeadlineMs: 5_000 } });
      await write(store, number, newEvents(3));
      const [first] = await claim(store, number);
      const { nowMs } = await claimed(store, number);
      await accept(otherHandle(subject, profile), number, first as LeasedEvent, 2_000);
      const own = await claimed(store, number);
      expect(own.nextDueMs).toBeGreaterThanOrEqual(nowMs + 2_000);
      expect(own.nextDueMs).toBeLessThanOrEqual(own.nowMs + 2_000);
      await accept(store, number, first as LeasedEvent, undefined);
      const group = await claimed(store, number);
      expect(group.nextDueMs).toBeGreaterThanOrEqual(own.nowMs + 5_000);
      expect(group.nextDueMs).toBeLessThanOrEqual(group.nowMs + 5_000);
    });

    it('is not brought back by an acceptance once it is over', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(1));
      const leased = await claimOne(store, number);
      await expire(subject, number, leased);
      await accept(store, number, leased, 60_000);
      expect(await statuses(store, number)).toEqual(['retry']);
    });

    it('is not moved by the acceptance of another claim, consumer or group', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(2));
      const leased = await claimOne(store, number);
      await accept(store, number, leased, 10, { consumer: 'c2' });
      await accept(store, number, { ...leased, lease: leased.lease + 1_000 }, 10);
      await accept(store, number, leased, 10, { group: 'nobody' });
      await pass(subject, 30);
      expect(await statusOf(store, number, 1)).toBe('leased');
    });

    it('is moved by an extension; the token stays', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(2));
      const [first, second] = await claim(store, number);
      await accept(store, number, first as LeasedEvent, 400);
      const { nowMs } = await claimed(store, number);
      const leases = [{ seq: 1, lease: first?.lease ?? 0 }];
      const answer = await otherHandle(subject, profile).extend(number, GROUP, leases, 60_000, never);
      expect(answer).toEqual({ kind: 'extended', answers: ['ok'], deadlineMs: expect.any(Number) });
      expect(answer.kind === 'extended' && answer.deadlineMs).toBeGreaterThanOrEqual(nowMs + 60_000);
      await pass(subject, 400);
      expect(await statuses(store, number)).toEqual(['leased', 'retry']);
      expect(await mark(store, number, second as LeasedEvent)).toBe('stale');
      expect(await mark(store, number, first as LeasedEvent)).toBe('ok');
    });

    it('is not moved by an extension with a token that is stale', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      const [first, second] = await claim(store, number, { maxEvents: 2 });
      await mark(store, number, first as LeasedEvent);
      const lease = second?.lease ?? 0;
      const leases = [
        { seq: 1, lease },
        { seq: 2, lease },
        { seq: 2, lease: lease + 99 },
        { seq: 3, lease },
        { seq: 77, lease },
      ];
      expect(await store.extend(number, GROUP, leases, undefined, never)).toMatchObject({
        answers: ['stale', 'ok', 'stale', 'stale', 'stale'],
      });
      await accept(store, number, second as LeasedEvent, 20);
      await pass(subject, 20);
      expect(await store.extend(number, GROUP, [{ seq: 2, lease }], undefined, never)).toMatchObject({
        answers: ['stale'],
      });
      expect(await statusOf(store, number, 2)).toBe('retry');
      expect(await store.extend(number, 'nobody', leases, undefined, never)).toEqual({
        kind: 'group_not_found',
      });
    });
  });
};
