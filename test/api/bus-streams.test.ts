/** ProcessEvents, RetryEvents and Subscribe over a real port, on each store. */
import { describe } from 'vitest';
import { engineUrl } from '../support/backends.js';
import { openEmbedded, openSharedRedis } from './bus-server.js';
import { describeBusStreams } from './bus-streams.js';

describe('on the embedded store', () => describeBusStreams(openEmbedded));

describe.skipIf(!engineUrl('redis'))('on Redis', () => describeBusStreams(openSharedRedis));
