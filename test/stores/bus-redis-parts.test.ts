/** What holds for the bus on Redis alone: its keys, its commands, and what a death between two slots leaves. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_STREAM_SETTINGS } from '../../src/bus/event.js';
import type { BusStore } from '../../src/bus/store.js';
import type { RedisBusStore } from '../../src/stores/redis/bus.js';
import { BusKeys } from '../../src/stores/redis/bus-keys.js';
import { openRedis, type RedisEngine } from '../../src/stores/redis/open.js';
import {
  claim,
  claimed,
  createStream,
  GROUP,
  givenGroup,
  givenStream,
  groupFacts,
  keyed,
  markAll,
  never,
  newEvent,
  newEvents,
  newStreamName,
  seqsWritten,
  statuses,
  streamFacts,
  write,
} from '../conformance/bus/subject.js';
import { SCENES } from '../conformance/bus/wake.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/waiting.js';

describe.skipIf(!engineUrl('redis'))('the bus on a Redis of its own', () => {
  const namespace = randomNamespace();
  const keys = new BusKeys(namespace);
  let redis: RedisServer;
  let engines: RedisEngine[];
  let store: BusStore;
  let second: BusStore;
  beforeAll(async () => {
    redis = await RedisServer.start();
    engines = await Promise.all([1, 2].map(() => openRedis({ url: redis.url, namespace })));
    const stores = engines.map((engine) => engine.busStore() as RedisBusStore);
    // Commands are counted here, and those of the work in the background come when they come.
    for (const each of stores) each.close();
    [store, second] = stores as unknown as [BusStore, BusStore];
  });
  afterAll(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
    await redis.stop();
  });

  /** How many commands Redis ran for `work`; a script's own count too. */
  async function commandsOf(work: () => Promise<unknown>): Promise<number> {
    await redis.command('CONFIG', 'RESETSTAT');
    await work();
    const stats = String(await redis.command('INFO', 'commandstats'));
    const calls = [...stats.matchAll(/cmdstat_(\S+?):calls=(\d+)/g)];
    const own = calls.filter(([, name]) => !/^(config|info|hello|client|ping)/.test(name ?? ''));
    return own.reduce((sum, [, , n]) => sum + Number(n), 0);
  }

  const keysOf = async (number: number) =>
    ((await redis.command('KEYS', `${keys.stream(number).tag}*`)) as string[]).sort();

  it('claims and marks a hundred events in as many commands as one', async () => {
    const number = await givenGroup(store);
    await write(store, number, newEvents(200));
    await markAll(store, number, await claim(store, number, { maxEvents: 1 }));
    const counts = [];
    for (const maxEvents of [1, 100]) {
      let events: Awaited<ReturnType<typeof claim>> = [];
      const claims = await commandsOf(async () => {
        events = await claim(store, number, { maxEvents });
      });
      const marks = await commandsOf(() => markAll(store, number, events));
      expect(events).toHaveLength(maxEvents);
      counts.push([claims, marks]);
    }
    expect(counts[0]).toEqual(counts[1]);
    expect(Math.max(...(counts[0] as number[]))).toBeLessThanOrEqual(24);
  });

  // By the flag and not by being woken: the safety looks would wake a second later all the same.
  it.for(Object.entries(SCENES))(
    'takes the flag of those who wait down in the step of %s',
    async ([_, make]) => {
      const { number, act } = await make(store);
      const { flag } = keys.stream(number);
      expect(await claim(store, number, { consumer: 'idle' })).toEqual([]);
      expect(await redis.command('EXISTS', flag)).toBe(1);
      await act(second);
      expect(await redis.command('EXISTS', flag)).toBe(0);
      expect(await claim(store, number, { consumer: 'idle' })).toHaveLength(1);
    },
  );

  it('lets go of what is too old, in streams that nobody writes to', async () => {
    const engine = await openRedis({ url: redis.url, namespace });
    try {
      const number = await givenStream(store, { maxAgeMs: 100, dedupeWindowMs: 100 });
      await write(
        store,
        number,
        newEvents(250, (i) => ({ dedupeId: `d-${i}` })),
      );
      const young = await givenStream(store);
      await write(store, young, newEvents(3));
      const { log, ids } = keys.stream(number);
      expect(await redis.command('XLEN', log)).toBe(250);
      engine.busStore();
      await eventually(async () => (await redis.command('XLEN', log)) === 0, 'the log is empty');
      expect(await redis.command('HLEN', ids)).toBe(0);
      expect(await streamFacts(store, number)).toMatchObject({ firstSeq: 251, lastSeq: 250, bytes: 0 });
      expect(await seqsWritten(store, number, newEvents(2))).toEqual([251, 252]);
      expect(await streamFacts(store, young)).toMatchObject({ firstSeq: 1, lastSeq: 3 });
    } finally {
      await engine.close();
    }
  });

  it('lets go of dead letters past their time, in groups that nobody uses', async () => {
    const engine = await openRedis({ url: redis.url, namespace: randomNamespace() });
    try {
      const swept = engine.busStore();
      const number = await givenGroup(swept, { settings: { maxAttempts: 1 }, stream: { maxAgeMs: 1_500 } });
      await write(swept, number, newEvents(3));
      await markAll(swept, number, await claim(swept, number), 'retry');
      expect(await groupFacts(swept, number)).toMatchObject({ dead: 3, droppedDead: 0 });
      await eventually(async () => (await groupFacts(swept, number)).dead === 0, 'the letters are gone');
      expect((await groupFacts(swept, number)).droppedDead).toBe(3);
    } finally {
      await engine.close();
    }
  });

  it('gives back every byte, and no byte', async () => {
    const number = await givenGroup(store);
    const bodies = [Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.alloc(0)];
    await write(
      store,
      number,
      bodies.map((body) => newEvent({ form: 'data', contentType: 'x/\u{1f600}!', body })),
    );
    const leased = await claim(store, number);
    expect(leased.map(({ event }) => Buffer.from(event.body))).toEqual(bodies);
    expect(leased[0]?.event.contentType).toBe('x/\u{1f600}!');
  });

  it('goes on when a server has forgotten the scripts', async () => {
    const number = await givenGroup(store);
    await redis.command('SCRIPT', 'FLUSH');
    await write(store, number, newEvents(3));
    await redis.command('SCRIPT', 'FLUSH');
    expect(await claim(store, number)).toHaveLength(3);
  });

  it('makes the content of a stream whose creator died before it did', async () => {
    const { number } = await createStream(store);
    await redis.command('DEL', keys.stream(number).facts);
    expect((await second.getStreamFacts(number, never)).kind).toBe('facts');
    await redis.command('DEL', keys.stream(number).facts);
    expect(await seqsWritten(second, number, newEvents(2))).toEqual([1, 2]);
  });

  it('brings settings that did not reach the content with the next write that knows of them', async () => {
    const stream = await createStream(store);
    const { facts } = keys.stream(stream.number);
    await store.updateStream(stream.name, { ...DEFAULT_STREAM_SETTINGS, maxEvents: 2 }, undefined, never);
    await redis.command('HSET', facts, 'revision', 1, 'maxEvents', 0);
    await write(store, stream.number, newEvents(2));
    expect(await store.write(stream.number, newEvents(1), noOptions, never)).toEqual({ kind: 'full' });
  });

  it('leaves one small key of a deleted stream, and nothing of its name', async () => {
    const stream = await createStream(store);
    const { number } = stream;
    await write(store, number, [...keyed('k', 'k', 'k'), newEvent({ dedupeId: 'd' })]);
    await claimed(store, number, { group: 'default' });
    expect((await keysOf(number)).length).toBeGreaterThan(8);
    expect(await second.deleteStream(stream.name, stream.uid, never)).toEqual({ kind: 'deleted' });
    expect(await keysOf(number)).toEqual([keys.stream(number).facts]);
    expect(await redis.command('HGETALL', keys.stream(number).facts)).toEqual(['gone', '1']);
    expect(await redis.command('HEXISTS', keys.registry.numbers, number)).toBe(0);
    for (const each of [store, second])
      expect(await each.getStreamFacts(number, never)).toEqual({ kind: 'gone' });
  });

  it.each(['mark', 'tombstone'] as const)(
    'finishes, by any process, a deletion that stopped after its %s',
    async (step) => {
      const name = newStreamName();
      const { number } = await createStream(store, {}, name);
      await write(store, number, newEvents(3));
      await claimed(store, number, { group: 'default' });
      const record = String(await redis.command('HGET', keys.registry.streams, name));
      await redis.command('HSET', keys.registry.streams, name, record.replace(/L$/, 'D'));
      await redis.command('ZREM', keys.registry.names, name);
      if (step === 'tombstone') {
        await redis.command('DEL', keys.stream(number).facts);
        await redis.command('HSET', keys.stream(number).facts, 'gone', 1);
      }
      expect(await second.getStream(name, never)).toBeUndefined();
      const again = await createStream(second, {}, name);
      expect(again.number).not.toBe(number);
      expect(await keysOf(number)).toEqual([keys.stream(number).facts]);
      expect((await second.getStreamFacts(number, never)).kind).toBe('gone');
    },
  );

  it('does not make content again where a tombstone is, whatever the registry says', async () => {
    const stream = await createStream(store);
    await redis.command('DEL', keys.stream(stream.number).facts);
    await redis.command('HSET', keys.stream(stream.number).facts, 'gone', 1);
    expect(await second.write(stream.number, newEvents(1), noOptions, never)).toEqual({ kind: 'gone' });
  });

  it('drops what a group has in flight by its keys, and lets its flag expire', async () => {
    const number = await givenGroup(store);
    await write(store, number, keyed('a', 'a', 'b', ''));
    await claim(store, number);
    await store.seekGroup(number, GROUP, { kind: 'end' }, never);
    const left = (await keysOf(number)).filter((key) => key.endsWith(`:${GROUP}`));
    expect(left).toEqual([`${keys.stream(number).tag}:g:${GROUP}`]);
    await claim(store, number);
    expect(Number(await redis.command('PTTL', keys.stream(number).flag))).toBeGreaterThan(60_000);
  });

  it('wakes for credit only those who wait for it', async () => {
    const number = await givenGroup(store);
    await write(store, number, newEvents(2));
    const [first, next] = await claim(store, number);
    if (!first || !next) throw new Error('two events were written');
    const { flag } = keys.stream(number);
    await claim(store, number, { consumer: 'idle' });
    await markAll(store, number, [first]);
    expect(await redis.command('GET', flag)).toBe('e');
    await claim(store, number, { credit: { messages: 1, bytes: 1_000 } });
    expect(await redis.command('GET', flag)).toBe('c');
    await markAll(second, number, [next]);
    expect(await redis.command('EXISTS', flag)).toBe(0);
  });

  it('holds the cap of a stream that drops its oldest, however large the batches', async () => {
    const number = await givenStream(store, { maxEvents: 300, overflow: 'drop_oldest' });
    for (let batch = 0; batch < 3; batch++) await write(store, number, newEvents(500));
    const { firstSeq, lastSeq, bytes } = await streamFacts(store, number);
    expect([firstSeq, lastSeq]).toEqual([1_201, 1_500]);
    const kept = await store.read(number, 1, { limit: 1_000, maxBytes: 1e9, wake: false }, never);
    expect(kept.kind === 'events' && kept.events.length).toBe(300);
    expect(bytes).toBeGreaterThan(300 * 64);
    expect(await redis.command('XLEN', keys.stream(number).log)).toBe(300);
    expect((await statuses(store, number, 'default')).length).toBe(300);
  });
});

const noOptions = { requestId: '', requestHash: '', expectedSeq: undefined };
