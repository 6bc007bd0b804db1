/**
 * Storms: many callers on one group, from every handle at once, some of them slow, forgetful or wrong; the
 * whole of what they did is written down and judged by the checker.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { BusStore } from '../../../src/bus/store.js';
import { violations } from '../../support/bus-checker.js';
import { BusRecorder, endOf } from '../../support/bus-recorder.js';
import { concurrently } from '../../support/waiting.js';
import {
  type BusLaws,
  busHandles,
  claimRequest,
  GROUP,
  givenGroup,
  groupFacts,
  keyed,
  newEvents,
  pass,
  useBus,
} from './subject.js';

const WORKERS = 64;
const EVENTS = 600;
const MAX_STORM_MS = 20_000;
const DEADLINE_MS = 60;

export const describeStorms: BusLaws = (open, profile) => {
  describe('a storm', () => {
    const subject = useBus(open);

    const handle = (i: number): BusStore => {
      const stores = busHandles(subject, profile);
      return stores[i % stores.length] ?? subject.store;
    };

    /** Nothing is left to do. */
    async function isDone(number: number): Promise<boolean> {
      const { lag, unprocessed, leased, retrying, waiting } = await groupFacts(subject.store, number);
      return lag === 0 && !unprocessed && !leased && !retrying && !waiting;
    }

    /** Writers and workers at once until everything is done; then the log is judged. */
    async function storm(
      number: number,
      write: (log: BusRecorder) => Promise<void>,
      work: (log: BusRecorder, store: BusStore, i: number) => Promise<unknown>,
    ): Promise<BusRecorder> {
      const log = new BusRecorder(number);
      let isOver = false;
      const endMs = performance.now() + MAX_STORM_MS;
      const workers = concurrently(WORKERS, WORKERS, async (i) => {
        while (!isOver) {
          await work(log, handle(i), i);
          // A store in this process may answer without a turn of the event loop, and timers need turns.
          await sleep(1);
        }
      });
      await write(log);
      while (!isOver) {
        isOver = await isDone(number);
        if (performance.now() > endMs) break;
        await pass(subject, 5);
        await sleep(5);
      }
      const isInTime = isOver;
      isOver = true;
      await workers;
      expect(await groupFacts(subject.store, number)).toMatchObject({
        leased: 0,
        retrying: 0,
        waiting: 0,
        lag: 0,
      });
      expect(isInTime, 'the storm ends').toBe(true);
      expect(violations(log.entries, [await endOf(subject.store, number, GROUP)])).toEqual([]);
      return log;
    }

    const request = (consumer: string, maxEvents: number) => ({
      ...claimRequest({ consumer, maxEvents }),
      claimId: undefined,
    });

    it('of workers who only do their work has each event done once', { timeout: 60_000 }, async () => {
      const number = await givenGroup(subject.store);
      const log = await storm(
        number,
        async (each) => {
          await concurrently(30, 10, (i) => each.write(handle(i), newEvents(20)));
        },
        async (each, store, i) => {
          const { claimId: _, ...asked } = request(`c${i}`, 1 + (i % 5));
          const { events } = await each.claim(store, asked);
          for (const { event, lease } of events)
            await each.mark(handle(i + 1), GROUP, { seq: event.seq, lease }, 'processed');
        },
      );
      const handed = log.entries.flatMap((entry) => (entry.kind === 'claimed' ? entry.events : []));
      expect(handed).toHaveLength(EVENTS);
    });

    it('of keys, retries, slow workers and wrong marks keeps to the contract', {
      timeout: 90_000,
    }, async () => {
      const settings = { maxAttempts: 3, minBackoffMs: 5, maxBackoffMs: 20 };
      const number = await givenGroup(subject.store, { settings });
      const keys = Array.from({ length: EVENTS }, (_, i) => (i % 3 === 0 ? '' : `k${(i * 7) % 25}`));
      const log = await storm(
        number,
        async (each) => {
          for (let at = 0; at < EVENTS; at += 40)
            await each.write(handle(at / 40), keyed(...keys.slice(at, at + 40)));
        },
        async (each, store, i) => {
          const { claimId: _, ...asked } = request(`c${i}`, 1 + (i % 4));
          const { claimId, events } = await each.claim(store, asked);
          const [first] = events;
          if (!first) return;
          const dice = (first.event.seq * 31 + first.attempt * 17 + i) % 12;
          if (dice === 0) return each.release(handle(i + 1), GROUP, asked.consumer, claimId);
          await each.accept(store, GROUP, {
            consumer: asked.consumer,
            lease: first.lease,
            ackDeadlineMs: DEADLINE_MS,
          });
          for (const { event, lease, attempt } of events) {
            const token = { seq: event.seq, lease };
            const roll = (event.seq * 13 + attempt * 7 + i) % 16;
            if (roll === 0) await pass(subject, DEADLINE_MS + 20);
            if (roll === 1) await each.mark(handle(i + 1), GROUP, token, 'retry', 3);
            else if (roll === 2) await each.extend(store, GROUP, token, DEADLINE_MS);
            // Forgotten: it runs out.
            else if (roll === 3) continue;
            else if (roll === 4)
              await each.mark(store, GROUP, { ...token, lease: lease + 5_000_000 }, 'processed');
            await each.mark(handle(i + 1), GROUP, token, 'processed');
          }
        },
      );
      const handed = log.entries.flatMap((entry) => (entry.kind === 'claimed' ? entry.events : []));
      expect(handed.length).toBeGreaterThan(EVENTS);
    });

    it('of repeated claims hands nothing out twice', { timeout: 60_000 }, async () => {
      const number = await givenGroup(subject.store);
      await storm(
        number,
        async (each) => {
          await concurrently(10, 10, (i) => each.write(handle(i), newEvents(20)));
        },
        async (log, store, i) => {
          const { claimId: _, ...asked } = request(`c${i % 16}`, 3);
          const claimId = `claim-${i % 16}-${log.entries.length >> 6}`;
          const both = await Promise.all(
            [store, handle(i + 1)].map((each) => log.claim(each, { ...asked, claimId })),
          );
          for (const { event, lease } of both.flatMap(({ events }) => events))
            await log.mark(handle(i + 1), GROUP, { seq: event.seq, lease }, 'processed');
        },
      );
    });
  });
};
