/**
 * What a mark, a claim and a write cost does not grow with what is kept. Two streams that differ only in
 * that are worked on in turns, and the medians compared: whatever else the machine is doing befalls both.
 * A cost that grows with the stream is off by a factor of ten and more at these sizes; the bound leaves
 * room for noise and for one more level of a tree.
 */
import { describe, expect, it } from 'vitest';
import type { BusStore } from '../../../src/bus/store.js';
import {
  type BusLaws,
  claimAll,
  claimOne,
  givenGroup,
  groupFacts,
  mark,
  median,
  newEvents,
  useBus,
  write,
} from './subject.js';

const TURNS = 300;
const MOST = 2;

/** How many times longer `act` takes on `large` than on `small`, by medians of turns. */
async function costRatio(
  large: number,
  small: number,
  act: (number: number, turn: number) => Promise<unknown>,
): Promise<number> {
  const timesMs = new Map<number, number[]>([
    [large, []],
    [small, []],
  ]);
  for (let turn = 0; turn < TURNS; turn++)
    for (const [number, times] of timesMs) {
      const startMs = performance.now();
      await act(number, turn);
      times.push(performance.now() - startMs);
    }
  return median(timesMs.get(large) ?? []) / median(timesMs.get(small) ?? []);
}

async function givenEvents(store: BusStore, count: number): Promise<number> {
  const number = await givenGroup(store);
  for (let at = 0; at < count; at += 1_000) await write(store, number, newEvents(1_000));
  return number;
}

export const describeCost: BusLaws = (open, profile) => {
  describe.runIf(profile.scales)('the cost of work on a stream', () => {
    const subject = useBus(open);

    it('does not grow with its events: claim and mark', { timeout: 120_000 }, async () => {
      const { store } = subject;
      const [large, small] = [await givenEvents(store, 20_000), await givenEvents(store, 1_000)];
      const ratio = await costRatio(large, small, async (number) =>
        mark(store, number, await claimOne(store, number)),
      );
      expect(ratio).toBeLessThan(MOST);
    });

    it('does not grow with its events: a mark by id, a write, the facts', { timeout: 120_000 }, async () => {
      const { store } = subject;
      const [large, small] = [await givenEvents(store, 20_000), await givenEvents(store, 1_000)];
      expect(await costRatio(large, small, (number, turn) => mark(store, number, 990 - turn))).toBeLessThan(
        MOST,
      );
      expect(await costRatio(large, small, (number) => write(store, number, newEvents(1)))).toBeLessThan(
        MOST,
      );
      expect(await costRatio(large, small, (number) => groupFacts(store, number))).toBeLessThan(MOST);
    });

    it('does not grow with what is in flight', { timeout: 120_000 }, async () => {
      const { store } = subject;
      const [large, small] = [await givenEvents(store, 21_000), await givenEvents(store, 1_000)];
      const credit = { messages: 100_000, bytes: 2 ** 30 };
      expect(await claimAll(store, large, { consumer: 'holder', credit })).toHaveLength(21_000);
      await write(store, large, newEvents(1_000));
      const ratio = await costRatio(large, small, async (number) =>
        mark(store, number, await claimOne(store, number)),
      );
      expect(ratio).toBeLessThan(MOST);
    });
  });
};
