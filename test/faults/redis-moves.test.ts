/** Redis changes under load in ways that refuse commands without running them; callers notice nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FsmKeys } from '../../src/stores/redis/keys.js';
import { openRedis, type RedisEngine } from '../../src/stores/redis/open.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { RedisCluster, type RedisServer } from '../support/redis-server.js';
import { Load } from './redis-load.js';

const SHARDS = 4;

describe.skipIf(!engineUrl('redisCluster'))('a Redis Cluster under load', () => {
  const namespace = randomNamespace();
  let cluster: RedisCluster;
  let engine: RedisEngine;
  beforeAll(async () => {
    cluster = await RedisCluster.start();
    engine = await openRedis({ url: cluster.url, namespace });
  });
  afterAll(async () => {
    await engine.close();
    await cluster.stop();
  });

  it('whose script caches are flushed again and again fails no event', async () => {
    const load = await Load.start(engine.fsmStore({ shardCount: SHARDS }));
    for (let round = 0; round < 30; round++) {
      await Promise.all(cluster.nodes.map((node) => node.command('SCRIPT', 'FLUSH')));
      await load.answered(50);
    }
    await load.stop();
    expect(load.faults).toEqual(new Map());
    await load.expectNothingLostOrDoubled();
  });

  it('whose slots move from node to node fails no event', async () => {
    const load = await Load.start(engine.fsmStore({ shardCount: SHARDS }));
    const keys = new FsmKeys(namespace, SHARDS);
    const slots = [...keys.shards(load.name), keys.registry].map(({ slot }) => slot);
    for (let round = 0; round < 2; round++)
      for (const slot of slots) {
        await moveSlot(cluster, slot);
        await load.answered(50);
      }
    await load.stop();
    expect(load.faults).toEqual(new Map());
    await load.expectNothingLostOrDoubled();
    // All three ways of being sent on were met, or the test has shown nothing.
    for (const code of ['MOVED', 'ASK', 'TRYAGAIN'])
      expect(await refusals(cluster, code), code).toBeGreaterThan(0);
  });
});

/** How often the nodes answered an error of this code. */
async function refusals(cluster: RedisCluster, code: string): Promise<number> {
  const stats = await Promise.all(cluster.nodes.map((node) => node.command('INFO', 'errorstats')));
  const counts = stats.map((text) =>
    Number(new RegExp(`errorstat_${code}:count=(\\d+)`).exec(String(text))?.[1] ?? 0),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Moves a slot to the next node as an operator's tool does, some keys at a time. */
async function moveSlot(cluster: RedisCluster, slot: number): Promise<void> {
  const source = await ownerOf(cluster, slot);
  const target = cluster.nodes[(cluster.nodes.indexOf(source) + 1) % cluster.nodes.length] as RedisServer;
  const [sourceId, targetId] = [
    await source.command('CLUSTER', 'MYID'),
    await target.command('CLUSTER', 'MYID'),
  ];
  await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(sourceId));
  await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(targetId));
  for (;;) {
    const keys = (await source.command('CLUSTER', 'GETKEYSINSLOT', slot, 500)) as string[];
    if (keys.length === 0) break;
    await source.command('MIGRATE', '127.0.0.1', target.port, '', 0, 5000, 'KEYS', ...keys);
  }
  for (const node of [target, source])
    await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', String(targetId));
  for (const node of cluster.nodes) await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', String(targetId));
}

async function ownerOf(cluster: RedisCluster, slot: number): Promise<RedisServer> {
  const [first] = cluster.nodes;
  const ranges = (await first?.command('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  const range = ranges.find(([low, high]) => low <= slot && slot <= high);
  const owner = cluster.nodes.find(({ port }) => port === range?.[2][1]);
  if (!owner) throw new Error(`slot ${slot} has no owner`);
  return owner;
}
