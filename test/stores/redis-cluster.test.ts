/** The law of the fsm store on a Redis Cluster of three nodes. */
import { describe } from 'vitest';
import { describeFsmStore } from '../conformance/fsm-store.js';
import { engineUrl } from '../support/backends.js';
import { opensOn, profileOn } from './redis-subject.js';

const url = engineUrl('redisCluster') ?? '';

describe.skipIf(url === '')('on a Redis Cluster', () => {
  describeFsmStore('Redis Cluster', opensOn(url), profileOn(url));
});
