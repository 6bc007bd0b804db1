/** The law of marks without a token: they act on whatever stands, in flight, ahead, dead or gone. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent } from '../../../src/bus/event.js';
import {
  type BusLaws,
  claim,
  claimed,
  claimOne,
  GROUP,
  givenGroup,
  givenStream,
  groupFacts,
  listDead,
  listStatuses,
  MARKS,
  makeDead,
  mark,
  markAll,
  never,
  newEvents,
  pass,
  seqsClaimed,
  statuses,
  statusOf,
  useBus,
  write,
} from './subject.js';

export const describeMarksWithoutToken: BusLaws = (open) => {
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
};
