/** The proxy fails as it says, before a real engine. */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { engineUrl } from './backends.js';
import { FlakyProxy } from './flaky-proxy.js';
import { RedisServer } from './redis-server.js';

const options = {
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  lazyConnect: true,
  retryStrategy: () => null,
};

describe.skipIf(!engineUrl('redis'))('a flaky proxy', () => {
  let server: RedisServer;
  let proxy: FlakyProxy;
  let direct: Redis;
  let through: Redis;

  beforeAll(async () => {
    server = await RedisServer.start();
    direct = new Redis(server.url, options);
    await direct.connect();
  });
  beforeEach(async () => {
    proxy = await FlakyProxy.start({ port: server.port });
    through = await connected();
    await direct.flushall();
  });
  afterEach(async () => {
    through.disconnect();
    await proxy.stop();
  });
  afterAll(async () => {
    direct.disconnect();
    await server.stop();
  });

  async function connected(): Promise<Redis> {
    const redis = new Redis(proxy.port, '127.0.0.1', { ...options, enableReadyCheck: false });
    redis.on('error', () => {});
    await redis.connect();
    return redis;
  }

  it('passes requests and replies', async () => {
    expect(await through.incr('n')).toBe(1);
    expect(await direct.get('n')).toBe('1');
  });

  it('lets a request through and drops its reply with the connection', async () => {
    const dropped = proxy.dropNextReply((bytes) => bytes.includes('incr'));
    expect(await through.get('n')).toBeNull();
    await expect(through.incr('n')).rejects.toThrow();
    await dropped;
    expect(await direct.get('n')).toBe('1');
    expect(await (await connected()).incr('n')).toBe(2);
  });

  it('drops one reply only', async () => {
    const other = await connected();
    const dropped = proxy.dropNextReply();
    await expect(through.incr('n')).rejects.toThrow();
    await dropped;
    expect(await other.incr('n')).toBe(2);
    other.disconnect();
  });

  it('holds everything back while it pauses', async () => {
    proxy.mode = 'pause';
    let isAnswered = false;
    const answer = through.incr('n').then((value) => {
      isAnswered = true;
      return value;
    });
    expect(await direct.incr('other')).toBe(1);
    expect([isAnswered, await direct.get('n')]).toEqual([false, null]);
    proxy.mode = 'pass';
    expect(await answer).toBe(1);
  });

  it('cuts what is open, and refuses what is new', async () => {
    const ended = new Promise((resolve) => through.once('end', resolve));
    proxy.mode = 'refuse';
    proxy.cut();
    await ended;
    await expect(connected()).rejects.toThrow();
    proxy.mode = 'pass';
    expect(await (await connected()).incr('n')).toBe(1);
  });
});
