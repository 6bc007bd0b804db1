/** The law of leases: how long they last, how they are given back, and what their end makes of an event. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent } from '../../../src/bus/event.js';
import {
  accept,
  type BusLaws,
  claim,
  claimAll,
  claimed,
  claimOne,
  claimRequest,
  expire,
  GROUP,
  givenGroup,
  groupFacts,
  listDead,
  listStatuses,
  MARKS,
  mark,
  markAll,
  never,
  newEvents,
  otherHandle,
  pass,
  range,
  seqsClaimed,
  statuses,
  statusOf,
  useBus,
  write,
} from './subject.js';

export const describeLeases: BusLaws = (open, profile) => {
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
};
