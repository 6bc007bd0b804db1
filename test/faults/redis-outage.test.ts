/** A Redis that freezes or dies, as the adapter sees it: an end to every wait, then quick refusals, then recovery. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fault } from '../../src/fault.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { openRedis, type RedisEngine } from '../../src/stores/redis/open.js';
import {
  command,
  getMachine,
  givenMachine,
  givenName,
  historyOf,
  never,
  send,
} from '../conformance/subject.js';
import { Watcher } from '../conformance/watcher.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/waiting.js';

const COMMAND_TIMEOUT_MS = 800;
const RECOVERY_MS = 2_000;
const MAX_IN_FLIGHT = 50;

describe.skipIf(!engineUrl('redis'))('a Redis', () => {
  let redis: RedisServer;
  let engine: RedisEngine;
  let store: FsmStore;
  let name: string;
  beforeAll(async () => {
    redis = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always']);
    engine = await openRedis({
      url: redis.url,
      namespace: randomNamespace(),
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
      maxInFlight: MAX_IN_FLIGHT,
    });
    store = engine.fsmStore({ shardCount: 4 });
    name = await givenName(store);
    await givenMachine(store, name, 'm');
    await send(store, name, 'm', command('knock'));
  });
  afterAll(async () => {
    await engine.close();
    await redis.stop();
  });

  const isBack = () =>
    send(store, name, 'm', command('probe')).then(
      () => true,
      () => false,
    );

  it('that freezes: writes are EFFECT_UNKNOWN and reads STORE_UNAVAILABLE in time, and then at once', async () => {
    redis.pause();
    const event = command('knock');
    const started = performance.now();
    const results = await Promise.allSettled([
      send(store, name, 'm', event),
      store.createMachine({ ...MACHINE, configurationName: name }, never),
      getMachine(store, name, 'm'),
    ]);
    expect(performance.now() - started).toBeLessThan(COMMAND_TIMEOUT_MS * 2);
    expect(results.map(reasonOf)).toEqual(['EFFECT_UNKNOWN', 'EFFECT_UNKNOWN', 'STORE_UNAVAILABLE']);

    const again = performance.now();
    for (let i = 0; i < 20; i++)
      await expect(send(store, name, 'm', event)).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    expect(performance.now() - again).toBeLessThan(100);

    redis.resume();
    await eventually(isBack, 'the store is back by itself', RECOVERY_MS);
    const { length } = await historyOf(store, name, 'm');
    expect(await send(store, name, 'm', event)).toMatchObject({ outcome: { kind: 'applied' } });
    const events = (await historyOf(store, name, 'm')).filter(
      (entry) => entry.event.eventId === event.eventId,
    );
    expect(events).toHaveLength(1);
    expect((await historyOf(store, name, 'm')).length).toBeLessThanOrEqual(length + 1);
  });

  it('that freezes: a caller is let go when its own time is up, and no more than the bound waits', async () => {
    redis.pause();
    const started = performance.now();
    const deadline = AbortSignal.timeout(100);
    const all = await Promise.allSettled(
      Array.from({ length: MAX_IN_FLIGHT + 5 }, () => store.advance(name, 'm', [command('knock')], deadline)),
    );
    expect(performance.now() - started).toBeLessThan(COMMAND_TIMEOUT_MS / 2);
    const reasons = all.map(reasonOf);
    expect(reasons.filter((reason) => reason === 'EFFECT_UNKNOWN')).toHaveLength(MAX_IN_FLIGHT);
    expect(reasons.filter((reason) => reason === 'TOO_MANY_REQUESTS')).toHaveLength(5);
    redis.resume();
    await eventually(isBack, 'the store is back by itself', RECOVERY_MS);
  });

  it('that freezes while a process is idle: its first caller is let go in time too', async () => {
    // What a process knows of retention grows old within a second; then its next event asks first.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    redis.pause();
    const started = performance.now();
    const calls = Array.from({ length: 5 }, () =>
      store.advance(name, 'm', [command('knock')], AbortSignal.timeout(100)),
    );
    const reasons = (await Promise.allSettled(calls)).map(reasonOf);
    expect(performance.now() - started).toBeLessThan(COMMAND_TIMEOUT_MS / 2);
    expect(new Set(reasons)).toEqual(new Set(['STORE_UNAVAILABLE']));
    redis.resume();
    await eventually(isBack, 'the store is back by itself', RECOVERY_MS);
  });

  it('that is killed: calls fail at once, what was answered is there when it returns', async () => {
    const acknowledged = [];
    for (let i = 0; i < 50; i++) acknowledged.push(await send(store, name, 'm', command('knock')));
    const before = (await getMachine(store, name, 'm'))?.version;
    await redis.kill();
    const started = performance.now();
    for (let i = 0; i < 20; i++)
      await expect(send(store, name, 'm', command('knock'))).rejects.toMatchObject({ kind: 'unavailable' });
    expect(performance.now() - started).toBeLessThan(200);
    await redis.restart();
    await eventually(isBack, 'the store is back by itself', RECOVERY_MS);
    expect((await getMachine(store, name, 'm'))?.version).toBe(before);
  });

  it('that is killed ends a watch as unavailable; resumed from its cursor it misses nothing', async () => {
    const watcher = new Watcher(store, name, await store.tail(name, never));
    await send(store, name, 'm', command('knock', 'w1'));
    await watcher.seen(1);
    await redis.kill();
    expect(await watcher.ended).toMatchObject({ kind: 'unavailable' });
    await redis.restart();
    await eventually(isBack, 'the store is back by itself', RECOVERY_MS);
    await send(store, name, 'm', command('knock', 'w2'));
    const resumed = new Watcher(store, name, watcher.cursor ?? '');
    expect((await resumed.seen(1)).map(({ eventId }) => eventId)).toEqual(['w2']);
    await resumed.stop();
  });
});

const MACHINE = {
  configurationVersion: 'v1',
  id: 'late',
  uid: 'u',
  state: 'closed',
  requestId: 'r',
  requestHash: 'h',
};

function reasonOf(result: PromiseSettledResult<unknown>): string {
  if (result.status === 'fulfilled') return 'answered';
  return result.reason instanceof Fault ? result.reason.reason : String(result.reason);
}
