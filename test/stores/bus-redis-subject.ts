/** How a Redis, single or Cluster, is opened for the laws of the bus: two handles, two processes in effect. */
import type { RedisBusStore } from '../../src/stores/redis/bus.js';
import { openRedis } from '../../src/stores/redis/open.js';
import { type BusStoreProfile, type OpenBus, Told } from '../conformance/bus/subject.js';
import { randomNamespace } from '../support/backends.js';

export function opensBusOn(url: string): OpenBus {
  return async () => {
    const namespace = randomNamespace();
    const engines = await Promise.all([1, 2].map(() => openRedis({ url, namespace })));
    const told = [new Told(), new Told()];
    const stores = engines.map((engine, i) => engine.busStore(told[i]) as RedisBusStore);
    // Laws say what a write lets go of; the sweep in the background would be faster now and then.
    for (const each of stores) each.close();
    const [store, second] = stores;
    if (!store || !second) throw new Error('two engines make two stores');
    const close = async () => void (await Promise.all(engines.map((each) => each.close())));
    return { store, second, told, close };
  };
}

export const busOnRedis: BusStoreProfile = {
  sharedByProcesses: true,
  clock: 'engine',
  scales: true,
  reasons: [
    'any number of processes are served by one Redis',
    'the time is that of the Redis server, which no test sets',
  ],
};
