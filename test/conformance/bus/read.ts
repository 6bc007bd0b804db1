/** The laws of reading: in order, from where it was asked, as much as was asked for. */
import { describe, expect, it } from 'vitest';
import { eventBytes } from '../../../src/bus/event.js';
import {
  type BusLaws,
  givenStream,
  never,
  newEvent,
  newEvents,
  otherHandle,
  pass,
  range,
  useBus,
  write,
} from './subject.js';

export const describeRead: BusLaws = (open, profile) => {
  describe('reading', () => {
    const subject = useBus(open);
    const read = async (number: number, from: number, limits: { limit?: number; maxBytes?: number } = {}) => {
      const asked = { limit: 100, maxBytes: 2 ** 20, wake: false, ...limits };
      const answer = await otherHandle(subject, profile).read(number, from, asked, never);
      if (answer.kind !== 'events') throw new Error(answer.kind);
      return { ...answer, events: answer.events.map(({ seq }) => seq) };
    };

    it('an empty stream says that the first would be the next', async () => {
      const number = await givenStream(subject.store);
      for (const from of [0, 1, 5])
        expect(await read(number, from)).toEqual({ kind: 'events', firstSeq: 1, lastSeq: 0, events: [] });
    });

    it('starts where it was asked to and ends at the limit or the last', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, newEvents(20));
      const ends = { kind: 'events', firstSeq: 1, lastSeq: 20 };
      expect(await read(number, 1, { limit: 5 })).toEqual({ ...ends, events: range(1, 5) });
      expect(await read(number, 6, { limit: 5 })).toEqual({ ...ends, events: range(6, 10) });
      expect(await read(number, 18)).toEqual({ ...ends, events: range(18, 20) });
      expect(await read(number, 20, { limit: 1 })).toEqual({ ...ends, events: [20] });
      expect(await read(number, 21)).toEqual({ ...ends, events: [] });
      expect(await read(number, 1_000)).toEqual({ ...ends, events: [] });
    });

    it('starts at the first kept when what was asked for is gone', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 4, overflow: 'drop_oldest' });
      for (let i = 0; i < 5; i++) await write(store, number, newEvents(2));
      for (const from of [1, 6, 7])
        expect(await read(number, from)).toEqual({
          kind: 'events',
          firstSeq: 7,
          lastSeq: 10,
          events: range(7, 10),
        });
    });

    it('keeps to about the bytes asked for, and gives one event at least', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const event = newEvent({ body: Buffer.alloc(10_000) });
      await write(
        store,
        number,
        Array.from({ length: 50 }, () => event),
      );
      expect((await read(number, 1, { maxBytes: 1 })).events).toEqual([1]);
      const { events } = await read(number, 1, { maxBytes: 10 * eventBytes(event) });
      expect(events.length).toBeGreaterThanOrEqual(8);
      expect(events.length).toBeLessThanOrEqual(12);
    });

    it('finds the first event written at or after a time', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      expect(await store.seqAt(number, 0, never)).toBe(1);
      const times: number[] = [];
      for (let i = 0; i < 5; i++) {
        const [first] = await write(store, number, newEvents(3));
        times.push(first?.createTimeMs ?? 0);
        await pass(subject, 5);
      }
      for (const [i, timeMs] of times.entries()) {
        expect(await store.seqAt(number, timeMs, never)).toBe(1 + 3 * i);
        expect(await store.seqAt(number, timeMs - 1, never)).toBe(1 + 3 * i);
        expect(await store.seqAt(number, timeMs + 1, never)).toBe(4 + 3 * i);
      }
      expect(await store.seqAt(number, 0, never)).toBe(1);
      expect(await store.seqAt(number, 2 ** 42, never)).toBe(16);
    });

    it('finds the first kept for a time before it', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 2, overflow: 'drop_oldest' });
      for (let i = 0; i < 6; i++) await write(store, number, newEvents(1));
      expect(await store.seqAt(number, 0, never)).toBe(5);
    });
  });
};
