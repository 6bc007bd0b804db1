/** A Redis that is full refuses whole: nothing is half done, and deleting makes room. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRedis, type RedisEngine } from '../../src/stores/redis/open.js';
import { command, getMachine, givenMachine, givenName, never, send } from '../conformance/subject.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';
import { Load } from './redis-load.js';

const FULL_AT_MB = 24;

describe.skipIf(!engineUrl('redis'))('a Redis that is full', () => {
  let redis: RedisServer;
  let engine: RedisEngine;
  beforeAll(async () => {
    redis = await RedisServer.start(['--maxmemory', `${FULL_AT_MB}mb`, '--maxmemory-policy', 'noeviction']);
    engine = await openRedis({ url: redis.url, namespace: randomNamespace() });
  });
  afterAll(async () => {
    await engine.close();
    await redis.stop();
  });

  it('under load refuses events as STORE_FULL, and index, counts and histories agree', async () => {
    const store = engine.fsmStore({ shardCount: 4 });
    const ballast = await givenName(store);
    for (let i = 0; i < 20; i++) await givenMachine(store, ballast, `b${i}`);
    const load = await Load.start(store);
    const details = 'x'.repeat(16_000);
    // Ends because the store is full, which is what is waited for.
    const fill = async (id: string) => {
      for (;;) await send(store, ballast, id, command('knock', undefined, { details }));
    };
    await expect(Promise.all(Array.from({ length: 20 }, (_, i) => fill(`b${i}`)))).rejects.toMatchObject({
      reason: 'STORE_FULL',
    });
    await load.answered(200);
    await load.stop();
    expect([...load.faults.keys()]).toEqual(['STORE_FULL']);
    await load.expectNothingLostOrDoubled();

    const before = await getMachine(store, ballast, 'b0');
    await expect(givenMachine(store, ballast, 'new')).rejects.toMatchObject({ reason: 'STORE_FULL' });
    expect(await getMachine(store, ballast, 'b0')).toEqual(before);
    expect(await getMachine(store, ballast, 'new')).toBeUndefined();
    for (let i = 0; i < 20; i++)
      expect(await store.deleteMachine(ballast, `b${i}`, undefined, never)).toEqual({ kind: 'deleted' });
    await expect.poll(() => givenMachine(store, ballast, 'new')).toMatchObject({ id: 'new' });
  });
});
