/**
 * A reply of Redis that is lost between execution and answer, for every verb that changes something, on
 * one server and on a Cluster: the caller learns that the effect is unknown, and the same call again has
 * one effect in all.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Reason } from '../../src/fault.js';
import type { ChangeBatch, FsmStore } from '../../src/fsm/store.js';
import { openRedis, type RedisEngine } from '../../src/stores/redis/open.js';
import { chunk, refusal, swinging, word } from '../conformance/past.js';
import {
  audit,
  command,
  content,
  gist,
  givenMachine,
  givenName,
  historyOf,
  listAll,
  listVersions,
  never,
  newMachine,
  newName,
  send,
} from '../conformance/subject.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { FlakyProxy } from '../support/flaky-proxy.js';
import { RedisCluster, RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/waiting.js';
import { Load } from './redis-load.js';

/** An engine behind proxies that a test can cut. */
interface Cuttable {
  readonly url: string;
  readonly proxies: readonly FlakyProxy[];
  stop(): Promise<void>;
}

async function startSingle(): Promise<Cuttable> {
  const redis = await RedisServer.start();
  const proxy = await FlakyProxy.start({ port: redis.port });
  const stop = async () => void (await Promise.all([proxy.stop(), redis.stop()]));
  return { url: `redis://127.0.0.1:${proxy.port}`, proxies: [proxy], stop };
}

/** Each node tells the port of its proxy, so that clients come by the proxies whatever they are told. */
async function startCluster(): Promise<Cuttable> {
  const cluster = await RedisCluster.start();
  const proxies = await Promise.all(cluster.nodes.map(({ port }) => FlakyProxy.start({ port })));
  for (const [i, node] of cluster.nodes.entries())
    await node.command('CONFIG', 'SET', 'cluster-announce-port', proxies[i]?.port ?? 0);
  const announced = async () => {
    const tables = await Promise.all(cluster.nodes.map((node) => node.command('CLUSTER', 'SLOTS')));
    return tables.every((table) => proxies.every(({ port }) => JSON.stringify(table).includes(String(port))));
  };
  await eventually(announced, 'every node tells the ports of the proxies', 20_000);
  const stop = async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await cluster.stop();
  };
  return {
    url: `redis+cluster://${proxies.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    proxies,
    stop,
  };
}

/** Arms every proxy for the next script that comes by any of them; resolves when its reply was lost. */
function loseNextReply(proxies: readonly FlakyProxy[], verb = 'eval'): Promise<void> {
  let isTaken = false;
  const matches = (bytes: Buffer) => {
    if (isTaken || !bytes.includes(verb)) return false;
    isTaken = true;
    return true;
  };
  return Promise.race(proxies.map((proxy) => proxy.dropNextReply(matches)));
}

/** Runs `call` with the reply of its script lost after execution; fails unless it rejects with `reason`. */
async function withReplyLost(
  proxies: readonly FlakyProxy[],
  reason: Reason,
  call: () => Promise<unknown>,
): Promise<void> {
  const lost = loseNextReply(proxies);
  await expect(call()).rejects.toMatchObject({ name: 'Fault', reason });
  await lost;
}

describe.skipIf(!engineUrl('redis')).each([
  ['a Redis', startSingle],
  ['a Redis Cluster', startCluster],
])('a reply of %s that is lost after execution', (_, start) => {
  let engine: Cuttable;
  const opened: RedisEngine[] = [];
  beforeAll(async () => {
    engine = await start();
  });
  afterAll(async () => {
    await Promise.all(opened.map((each) => each.close()));
    await engine.stop();
  });

  /** Each test runs a verb once before its reply is lost: a NOSCRIPT that is lost would prove nothing. */
  async function givenStore(): Promise<FsmStore> {
    const redis = await openRedis({ url: engine.url, namespace: randomNamespace() });
    opened.push(redis);
    return redis.fsmStore({ shardCount: 4 });
  }

  /** The store has seen the loss and is connected again. */
  const back = (store: FsmStore) =>
    eventually(
      () =>
        store.ping(never).then(
          () => true,
          () => false,
        ),
      'the store is back',
      2_000,
    );

  it('of an event: the same event again is answered with the first outcome, once applied', async () => {
    const store = await givenStore();
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    await send(store, name, 'm', command('knock'));
    const event = command('open', 'e1');
    await withReplyLost(engine.proxies, 'EFFECT_UNKNOWN', () => send(store, name, 'm', event));
    await back(store);
    expect(await send(store, name, 'm', event)).toMatchObject({
      outcome: { kind: 'applied', version: 2 },
      replayed: true,
    });
    expect(await historyOf(store, name, 'm')).toHaveLength(2);
    expect((await audit(store, name)).differences).toEqual([]);
  });

  it('of a batch: each of its events is applied once', async () => {
    const store = await givenStore();
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    await send(store, name, 'm', command('knock'));
    const batch = Array.from({ length: 50 }, () => command('knock'));
    await withReplyLost(engine.proxies, 'EFFECT_UNKNOWN', () => store.advance(name, 'm', batch, never));
    await back(store);
    const answers = await store.advance(name, 'm', batch, never);
    expect(new Set(answers.map(gist))).toEqual(new Set(['applied again']));
    expect((await historyOf(store, name, 'm')).map(({ version }) => version)).toEqual(
      batch.map((_, i) => i + 1).concat(51),
    );
  });

  it('of creating a machine: the same request again meets the machine it made', async () => {
    const store = await givenStore();
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    const asked = newMachine(name, 'm', { requestId: 'r1' });
    await store.deleteMachine(name, 'm', undefined, never);
    await withReplyLost(engine.proxies, 'EFFECT_UNKNOWN', () => store.createMachine(asked, never));
    await back(store);
    const again = await store.createMachine({ ...asked, uid: randomUUID() }, never);
    expect(again).toMatchObject({ kind: 'replayed', machine: { uid: asked.uid } });
    expect(await listAll(store, name)).toHaveLength(1);
  });

  it('of deleting a machine: again it is absent, and was announced once', async () => {
    const store = await givenStore();
    const name = await givenName(store);
    await store.deleteMachine(name, 'other', undefined, never);
    await givenMachine(store, name, 'm');
    const cursor = await store.tail(name, never);
    await withReplyLost(engine.proxies, 'EFFECT_UNKNOWN', () =>
      store.deleteMachine(name, 'm', undefined, never),
    );
    await back(store);
    expect(await store.deleteMachine(name, 'm', undefined, never)).toEqual({ kind: 'absent' });
    const feed = store.watch(name, cursor, never)[Symbol.asyncIterator]();
    const first = await feed.next();
    expect((first.value as ChangeBatch | undefined)?.changes.map(({ kind }) => kind)).toEqual(['deleted']);
    await feed.return?.(undefined);
  });

  it('of importing a chunk: again it is there already, and the next one goes on from it', async () => {
    const store = await givenStore();
    const name = await givenName(store);
    await store.importMachine(chunk(name, swinging(1, 3), { id: 'other' }), never);
    const first = chunk(name, swinging(1, 50), { refused: [refusal('r', 'open', 1)] });
    await withReplyLost(engine.proxies, 'EFFECT_UNKNOWN', () => store.importMachine(first, never));
    await back(store);
    expect(word(await store.importMachine(first, never))).toBe('there already');
    const next = chunk(name, swinging(51, 50), { firstVersion: 51 });
    expect(word(await store.importMachine(next, never))).toBe('written');
    expect((await historyOf(store, name, 'm')).map(({ event }) => event.eventId)).toEqual(
      swinging(1, 100).map(({ event }) => event.eventId),
    );
    expect((await audit(store, name)).differences).toEqual([]);
  });

  it('of creating a configuration: the same content again is the same configuration, listed once', async () => {
    const store = await givenStore();
    await givenName(store);
    const definition = content({ name: newName() });
    await withReplyLost(engine.proxies, 'EFFECT_UNKNOWN', () => store.createConfiguration(definition, never));
    await back(store);
    expect((await store.createConfiguration(definition, never)).kind).toBe('same');
    expect(await listVersions(store, definition.name, 10)).toEqual(['v1']);
  });

  it('of setting retention: with the revision expected it is seen to have been set', async () => {
    const store = await givenStore();
    const name = await givenName(store);
    await store.setRetention(name, 9, undefined, never);
    await withReplyLost(engine.proxies, 'EFFECT_UNKNOWN', () => store.setRetention(name, 5, 1, never));
    await back(store);
    expect(await store.setRetention(name, 5, 1, never)).toEqual({
      kind: 'revision_mismatch',
      retention: { historyMaxCount: 5, revision: 2 },
    });
  });

  it('of a read is STORE_UNAVAILABLE: it had no effect', async () => {
    const store = await givenStore();
    const name = await givenName(store);
    await store.getMachine(name, 'm', 1, never);
    await withReplyLost(engine.proxies, 'STORE_UNAVAILABLE', () => store.getMachine(name, 'm', 1, never));
    await back(store);
  });

  it('under load, again and again: every event that was sent until it was answered is applied once', async () => {
    const load = await Load.start(await givenStore(), 8);
    for (let cuts = 0; cuts < 10; cuts++) {
      await loseNextReply(engine.proxies, 'evalsha');
      await load.answered(50);
    }
    await load.stop();
    expect(load.faults.get('EFFECT_UNKNOWN')).toBeGreaterThanOrEqual(10);
    await load.expectNothingLostOrDoubled();
  });
});
