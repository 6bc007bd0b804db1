/**
 * Servers and Redis killed with -9 again and again while producers write and workers mark: every write
 * that was answered OK is worked on or dead in the end, nothing after an OK mark, never by two at once,
 * keys in order.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';
import { ServerProcess } from '../support/server-process.js';
import { BusLoad } from './bus-load.js';

/** CI shows the law; `SWITCHGEAR_KILL_ROUNDS=200` shows it at length. */
const ROUNDS = Number(process.env.SWITCHGEAR_KILL_ROUNDS ?? 3);
/** A kill costs the attempt of what was in flight; no more than this many can befall one event. */
const MAX_ATTEMPTS = ROUNDS + 3;
const TIMEOUT_MS = 30_000 + ROUNDS * 15_000;

const opened: { dispose(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.dispose();
});

async function givenServer(flags: readonly string[] = []): Promise<ServerProcess> {
  const server = await ServerProcess.start({ flags });
  opened.push(server);
  return server;
}

async function givenLoad(servers: readonly ServerProcess[], maxAttempts = 0): Promise<BusLoad> {
  const load = await BusLoad.start({
    addresses: () => servers.map(({ grpcAddress }) => grpcAddress),
    maxAttempts,
  });
  opened.push({ dispose: async () => load.stop() });
  return load;
}

describe('a server killed under load', () => {
  it('on the embedded store leaves every promise kept', { timeout: TIMEOUT_MS }, async () => {
    const server = await givenServer();
    const load = await givenLoad([server], MAX_ATTEMPTS);
    for (let round = 0; round < ROUNDS; round++) {
      await load.underWay(200 + 31 * round);
      await server.kill();
      await server.restart();
    }
    await load.underWay(100);
    expect(await load.finish()).toEqual([]);
    expect(load.redeliveries).toBeGreaterThan(0);
  });

  it.skipIf(!engineUrl('redis'))(
    'beside another on one Redis leaves every promise kept',
    { timeout: TIMEOUT_MS },
    async () => {
      const flags = ['--redis', engineUrl('redis') ?? '', '--namespace', randomNamespace()];
      const servers = [await givenServer(flags), await givenServer(flags)];
      const load = await givenLoad(servers, MAX_ATTEMPTS);
      for (let round = 0; round < ROUNDS; round++) {
        await load.underWay(200 + 31 * round);
        const server = servers[round % 2] as ServerProcess;
        await server.kill();
        // The other goes on alone.
        await load.underWay(50);
        await server.restart();
      }
      await load.underWay(100);
      expect(await load.finish()).toEqual([]);
      expect(load.redeliveries).toBeGreaterThan(0);
    },
  );
});

describe.skipIf(!engineUrl('redis'))('a Redis killed under load', () => {
  it('that syncs every write leaves every promise kept', { timeout: TIMEOUT_MS }, async () => {
    const redis = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always']);
    opened.push({ dispose: () => redis.stop() });
    const flags = ['--redis', redis.url];
    const load = await givenLoad([await givenServer(flags), await givenServer(flags)]);
    for (let round = 0; round < ROUNDS; round++) {
      await load.underWay(200 + 31 * round);
      await redis.kill();
      await redis.restart();
    }
    await load.underWay(100);
    expect(await load.finish()).toEqual([]);
  });
});
