/** The law of the fsm store on one Redis, and what holds for this backend alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FsmStore } from '../../src/fsm/store.js';
import { join } from '../../src/placement.js';
import { FsmKeys } from '../../src/stores/redis/keys.js';
import { openRedis, type RedisEngine } from '../../src/stores/redis/open.js';
import { describeFsmStore } from '../conformance/fsm-store.js';
import { command, content, givenMachine, givenName, never, outcomeOf, send } from '../conformance/subject.js';
import { Watcher } from '../conformance/watcher.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/waiting.js';
import { opensOn, profileOn } from './redis-subject.js';

const url = engineUrl('redis') ?? '';

describe.skipIf(url === '')('on a Redis', () => {
  describeFsmStore('Redis', opensOn(url), profileOn(url));
});

describe.skipIf(url === '')('a Redis of its own', () => {
  const namespace = randomNamespace();
  let redis: RedisServer;
  let engine: RedisEngine;
  let store: FsmStore;
  beforeAll(async () => {
    redis = await RedisServer.start();
    engine = await openRedis({ url: redis.url, namespace });
    store = engine.fsmStore({ shardCount: 16 });
  });
  afterAll(async () => {
    await engine.close();
    await redis.stop();
  });

  /** Calls of each command while `work` ran; a script's own commands count too. */
  async function commandsOf(work: () => Promise<unknown>): Promise<Map<string, number>> {
    await redis.command('CONFIG', 'RESETSTAT');
    await work();
    const stats = String(await redis.command('INFO', 'commandstats'));
    const calls = [...stats.matchAll(/cmdstat_(\S+?):calls=(\d+)/g)].map(
      ([, name, n]) => [name ?? '', Number(n)] as const,
    );
    // What this test asks by itself, over connections of its own.
    return new Map(calls.filter(([name]) => !/^(config|info|hello|client|ping)/.test(name)));
  }

  const total = (calls: Map<string, number>) => [...calls.values()].reduce((sum, n) => sum + n, 0);

  it('runs one script of 11 commands for an event that changes the state, and 9 for one that does not', async () => {
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    await send(store, name, 'm', command('knock'));
    const opened = await commandsOf(() => send(store, name, 'm', command('open')));
    expect(opened.get('evalsha')).toBe(1);
    // The look at the retention counter and the trim of the feed come with some events only.
    for (const sometimes of ['hget', 'xtrim']) opened.delete(sometimes);
    expect(total(opened)).toBe(1 + 10);
    await send(store, name, 'm', command('close'));
    const knocked = await commandsOf(() => send(store, name, 'm', command('knock')));
    for (const sometimes of ['hget', 'xtrim']) knocked.delete(sometimes);
    expect(total(knocked)).toBe(1 + 8);
  });

  it('needs a second trip only when the machine follows a version it has not met', async () => {
    const name = await givenName(store, 'v1');
    await givenMachine(store, name, 'old');
    const late = (await openRedis({ url: redis.url, namespace })) as RedisEngine;
    const other = late.fsmStore({ shardCount: 16 });
    await other.createConfiguration(
      content({ name, version: 'v2', transitions: [], states: ['closed'] }),
      never,
    );
    await send(other, name, 'none', command('open'));
    const first = await commandsOf(() => outcomeOf(other, name, 'old', command('open')));
    expect(first.get('evalsha')).toBe(2);
    const second = await commandsOf(() => outcomeOf(other, name, 'old', command('close')));
    expect(second.get('evalsha')).toBe(1);
    await late.close();
  });

  it('asks nothing while it is idle, and with a watcher at most 16 reads a second', async () => {
    const name = await givenName(store);
    expect(total(await commandsOf(() => pause(1_200)))).toBe(0);
    const watcher = new Watcher(store, name, await store.tail(name, never));
    await pause(300);
    const calls = await commandsOf(() => pause(2_100));
    expect(calls.get('evalsha') ?? 0).toBeGreaterThan(0);
    expect(calls.get('evalsha') ?? 0).toBeLessThanOrEqual(3 * 16);
    await watcher.stop();
  });

  it('shows watchers what happened while their subscription was gone, and after', async () => {
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    const watcher = new Watcher(store, name, await store.tail(name, never));
    await send(store, name, 'm', command('knock', 'e1'));
    await watcher.seen(1);
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await send(store, name, 'm', command('knock', 'e2'));
    await watcher.seen(2);
    await send(store, name, 'm', command('knock', 'e3'));
    expect((await watcher.seen(3)).map(({ eventId }) => eventId)).toEqual(['e1', 'e2', 'e3']);
    await watcher.stop();
  });

  it('finds a change whose wake-up was lost within about a second', async () => {
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    const watcher = new Watcher(store, name, await store.tail(name, never));
    await send(store, name, 'm', command('knock'));
    await watcher.seen(1);
    const { flag } = new FsmKeys(namespace, 16).shardOf(name, 'm');
    await eventually(async () => (await redis.command('DEL', flag)) === 1, 'the watcher waits');
    await send(store, name, 'm', command('knock'));
    await watcher.until(() => watcher.changes.length === 2, 'the change', 1_500);
    await watcher.stop();
  });

  it('lets the flag, the outcomes and nothing else expire', async () => {
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    await send(store, name, 'm', command('open', 'e1'));
    await send(store, name, 'm', command('open', 'e2', { expectedVersion: 9 }));
    const keys = new FsmKeys(namespace, 16);
    const shard = keys.shardOf(name, 'm');
    const ttl = async (key: string) => Number(await redis.command('PTTL', key));
    for (const key of [
      `${shard.machinePrefix}m`,
      `${shard.historyPrefix}m`,
      shard.index,
      shard.feed,
      keys.registry.names,
    ])
      expect(await ttl(key)).toBe(-1);
    expect(await ttl(`${shard.outcomePrefix}e1`)).toBeGreaterThan(23 * 3_600_000);
    const refusal = await ttl(`${shard.outcomePrefix}e2`);
    expect(refusal).toBeGreaterThan(9 * 60_000);
    expect(refusal).toBeLessThanOrEqual(10 * 60_000);
  });

  it('does not shorten the life of a final outcome by a refusal that shares its key', async () => {
    const name = await givenName(store);
    const keys = new FsmKeys(namespace, 16);
    const ids = Array.from({ length: 40 }, (_, i) => `m${i}`);
    const [first = '', second = ''] = ids.filter((id) => keys.shardOf(name, id).number === 3);
    await givenMachine(store, name, first);
    await send(store, name, first, command('open', 'e1'));
    await send(store, name, second, command('open', 'e1'));
    const { outcomePrefix } = keys.shardOf(name, first);
    expect(await redis.command('HLEN', `${outcomePrefix}e1`)).toBe(2);
    expect(Number(await redis.command('PTTL', `${outcomePrefix}e1`))).toBeGreaterThan(23 * 3_600_000);
  });

  it('places a deployment once, whoever comes first', async () => {
    const engines = await Promise.all(
      Array.from({ length: 5 }, () => openRedis({ url: redis.url, namespace: 'placed' })),
    );
    const placement = { homes: { fsm: 'redis' as const }, shardCounts: { fsm: 16 } };
    const records = await Promise.all(engines.map(({ placement: kept }) => join(kept, placement)));
    expect(new Set(records.map(({ deploymentId }) => deploymentId)).size).toBe(1);
    await Promise.all(engines.map((each) => each.close()));
  });

  it('says what its own death may cost, and warns of eviction', async () => {
    expect(engine.describe()).toMatchObject({
      engine: 'redis',
      version: expect.stringMatching(/^7\./),
      warnings: [],
    });
    expect(engine.describe().durability).toContain('last snapshot');
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await redis.command('CONFIG', 'SET', 'appendonly', 'yes');
    const other = await openRedis({ url: redis.url, namespace });
    expect(other.describe().durability).toContain('2 s');
    expect(other.describe().warnings.join()).toContain('allkeys-lru');
    await other.close();
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  it('that cannot be opened is refused with one line that holds no secret', async () => {
    await redis.command('CONFIG', 'SET', 'requirepass', 'right');
    const wrong = redis.url.replace('redis://', 'redis://:sesame-wrong@');
    const refused = await openRedis({ url: wrong, namespace }).catch((error: Error) => error);
    expect(refused).toBeInstanceOf(Error);
    expect((refused as Error).message).toMatch(/^Redis at 127\.0\.0\.1:\d+: .*WRONGPASS/);
    expect(JSON.stringify([refused, (refused as Error).message, (refused as Error).stack])).not.toContain(
      'sesame',
    );
    const gone = await openRedis({ url: 'redis://127.0.0.1:1', namespace }).catch((error: Error) => error);
    expect((gone as Error).message).toContain('ECONNREFUSED');
  });
});

/** Time in which nothing is expected to happen; there is nothing to wait for. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
