/** The law of marks with a token: they act on the hand-out that they are about, or change nothing. */
import { describe, expect, it } from 'vitest';
import {
  addGroup,
  type BusLaws,
  claimOne,
  expire,
  GROUP,
  givenGroup,
  listDead,
  listStatuses,
  MARKS,
  mark,
  never,
  newEvents,
  newGroup,
  otherHandle,
  pass,
  seqsClaimed,
  statuses,
  TEST_GROUP,
  useBus,
  write,
} from './subject.js';

export const describeMarksWithToken: BusLaws = (open, profile) => {
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
};
