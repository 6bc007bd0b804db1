/** The law of the fsm store on one Redis, and what holds for this backend alone. */
import { describe } from 'vitest';
import { describeFsmStore } from '../conformance/fsm-store.js';
import { engineUrl } from '../support/backends.js';
import { opensOn, profileOn } from './redis-subject.js';

const url = engineUrl('redis') ?? '';

describe.skipIf(url === '')('on a Redis', () => {
  describeFsmStore('Redis', opensOn(url), profileOn(url));
});
