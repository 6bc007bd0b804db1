/** The law of the bus store on a Redis Cluster of three nodes. */
import { describe } from 'vitest';
import { describeBusStore } from '../conformance/bus/bus-store.js';
import { engineUrl } from '../support/backends.js';
import { busOnRedis, opensBusOn } from './bus-redis-subject.js';

const url = engineUrl('redisCluster') ?? '';

describe.skipIf(url === '')('on a Redis Cluster', () => {
  describeBusStore('Redis Cluster', opensBusOn(url), busOnRedis);
});
