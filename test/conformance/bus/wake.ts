/** The laws of waking: whoever found nothing is told, by any process, that something may be there now. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent } from '../../../src/bus/event.js';
import type { BusStore } from '../../../src/bus/store.js';
import { eventually } from '../../support/waiting.js';
import {
  type BusLaws,
  claim,
  claimed,
  claimOne,
  claimRequest,
  GROUP,
  givenGroup,
  keyed,
  makeDead,
  mark,
  median,
  never,
  newEvents,
  otherHandle,
  streamFacts,
  useBus,
  write,
} from './subject.js';

/** One that only looks once a second misses this by far. */
const MAX_MEDIAN_WAKE_MS = 200;

interface Scene {
  readonly number: number;
  /** What makes something deliverable, done by another process. */
  act(other: BusStore): Promise<unknown>;
}

/** Each sets a stream up so that `GROUP` has nothing to claim for consumer `idle`, until the act. */
export const SCENES = {
  'a write': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store);
    return { number, act: (other) => write(other, number, newEvents(1)) };
  },
  'a mark UNPROCESSED': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store);
    await write(store, number, newEvents(1));
    const leased = await claimOne(store, number);
    return { number, act: (other) => mark(other, number, leased, 'unprocessed') };
  },
  'a mark RETRY that is due at once': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store);
    await write(store, number, newEvents(1));
    const leased = await claimOne(store, number);
    return { number, act: (other) => mark(other, number, leased, 'retry', { delayMs: 0 }) };
  },
  'a mark PROCESSED that frees a key': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store);
    await write(store, number, keyed('a', 'a'));
    const leased = (await claim(store, number))[0] as LeasedEvent;
    return { number, act: (other) => mark(other, number, leased) };
  },
  'a dead letter that frees a key': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store, { settings: { maxAttempts: 1 } });
    await write(store, number, keyed('a', 'a'));
    const leased = (await claim(store, number))[0] as LeasedEvent;
    return { number, act: (other) => mark(other, number, leased, 'retry', { delayMs: 60_000 }) };
  },
  'a release': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store);
    await write(store, number, newEvents(1));
    const request = claimRequest();
    await claim(store, number, request);
    return { number, act: (other) => other.release(number, GROUP, request.consumer, request.claimId, never) };
  },
  'a seek': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store);
    await write(store, number, newEvents(1));
    await mark(store, number, await claimOne(store, number));
    return { number, act: (other) => other.seekGroup(number, GROUP, { kind: 'beginning' }, never) };
  },
  'a replay of a dead letter': async (store: BusStore): Promise<Scene> => {
    const number = await givenGroup(store);
    await write(store, number, newEvents(1));
    await makeDead(store, number, 1);
    const some = { kind: 'some', seqs: [1] } as const;
    return { number, act: (other) => other.replayDead(number, GROUP, some, never) };
  },
};

export const describeWake: BusLaws = (open, profile) => {
  describe('a listener', () => {
    const subject = useBus(open);
    const idle = { consumer: 'idle', credit: { messages: 1, bytes: 2 ** 24 } };

    it.each(Object.entries(SCENES))(
      'that found nothing is woken by %s, and finds it then',
      async (title, scene) => {
        const { store } = subject;
        for (const from of [store, otherHandle(subject, profile)]) {
          const { number, act } = await scene(store);
          let looks = 0;
          const stop = store.listen(number, () => looks++);
          expect((await claimed(store, number, idle)).events).toEqual([]);
          // What was done before may still be announced.
          await new Promise((resolve) => setTimeout(resolve, 50));
          expect((await claimed(store, number, idle)).events).toEqual([]);
          const before = looks;
          await act(from);
          await eventually(() => looks > before, `woken by ${title}`, 3_000);
          expect((await claimed(store, number, idle)).events).toHaveLength(1);
          stop();
        }
      },
    );

    it('whose credit is spent is woken by the mark, from any process, that frees it', async () => {
      const { store } = subject;
      for (const from of [store, otherHandle(subject, profile)]) {
        const number = await givenGroup(store);
        await write(store, number, newEvents(2));
        const held = await claimOne(store, number, idle);
        let looks = 0;
        const stop = store.listen(number, () => looks++);
        expect(await claimed(store, number, idle)).toMatchObject({ events: [], creditSpent: true });
        await new Promise((resolve) => setTimeout(resolve, 50));
        const before = looks;
        await mark(from, number, held);
        await eventually(() => looks > before, 'woken by the mark', 3_000);
        expect(await claim(store, number, idle)).toMatchObject([{ event: { seq: 2 } }]);
        stop();
      }
    });

    it('is woken when its stream is deleted', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      let looks = 0;
      const stop = store.listen(number, () => looks++);
      expect((await claimed(store, number, idle)).events).toEqual([]);
      const { stream } = await streamFacts(store, number);
      await otherHandle(subject, profile).deleteStream(stream.name, undefined, never);
      await eventually(() => looks > 0, 'woken by the end', 3_000);
      stop();
    });

    it('that read to the end and asked for it is woken by a write', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(1));
      let looks = 0;
      const stop = store.listen(number, () => looks++);
      await store.read(number, 2, { limit: 10, maxBytes: 1_000, wake: true }, never);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const before = looks;
      await write(otherHandle(subject, profile), number, newEvents(1));
      await eventually(() => looks > before, 'woken by the write', 3_000);
      stop();
    });

    it('is one of as many as like, and each is woken until it stops', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const looks = Array<number>(10).fill(0);
      const stops = looks.map((_, i) =>
        store.listen(number, () => {
          looks[i] = (looks[i] ?? 0) + 1;
        }),
      );
      expect((await claimed(store, number, idle)).events).toEqual([]);
      await write(otherHandle(subject, profile), number, newEvents(1));
      await eventually(() => looks.every((count) => count > 0), 'all are woken', 3_000);
      for (const stop of stops.slice(1)) stop();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const before = [...looks];
      await mark(store, number, await claimOne(store, number, idle));
      expect((await claimed(store, number, idle)).events).toEqual([]);
      await write(otherHandle(subject, profile), number, newEvents(1));
      await eventually(() => (looks[0] ?? 0) > (before[0] ?? 0), 'the one that is left is woken', 3_000);
      expect(looks.slice(1)).toEqual(before.slice(1));
      stops[0]?.();
    });

    it('is not woken by another stream', async () => {
      const { store } = subject;
      const [number, other] = [await givenGroup(store), await givenGroup(store)];
      let looks = 0;
      const stop = store.listen(number, () => looks++);
      for (const each of [number, other]) expect((await claimed(store, each, idle)).events).toEqual([]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const before = looks;
      await write(otherHandle(subject, profile), other, newEvents(1));
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(looks).toBe(before);
      stop();
    });

    it('is woken promptly, well before a second has passed', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const waitsMs: number[] = [];
      let woken = () => {};
      const stop = store.listen(number, () => woken());
      for (let i = 0; i < 11; i++) {
        expect((await claimed(store, number, idle)).events).toEqual([]);
        const isWoken = new Promise<void>((resolve) => {
          woken = resolve;
        });
        const startMs = performance.now();
        await write(otherHandle(subject, profile), number, newEvents(1));
        await isWoken;
        waitsMs.push(performance.now() - startMs);
        await mark(store, number, await claimOne(store, number, idle));
      }
      stop();
      expect(median(waitsMs)).toBeLessThan(MAX_MEDIAN_WAKE_MS);
    });
  });
};
