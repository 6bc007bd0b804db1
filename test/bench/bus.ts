/** The figures of the event bus, in their order; bus-*.ts have how each is measured. */
import { BullMq } from './bullmq.js';
import { latencyOfBatches, latencyOfWrites } from './bus-latency.js';
import { markCost } from './bus-mark.js';
import { idleStreams, stalledReaders } from './bus-readers.js';
import { PATH, writes } from './bus-requests.js';
import { deliver, writeEvent, writeEvents } from './bus-throughput.js';
import type { Servers } from './servers.js';
import { turn } from './turns.js';

export async function measureBus({ echo, redis, lmdb }: Servers): Promise<void> {
  const bullMq = new BullMq(redis.redis.port);
  const stores = [redis, lmdb];
  for (const store of stores) await writeEvent(echo, store);
  for (const store of stores) await writeEvents(store, bullMq);
  for (const store of stores) await deliver(store, bullMq);
  const { perSecond } = await turn(echo, PATH.write, writes(['orders']));
  for (const store of stores) await latencyOfWrites(store, perSecond);
  for (const store of stores) await latencyOfBatches(store);
  for (const store of stores) await markCost(store);
  for (const store of stores) await stalledReaders(store);
  for (const store of stores) await idleStreams(store);
}
