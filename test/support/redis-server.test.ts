/** Private engines do what fault tests ask of them. */
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { engineUrl } from './backends.js';
import { RedisCluster, RedisServer } from './redis-server.js';
import { eventually } from './waiting.js';

describe.skipIf(!engineUrl('redis'))('a private Redis', () => {
  it('keeps its port and what it saved through kill -9', async () => {
    const server = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always']);
    const { port, pid } = server;
    await server.command('SET', 'k', 'v');
    await server.kill();
    await expect(server.command('GET', 'k')).rejects.toThrow();
    await server.restart();
    expect([server.port, await server.command('GET', 'k')]).toEqual([port, 'v']);
    expect(server.pid).not.toBe(pid);
    await server.stop();
  });

  it('saves nothing unless asked', async () => {
    const server = await RedisServer.start();
    await server.command('SET', 'k', 'v');
    await server.restart();
    expect(await server.command('GET', 'k')).toBeNull();
    await server.stop();
  });

  it('takes settings, and answers nothing while it is frozen', async () => {
    const server = await RedisServer.start(['--maxmemory', '64mb']);
    expect(await server.setting('maxmemory')).toBe(String(64 * 2 ** 20));
    const redis = new Redis(server.url);
    await redis.ping();
    server.pause();
    let isAnswered = false;
    const pong = redis.ping().then(() => {
      isAnswered = true;
    });
    // Another whole server starts and answers in the meantime: that is how long the frozen one was silent.
    const other = await RedisServer.start();
    expect(isAnswered).toBe(false);
    server.resume();
    await pong;
    redis.disconnect();
    await Promise.all([server.stop(), other.stop()]);
  });
});

describe.skipIf(!engineUrl('redisCluster'))('a private Redis Cluster', () => {
  it('serves keys of every slot, and a replica takes over from a master that is killed', async () => {
    const cluster = await RedisCluster.start({ replicasPerMaster: 1 });
    const ports = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const client = new Redis.Cluster(ports);
    for (const key of ['a', 'b', 'c', 'd']) await client.set(key, key);
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((key) => client.get(key)))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
    client.disconnect();
    const [master, , , replica] = cluster.nodes;
    const role = async () => ((await replica?.command('ROLE')) as unknown[] | undefined)?.[0];
    expect(await role()).toBe('slave');
    await master?.kill();
    await eventually(async () => (await role()) === 'master', 'the replica takes over', 20_000);
    await cluster.stop();
  });
});
