/** The law of the bus store on one Redis, and what holds for this backend alone. */
import { describe } from 'vitest';
import { describeBusStore } from '../conformance/bus/bus-store.js';
import { engineUrl } from '../support/backends.js';
import { busOnRedis, opensBusOn } from './bus-redis-subject.js';

const url = engineUrl('redis') ?? '';

describe.skipIf(url === '')('on a Redis', () => {
  describeBusStore('Redis', opensBusOn(url), busOnRedis);
});
