/** The laws of ordering keys: one event of a key at a time, in order, and no key in the way of another. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent } from '../../../src/bus/event.js';
import { concurrently } from '../../support/waiting.js';
import {
  type BusLaws,
  busHandles,
  claim,
  claimAll,
  claimOne,
  claimRequest,
  expire,
  GROUP,
  givenGroup,
  groupFacts,
  keyed,
  listStatuses,
  mark,
  markAll,
  never,
  newEvents,
  otherHandle,
  pass,
  range,
  seqsClaimed,
  seqsOf,
  statuses,
  statusOf,
  useBus,
  write,
} from './subject.js';

const FAST = { minBackoffMs: 1, maxBackoffMs: 1 };

export const describeKeys: BusLaws = (open, profile) => {
  describe('an ordering key', () => {
    const subject = useBus(open);

    it('has one event in flight; the others wait, and those without a key do not', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a', '', 'b', 'a', '', 'b'));
      expect(await seqsClaimed(store, number)).toEqual([1, 3, 4, 6]);
      expect(await statuses(store, number)).toEqual([
        'leased',
        'waiting',
        'leased',
        'leased',
        'waiting',
        'leased',
        'waiting',
      ]);
      expect(await groupFacts(store, number)).toMatchObject({
        leased: 4,
        waiting: 3,
        unprocessed: 0,
        lag: 0,
      });
      expect(await seqsClaimed(otherHandle(subject, profile), number, { consumer: 'c2' })).toEqual([]);
    });

    it('gives its next event after a mark PROCESSED, and not before', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a', 'a', 'b', 'b'));
      for (const [a, b] of [
        [1, 4],
        [2, 5],
      ]) {
        const leased = await claim(store, number);
        expect(seqsOf(leased)).toEqual([a, b]);
        expect(await seqsClaimed(store, number)).toEqual([]);
        await markAll(otherHandle(subject, profile), number, leased);
      }
      expect(await statuses(store, number)).toEqual([
        'processed',
        'processed',
        'unprocessed',
        'processed',
        'processed',
      ]);
      expect(await seqsClaimed(store, number)).toEqual([3]);
    });

    it('goes on with what is written later', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a'));
      const first = await claimOne(store, number);
      await write(store, number, keyed('a'));
      expect(await seqsClaimed(store, number)).toEqual([]);
      await mark(store, number, first);
      const second = await claimOne(store, number);
      expect(second.event.seq).toBe(2);
      await mark(store, number, second);
      await write(store, number, keyed('a'));
      expect(await seqsClaimed(store, number)).toEqual([3]);
    });

    it.each(['retry', 'unprocessed', 'release', 'expiry'] as const)(
      'stays with its event through a %s, and gives it again before the next',
      async (how) => {
        const { store } = subject;
        const number = await givenGroup(store, { settings: FAST });
        await write(store, number, keyed('a', 'a', 'b'));
        const request = claimRequest({ maxEvents: 1 });
        const leased = await claimOne(store, number, request);
        expect(await seqsClaimed(store, number)).toEqual([3]);
        if (how === 'release') await store.release(number, GROUP, 'c1', request.claimId, never);
        // The consumer's last claim is another one now.
        if (how === 'release') await mark(store, number, leased, 'unprocessed');
        if (how === 'expiry') await expire(subject, number, leased);
        if (how === 'retry') await mark(store, number, leased, 'retry', { delayMs: 5 });
        if (how === 'unprocessed') await mark(store, number, leased, 'unprocessed');
        expect(await statusOf(store, number, 2)).toBe('waiting');
        await pass(subject, 10);
        // The first claim may only find that it is so.
        const again = [...(await claim(store, number)), ...(await claim(store, number))];
        expect(seqsOf(again)).toEqual([1]);
        expect(await statusOf(store, number, 2)).toBe('waiting');
        await markAll(store, number, again);
        expect(await seqsClaimed(store, number)).toEqual([2]);
      },
    );

    it('goes on past an event that dies', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 2 } });
      await write(store, number, keyed('a', 'a', 'b', 'a'));
      await mark(store, number, await claimOne(store, number), 'retry', { delayMs: 0 });
      await mark(store, number, await claimOne(store, number), 'retry', { delayMs: 0 });
      expect(await statuses(store, number)).toEqual(['dead', 'unprocessed', 'unprocessed', 'unprocessed']);
      const leased = await claim(store, number);
      expect([...seqsOf(leased)].sort()).toEqual([2, 3]);
      await markAll(store, number, leased);
      expect(await seqsClaimed(store, number)).toEqual([4]);
    });

    it('goes on past an event that dies by expiry', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 1 } });
      await write(store, number, keyed('a', 'a'));
      const leased = await claim(store, number);
      expect(seqsOf(leased)).toEqual([1]);
      await expire(subject, number, leased[0] as LeasedEvent);
      const next = [...(await seqsClaimed(store, number)), ...(await seqsClaimed(store, number))];
      expect(next).toEqual([2]);
      expect(await statuses(store, number)).toEqual(['dead', 'leased']);
    });

    it('goes on past an event that retention took', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 3, overflow: 'drop_oldest' } });
      await write(store, number, keyed('a', 'a', 'a'));
      await mark(store, number, await claimOne(store, number), 'retry', { delayMs: 10 });
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await statuses(store, number)).toEqual(['retry', 'waiting', 'waiting']);
      for (let i = 0; i < 2; i++) await write(store, number, keyed('b'));
      await pass(subject, 10);
      const given = [...(await claim(store, number)), ...(await claim(store, number))];
      expect([...seqsOf(given)].sort()).toEqual([3, 4]);
      expect((await groupFacts(store, number)).trimmedUnprocessed).toBe(2);
    });

    it('does not stop the others however often its event fails', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { ...FAST, maxAttempts: 0 } });
      await write(store, number, keyed(...range(1, 60).map((i) => (i % 3 === 0 ? 'poison' : `k${i % 5}`))));
      const done = new Set<number>();
      for (let turn = 0; turn < 60; turn++) {
        const leased = await claim(store, number);
        for (const each of leased)
          if (each.event.orderingKey === 'poison') await mark(store, number, each, 'retry', { delayMs: 0 });
          else {
            await mark(store, number, each);
            done.add(each.event.seq);
          }
      }
      expect(done.size).toBe(40);
      expect(await groupFacts(store, number)).toMatchObject({ waiting: 19 });
    });

    it.each(['retry', 'unprocessed'] as const)(
      'that is busy has an event that is marked %s first in its line',
      async (how) => {
        const { store } = subject;
        const number = await givenGroup(store);
        await write(store, number, keyed('a', 'a', 'a', 'a'));
        await mark(store, number, await claimOne(store, number));
        const second = await claimOne(store, number);
        expect(second.event.seq).toBe(2);
        expect(await seqsClaimed(store, number)).toEqual([]);
        expect(await mark(store, number, 1, how, { delayMs: how === 'retry' ? 10 : undefined })).toBe('ok');
        expect(await statuses(store, number)).toEqual(['waiting', 'leased', 'waiting', 'waiting']);
        const order: number[] = [];
        let held: LeasedEvent = second;
        for (let i = 0; i < 3; i++) {
          await mark(store, number, held);
          await pass(subject, 12);
          held = await claimOne(store, number);
          order.push(held.event.seq);
        }
        expect(order).toEqual([1, 3, 4]);
      },
    );

    it('that is busy has an event ahead of the cursor, marked RETRY, first in its line', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a', 'a', 'a'));
      const first = await claimOne(store, number);
      expect(await mark(store, number, 3, 'retry', { delayMs: 0 })).toBe('ok');
      expect(await statusOf(store, number, 3)).toBe('waiting');
      expect(await seqsClaimed(store, number)).toEqual([]);
      const order: number[] = [];
      let held = first;
      for (let i = 0; i < 3; i++) {
        await mark(store, number, held);
        held = await claimOne(store, number);
        order.push(held.event.seq);
      }
      expect(order).toEqual([3, 2, 4]);
      await mark(store, number, held);
      expect(await statuses(store, number)).toEqual(Array(4).fill('processed'));
    });

    it('is busy with an event ahead of the cursor that was marked RETRY', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a'));
      await mark(store, number, 2, 'retry', { delayMs: 200 });
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await statuses(store, number)).toEqual(['waiting', 'retry']);
      await pass(subject, 200);
      const [second] = await claim(store, number);
      expect(second?.event.seq).toBe(2);
      await mark(store, number, second as LeasedEvent);
      expect(await seqsClaimed(store, number)).toEqual([1]);
    });

    it('has a waiting event that is marked PROCESSED leave its line, and one marked otherwise stay', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a', 'a', 'a'));
      const [first] = await claim(store, number);
      expect(await markAll(store, number, [2, 3])).toEqual(['ok', 'ok']);
      expect(await mark(store, number, 4, 'retry', { delayMs: 60_000 })).toBe('ok');
      expect(await mark(store, number, 4, 'unprocessed')).toBe('ok');
      expect(await statuses(store, number)).toEqual(['leased', 'processed', 'processed', 'waiting']);
      await mark(store, number, first as LeasedEvent);
      expect(await seqsClaimed(store, number)).toEqual([4]);
    });

    it('comes free with a mark without a token, whatever its event was', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'b', 'c', 'a', 'b', 'c'));
      await claim(store, number);
      await mark(store, number, 2, 'retry', { delayMs: 60_000 });
      await mark(store, number, 3, 'unprocessed');
      expect(await markAll(store, number, [1, 2, 3])).toEqual(['ok', 'ok', 'ok']);
      expect(await seqsClaimed(store, number)).toEqual([4, 5, 6]);
    });

    it("is each group's own", async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a'));
      expect(await seqsClaimed(store, number)).toEqual([1]);
      expect(await seqsClaimed(store, number, { group: 'default' })).toEqual([1]);
      await markAll(store, number, [1], 'processed', { group: 'default' });
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await seqsClaimed(store, number, { group: 'default' })).toEqual([2]);
    });

    it('comes free with a seek, and lines are forgotten', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, keyed('a', 'a', 'a'));
      await claim(store, number);
      await store.seekGroup(number, GROUP, { kind: 'seq', seq: 2 }, never);
      expect(await groupFacts(store, number)).toMatchObject({ waiting: 0, leased: 0, unprocessed: 2 });
      const [second] = await claim(store, number);
      expect(second?.event.seq).toBe(2);
      await mark(store, number, second as LeasedEvent);
      expect(await seqsClaimed(store, number)).toEqual([3]);
    });

    it('holds for an event that comes back from the dead', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 1 } });
      await write(store, number, keyed('a', 'a', 'a'));
      await mark(store, number, await claimOne(store, number), 'retry');
      const second = await claimOne(store, number);
      expect(second.event.seq).toBe(2);
      expect(await seqsClaimed(store, number)).toEqual([]);
      await store.replayDead(number, GROUP, { kind: 'some', seqs: [1] }, never);
      expect(await statuses(store, number)).toEqual(['waiting', 'leased', 'waiting']);
      await mark(store, number, second);
      const [first] = await claim(store, number);
      expect(first).toMatchObject({ attempt: 1, event: { seq: 1 } });
      await mark(store, number, first as LeasedEvent);
      expect(await seqsClaimed(store, number)).toEqual([3]);
    });

    it('has its first deliveries in the order of writing, under many consumers', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { ...FAST, maxAttempts: 0 } });
      const keys = range(1, 200).map((i) => `k${(i * 7) % 5}`);
      await write(store, number, keyed(...keys));
      const stores = busHandles(subject, profile);
      const seen: LeasedEvent[] = [];
      let left = 200;
      await concurrently(12, 12, async (i) => {
        const each = stores[i % stores.length] ?? store;
        for (let turn = 0; left > 0 && turn < 2_000; turn++)
          for (const leased of await claim(each, number, { consumer: `c${i}`, maxEvents: 3 })) {
            seen.push(leased);
            const isDone = leased.attempt > 1 || leased.event.seq % 4 > 0;
            await mark(each, number, leased, isDone ? 'processed' : 'retry', {
              delayMs: isDone ? undefined : 0,
            });
            if (isDone) left--;
          }
      });
      expect(left).toBe(0);
      for (const key of new Set(keys)) {
        const firsts = seen.filter(({ event, attempt }) => event.orderingKey === key && attempt === 1);
        const seqs = firsts.sort((a, b) => a.lease - b.lease).map(({ event }) => event.seq);
        expect(seqs).toEqual(range(1, 200).filter((seq) => keys[seq - 1] === key));
      }
      expect(new Set((await listStatuses(store, number)).map(({ status }) => status))).toEqual(
        new Set(['processed']),
      );
    });

    it('has a line of thousands that goes on one by one', { timeout: 60_000 }, async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      for (let i = 0; i < 3; i++)
        await write(
          store,
          number,
          newEvents(1_000, () => ({ orderingKey: 'a' })),
        );
      const held = [...(await claimAll(store, number))];
      expect(seqsOf(held)).toEqual([1]);
      expect(await groupFacts(store, number)).toMatchObject({ waiting: 2_999, leased: 1, lag: 0 });
      for (let seq = 2; seq <= 50; seq++) {
        await markAll(store, number, held.splice(0));
        held.push(...(await claim(store, number)));
        expect(seqsOf(held)).toEqual([seq]);
      }
      expect((await groupFacts(store, number)).waiting).toBe(2_950);
    });
  });
};
