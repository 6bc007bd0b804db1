/** A Redis that is full refuses whole, and once there is room the bus goes on as if nothing had been. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineUrl } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';
import { ServerProcess } from '../support/server-process.js';
import { BusLoad, busAt, reasonOf } from './bus-load.js';

const FULL_AT_MB = 24;

describe.skipIf(!engineUrl('redis'))('a Redis that is full', () => {
  let redis: RedisServer;
  let server: ServerProcess;
  beforeAll(async () => {
    redis = await RedisServer.start(['--maxmemory', `${FULL_AT_MB}mb`, '--maxmemory-policy', 'noeviction']);
    server = await ServerProcess.start({ flags: ['--redis', redis.url] });
  });
  afterAll(async () => {
    await server?.dispose();
    await redis?.stop();
  });

  it('under load refuses events as STORE_FULL, and nothing is lost or half done', async () => {
    const bus = busAt(server.grpcAddress);
    const load = await BusLoad.start({ addresses: () => [server.grpcAddress] });
    try {
      await bus.createStream({ name: 'ballast' });
      const body = { case: 'data' as const, value: Buffer.alloc(16_000, 'x') };
      const events = Array.from({ length: 50 }, () => ({ type: 'ballast', body }));
      let written = 0n;
      // Ends because the store is full, which is what is waited for.
      const fill = async () => {
        for (;;) written = (await bus.writeEvents({ stream: 'ballast', events })).events.at(-1)?.seq ?? 0n;
      };
      await load.underWay(100);
      await expect(fill().catch(reasonOf)).resolves.toBe('STORE_FULL');
      expect((await bus.getStreamInfo({ stream: 'ballast' })).lastSeq).toBe(written);
      await bus.deleteStream({ name: 'ballast' });
      await load.underWay(100);
      expect(await load.finish()).toEqual([]);
    } finally {
      load.stop();
    }
  });
});
