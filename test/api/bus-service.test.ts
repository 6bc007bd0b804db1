/** switchgear.bus.v1's unary rpcs over a real port: what they answer, and with which errors. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import {
  EventStatus,
  StreamSettings_Overflow,
  type StreamSettingsSchema,
} from '../../gen/switchgear/bus/v1/bus_pb.js';
import { MarkAnswer_Result } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { Fault } from '../../src/fault.js';
import { type BusServer, reasonOf, startBusServer } from './bus-server.js';

let server: BusServer;
/** Streams whose marks fail as if the store were gone. */
const broken = new Set<number>();
beforeAll(async () => {
  server = await startBusServer({
    around: (store) =>
      new Proxy(store, {
        get(target, name) {
          const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
          return (...args: unknown[]) => {
            if (name === 'settle' && broken.has(args[0] as number))
              return Promise.reject(new Fault('EFFECT_UNKNOWN', 'the reply was lost'));
            return method.apply(target, args);
          };
        },
      }),
  });
});
afterAll(() => server.stop());

let count = 0;
/** A stream of its own. */
async function newStream(settings: object = {}): Promise<{ stream: string; number: number }> {
  count += 1;
  const created = await server.bus.createStream({ name: `s-${count}`, settings });
  return { stream: `s-${count}`, number: Number(created.stream?.streamId) };
}

async function write(stream: string, ...types: string[]): Promise<void> {
  await server.bus.writeEvents({ stream, events: types.map((type) => ({ type })) });
}

async function factsOf(call: Promise<unknown>): Promise<Record<string, string> | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.metadata,
  );
}

async function lease(stream: string, group = '') {
  for await (const { events } of server.bus.processEvents({ stream, group, maxOutstandingMessages: 1 }))
    return events[0] as (typeof events)[0];
  throw new Error('nothing was claimed');
}

describe('streams', () => {
  it('are created with defaults, and told by name', async () => {
    const { stream } = await newStream({ maxEvents: 7n });
    const found = (await server.bus.getStream({ name: stream })).stream;
    expect(found).toMatchObject({
      revision: 1n,
      settings: {
        maxEvents: 7n,
        maxBytes: 0n,
        maxAge: { seconds: 2_592_000n },
        dedupeWindow: { seconds: 120n },
        overflow: StreamSettings_Overflow.REJECT,
      },
    });
  });

  it('are created once, and again only for the same request', async () => {
    const request = { name: 'once', requestId: 'r-1', settings: { maxEvents: 1n } };
    const first = await server.bus.createStream(request);
    expect(await server.bus.createStream(request)).toEqual(first);
    for (const other of [{ ...request, requestId: 'r-2' }, { ...request, settings: {} }, { name: 'once' }])
      expect(await reasonOf(server.bus.createStream(other))).toBe('STREAM_EXISTS');
  });

  it('change in what is given, also when several change at once', async () => {
    const { stream: name } = await newStream();
    const changes: MessageInitShape<typeof StreamSettingsSchema>[] = [
      { maxEvents: 5n },
      { maxBytes: 6n },
      { maxAge: { seconds: 60n } },
      { overflow: StreamSettings_Overflow.DROP_OLDEST },
    ];
    await Promise.all(changes.map((settings) => server.bus.updateStream({ name, settings })));
    const { stream } = await server.bus.getStream({ name });
    expect(stream?.revision).toBe(5n);
    expect(stream?.settings).toMatchObject({
      maxEvents: 5n,
      maxBytes: 6n,
      maxAge: { seconds: 60n },
      overflow: 2,
    });
    const update = server.bus.updateStream({ name, settings: {}, expectedRevision: 4n });
    expect(await factsOf(update)).toEqual({ actual_revision: '5' });
    await server.bus.updateStream({ name, settings: {}, expectedRevision: 5n });
  });

  it('are deleted as the one that was meant', async () => {
    const { stream: name, number } = await newStream();
    await write(name, 'a');
    const { stream } = await server.bus.getStream({ name });
    expect(await reasonOf(server.bus.deleteStream({ name, uid: 'other' }))).toBe('UID_MISMATCH');
    const deletion = { name, uid: stream?.uid ?? '' };
    expect((await server.bus.deleteStream(deletion)).existed).toBe(true);
    expect((await server.bus.deleteStream(deletion)).existed).toBe(false);
    for (const call of [
      server.bus.getStream({ name }),
      server.bus.getStreamInfo({ stream: name }),
      server.bus.writeEvent({ stream: name, event: {} }),
      server.bus.listGroups({ stream: name }),
    ])
      expect(await reasonOf(call)).toBe('STREAM_NOT_FOUND');
    const mark = { eventId: `${number}-1`, status: EventStatus.PROCESSED };
    expect(await reasonOf(server.bus.markEvent(mark))).toBe('EVENT_NOT_FOUND');
  });

  it('are listed in pages, each once', async () => {
    const names: string[] = [];
    let pageToken = '';
    do {
      const page = await server.bus.listStreams({ pageSize: 2, pageToken });
      names.push(...page.streams.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(['orders', 'once']));
  });

  it('say how they stand', async () => {
    const { stream } = await newStream();
    await write(stream, 'a', 'b', 'c');
    await server.bus.createGroup({ stream, group: 'b-only', filter: { types: ['b'] } });
    const { event } = await lease(stream);
    const info = await server.bus.getStreamInfo({ stream });
    expect(info).toMatchObject({ firstSeq: 1n, lastSeq: 3n, durability: 'as tests need it' });
    expect(info.bytes).toBeGreaterThan(0n);
    const [filtered, plain] = info.groups;
    expect(filtered).toMatchObject({ group: { name: 'b-only' }, lag: 3n });
    expect(filtered?.unprocessed).toBeUndefined();
    expect(plain).toMatchObject({ group: { name: 'default' }, unprocessed: 2n, leased: 1n });
    expect(event?.seq).toBe(1n);
    expect(plain?.heldKey).toBeUndefined();
  });

  it('name the event that a group fails on for ever, and its key', async () => {
    const { stream, number } = await newStream();
    const events = ['poison', 'poison', 'fine'].map((orderingKey) => ({ orderingKey }));
    await server.bus.writeEvents({ stream, events });
    const fails = { eventId: `${number}-1`, status: EventStatus.RETRY, retryDelay: { nanos: 0 } };
    for (let attempts = 1; attempts <= 3; attempts++) {
      for await (const frame of server.bus.processEvents({ stream }))
        for (const { event, leaseToken } of frame.events)
          await server.bus.markEvent(
            event?.seq === 1n
              ? { ...fails, leaseToken }
              : { eventId: event?.eventId, leaseToken, status: EventStatus.PROCESSED },
          );
      const [group] = (await server.bus.getStreamInfo({ stream })).groups;
      expect(group).toMatchObject({ waiting: 1n, leased: 0n, blockedByKey: '' });
      expect(group?.heldKey).toMatchObject({
        orderingKey: 'poison',
        eventId: `${number}-1`,
        attempts,
        firstWaitingSeq: 2n,
      });
    }
  });
});

describe('writes', () => {
  it('keep a JSON body as an object and bytes as bytes', async () => {
    const { stream } = await newStream();
    const json = { a: [1, 'x', null, true, { b: 1.5 }], ключ: '🜁' };
    const data = Uint8Array.of(0, 255, 10, 0);
    await server.bus.writeEvents({
      stream,
      events: [
        { body: { case: 'json', value: json }, attributes: { k: 'v' }, orderingKey: 'o', type: 't' },
        { body: { case: 'data', value: data } },
        { contentType: 'text/plain' },
      ],
    });
    const { events } = await server.bus.getStreamEvents({ stream });
    expect(events[0]).toMatchObject({
      stream,
      seq: 1n,
      type: 't',
      attributes: { k: 'v' },
      orderingKey: 'o',
      contentType: 'application/json',
      body: { case: 'json', value: json },
      status: EventStatus.UNPROCESSED,
    });
    expect(events[1]).toMatchObject({ contentType: 'application/octet-stream', body: { value: data } });
    expect(events[2]).toMatchObject({
      contentType: 'text/plain',
      body: { case: 'data', value: new Uint8Array() },
    });
  });

  it('take JSON objects from callers who speak JSON', async () => {
    const { stream } = await newStream();
    const post = (rpc: string, body: object) =>
      fetch(`${server.httpUrl}/switchgear.bus.v1.BusService/${rpc}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).then((response) => response.json());
    expect(await post('WriteEvent', { stream, event: { json: { total: 12 } } })).toMatchObject({
      event: { seq: '1' },
    });
    expect(await post('GetStreamEvents', { stream })).toMatchObject({ events: [{ json: { total: 12 } }] });
  });

  it('have one effect for one dedupe id, whatever order the members come in', async () => {
    const { stream } = await newStream();
    const event = (value: { [name: string]: number }) => ({
      dedupeId: 'd',
      body: { case: 'json' as const, value },
    });
    const first = await server.bus.writeEvent({ stream, event: event({ a: 1, b: 2 }) });
    const again = await server.bus.writeEvent({ stream, event: event({ b: 2, a: 1 }) });
    expect(first.event?.duplicate).toBe(false);
    expect(again.event).toMatchObject({ eventId: first.event?.eventId, duplicate: true });
    const other = server.bus.writeEvents({ stream, events: [{}, event({ a: 1 })] });
    expect(await reasonOf(other)).toBe('DEDUPE_ID_REUSED');
    expect(await factsOf(other)).toEqual({ index: '1' });
    expect((await server.bus.getStreamInfo({ stream })).lastSeq).toBe(1n);
  });

  it('have one effect for one request id', async () => {
    const { stream } = await newStream();
    const batch = { stream, requestId: 'r', events: [{ type: 'a' }, { type: 'b' }] };
    const first = await server.bus.writeEvents(batch);
    expect(await server.bus.writeEvents(batch)).toEqual(first);
    const other = server.bus.writeEvents({ ...batch, events: [{ type: 'a' }] });
    expect(await reasonOf(other)).toBe('REQUEST_ID_REUSED');
  });

  it('compare and append', async () => {
    const { stream } = await newStream();
    const append = (expectedSeq: bigint) => server.bus.writeEvent({ stream, event: {}, expectedSeq });
    expect((await append(0n)).event?.seq).toBe(1n);
    expect(await reasonOf(append(0n))).toBe('SEQ_MISMATCH');
    expect(await factsOf(append(9n))).toEqual({ last_seq: '1' });
    expect((await append(1n)).event?.seq).toBe(2n);
  });

  it('are refused at the cap', async () => {
    const { stream } = await newStream({ maxEvents: 1n });
    await write(stream, 'a');
    const refused = server.bus.writeEvent({ stream, event: {} });
    expect(await reasonOf(refused)).toBe('STREAM_FULL');
    await expect(refused).rejects.toMatchObject({ code: Code.ResourceExhausted });
  });

  it('are refused when a body is too large, in either form', async () => {
    const { stream } = await newStream();
    const dense = { numbers: new Array(100_000).fill(0) };
    const long = { text: 'x'.repeat(1024 * 1024) };
    for (const value of [dense, long]) {
      const call = server.bus.writeEvent({ stream, event: { body: { case: 'json', value } } });
      await expect(call).rejects.toThrow(/event\.json/);
    }
    const data = new Uint8Array(1024 * 1024);
    await server.bus.writeEvent({ stream, event: { body: { case: 'data', value: data } } });
    const events = new Array(4).fill({ body: { case: 'data', value: new Uint8Array(800 * 1024) } });
    await expect(server.bus.writeEvents({ stream, events })).rejects.toThrow(/events/);
  });

  it('refuse what JSON does not have', async () => {
    const { stream } = await newStream();
    const value = { deep: [{ n: Number.NaN }] };
    const call = server.bus.writeEvent({ stream, event: { body: { case: 'json', value } } });
    await expect(call).rejects.toBeInstanceOf(Error);
    expect((await server.bus.getStreamInfo({ stream })).lastSeq).toBe(0n);
  });
});

describe('pages of events', () => {
  it('follow each other, with the status for the group', async () => {
    const { stream, number } = await newStream();
    await write(stream, ...new Array(25).fill('e'));
    const eventId = `${number}-7`;
    await server.bus.markEvent({ eventId, status: EventStatus.PROCESSED });
    const seen: bigint[] = [];
    let pageToken = '';
    do {
      const page = await server.bus.getStreamEvents({ stream, pageSize: 10, pageToken, fromSeq: 3n });
      seen.push(...page.events.map(({ seq }) => seq));
      pageToken = page.nextPageToken;
      const foreign = { stream: 'orders', pageToken };
      if (pageToken) await expect(server.bus.getStreamEvents(foreign)).rejects.toThrow(/page_token/);
    } while (pageToken !== '');
    expect(seen).toEqual(Array.from({ length: 23 }, (_, i) => BigInt(i + 3)));
    const processed = await server.bus.getStreamEvents({ stream, status: EventStatus.PROCESSED });
    expect(processed.events.map(({ eventId: id }) => id)).toEqual([eventId]);
  });

  it('are cut where a message would be too large', async () => {
    const { stream } = await newStream();
    const dense = { n: new Array(60_000).fill(0) };
    for (let i = 0; i < 8; i += 1)
      await server.bus.writeEvent({ stream, event: { body: { case: 'json', value: dense } } });
    const page = await server.bus.getStreamEvents({ stream });
    expect(page.events).toHaveLength(4);
    const rest = await server.bus.getStreamEvents({ stream, pageToken: page.nextPageToken });
    expect(rest.events[0]?.seq).toBe(5n);
  });
});

describe('marks', () => {
  it('answer each in its place, whatever stream it is of', async () => {
    const [one, two] = [await newStream(), await newStream()];
    for (const { stream } of [one, two]) await write(stream, 'a', 'b');
    const held = await lease(two.stream);
    const stale = { ...held, leaseToken: held.leaseToken.replace(/^[^.]+/, 'zz') };
    const status = EventStatus.PROCESSED;
    const { answers } = await server.bus.markEvents({
      marks: [
        { eventId: `${one.number}-1`, status },
        { eventId: `${two.number}-1`, status, leaseToken: stale.leaseToken },
        { eventId: `${two.number}-1`, status, leaseToken: held.leaseToken },
        { eventId: `${one.number}-3`, status },
        { eventId: `${one.number}-1`, status, group: 'nobody' },
        { eventId: `999999-1`, status },
        { eventId: `${one.number}-2`, status: EventStatus.RETRY, retryDelay: { seconds: 100n } },
      ],
    });
    const { OK, STALE, NOT_FOUND } = MarkAnswer_Result;
    expect(answers.map(({ result }) => result)).toEqual([OK, STALE, OK, NOT_FOUND, NOT_FOUND, NOT_FOUND, OK]);
  });

  it('do nothing when one of them is malformed', async () => {
    const { stream, number } = await newStream();
    await write(stream, 'a');
    const right = { eventId: `${number}-1`, status: EventStatus.PROCESSED };
    const { PROCESSED, RETRY } = EventStatus;
    for (const [wrong, field] of [
      [{ eventId: 'x', status: PROCESSED }, 'event_id'],
      [{ ...right, leaseToken: 'x' }, 'lease_token'],
      [{ ...right, leaseToken: '1.workers', group: 'default' }, 'group'],
      [{ ...right, retryDelay: { seconds: 1n } }, 'retry_delay'],
      [{ ...right, status: RETRY, retryDelay: { seconds: -1n } }, 'retry_delay'],
    ] as const)
      await expect(server.bus.markEvents({ marks: [right, wrong] })).rejects.toThrow(`marks[1].${field}`);
    expect((await server.bus.getStreamEvents({ stream })).events[0]?.status).toBe(EventStatus.UNPROCESSED);
  });

  it('fail alone where the store fails', async () => {
    const [one, two] = [await newStream(), await newStream()];
    for (const { stream } of [one, two]) await write(stream, 'a');
    broken.add(one.number);
    const marks = [one, two].map(({ number }) => ({ eventId: `${number}-1`, status: EventStatus.PROCESSED }));
    const { answers } = await server.bus.markEvents({ marks });
    broken.clear();
    expect(answers[0]).toMatchObject({ result: 0, error: { code: Code.Unavailable } });
    expect(answers[1]).toMatchObject({ result: MarkAnswer_Result.OK });
  });

  it('are errors when they are single', async () => {
    const { stream, number } = await newStream();
    await write(stream, 'a');
    const held = await lease(stream);
    const mark = { eventId: `${number}-1`, status: EventStatus.PROCESSED };
    await server.bus.markEvent({ ...mark, leaseToken: held.leaseToken });
    await server.bus.markEvent(mark);
    expect(await reasonOf(server.bus.markEvent({ ...mark, leaseToken: held.leaseToken }))).toBe(
      'LEASE_STALE',
    );
    expect(await reasonOf(server.bus.markEvent({ ...mark, eventId: `${number}-9` }))).toBe('EVENT_NOT_FOUND');
    expect(await reasonOf(server.bus.markEvent({ ...mark, group: 'nobody' }))).toBe('GROUP_NOT_FOUND');
  });

  it('that extend answer until when', async () => {
    const { stream, number } = await newStream();
    await write(stream, 'a', 'b');
    const held = await lease(stream);
    const eventId = `${number}-1`;
    const { answers, deadline } = await server.bus.extendLeases({
      leases: [
        { eventId, leaseToken: held.leaseToken },
        { eventId: `${number}-2`, leaseToken: held.leaseToken },
        { eventId, leaseToken: '1.nobody' },
      ],
      ackDeadline: { seconds: 600n },
    });
    const { OK, STALE, NOT_FOUND } = MarkAnswer_Result;
    expect(answers.map(({ result }) => result)).toEqual([OK, STALE, NOT_FOUND]);
    expect(Number(deadline?.seconds) - Date.now() / 1_000).toBeGreaterThan(590);
    await server.bus.markEvent({ eventId, status: EventStatus.PROCESSED, leaseToken: held.leaseToken });
  });
});

describe('groups', () => {
  it('are created with defaults, and the default group never gives up', async () => {
    const { stream } = await newStream();
    const { group } = await server.bus.createGroup({ stream, group: 'w' });
    expect(group).toMatchObject({
      settings: { maxAttempts: 5, ackDeadline: { seconds: 30n } },
    });
    expect(group?.filter).toBeUndefined();
    const made = await server.bus.createGroup({ stream, group: 'default' });
    expect(made.group?.settings?.maxAttempts).toBe(0);
  });

  it('are created once, and again only for the same request', async () => {
    const { stream } = await newStream();
    const request = { stream, group: 'w', requestId: 'r', filter: { types: ['a'] } };
    const first = await server.bus.createGroup(request);
    expect(await server.bus.createGroup(request)).toEqual(first);
    const other = server.bus.createGroup({ ...request, filter: { types: ['b'] } });
    expect(await reasonOf(other)).toBe('GROUP_EXISTS');
  });

  it('change in what is given', async () => {
    const { stream } = await newStream();
    await server.bus.createGroup({ stream, group: 'w' });
    const update = { stream, group: 'w', settings: { maxAttempts: 0, maxBackoff: { seconds: 2n } } };
    const { group } = await server.bus.updateGroup(update);
    expect(group).toMatchObject({ revision: 2n, settings: { maxAttempts: 0, minBackoff: { seconds: 1n } } });
    const wrong = server.bus.updateGroup({ stream, group: 'w', settings: { minBackoff: { seconds: 3n } } });
    await expect(wrong).rejects.toThrow(/settings\.min_backoff/);
    expect(await reasonOf(server.bus.updateGroup({ ...update, expectedRevision: 1n }))).toBe(
      'REVISION_MISMATCH',
    );
    expect(await reasonOf(server.bus.updateGroup({ ...update, group: 'x' }))).toBe('GROUP_NOT_FOUND');
  });

  it('are at most 64, listed in pages', async () => {
    const { stream } = await newStream();
    for (let i = 0; i < 64; i += 1) await server.bus.createGroup({ stream, group: `g-${i}` });
    expect(await reasonOf(server.bus.createGroup({ stream, group: 'more' }))).toBe('TOO_MANY_GROUPS');
    const first = await server.bus.listGroups({ stream, pageSize: 40 });
    const rest = await server.bus.listGroups({ stream, pageSize: 40, pageToken: first.nextPageToken });
    const names = [...first.groups, ...rest.groups].map(({ name }) => name);
    expect([new Set(names).size, rest.nextPageToken]).toEqual([64, '']);
  });

  it('go where they are told, and nowhere else', async () => {
    const { stream } = await newStream();
    await write(stream, 'a', 'b');
    await server.bus.createGroup({ stream, group: 'w' });
    const seek = (to: object) => server.bus.seekGroup({ stream, group: 'w', to });
    const answer = await seek({ position: { case: 'seq', value: 2n } });
    expect(answer).toMatchObject({ cursor: 2n, group: { generation: 2n } });
    expect((await seek({ position: { case: 'end', value: {} } })).cursor).toBe(3n);
    expect((await seek({ position: { case: 'time', value: { seconds: 1n } } })).cursor).toBe(1n);
    const beyond = seek({ position: { case: 'seq', value: 4n } });
    expect(await factsOf(beyond)).toEqual({ first_seq: '1', last_seq: '2' });
    await expect(seek({})).rejects.toMatchObject({ code: Code.InvalidArgument });
    const late = { stream, group: 'late', start: { position: { case: 'seq' as const, value: 9n } } };
    expect(await reasonOf(server.bus.createGroup(late))).toBe('SEQ_OUT_OF_RANGE');
  });

  it('are deleted once', async () => {
    const { stream } = await newStream();
    await server.bus.createGroup({ stream, group: 'w' });
    expect((await server.bus.deleteGroup({ stream, group: 'w' })).existed).toBe(true);
    expect((await server.bus.deleteGroup({ stream, group: 'w' })).existed).toBe(false);
  });
});

describe('dead letters', () => {
  async function withDead(size: number): Promise<{ stream: string; number: number }> {
    const made = await newStream();
    const { stream } = made;
    await server.bus.createGroup({ stream, group: 'w', settings: { maxAttempts: 1 } });
    await write(stream, ...new Array(size).fill('e'));
    const marks: { eventId: string; status: EventStatus; leaseToken: string }[] = [];
    for await (const { events } of server.bus.processEvents({ stream, group: 'w' }))
      for (const { event, leaseToken } of events)
        marks.push({ eventId: event?.eventId ?? '', status: EventStatus.RETRY, leaseToken });
    await server.bus.markEvents({ marks });
    return made;
  }

  it('are listed with what they were, in pages', async () => {
    const { stream } = await withDead(5);
    const first = await server.bus.listDeadLetters({ stream, group: 'w', pageSize: 3 });
    expect(first.deadLetters[0]).toMatchObject({
      attempts: 1,
      reason: 1,
      event: { type: 'e', status: EventStatus.DEAD },
    });
    const { nextPageToken: pageToken } = first;
    const rest = await server.bus.listDeadLetters({ stream, group: 'w', pageSize: 3, pageToken });
    expect([first.deadLetters.length, rest.deadLetters.length, rest.nextPageToken]).toEqual([3, 2, '']);
  });

  it('are replayed by id, and all in steps', async () => {
    const { stream, number } = await withDead(5);
    const some = await server.bus.replayDeadLetters({ stream, group: 'w', eventIds: [`${number}-2`] });
    expect(some).toMatchObject({ count: 1n, done: true });
    expect((await lease(stream, 'w')).event?.seq).toBe(2n);
    let total = 0n;
    for (let nextToken = '', done = false; !done; ) {
      const step = await server.bus.replayDeadLetters({ stream, group: 'w', nextToken });
      total += step.count;
      ({ nextToken, done } = step);
    }
    expect(total).toBe(4n);
  });

  it('are forgotten', async () => {
    const { stream } = await withDead(3);
    expect(await server.bus.purgeDeadLetters({ stream, group: 'w' })).toMatchObject({
      count: 3n,
      done: true,
    });
    expect((await server.bus.listDeadLetters({ stream, group: 'w' })).deadLetters).toEqual([]);
  });

  it('are those of the stream that is named', async () => {
    const { stream } = await withDead(1);
    const foreign = server.bus.purgeDeadLetters({ stream, group: 'w', eventIds: ['999-1'] });
    await expect(foreign).rejects.toThrow(/event_ids\[0\]/);
    const both = server.bus.purgeDeadLetters({ stream, group: 'w', eventIds: ['1-1'], nextToken: 'x' });
    await expect(both).rejects.toThrow(/next_token/);
    expect(await reasonOf(server.bus.listDeadLetters({ stream, group: 'x' }))).toBe('GROUP_NOT_FOUND');
  });
});
