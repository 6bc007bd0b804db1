/** How a Redis, single or Cluster, is opened for the laws of the bus: two handles, two processes in effect. */
import { openRedis } from '../../src/stores/redis/open.js';
import type { BusStoreProfile, OpenBus } from '../conformance/bus/subject.js';
import { randomNamespace } from '../support/backends.js';

export function opensBusOn(url: string): OpenBus {
  return async () => {
    const namespace = randomNamespace();
    const engines = await Promise.all([1, 2].map(() => openRedis({ url, namespace })));
    const [store, second] = engines.map((engine) => engine.busStore());
    if (!store || !second) throw new Error('two engines make two stores');
    const close = async () => void (await Promise.all(engines.map((each) => each.close())));
    return { store, second, close };
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
