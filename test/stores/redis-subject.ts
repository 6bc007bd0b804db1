/**
 * How a Redis, single or Cluster, is opened for the suite of laws. Each subject has a namespace of its
 * own on the shared engine, and two handles with nothing in common but that: two processes in effect.
 */
import { Cluster, Redis } from 'ioredis';
import { FsmKeys, type Shard } from '../../src/stores/redis/keys.js';
import { locationFrom } from '../../src/stores/redis/location.js';
import { openRedis } from '../../src/stores/redis/open.js';
import { encodeToken } from '../../src/stores/redis/tokens.js';
import type { FsmStoreProfile, OpenSubject, Subject } from '../conformance/subject.js';
import { randomNamespace } from '../support/backends.js';

export const SHARDS = 16;

const namespaces = new WeakMap<object, string>();

/** Opens subjects on the engine at `url`. */
export function opensOn(url: string): OpenSubject {
  return async (options = {}): Promise<Subject> => {
    const namespace = randomNamespace();
    const engines = await Promise.all([1, 2].map(() => openRedis({ url, namespace })));
    const [store, second] = engines.map((engine) => engine.fsmStore({ shardCount: SHARDS, ...options }));
    if (!store || !second) throw new Error('two engines make two stores');
    namespaces.set(store, namespace);
    return {
      store,
      second,
      close: async () => void (await Promise.all(engines.map((each) => each.close()))),
    };
  };
}

/** A plain connection of the driver, for what a test does behind the store's back. */
export async function withDriver<T>(url: string, use: (driver: Redis | Cluster) => Promise<T>): Promise<T> {
  const { addresses, isCluster } = locationFrom(url);
  const driver = isCluster ? new Cluster([...addresses]) : new Redis(url);
  try {
    return await use(driver);
  } finally {
    driver.disconnect();
  }
}

function keysOf(subject: Subject): FsmKeys {
  const namespace = namespaces.get(subject.store);
  if (namespace === undefined) throw new Error('not a store of this test');
  return new FsmKeys(namespace, SHARDS);
}

function shardsOf(subject: Subject, name: string): readonly Shard[] {
  return keysOf(subject).shards(name);
}

export function profileOn(url: string): FsmStoreProfile {
  return {
    shards: SHARDS,
    sharedByProcesses: true,
    clock: 'engine',
    reasons: [
      'machines are spread over hash slots, so that a Cluster shares the load',
      'any number of processes are served by one Redis',
      'the time is that of the Redis server, which no test sets',
    ],
    damage: (subject, { kind, name, id, state, configurationVersion }) =>
      withDriver(url, async (driver) => {
        const { index } = keysOf(subject).shardOf(name, id);
        const member = [state, configurationVersion, id].map(encodeToken).join('!');
        if (kind === 'add_entry') await driver.zadd(index, 0, member);
        else await driver.zrem(index, member);
      }),
    expireFeed: (subject, name) =>
      withDriver(url, async (driver) => {
        for (const { feed } of shardsOf(subject, name)) await driver.xtrim(feed, 'MAXLEN', '=', 0);
      }),
  };
}
