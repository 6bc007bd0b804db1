/** The laws of writing: dense sequences, whole batches, one effect for an id, and caps that hold. */
import { describe, expect, it } from 'vitest';
import { eventBytes, type NewEvent } from '../../../src/bus/event.js';
import type { BusStore } from '../../../src/bus/store.js';
import type { WriteOptions } from '../../../src/bus/verbs.js';
import { concurrently } from '../../support/waiting.js';
import { TEXTS } from '../hostile-texts.js';
import {
  type BusLaws,
  busHandles,
  createStream,
  givenStream,
  NO_OPTIONS,
  never,
  newEvent,
  newEvents,
  otherHandle,
  pass,
  range,
  seqsWritten,
  streamFacts,
  useBus,
  write,
} from './subject.js';

const EVERYTHING = { limit: 10_000, maxBytes: 2 ** 30, wake: false };

async function readAll(store: BusStore, number: number) {
  const read = await store.read(number, 1, EVERYTHING, never);
  if (read.kind !== 'events') throw new Error(read.kind);
  return read.events;
}

async function refused(
  store: BusStore,
  number: number,
  events: readonly NewEvent[],
  options: Partial<WriteOptions> = {},
) {
  return store.write(number, events, { ...NO_OPTIONS, ...options }, never);
}

export const describeWrite: BusLaws = (open, profile) => {
  describe('writing', () => {
    const subject = useBus(open);

    it('gives the events of every batch the next sequences, in order', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const events = newEvents(35);
      expect(await seqsWritten(store, number, events.slice(0, 1))).toEqual([1]);
      expect(await seqsWritten(otherHandle(subject, profile), number, events.slice(1, 5))).toEqual(
        range(2, 5),
      );
      expect(await seqsWritten(store, number, events.slice(5))).toEqual(range(6, 35));
      const read = await readAll(store, number);
      expect(read.map(({ seq }) => seq)).toEqual(range(1, 35));
      expect(read.map(({ body }) => Buffer.from(body).toString())).toEqual(
        events.map(({ body }) => Buffer.from(body).toString()),
      );
    });

    it('by many at once keeps each batch together, and leaves no gap', async () => {
      const number = await givenStream(subject.store);
      const stores = busHandles(subject, profile);
      const answers = await concurrently(60, 30, (i) =>
        seqsWritten(
          stores[i % stores.length] ?? subject.store,
          number,
          newEvents(1 + (i % 7), () => ({ type: `batch-${i}` })),
        ),
      );
      const events = await readAll(subject.store, number);
      expect(events.map(({ seq }) => seq)).toEqual(range(1, events.length));
      for (const [i, seqs] of answers.entries()) {
        expect(seqs).toEqual(range(seqs[0] ?? 0, (seqs[0] ?? 0) + (i % 7)));
        for (const seq of seqs) expect(events[seq - 1]?.type).toBe(`batch-${i}`);
      }
    });

    it('takes 1,000 events in one batch', async () => {
      const number = await givenStream(subject.store);
      expect(await seqsWritten(subject.store, number, newEvents(1_000))).toEqual(range(1, 1_000));
      expect((await readAll(subject.store, number)).at(-1)?.body).toEqual(Buffer.from('{"n":999}'));
    });

    it('keeps to one time in a batch, and to times that do not go back', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      for (let i = 0; i < 4; i++) {
        const written = await write(store, number, newEvents(3));
        expect(new Set(written.map(({ createTimeMs }) => createTimeMs)).size).toBe(1);
        expect(written.every(({ duplicate }) => !duplicate)).toBe(true);
        await pass(subject, 5);
      }
      const times = (await readAll(store, number)).map(({ createTimeMs }) => createTimeMs);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(new Set(times).size).toBe(4);
    });

    it('gives every event back as it was written, byte for byte', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const allBytes = Buffer.from(range(0, 255));
      const bodies = [
        Buffer.alloc(0),
        allBytes,
        Buffer.from('\r\n\u0000{}'),
        Buffer.from('{"n":12345678901234567890}'),
      ];
      const events: NewEvent[] = [
        ...bodies.flatMap((body) =>
          (['data', 'json'] as const).map((form) => newEvent({ body, form, contentType: `of ${form}` })),
        ),
        ...TEXTS.map((text) =>
          newEvent({
            type: text,
            orderingKey: text,
            contentType: text,
            attributes: { [text]: text, a: '', z: text },
          }),
        ),
        newEvent({ type: '', contentType: '' }),
        newEvent({
          attributes: Object.fromEntries(range(1, 64).map((i) => [`name-${i}`, 'v'.repeat(1_024)])),
        }),
        newEvent({ type: 't'.repeat(256), orderingKey: '\u{1F6AA}'.repeat(64) }),
      ];
      const written = await write(store, number, events);
      const read = await readAll(otherHandle(subject, profile), number);
      expect(read).toHaveLength(events.length);
      for (const [i, { dedupeId: _d, bodyHash: _h, body, ...said }] of events.entries()) {
        const { seq, createTimeMs } = written[i] ?? {};
        const { body: readBody, ...found } = read[i] as (typeof read)[number];
        expect(found).toEqual({ seq, createTimeMs, ...said });
        expect(Buffer.compare(readBody, body), `body ${i}`).toBe(0);
      }
      expect((await streamFacts(store, number)).bytes).toBe(
        events.reduce((sum, e) => sum + eventBytes(e), 0),
      );
    });

    it('takes a body of 1 MiB of any bytes', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const body = Buffer.from(Array.from({ length: 2 ** 20 }, (_, i) => (i * 31 + (i >> 8)) % 256));
      await write(store, number, [newEvent({ body, form: 'data' }), newEvent()]);
      const [first, second] = await readAll(store, number);
      expect(Buffer.compare(first?.body ?? Buffer.alloc(0), body)).toBe(0);
      expect(second?.seq).toBe(2);
    });
  });

  describe('an expected sequence', () => {
    const subject = useBus(open);

    it('lets a batch in only right after that sequence; 0 is before the first', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      expect(await refused(store, number, newEvents(1), { expectedSeq: 1 })).toEqual({
        kind: 'seq_mismatch',
        lastSeq: 0,
      });
      expect(await seqsWritten(store, number, newEvents(3), { expectedSeq: 0 })).toEqual([1, 2, 3]);
      for (const expectedSeq of [0, 2, 4])
        expect(await refused(store, number, newEvents(1), { expectedSeq })).toEqual({
          kind: 'seq_mismatch',
          lastSeq: 3,
        });
      expect(await seqsWritten(store, number, newEvents(1), { expectedSeq: 3 })).toEqual([4]);
    });

    it('is met by one of many', async () => {
      const number = await givenStream(subject.store);
      const stores = busHandles(subject, profile);
      const answers = await concurrently(30, 30, (i) =>
        refused(stores[i % stores.length] ?? subject.store, number, newEvents(2), { expectedSeq: 0 }),
      );
      expect(answers.filter(({ kind }) => kind === 'written')).toHaveLength(1);
      expect(answers.filter(({ kind }) => kind === 'seq_mismatch')).toHaveLength(29);
      expect((await streamFacts(subject.store, number)).lastSeq).toBe(2);
    });
  });

  describe('a request id', () => {
    const subject = useBus(open);
    const request = { requestId: 'r', requestHash: 'h' };

    it('makes a batch safe to repeat: it has one effect and one answer', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, newEvents(1));
      const first = await seqsWritten(store, number, newEvents(3), request);
      await write(store, number, newEvents(1));
      for (const each of busHandles(subject, profile))
        expect(await seqsWritten(each, number, newEvents(3), request)).toEqual(first);
      expect((await streamFacts(store, number)).lastSeq).toBe(5);
    });

    it('of another batch is refused, and nothing is written', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, newEvents(1), request);
      expect(await refused(store, number, newEvents(1), { ...request, requestHash: 'i' })).toEqual({
        kind: 'request_id_reused',
      });
      expect((await streamFacts(store, number)).lastSeq).toBe(1);
    });

    it('is looked at before anything else', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 2 });
      const events = newEvents(2, (i) => ({ dedupeId: `d${i}` }));
      const options = { ...request, expectedSeq: 0 };
      expect(await seqsWritten(store, number, events, options)).toEqual([1, 2]);
      expect(await seqsWritten(store, number, events, options)).toEqual([1, 2]);
      const other = newEvents(2, () => ({ dedupeId: 'd0', type: 'other' }));
      expect((await refused(store, number, other, { ...options, requestHash: 'i' })).kind).toBe(
        'request_id_reused',
      );
    });

    it('of a batch that was refused is free', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 2 });
      expect((await refused(store, number, newEvents(3), request)).kind).toBe('full');
      expect((await refused(store, number, newEvents(1), { ...request, expectedSeq: 9 })).kind).toBe(
        'seq_mismatch',
      );
      expect(await seqsWritten(store, number, newEvents(2), { requestId: 'r', requestHash: 'i' })).toEqual([
        1, 2,
      ]);
    });

    it('is forgotten once the window is over', async () => {
      const { store } = subject;
      const number = await givenStream(store, { dedupeWindowMs: 100 });
      expect(await seqsWritten(store, number, newEvents(2), request)).toEqual([1, 2]);
      await pass(subject, 100);
      expect(await seqsWritten(store, number, newEvents(2), request)).toEqual([3, 4]);
    });

    it('of many at once has one effect', async () => {
      const number = await givenStream(subject.store);
      const stores = busHandles(subject, profile);
      const answers = await concurrently(40, 40, (i) =>
        seqsWritten(stores[i % stores.length] ?? subject.store, number, newEvents(3), request),
      );
      for (const seqs of answers) expect(seqs).toEqual([1, 2, 3]);
      expect((await streamFacts(subject.store, number)).lastSeq).toBe(3);
    });
  });

  describe('a dedupe id', () => {
    const subject = useBus(open);
    const event = (dedupeId: string, n = 0) => newEvent({ dedupeId, body: Buffer.from(`{"n":${n}}`) });
    const gists = async (...args: Parameters<typeof write>) =>
      (await write(...args)).map(({ seq, duplicate }) => (duplicate ? -seq : seq));

    it('gives a repeated event its first sequence, on every handle, and takes no other', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      expect(await gists(store, number, [event('a')])).toEqual([1]);
      for (const each of busHandles(subject, profile))
        expect(await gists(each, number, [event('a')])).toEqual([-1]);
      expect((await streamFacts(store, number)).lastSeq).toBe(1);
      expect(await gists(store, number, [event('')])).toEqual([2]);
      expect(await gists(store, number, [event('')])).toEqual([3]);
    });

    it('is told apart event by event, within a batch and across batches', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      expect(await gists(store, number, [event('a'), event('b'), event('a'), event(''), event('b')])).toEqual(
        [1, 2, -1, 3, -2],
      );
      expect(await gists(store, number, [event('c'), event('a'), event('d'), event('c')])).toEqual([
        4, -1, 5, -4,
      ]);
      expect(await gists(store, number, [event('d'), event('a')])).toEqual([-5, -1]);
      expect((await readAll(store, number)).map(({ seq }) => seq)).toEqual(range(1, 5));
    });

    it('of another body is refused with the index of the item, and nothing is written', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, [event('a')]);
      expect(await refused(store, number, [event('b'), event('a'), event('a', 1), event('c')])).toEqual({
        kind: 'dedupe_id_reused',
        index: 2,
      });
      expect(await refused(store, number, [event('x'), event('y'), event('x', 1)])).toEqual({
        kind: 'dedupe_id_reused',
        index: 2,
      });
      expect((await streamFacts(store, number)).lastSeq).toBe(1);
      expect(await gists(store, number, [event('x', 1), event('b')])).toEqual([2, 3]);
    });

    it('is looked at before the expected sequence and the caps', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 2 });
      await write(store, number, [event('a'), event('b')]);
      expect(await gists(store, number, [event('b'), event('a')], { expectedSeq: 0 })).toEqual([-2, -1]);
      expect(await refused(store, number, [event('a', 1)], { expectedSeq: 0 })).toEqual({
        kind: 'dedupe_id_reused',
        index: 0,
      });
      expect(await refused(store, number, [event('a'), event('c')], { expectedSeq: 0 })).toEqual({
        kind: 'seq_mismatch',
        lastSeq: 2,
      });
      expect(await refused(store, number, [event('a'), event('c')], { expectedSeq: 2 })).toEqual({
        kind: 'full',
      });
      expect(await gists(store, number, [event('a'), event('b'), event('a')])).toEqual([-1, -2, -1]);
    });

    it('of a batch that was refused is free', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 1 });
      expect((await refused(store, number, [event('a'), event('b')])).kind).toBe('full');
      expect((await refused(store, number, [event('a')], { expectedSeq: 5 })).kind).toBe('seq_mismatch');
      expect(await gists(store, number, [event('a', 7)])).toEqual([1]);
    });

    it('is known through its window, and forgotten when that is over', async () => {
      const { store } = subject;
      const number = await givenStream(store, { dedupeWindowMs: 400 });
      expect(await gists(store, number, [event('a')])).toEqual([1]);
      await pass(subject, 200);
      expect(await gists(store, number, [event('a'), event('b')])).toEqual([-1, 2]);
      await pass(subject, 200);
      expect(await gists(store, number, [event('a', 1), event('b')])).toEqual([3, -2]);
      await pass(subject, 400);
      expect(await gists(store, number, [event('a'), event('b')])).toEqual([4, 5]);
    });

    it('is known though retention took its event', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 2, overflow: 'drop_oldest' });
      expect(await gists(store, number, [event('a')])).toEqual([1]);
      for (let i = 0; i < 5; i++) await write(store, number, newEvents(1));
      expect((await streamFacts(store, number)).firstSeq).toBe(5);
      expect(await gists(store, number, [event('a')])).toEqual([-1]);
    });

    it('is its own, whatever text it is', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const ids = [...TEXTS, 'x'.repeat(256)];
      const events = ids.map((id, i) => event(id, i));
      expect(await gists(store, number, events)).toEqual(range(1, ids.length));
      expect(await gists(store, number, [...events].reverse())).toEqual(
        range(1, ids.length)
          .map((n) => -n)
          .reverse(),
      );
      // A request id is no dedupe id.
      expect(await gists(store, number, [event('')], { requestId: 'a', requestHash: 'h' })).toEqual([
        ids.length + 1,
      ]);
    });

    it('of many at once has one effect', async () => {
      const number = await givenStream(subject.store);
      const stores = busHandles(subject, profile);
      const answers = await concurrently(60, 60, (i) =>
        gists(stores[i % stores.length] ?? subject.store, number, [
          event(`d${i % 3}`),
          event(`d${(i + 1) % 3}`),
        ]),
      );
      expect((await streamFacts(subject.store, number)).lastSeq).toBe(3);
      expect(answers.flat().filter((seq) => seq > 0)).toHaveLength(3);
    });
  });

  describe('a cap', () => {
    const subject = useBus(open);

    it('of events refuses what would go past it, whole', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 5 });
      await write(store, number, newEvents(3));
      expect(await refused(store, number, newEvents(3))).toEqual({ kind: 'full' });
      expect(await seqsWritten(store, number, newEvents(2))).toEqual([4, 5]);
      expect(await refused(store, number, newEvents(1))).toEqual({ kind: 'full' });
      expect(await streamFacts(store, number)).toMatchObject({ firstSeq: 1, lastSeq: 5 });
    });

    it('of bytes counts all that was written, and refuses what would go past it', async () => {
      const { store } = subject;
      const event = newEvent({ attributes: { naïve: 'é' }, orderingKey: 'k', body: Buffer.alloc(1_000) });
      const number = await givenStream(store, { maxBytes: 3 * eventBytes(event) });
      await write(store, number, [event, event]);
      expect(await refused(store, number, [event, event])).toEqual({ kind: 'full' });
      await write(store, number, [event]);
      expect(await refused(store, number, [newEvent({ body: Buffer.alloc(0) })])).toEqual({ kind: 'full' });
      expect((await streamFacts(store, number)).bytes).toBe(3 * eventBytes(event));
    });

    it('of events that drops the oldest keeps the newest, and seqs go on', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 10, overflow: 'drop_oldest' });
      for (let i = 0; i < 9; i++) await write(store, number, newEvents(3));
      const facts = await streamFacts(store, number);
      expect(facts).toMatchObject({ firstSeq: 18, lastSeq: 27 });
      const events = await readAll(store, number);
      expect(events.map(({ seq }) => seq)).toEqual(range(18, 27));
      expect(facts.bytes).toBe(events.reduce((sum, each) => sum + eventBytes(each), 0));
    });

    it('of bytes that drops the oldest keeps the newest that fit', async () => {
      const { store } = subject;
      const event = newEvent({ body: Buffer.alloc(500) });
      const number = await givenStream(store, { maxBytes: 4 * eventBytes(event), overflow: 'drop_oldest' });
      for (let i = 0; i < 7; i++) await write(store, number, [event]);
      expect(await streamFacts(store, number)).toMatchObject({
        firstSeq: 4,
        lastSeq: 7,
        bytes: 4 * eventBytes(event),
      });
    });

    it('that drops the oldest takes a batch that is larger than itself, and keeps its end', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 3, overflow: 'drop_oldest' });
      await write(store, number, newEvents(2));
      expect(await seqsWritten(store, number, newEvents(6))).toEqual(range(3, 8));
      expect(await streamFacts(store, number)).toMatchObject({ firstSeq: 6, lastSeq: 8 });
    });

    it('that is lowered is reached in steps of at most 100 a write', async () => {
      const { store } = subject;
      const { name, number, settings } = await createStream(store, { overflow: 'drop_oldest' });
      await write(store, number, newEvents(250));
      await store.updateStream(name, { ...settings, maxEvents: 10 }, undefined, never);
      const first: number[] = [];
      for (let i = 0; i < 4; i++) {
        await write(store, number, newEvents(1));
        first.push((await streamFacts(store, number)).firstSeq);
      }
      expect(first).toEqual([101, 201, 244, 245]);
    });
  });

  describe('the age of a stream', () => {
    const subject = useBus(open);

    it('takes events that are too old as new ones come, at most 100 a write', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxAgeMs: 1_000 });
      await write(store, number, newEvents(150));
      await pass(subject, 600);
      await write(store, number, newEvents(1));
      expect((await streamFacts(store, number)).firstSeq).toBe(1);
      await pass(subject, 500);
      await write(store, number, newEvents(1));
      expect((await streamFacts(store, number)).firstSeq).toBe(101);
      await write(store, number, newEvents(1));
      expect(await streamFacts(store, number)).toMatchObject({ firstSeq: 151, lastSeq: 153 });
    });

    it('makes room below a cap that rejects', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxAgeMs: 300, maxEvents: 3 });
      await write(store, number, newEvents(3));
      expect((await refused(store, number, newEvents(1))).kind).toBe('full');
      await pass(subject, 310);
      expect(await seqsWritten(store, number, newEvents(3))).toEqual([4, 5, 6]);
      expect((await streamFacts(store, number)).firstSeq).toBe(4);
    });
  });
};
