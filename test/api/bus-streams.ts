/** The laws of ProcessEvents, RetryEvents and Subscribe: leases, credit, waking and ends. */
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { EventStatus, type LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import type { SubscribeResponse } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { eventually } from '../support/waiting.js';
import { type BusServer, reasonOf, startBusServer, type TestEngine } from './bus-server.js';

/** A stream that is read in the background. */
class Reader<T> {
  readonly frames: T[] = [];
  failure: ConnectError | undefined;
  ended = false;
  readonly #leaving = new AbortController();

  constructor(open: (signal: AbortSignal) => AsyncIterable<T>) {
    void this.#read(open(this.#leaving.signal));
  }

  async #read(stream: AsyncIterable<T>): Promise<void> {
    try {
      for await (const frame of stream) this.frames.push(frame);
    } catch (error) {
      this.failure = ConnectError.from(error);
    }
    this.ended = true;
  }

  leave(): void {
    this.#leaving.abort();
  }

  async has(size: number): Promise<void> {
    await eventually(() => this.frames.length >= size, `${size} frames`);
  }

  async end(): Promise<string | undefined> {
    await eventually(() => this.ended, 'the end');
    return this.failure?.findDetails(ErrorInfoSchema)[0]?.reason;
  }
}

export function describeBusStreams(open: () => Promise<TestEngine>): void {
  const counted = { handedOut: 0, streams: 0 };
  let server: BusServer;
  beforeAll(async () => {
    server = await startBusServer({
      open,
      observer: {
        onWritten() {},
        onMark() {},
        onHandedOut: (count) => {
          counted.handedOut += count;
        },
        onStream: (change) => {
          counted.streams += change;
        },
      },
    });
  });
  afterAll(() => server.stop());

  let count = 0;
  async function newStream(settings: object = {}): Promise<string> {
    count += 1;
    await server.bus.createStream({ name: `s-${count}`, settings });
    return `s-${count}`;
  }

  async function write(stream: string, ...types: string[]): Promise<void> {
    await server.bus.writeEvents({ stream, events: types.map((type) => ({ type })) });
  }

  const many = (size: number): string[] => new Array(size).fill('e');

  /** The frames of a stream that ends. */
  async function framesOf<T>(stream: AsyncIterable<T>): Promise<T[]> {
    const frames: T[] = [];
    for await (const frame of stream) frames.push(frame);
    return frames;
  }

  async function take(request: object): Promise<LeasedEvent[]> {
    const frames = await framesOf(server.bus.processEvents({ ...request }));
    return frames.flatMap(({ events }) => events);
  }

  const seqsOf = (events: readonly LeasedEvent[]) => events.map(({ event }) => Number(event?.seq));

  async function mark(events: readonly LeasedEvent[], status: EventStatus = EventStatus.PROCESSED) {
    const marks = events.map(({ event, leaseToken }) => ({
      eventId: event?.eventId ?? '',
      leaseToken,
      status,
    }));
    const { answers } = await server.bus.markEvents({ marks });
    return answers.map(({ result }) => result);
  }

  function follow(stream: string, request: object = {}) {
    return new Reader((signal) => server.bus.processEvents({ stream, follow: true, ...request }, { signal }));
  }

  const eventsOf = (reader: ReturnType<typeof follow>) => reader.frames.flatMap(({ events }) => events);

  describe('ProcessEvents', () => {
    it('hands out each event once, in order, in frames, and ends', async () => {
      const stream = await newStream();
      await write(stream, ...many(250));
      const before = counted.handedOut;
      const frames = await framesOf(server.bus.processEvents({ stream }));
      expect(frames.map(({ events }) => events.length)).toEqual([100, 100, 50]);
      expect(seqsOf(frames.flatMap(({ events }) => events))).toEqual(
        Array.from({ length: 250 }, (_, i) => i + 1),
      );
      expect(counted.handedOut - before).toBe(250);
      expect(await take({ stream })).toEqual([]);
    });

    it('gives each event a token, an attempt and a deadline', async () => {
      const stream = await newStream();
      await write(stream, 'a');
      const [leased] = await take({ stream, ackDeadline: { seconds: 300n } });
      expect(leased).toMatchObject({ attempt: 1, event: { status: EventStatus.LEASED, type: 'a', stream } });
      const leftMs = Number(leased?.deadline?.seconds) * 1_000 - Date.now();
      expect(leftMs).toBeGreaterThan(295_000);
      expect(leftMs).toBeLessThanOrEqual(300_000);
      expect(await mark([leased as LeasedEvent])).toEqual([1]);
    });

    it('ends when the credit is used', async () => {
      const stream = await newStream();
      await write(stream, ...many(20));
      const request = { stream, consumerId: 'me', maxOutstandingMessages: 7, maxFrameEvents: 5 };
      expect(seqsOf(await take(request))).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect(await take(request)).toEqual([]);
      expect(seqsOf(await take({ ...request, consumerId: 'other' }))).toHaveLength(7);
    });

    it('shows without leasing when it peeks', async () => {
      const stream = await newStream();
      await write(stream, ...many(5));
      await take({ stream, maxOutstandingMessages: 1 });
      const shown = await take({ stream, peek: true, maxFrameEvents: 2 });
      expect(seqsOf(shown)).toEqual([2, 3, 4, 5]);
      expect(shown[0]).toMatchObject({
        leaseToken: '',
        attempt: 0,
        event: { status: EventStatus.UNPROCESSED },
      });
      expect(shown[0]?.deadline).toBeUndefined();
      expect(seqsOf(await take({ stream }))).toEqual([2, 3, 4, 5]);
      expect(await reasonOf(take({ stream, peek: true, follow: true }))).toBe('INVALID_FIELD');
    });

    it('waits for what is written when it follows', async () => {
      const stream = await newStream();
      const reader = follow(stream);
      for (let i = 1; i <= 5; i += 1) {
        await write(stream, 'e');
        await reader.has(i);
      }
      expect(seqsOf(eventsOf(reader))).toEqual([1, 2, 3, 4, 5]);
      reader.leave();
      await reader.end();
    });

    it('goes on when a mark frees credit, whoever marked', async () => {
      const stream = await newStream();
      await write(stream, ...many(6));
      const reader = follow(stream, { maxOutstandingMessages: 2 });
      await reader.has(1);
      for (let done = 0; done < 6; done += 2) {
        await eventually(() => eventsOf(reader).length === done + 2, 'two more');
        await mark(eventsOf(reader).slice(done));
      }
      reader.leave();
      await reader.end();
      expect(await take({ stream })).toEqual([]);
    });

    it('hands out again what comes due', async () => {
      const stream = await newStream();
      await write(stream, 'e');
      const reader = follow(stream);
      await reader.has(1);
      const [first] = eventsOf(reader) as [LeasedEvent];
      const eventId = first.event?.eventId ?? '';
      await server.bus.markEvent({ eventId, status: EventStatus.RETRY, retryDelay: { nanos: 200_000_000 } });
      await reader.has(2);
      expect(eventsOf(reader)[1]).toMatchObject({ attempt: 2, event: { eventId } });
      expect(await mark([first])).toEqual([2]);
      reader.leave();
      await reader.end();
    });

    it('shares a group between its readers', async () => {
      const stream = await newStream();
      const readers = [1, 2, 3].map(() =>
        follow(stream, { maxFrameEvents: 10, maxOutstandingMessages: 100 }),
      );
      await eventually(() => counted.streams >= 3, 'three streams');
      await write(stream, ...many(300));
      const all = () => readers.flatMap(eventsOf);
      await eventually(() => all().length === 300, 'all events');
      expect(new Set(seqsOf(all())).size).toBe(300);
      expect(readers.map((reader) => eventsOf(reader).length)).toEqual([100, 100, 100]);
      for (const reader of readers) reader.leave();
      await Promise.all(readers.map((reader) => reader.end()));
    });

    it('lets a claim for one event be as large as it is', async () => {
      const stream = await newStream();
      const data = new Uint8Array(1024 * 1024);
      for (let i = 0; i < 4; i += 1)
        await server.bus.writeEvent({ stream, event: { body: { case: 'data', value: data } } });
      const frames = await framesOf(server.bus.processEvents({ stream, maxOutstandingBytes: 16n << 20n }));
      expect(frames.map(({ events }) => events.length)).toEqual([2, 2]);
      expect(await take({ stream, consumerId: 'c', maxOutstandingBytes: 1n })).toEqual([]);
    });

    it('cuts frames that would be too large as messages', async () => {
      const stream = await newStream();
      const value = { n: new Array(60_000).fill(0) };
      for (let i = 0; i < 8; i += 1)
        await server.bus.writeEvent({ stream, event: { body: { case: 'json', value } } });
      const frames = await framesOf(server.bus.processEvents({ stream, maxOutstandingBytes: 16n << 20n }));
      expect(frames.map((frame) => frame.events.length)).toEqual([4, 4]);
    });

    it('ends when the stream or the group is deleted', async () => {
      const stream = await newStream();
      await server.bus.createGroup({ stream, group: 'w' });
      const [group, whole] = [follow(stream, { group: 'w' }), follow(stream)];
      await eventually(() => counted.streams >= 2, 'both');
      await write(stream, 'e');
      await Promise.all([group.has(1), whole.has(1)]);
      await server.bus.deleteGroup({ stream, group: 'w' });
      expect(await group.end()).toBe('GROUP_NOT_FOUND');
      expect(whole.ended).toBe(false);
      await server.bus.deleteStream({ name: stream });
      expect(await whole.end()).toBe('STREAM_NOT_FOUND');
      expect(whole.failure?.code).toBe(Code.NotFound);
    });

    it('is counted while it is open', async () => {
      const stream = await newStream();
      await eventually(() => counted.streams === 0, 'none');
      const reader = follow(stream);
      await eventually(() => counted.streams === 1, 'one');
      reader.leave();
      await eventually(() => counted.streams === 0, 'none');
    });
  });

  describe('numbers as large as they come', () => {
    const HUGE = 2n ** 63n - 1n;
    const place = { position: { case: 'seq', value: HUGE } } as const;

    it('are before or after what there is', async () => {
      const stream = await newStream();
      await write(stream, 'a', 'b');
      await server.bus.createGroup({ stream, group: 'w' });
      const late = { position: { case: 'time', value: { seconds: 253_402_300_799n } } } as const;
      expect((await server.bus.getStreamEvents({ stream, fromSeq: HUGE })).events).toEqual([]);
      expect((await server.bus.seekGroup({ stream, group: 'w', to: late })).cursor).toBe(3n);
      const status = EventStatus.PROCESSED;
      const settings = {};
      const expectedRevision = HUGE;
      for (const [call, reason] of [
        [() => server.bus.writeEvent({ stream, event: {}, expectedSeq: HUGE }), 'SEQ_MISMATCH'],
        [() => server.bus.seekGroup({ stream, group: 'w', to: place }), 'SEQ_OUT_OF_RANGE'],
        [() => server.bus.createGroup({ stream, group: 'x', start: place }), 'SEQ_OUT_OF_RANGE'],
        [() => server.bus.updateStream({ name: stream, settings, expectedRevision }), 'REVISION_MISMATCH'],
        [
          () => server.bus.updateGroup({ stream, group: 'w', settings, expectedRevision }),
          'REVISION_MISMATCH',
        ],
        [() => server.bus.markEvent({ eventId: `${2 ** 32 - 1}-1`, status }), 'EVENT_NOT_FOUND'],
        [() => framesOf(server.bus.subscribe({ stream, from: place })), 'SEQ_OUT_OF_RANGE'],
      ] as const)
        expect(await reasonOf(call())).toBe(reason);
      const { streamId } = (await server.bus.getStream({ name: stream })).stream ?? {};
      const beyond = { eventId: `${streamId}-${2 ** 48 - 1}`, status };
      expect(await reasonOf(server.bus.markEvent(beyond))).toBe('EVENT_NOT_FOUND');
      const leaseToken = `${Number.MAX_SAFE_INTEGER.toString(36)}.w`;
      const stale = { eventId: `${streamId}-1`, status, leaseToken };
      expect(await reasonOf(server.bus.markEvent(stale))).toBe('LEASE_STALE');
    });
  });

  describe('RetryEvents', () => {
    it('hands out what is RETRY at its beginning, each once, in order', async () => {
      const stream = await newStream();
      await write(stream, ...many(10));
      const leased = await take({ stream });
      await mark(leased.slice(0, 5).reverse(), EventStatus.RETRY);
      const seen: number[] = [];
      for await (const { events } of server.bus.retryEvents({ stream, maxFrameEvents: 2 })) {
        seen.push(...seqsOf(events));
        await mark(events, EventStatus.RETRY);
      }
      expect(seen).toEqual([1, 2, 3, 4, 5]);
      const again = await framesOf(server.bus.retryEvents({ stream, maxOutstandingMessages: 3 }));
      expect(again.flatMap(({ events }) => events).map(({ attempt }) => attempt)).toEqual([3, 3, 3]);
    });
  });

  describe('Subscribe', () => {
    const subscribe = (request: object) =>
      new Reader<SubscribeResponse>((signal) => server.bus.subscribe({ ...request }, { signal }));
    const seqs = (reader: Reader<SubscribeResponse>) =>
      reader.frames.flatMap(({ events }) => events.map(({ seq }) => Number(seq)));
    const at = (kind: 'beginning' | 'end') => ({ position: { case: kind, value: {} } });

    it('shows everybody everything from now on', async () => {
      const stream = await newStream();
      await write(stream, 'before');
      const readers = [subscribe({ stream }), subscribe({ stream, from: at('end') })];
      await Promise.all(readers.map((reader) => reader.has(1)));
      await write(stream, 'a', 'b');
      await write(stream, 'c');
      for (const reader of readers) {
        await eventually(() => seqs(reader).length === 3, 'three events');
        expect(seqs(reader)).toEqual([2, 3, 4]);
        reader.leave();
      }
    });

    it('starts where it is told and resumes after its cursor', async () => {
      const stream = await newStream();
      for (let i = 0; i < 2; i += 1) await write(stream, ...many(600));
      const reader = subscribe({ stream, from: at('beginning') });
      await eventually(() => seqs(reader).length === 1_200, 'all');
      expect(seqs(reader)).toEqual(Array.from({ length: 1_200 }, (_, i) => i + 1));
      reader.leave();
      const resumed = subscribe({ stream, cursor: reader.frames[0]?.cursor });
      await eventually(() => seqs(resumed).at(-1) === 1_200, 'the rest');
      expect(seqs(resumed)[0]).toBe(Number(reader.frames[0]?.events.at(-1)?.seq) + 1);
      resumed.leave();
      const place = { position: { case: 'seq', value: 1_199n } };
      const last = subscribe({ stream, from: place });
      await last.has(1);
      expect(seqs(last)).toEqual([1_199, 1_200]);
      last.leave();
    });

    it('says what is missing', async () => {
      const stream = await newStream({ maxEvents: 10n, overflow: 2 });
      await write(stream, ...many(10));
      await write(stream, ...many(5));
      const reader = subscribe({ stream, from: { position: { case: 'seq', value: 2n } } });
      await reader.has(1);
      expect(reader.frames[0]).toMatchObject({ gap: { fromSeq: 2n, toSeq: 5n } });
      expect(seqs(reader)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
      reader.leave();
      const whole = subscribe({ stream, from: at('beginning') });
      await whole.has(1);
      expect(whole.frames[0]?.gap).toBeUndefined();
      whole.leave();
    });

    it('shows what the filter lets through, and moves the cursor past the rest', async () => {
      const stream = await newStream();
      const reader = subscribe({ stream, filter: { types: ['b'], attributes: { k: 'v' } } });
      await reader.has(1);
      await server.bus.writeEvents({
        stream,
        events: [
          { type: 'a', attributes: { k: 'v' } },
          { type: 'b' },
          { type: 'b', attributes: { k: 'v', l: 'w' } },
        ],
      });
      await reader.has(2);
      expect(seqs(reader)).toEqual([3]);
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      await write(stream, 'a');
      await reader.has(3);
      expect(reader.frames[2]?.events).toEqual([]);
      expect(reader.frames[2]?.cursor).not.toBe(reader.frames[1]?.cursor);
      reader.leave();
    });

    it('refuses what makes no sense', async () => {
      const [stream, other] = [await newStream(), await newStream()];
      const reader = subscribe({ stream: other });
      await reader.has(1);
      const cursor = reader.frames[0]?.cursor;
      for (const [request, reason] of [
        [{ stream, cursor }, 'INVALID_FIELD'],
        [{ stream, cursor: 'x' }, 'INVALID_FIELD'],
        [{ stream: other, cursor, from: at('end') }, 'INVALID_FIELD'],
        [{ stream, from: {} }, 'INVALID_FIELD'],
        [{ stream, from: { position: { case: 'seq', value: 2n } } }, 'SEQ_OUT_OF_RANGE'],
        [{ stream: other, cursor: `${cursor}9` }, 'CURSOR_EXPIRED'],
        [{ stream: 'none' }, 'STREAM_NOT_FOUND'],
      ] as const)
        expect(await subscribe(request).end()).toBe(reason);
      await server.bus.deleteStream({ name: other });
      expect(await reader.end()).toBe('STREAM_NOT_FOUND');
    });
  });

  describe('a stopping service', () => {
    it('ends its streams, with a cursor where there is one', async () => {
      const stopping = await startBusServer({ open });
      const stream = 'orders';
      const worker = new Reader((signal) => stopping.bus.processEvents({ stream, follow: true }, { signal }));
      const tail = new Reader((signal) => stopping.bus.subscribe({ stream }, { signal }));
      await Promise.all([worker.has(1), tail.has(1)]);
      await stopping.drain();
      expect([await worker.end(), await tail.end()]).toEqual(['DRAINING', 'DRAINING']);
      const [info] = tail.failure?.findDetails(ErrorInfoSchema) ?? [];
      expect(info?.metadata.cursor).toBe((tail.frames[0] as SubscribeResponse).cursor);
      await stopping.stop();
    });
  });
}
