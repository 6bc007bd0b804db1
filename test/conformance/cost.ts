/**
 * What an event costs does not grow with what is kept. Two machines that differ only in that are sent
 * events in turns, and the medians compared: whatever else the machine is doing befalls both alike.
 * A cost that grows with the thing is off by a factor of ten and more at these sizes; the bound leaves
 * room for noise and for one more level of a tree.
 */
import { describe, expect, it } from 'vitest';
import type { FsmStore } from '../../src/fsm/store.js';
import { concurrently } from '../support/waiting.js';
import { command, givenMachine, givenName, type Laws, never, send, useSubject } from './subject.js';

const TURNS = 400;
const MOST = 2;

interface Target {
  readonly name: string;
  readonly id: string;
}

/** How many times longer an event on `large` takes than on `small`, by medians of turns. */
async function costRatio(store: FsmStore, large: Target, small: Target): Promise<number> {
  const timesMs = new Map<Target, number[]>([
    [large, []],
    [small, []],
  ]);
  for (let turn = 0; turn < TURNS; turn++)
    for (const [target, times] of timesMs) {
      const startMs = performance.now();
      await send(store, target.name, target.id, command('knock', `cost-${turn}`));
      times.push(performance.now() - startMs);
    }
  return median(timesMs.get(large)) / median(timesMs.get(small));
}

function median(values: readonly number[] = []): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export const describeCost: Laws = (open) => {
  describe('the cost of an event', () => {
    const subject = useSubject(open);

    it('does not grow with the history of its machine', { timeout: 120_000 }, async () => {
      const { store } = subject;
      const name = await givenName(store);
      for (const id of ['old', 'new']) await givenMachine(store, name, id);
      await concurrently(500, 8, (i) => {
        const batch = Array.from({ length: 100 }, (_, j) => command('knock', `${i}-${j}`));
        return store.advance(name, 'old', batch, never);
      });
      expect(await costRatio(store, { name, id: 'old' }, { name, id: 'new' })).toBeLessThan(MOST);
    });

    it('does not grow with the number of machines', { timeout: 120_000 }, async () => {
      const { store } = subject;
      const [crowded, empty] = [await givenName(store), await givenName(store)];
      await concurrently(30_000, 500, (i) => givenMachine(store, crowded, `m${i}`));
      await givenMachine(store, empty, 'm0');
      const ratio = await costRatio(store, { name: crowded, id: 'm0' }, { name: empty, id: 'm0' });
      expect(ratio).toBeLessThan(MOST);
    });
  });
};
