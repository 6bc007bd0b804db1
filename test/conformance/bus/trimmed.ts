/** The laws of events that retention took too early: told once for each group, by whoever was asked then. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent } from '../../../src/bus/event.js';
import {
  addGroup,
  type BusLaws,
  claim,
  expire,
  GROUP,
  givenGroup,
  groupFacts,
  mark,
  markAll,
  never,
  newEvents,
  newGroup,
  otherHandle,
  pass,
  seqsClaimed,
  useBus,
  write,
} from './subject.js';

const FIVE = { maxEvents: 5, overflow: 'drop_oldest' } as const;

export const describeTrimmed: BusLaws = (open, profile) => {
  describe('an event that retention took before a group had processed it', () => {
    const subject = useBus(open);

    /** What each handle tells of during an act. */
    async function toldBy(act: () => Promise<unknown>): Promise<number[]> {
      const before = subject.told.map(({ trimmedUnprocessed }) => trimmedUnprocessed);
      await act();
      return subject.told.map(({ trimmedUnprocessed }, i) => trimmedUnprocessed - (before[i] ?? 0));
    }

    /** Only the handle that laws use first tells, of this many. */
    const first = (count: number): number[] => subject.told.map((_, i) => (i === 0 ? count : 0));
    const nothing = () => first(0);

    it('is told once, by the handle whose claim came to it, whoever wrote', async () => {
      const { store } = subject;
      const other = otherHandle(subject, profile);
      const number = await givenGroup(store, { stream: FIVE });
      const written = await toldBy(async () => {
        for (let i = 0; i < 3; i++) await write(other, number, newEvents(3));
      });
      expect(written).toEqual(nothing());
      expect((await groupFacts(store, number)).trimmedUnprocessed).toBe(4);
      expect(await toldBy(() => claim(store, number, { maxEvents: 2 }))).toEqual(first(4));
      const later = await toldBy(async () => {
        await claim(other, number, { consumer: 'c2' });
        await claim(store, number);
        await groupFacts(store, number);
      });
      expect(later).toEqual(nothing());
      expect((await groupFacts(store, number)).trimmedUnprocessed).toBe(4);
    });

    it('is told for each group, and not of what was processed', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: FIVE });
      await addGroup(store, number, newGroup('g2'));
      await write(store, number, newEvents(5));
      await markAll(store, number, [1, 2]);
      await markAll(store, number, [1, 2, 3, 4], 'processed', { group: 'g2' });
      await write(store, number, newEvents(4));
      expect(await toldBy(() => claim(store, number))).toEqual(first(2));
      expect(await toldBy(() => claim(store, number, { group: 'g2' }))).toEqual(nothing());
      const all = (await groupFacts(store, number)).trimmedUnprocessed;
      expect([all, (await groupFacts(store, number, 'g2')).trimmedUnprocessed]).toEqual([2, 0]);
    });

    it.each(['retry', 'last attempt'] as const)('is told when its row comes up: %s', async (how) => {
      const { store } = subject;
      const settings = { maxAttempts: how === 'retry' ? 0 : 1 };
      const number = await givenGroup(store, { stream: FIVE, settings });
      await write(store, number, newEvents(5));
      const [leased] = await claim(store, number, { maxEvents: 1 });
      if (how === 'retry') await mark(store, number, leased as LeasedEvent, 'retry', { delayMs: 10 });
      await markAll(store, number, [2, 3]);
      await write(store, number, newEvents(3));
      if (how === 'retry') await pass(subject, 10);
      else await expire(subject, number, leased as LeasedEvent);
      expect(await toldBy(() => claim(store, number))).toEqual(first(1));
      expect(await toldBy(() => claim(store, number))).toEqual(nothing());
      expect((await groupFacts(store, number)).trimmedUnprocessed).toBe(1);
    });

    it('is told by the mark that gives up its last attempt', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: FIVE, settings: { maxAttempts: 1 } });
      await write(store, number, newEvents(5));
      const [leased] = await claim(store, number, { maxEvents: 1 });
      await markAll(store, number, [2]);
      await write(store, number, newEvents(2));
      expect(await toldBy(() => mark(store, number, leased as LeasedEvent, 'retry'))).toEqual(first(1));
      expect(await toldBy(() => claim(store, number))).toEqual(nothing());
    });

    it('is told once when a mark ahead of the cursor comes before the claim', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: FIVE });
      await write(store, number, newEvents(5));
      await write(store, number, newEvents(3));
      const told = await toldBy(async () => {
        await mark(store, number, 6);
        expect(await seqsClaimed(store, number)).toEqual([4, 5, 7, 8]);
      });
      expect(told).toEqual(first(3));
      expect((await groupFacts(store, number)).trimmedUnprocessed).toBe(3);
    });

    it('is told by a seek that leaves its place, and stays counted', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: FIVE });
      await write(store, number, newEvents(5));
      await markAll(store, number, [2]);
      await write(store, number, newEvents(4));
      const seek = () => store.seekGroup(number, GROUP, { kind: 'end' }, never);
      expect(await toldBy(seek)).toEqual(first(3));
      expect(await groupFacts(store, number)).toMatchObject({ trimmedUnprocessed: 3, lag: 0 });
      expect(await toldBy(seek)).toEqual(nothing());
      expect(await toldBy(() => claim(store, number))).toEqual(nothing());
    });
  });
};
