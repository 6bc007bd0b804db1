/** The laws of dead letters: what failed too often is kept, can be given again, and can be forgotten. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent } from '../../../src/bus/event.js';
import type { BusStore } from '../../../src/bus/store.js';
import type { DeadSelection, DeadStep } from '../../../src/bus/verbs.js';
import {
  type BusLaws,
  claim,
  claimAll,
  claimOne,
  GROUP,
  givenGroup,
  groupFacts,
  listDead,
  listStatuses,
  makeDead,
  mark,
  markAll,
  never,
  newEvent,
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

const ALL: DeadSelection = { kind: 'all', after: undefined };

type Step = (which: DeadSelection) => Promise<{ readonly kind: string } | DeadStep>;

/** Goes on until it is done; returns how many that were. */
async function throughSteps(step: Step): Promise<number> {
  let count = 0;
  let after: string | undefined;
  for (let steps = 0; steps < 1_000; steps++) {
    const answer = await step({ kind: 'all', after });
    if (!('count' in answer)) throw new Error(answer.kind);
    count += answer.count;
    if (answer.next === undefined) return count;
    after = answer.next;
  }
  throw new Error('there is always another step');
}

/** Events 1..count, all dead after one attempt, in the order of their sequences. */
async function givenDead(store: BusStore, count: number): Promise<number> {
  const number = await givenGroup(store, { settings: { maxAttempts: 1 } });
  for (let at = 0; at < count; at += 1_000)
    await write(store, number, newEvents(Math.min(1_000, count - at)));
  const leased = await claimAll(store, number, { credit: { messages: 100_000, bytes: 2 ** 30 } });
  for (let at = 0; at < count; at += 1_000)
    await markAll(store, number, leased.slice(at, at + 1_000), 'retry', { delayMs: 0 });
  return number;
}

export const describeDeadLetters: BusLaws = (open, profile) => {
  describe('a dead letter', () => {
    const subject = useBus(open);

    it('is the event as it was, how often it was tried, when it died and why', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const event = newEvent({
        type: 't',
        attributes: { a: 'b' },
        orderingKey: 'k',
        form: 'data',
        body: Buffer.from([0, 255]),
      });
      const [written] = await write(store, number, [event]);
      await makeDead(store, number, 1);
      const [dead, ...others] = await listDead(otherHandle(subject, profile), number);
      expect(others).toEqual([]);
      expect(dead).toMatchObject({ attempts: 3, reason: 'attempts_exhausted' });
      expect(dead?.deadTimeMs).toBeGreaterThanOrEqual(written?.createTimeMs ?? Number.NaN);
      const { body, ...said } = dead?.event ?? {};
      expect(said).toEqual({
        seq: 1,
        createTimeMs: written?.createTimeMs,
        type: 't',
        attributes: { a: 'b' },
        orderingKey: 'k',
        contentType: 'application/json',
        form: 'data',
      });
      expect(Buffer.compare(body ?? Buffer.alloc(0), event.body)).toBe(0);
    });

    it('is listed in the order of death, in pages of any size', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 1 } });
      await write(store, number, newEvents(12));
      const leased = await claim(store, number);
      const order = [5, 2, 11, 1, 8, 12, 3];
      for (const seq of order) {
        await mark(store, number, leased[seq - 1] as LeasedEvent, 'retry');
        await pass(subject, 2);
      }
      for (const limit of [1, 3, 7, 100])
        expect((await listDead(store, number, { limit })).map(({ event }) => event.seq)).toEqual(order);
      expect(await listStatuses(store, number, { status: 'dead', limit: 2 })).toMatchObject(
        [...order].sort((a, b) => a - b).map((seq) => ({ seq, attempts: 1 })),
      );
    });

    it('is kept when retention takes its event, and its mark is answered', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 2, overflow: 'drop_oldest' } });
      await write(store, number, newEvents(2));
      await makeDead(store, number, 1);
      for (let i = 0; i < 3; i++) await write(store, number, newEvents(1));
      expect(await listDead(store, number)).toMatchObject([{ event: { seq: 1 } }]);
      for (const as of ['processed', 'retry'] as const) expect(await mark(store, number, 1, as)).toBe('ok');
      expect(await listDead(store, number)).toMatchObject([{ event: { seq: 1 } }]);
    });

    it('of a group that has none, or of nobody', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      expect(await listDead(store, number)).toEqual([]);
      const nobody = { kind: 'group_not_found' };
      expect(await store.listDead(number, 'nobody', undefined, 10, never)).toEqual(nobody);
      expect(await store.replayDead(number, 'nobody', ALL, never)).toEqual(nobody);
      expect(await store.purgeDead(number, 'nobody', ALL, never)).toEqual(nobody);
      expect(await store.replayDead(number, GROUP, ALL, never)).toEqual({
        kind: 'step',
        count: 0,
        next: undefined,
      });
      expect(await store.purgeDead(number, GROUP, ALL, never)).toEqual({
        kind: 'step',
        count: 0,
        next: undefined,
      });
    });
  });

  describe('replaying dead letters', () => {
    const subject = useBus(open);

    it('gives them again as if for the first time', async () => {
      const { store } = subject;
      const number = await givenDead(store, 4);
      const some: DeadSelection = { kind: 'some', seqs: [2, 4] };
      expect(await otherHandle(subject, profile).replayDead(number, GROUP, some, never)).toMatchObject({
        count: 2,
      });
      expect(await statuses(store, number)).toEqual(['dead', 'unprocessed', 'dead', 'unprocessed']);
      const again = await claim(store, number);
      expect(again.map(({ event, attempt }) => [event.seq, attempt])).toEqual([
        [2, 1],
        [4, 1],
      ]);
      await mark(store, number, again[0] as LeasedEvent, 'retry');
      expect(await statuses(store, number)).toEqual(['dead', 'dead', 'dead', 'leased']);
      expect((await listDead(store, number)).map(({ event }) => event.seq)).toEqual([1, 3, 2]);
    });

    it('passes over what is no dead letter, and what is named twice', async () => {
      const { store } = subject;
      const number = await givenDead(store, 3);
      await write(store, number, newEvents(2));
      const held = await claimOne(store, number);
      const some: DeadSelection = { kind: 'some', seqs: [1, 4, 5, 99, 1] };
      expect(await store.replayDead(number, GROUP, some, never)).toMatchObject({ kind: 'step', count: 1 });
      expect(await store.replayDead(number, GROUP, some, never)).toMatchObject({ kind: 'step', count: 0 });
      expect(await statuses(store, number)).toEqual(['unprocessed', 'dead', 'dead', 'leased', 'unprocessed']);
      expect(await mark(store, number, held)).toBe('ok');
    });

    it('of all goes in steps, and each is given once', { timeout: 60_000 }, async () => {
      const { store } = subject;
      const number = await givenDead(store, 1_500);
      expect((await groupFacts(store, number)).dead).toBe(1_500);
      const count = await throughSteps((which) => store.replayDead(number, GROUP, which, never));
      expect(count).toBe(1_500);
      expect(await groupFacts(store, number)).toMatchObject({ dead: 0, unprocessed: 1_500 });
      const credit = { messages: 100_000, bytes: 2 ** 30 };
      const seqs: number[] = [];
      for (let i = 0; i < 20; i++)
        seqs.push(...(await seqsClaimed(store, number, { maxEvents: 1_000, credit })));
      expect(seqs.sort((a, b) => a - b)).toEqual(range(1, 1_500));
    });

    it('gives what retention took long ago', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 2, overflow: 'drop_oldest' } });
      await write(
        store,
        number,
        newEvents(2, (i) => ({ type: `t${i}` })),
      );
      await makeDead(store, number, 2);
      await mark(store, number, 1);
      for (let i = 0; i < 4; i++) await write(store, number, newEvents(1));
      expect(await store.replayDead(number, GROUP, ALL, never)).toMatchObject({ count: 1 });
      const again = await claim(store, number, { maxEvents: 1 });
      expect(again).toMatchObject([{ attempt: 1, event: { seq: 2, type: 't1' } }]);
      expect(await mark(store, number, again[0] as LeasedEvent)).toBe('ok');
      expect((await groupFacts(store, number)).dead).toBe(0);
    });
  });

  describe('purging dead letters', () => {
    const subject = useBus(open);

    it('forgets them: the events are processed', async () => {
      const { store } = subject;
      const number = await givenDead(store, 4);
      const some: DeadSelection = { kind: 'some', seqs: [3, 77, 3] };
      expect(await otherHandle(subject, profile).purgeDead(number, GROUP, some, never)).toMatchObject({
        count: 1,
      });
      expect(await statuses(store, number)).toEqual(['dead', 'dead', 'processed', 'dead']);
      expect(await store.replayDead(number, GROUP, some, never)).toMatchObject({ count: 0 });
      expect(await throughSteps((which) => store.purgeDead(number, GROUP, which, never))).toBe(3);
      expect(await statuses(store, number)).toEqual(Array(4).fill('processed'));
      expect(await listDead(store, number)).toEqual([]);
      await pass(subject, 100);
      expect(await seqsClaimed(store, number)).toEqual([]);
    });

    it('of all goes in steps', { timeout: 60_000 }, async () => {
      const { store } = subject;
      const number = await givenDead(store, 1_500);
      expect(await throughSteps((which) => store.purgeDead(number, GROUP, which, never))).toBe(1_500);
      expect(await groupFacts(store, number)).toMatchObject({ dead: 0, unprocessed: 0 });
    });

    it('leaves an event that was marked back to life', async () => {
      const { store } = subject;
      const number = await givenDead(store, 2);
      await mark(store, number, 1, 'unprocessed');
      expect((await listDead(store, number)).map(({ event }) => event.seq)).toEqual([2]);
      expect(await throughSteps((which) => store.purgeDead(number, GROUP, which, never))).toBe(1);
      expect(await statusOf(store, number, 1)).toBe('unprocessed');
      expect(await seqsClaimed(store, number)).toEqual([1]);
    });
  });
};
