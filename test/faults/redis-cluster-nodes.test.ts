/** A node of a Redis Cluster that freezes or dies: the others go on, and a replica takes over. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fault } from '../../src/fault.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { FsmKeys } from '../../src/stores/redis/keys.js';
import { openRedis, type RedisEngine } from '../../src/stores/redis/open.js';
import {
  audit,
  command,
  getMachine,
  givenMachine,
  givenName,
  historyOf,
  never,
  send,
} from '../conformance/subject.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { RedisCluster, type RedisServer } from '../support/redis-server.js';
import { eventually } from '../support/waiting.js';

const SHARDS = 16;
const IDS = Array.from({ length: 24 }, (_, i) => `m${i}`);

describe.skipIf(!engineUrl('redisCluster'))('a Redis Cluster', () => {
  const namespace = randomNamespace();
  let cluster: RedisCluster;
  let engine: RedisEngine;
  let store: FsmStore;
  let name: string;
  beforeAll(async () => {
    cluster = await RedisCluster.start({
      replicasPerMaster: 1,
      args: ['--cluster-require-full-coverage', 'no'],
    });
    engine = await openRedis({ url: cluster.url, namespace, commandTimeoutMs: 500 });
    store = engine.fsmStore({ shardCount: SHARDS });
    name = await givenName(store);
    for (const id of IDS) {
      await givenMachine(store, name, id);
      await send(store, name, id, command('knock'));
    }
  }, 120_000);
  afterAll(async () => {
    await engine.close();
    await cluster.stop();
  });

  const keys = new FsmKeys(namespace, SHARDS);
  const answers = (id: string) =>
    send(store, name, id, command('probe')).then(
      () => true,
      () => false,
    );

  /** A node with machines, but without the registry that all of them need now and then. */
  async function victim(): Promise<{ node: RedisServer; ids: string[] }> {
    const ranges = (await cluster.nodes[0]?.command('CLUSTER', 'SLOTS')) as [
      number,
      number,
      [string, number],
    ][];
    const portOf = (slot: number) => ranges.find(([low, high]) => low <= slot && slot <= high)?.[2][1];
    const port = IDS.map((id) => portOf(keys.shardOf(name, id).slot)).find(
      (each) => each !== portOf(keys.registry.slot),
    );
    const node = cluster.nodes.find((each) => each.port === port);
    if (!node) throw new Error('every machine is on the node of the registry');
    return { node, ids: IDS.filter((id) => portOf(keys.shardOf(name, id).slot) === port) };
  }

  it('with a frozen node serves the machines of the others, and all again when it is back', async () => {
    const { node, ids } = await victim();
    node.pause();
    const results = await Promise.all(
      IDS.map((id) =>
        send(store, name, id, command('probe')).then(
          () => 'answered',
          (error: Fault) => error.kind,
        ),
      ),
    );
    node.resume();
    expect(results).toEqual(IDS.map((id) => (ids.includes(id) ? 'unavailable' : 'answered')));
    for (const id of ids) await eventually(() => answers(id), `${id} answers again`, 2_000);
  });

  it('that loses a node goes on with its replica, and what is there agrees', async () => {
    const { node, ids } = await victim();
    const [id = ''] = ids;
    let acknowledged = (await getMachine(store, name, id))?.version ?? 0;
    for (let i = 0; i < 500; i++) {
      await send(store, name, id, command('knock'));
      acknowledged++;
    }
    await node.kill();
    const killed = performance.now();
    await expect(send(store, name, id, command('knock'))).rejects.toBeInstanceOf(Fault);
    await eventually(() => answers(id), 'the replica has taken over', 20_000);
    const version = (await getMachine(store, name, id))?.version ?? 0;
    console.info(
      `failover: ${Math.round(performance.now() - killed)} ms, ${Math.max(0, acknowledged - version)} of 500 acknowledged events lost`,
    );
    const history = await historyOf(store, name, id, { limit: 1000 });
    expect(history.map((entry) => entry.version)).toEqual(Array.from({ length: version }, (_, i) => i + 1));
    expect((await audit(store, name)).differences).toEqual([]);
    for (const each of IDS)
      expect(await send(store, name, each, command('knock'))).toMatchObject({ kind: 'outcome' });
    await store.ping(never);
  });
});
