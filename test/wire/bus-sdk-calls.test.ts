/** Every method of the bus in the SDK, against the real process on both stores. */
import { durationMs } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bodyBytes,
  bodyJson,
  bodyText,
  connect,
  DedupeIdReusedError,
  EventStatus,
  GroupExistsError,
  GroupNotFoundError,
  InvalidFieldError,
  LeaseStaleError,
  messageToJson,
  RevisionMismatchError,
  SeqMismatchError,
  SeqOutOfRangeError,
  StreamExistsError,
  StreamFullError,
  StreamNotFoundError,
  type Switchgear,
  UidMismatchError,
} from '../../src/client/index.js';
import type { ServerProcess } from '../support/server-process.js';
import { STORES } from './cli-support.js';

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe.each(STORES)('the bus in the SDK on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let switchgear: Switchgear;
    beforeAll(async () => {
      server = await start();
      switchgear = connect(server.grpcAddress);
    });
    afterAll(async () => {
      switchgear?.close();
      await server?.dispose();
    });

    /** A stream with events of these bodies. */
    async function given(stream: string, count: number): Promise<void> {
      await switchgear.bus.createStream({ name: stream });
      const events = Array.from({ length: count }, (_, i) => ({ type: 't', body: { i } }));
      if (count > 0) await switchgear.bus.writeEvents({ stream, events });
    }

    it('creates streams, changes them, lists them and deletes them', async () => {
      const { bus } = switchgear;
      const settings = {
        maxAgeMs: 3_600_000,
        maxEvents: 5,
        maxBytes: 1_000_000n,
        overflow: 'reject',
      } as const;
      const made = await bus.createStream({ name: 'life', settings, requestId: 'r-1' });
      expect(await bus.createStream({ name: 'life', settings, requestId: 'r-1' })).toEqual(made);
      await expect(bus.createStream({ name: 'life' })).rejects.toBeInstanceOf(StreamExistsError);
      expect(await bus.getStream('life')).toEqual(made);
      const updated = await bus.updateStream({ name: 'life', settings: { dedupeWindowMs: 5_000 } });
      expect([
        updated.revision,
        durationMs(updated.settings!.dedupeWindow!),
        updated.settings!.maxEvents,
      ]).toEqual([2n, 5_000, 5n]);
      const stale = { name: 'life', settings: { maxEvents: 6 }, expectedRevision: 1n };
      await expect(bus.updateStream(stale)).rejects.toBeInstanceOf(RevisionMismatchError);
      expect((await collected(bus.listStreams({ pageSize: 1 }))).map(({ name }) => name)).toContain('life');
      await expect(bus.deleteStream({ name: 'life', uid: 'x' })).rejects.toBeInstanceOf(UidMismatchError);
      expect(await bus.deleteStream({ name: 'life', uid: made.uid })).toBe(true);
      expect(await bus.deleteStream({ name: 'life' })).toBe(false);
      await expect(bus.getStreamInfo('life')).rejects.toBeInstanceOf(StreamNotFoundError);
    });

    it('gives bodies back as they were written: objects, text and bytes', async () => {
      const { bus } = switchgear;
      await given('bodies', 0);
      const body = { order: 'o-1', lines: [{ sku: 'a', count: 2 }, null, true], total: 1.5 };
      await bus.writeEvents({
        stream: 'bodies',
        events: [
          { body },
          { body: 'grüße' },
          { body: new Uint8Array([0, 255, 1]) },
          { body: '[1,2]', contentType: 'application/json' },
          {},
        ],
      });
      const events = await collected(bus.getStreamEvents({ stream: 'bodies' }));
      expect(events.map(({ contentType }) => contentType)).toEqual([
        'application/json',
        'text/plain; charset=utf-8',
        'application/octet-stream',
        'application/json',
        'application/octet-stream',
      ]);
      const [object, text, bytes, exact, none] = events;
      expect([bodyJson(object!), JSON.parse(bodyText(object!))]).toEqual([body, body]);
      expect([bodyText(text!), [...bodyBytes(bytes!)], bodyJson(exact!)]).toEqual([
        'grüße',
        [0, 255, 1],
        [1, 2],
      ]);
      expect(bodyBytes(none!).byteLength).toBe(0);
      expect(messageToJson(object!)).toMatchObject({ json: body, seq: '1', stream: 'bodies' });
      await expect(bus.writeEvent({ stream: 'bodies', event: { body: [1] as never } })).rejects.toThrow(
        /plain object/,
      );
    });

    it('writes an event once with its dedupe id, and only after the sequence that is expected', async () => {
      const { bus } = switchgear;
      await given('once', 0);
      const event = {
        type: 'paid',
        orderingKey: 'o-1',
        attributes: { shop: '7' },
        body: { total: 5 },
        dedupeId: 'd',
      };
      const first = await bus.writeEvent({ stream: 'once', event, expectedSeq: 0n });
      expect([first.seq, first.duplicate]).toEqual([1n, false]);
      const again = await bus.writeEvent({ stream: 'once', event });
      expect([again.eventId, again.duplicate]).toEqual([first.eventId, true]);
      const other = { ...event, body: { total: 6 } };
      await expect(bus.writeEvent({ stream: 'once', event: other })).rejects.toBeInstanceOf(
        DedupeIdReusedError,
      );
      await expect(bus.writeEvent({ stream: 'once', event: {}, expectedSeq: 0n })).rejects.toBeInstanceOf(
        SeqMismatchError,
      );
      const [read] = await collected(bus.getStreamEvents({ stream: 'once' }));
      expect(read).toMatchObject({ type: 'paid', orderingKey: 'o-1', attributes: { shop: '7' } });
    });

    it('writes a batch once with its request id, all or none', async () => {
      const { bus } = switchgear;
      await bus.createStream({ name: 'batch', settings: { maxEvents: 3 } });
      const batch = { stream: 'batch', events: [{ body: 'a' }, { body: 'b' }], requestId: 'r' };
      const written = await bus.writeEvents(batch);
      expect(written.map(({ seq }) => seq)).toEqual([1n, 2n]);
      expect((await bus.writeEvents(batch)).map(({ eventId }) => eventId)).toEqual(
        written.map(({ eventId }) => eventId),
      );
      await expect(bus.writeEvents({ ...batch, requestId: 'other' })).rejects.toBeInstanceOf(StreamFullError);
      expect((await bus.getStreamInfo('batch')).lastSeq).toBe(2n);
    });

    it('lists events with their status, page by page', async () => {
      const { bus } = switchgear;
      await given('listed', 25);
      const [first] = await collected(bus.getStreamEvents({ stream: 'listed', pageSize: 7 }));
      await bus.markEvent({ eventId: first!.eventId, status: 'processed' });
      const all = await collected(bus.getStreamEvents({ stream: 'listed', pageSize: 7 }));
      expect(all.map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
      expect(all.map(({ status }) => status).slice(0, 2)).toEqual([
        EventStatus.PROCESSED,
        EventStatus.UNPROCESSED,
      ]);
      const done = { stream: 'listed', status: EventStatus.PROCESSED };
      expect(await collected(bus.getStreamEvents(done))).toHaveLength(1);
      expect(await collected(bus.getStreamEvents({ stream: 'listed', fromSeq: 20n }))).toHaveLength(6);
    });

    it('leases events by hand: extends them, marks them, and fences what is stale', async () => {
      const { bus } = switchgear;
      await given('hand', 3);
      expect(await collected(bus.peek({ stream: 'hand' }))).toHaveLength(3);
      const leased = await collected(bus.processEvents({ stream: 'hand', consumerId: 'me' }));
      expect(leased.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
      const [a, b, c] = leased.map(({ event, leaseToken }) => ({ eventId: event!.eventId, leaseToken }));
      expect(await bus.extendLeases([a!, b!, c!], { ackDeadlineMs: 60_000 })).toEqual(
        Array(3).fill({ result: 'ok' }),
      );
      await bus.markEvent({ ...a!, status: 'processed' });
      await expect(bus.markEvent({ ...a!, status: 'retry' })).rejects.toBeInstanceOf(LeaseStaleError);
      const marks = [
        { ...b!, status: 'retry', retryDelayMs: 60_000 },
        { ...c!, status: 'unprocessed' },
        { ...c!, status: 'processed' },
        { eventId: `${c!.eventId}99`, status: 'processed' },
      ] as const;
      expect(await bus.markEvents(marks)).toEqual([
        { result: 'ok' },
        { result: 'ok' },
        { result: 'stale' },
        { result: 'not_found' },
      ]);
      expect(await bus.extendLeases([a!])).toEqual([{ result: 'stale' }]);
      const retried = await collected(bus.retryEvents({ stream: 'hand' }));
      expect(retried.map(({ event, attempt }) => [event!.eventId, attempt])).toEqual([[b!.eventId, 2]]);
      const malformed = bus.markEvent({ eventId: 'x', status: 'processed' });
      await expect(malformed).rejects.toBeInstanceOf(InvalidFieldError);
    });

    it('makes groups with filters and places to start, moves them, and deletes them', async () => {
      const { bus } = switchgear;
      await given('grouped', 10);
      const made = await bus.createGroup({
        stream: 'grouped',
        group: 'g',
        start: { seq: 5 },
        filter: { types: ['t'] },
        settings: { ackDeadlineMs: 2_000, maxAttempts: 2, minBackoffMs: 100, maxBackoffMs: 1_000 },
        requestId: 'r',
      });
      expect(durationMs(made.settings!.ackDeadline!)).toBe(2_000);
      await expect(bus.createGroup({ stream: 'grouped', group: 'g' })).rejects.toBeInstanceOf(
        GroupExistsError,
      );
      const out = bus.createGroup({ stream: 'grouped', group: 'far', start: { seq: 99 } });
      await expect(out).rejects.toBeInstanceOf(SeqOutOfRangeError);
      const updated = await bus.updateGroup({ stream: 'grouped', group: 'g', settings: { maxAttempts: 3 } });
      expect([updated.settings!.maxAttempts, updated.revision]).toEqual([3, 2n]);
      const leased = await collected(bus.processEvents({ stream: 'grouped', group: 'g' }));
      expect(leased.map(({ event }) => event!.seq)).toEqual([5n, 6n, 7n, 8n, 9n, 10n]);
      const sought = await bus.seekGroup({ stream: 'grouped', group: 'g', to: 'beginning' });
      expect([sought.cursor, sought.group!.generation > made.generation]).toEqual([1n, true]);
      const late = await bus.seekGroup({
        stream: 'grouped',
        group: 'g',
        to: { time: new Date(Date.now() + 60_000) },
      });
      expect(late.cursor).toBe(11n);
      expect((await collected(bus.listGroups('grouped'))).map(({ name }) => name)).toContain('g');
      expect((await bus.getStreamInfo('grouped')).groups.map(({ lag }) => lag)).toContain(0n);
      expect(await bus.deleteGroup({ stream: 'grouped', group: 'g' })).toBe(true);
      expect(await bus.deleteGroup({ stream: 'grouped', group: 'g' })).toBe(false);
      const gone = collected(bus.processEvents({ stream: 'grouped', group: 'g' }));
      await expect(gone).rejects.toBeInstanceOf(GroupNotFoundError);
    });

    it('lists dead letters, hands them out again, and forgets them', async () => {
      const { bus } = switchgear;
      await given('dead', 3);
      const of = { stream: 'dead', group: 'g' };
      await bus.createGroup({ ...of, settings: { maxAttempts: 1 } });
      const kill = async () => {
        const leased = await collected(bus.processEvents(of));
        await bus.markEvents(
          leased.map(({ event, leaseToken }) => ({ eventId: event!.eventId, leaseToken, status: 'retry' })),
        );
        return leased.length;
      };
      expect(await kill()).toBe(3);
      const dead = await collected(bus.listDeadLetters({ ...of, pageSize: 2 }));
      expect(dead.map(({ attempts, event }) => [attempts, bodyJson(event!)])).toEqual(
        [0, 1, 2].map((i) => [1, { i }]),
      );
      const [first] = dead.map(({ event }) => event!.eventId);
      expect(await bus.replayDeadLetters({ ...of, eventIds: [first!] })).toBe(1n);
      expect(await kill()).toBe(1);
      const steps: bigint[] = [];
      expect(await bus.replayDeadLetters({ ...of, onStep: (count) => steps.push(count) })).toBe(3n);
      expect(steps.at(-1)).toBe(3n);
      expect(await kill()).toBe(3);
      expect(await bus.purgeDeadLetters(of)).toBe(3n);
      expect(await collected(bus.listDeadLetters(of))).toEqual([]);
    });

    it('says what is not there', async () => {
      const { bus } = switchgear;
      const calls: (() => Promise<unknown>)[] = [
        () => bus.getStream('nowhere'),
        () => bus.updateStream({ name: 'nowhere', settings: { maxEvents: 1 } }),
        () => bus.writeEvent({ stream: 'nowhere', event: {} }),
        () => collected(bus.getStreamEvents({ stream: 'nowhere' })),
        () => collected(bus.processEvents({ stream: 'nowhere' })),
        () => collected(bus.listGroups('nowhere')),
        () => collected(bus.listDeadLetters({ stream: 'nowhere' })),
        () => bus.subscribe({ stream: 'nowhere' }).next(),
        () => bus.subscribe({ stream: 'nowhere', from: 'beginning' }).next(),
        () => bus.process('nowhere', () => {}).done,
        () => bus.writer('nowhere').write({}),
      ];
      for (const call of calls) await expect(call()).rejects.toBeInstanceOf(StreamNotFoundError);
    });
  });
});
