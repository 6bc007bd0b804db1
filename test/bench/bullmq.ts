/**
 * BullMQ on the same Redis, as its users run it: jobs added in bulk, and a worker with much concurrency
 * whose processor does nothing. Finished jobs are removed, or Redis would be measured with ever more of them.
 */
import { randomUUID } from 'node:crypto';
import { Queue, Worker } from 'bullmq';
import { JOB } from './bus-requests.js';
import { SECONDS } from './report.js';

const CONCURRENCY = 200;
/** More at once gain nothing here. */
const CALLERS = 8;

export class BullMq {
  readonly #connection: { host: string; port: number; maxRetriesPerRequest: null };

  constructor(port: number) {
    this.#connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
  }

  /** Adds jobs for a turn, `bulk` at a time; jobs a second. */
  async add(bulk: number): Promise<{ perSecond: number }> {
    return this.#withQueue((queue) => fill(queue, bulk, { seconds: SECONDS }));
  }

  /** Works off `count` jobs that are there; jobs a second. */
  async work(count: number): Promise<{ perSecond: number }> {
    return this.#withQueue(async (queue) => {
      await fill(queue, 1_000, { count });
      const startMs = performance.now();
      const worker = new Worker(queue.name, async () => {}, {
        connection: this.#connection,
        concurrency: CONCURRENCY,
      });
      await new Promise<void>((resolve) => {
        let done = 0;
        worker.on('completed', () => {
          done += 1;
          if (done === count) resolve();
        });
      });
      const perSecond = (count * 1_000) / (performance.now() - startMs);
      await worker.close();
      return { perSecond };
    });
  }

  async #withQueue<T>(work: (queue: Queue) => Promise<T>): Promise<T> {
    const queue = new Queue(`bench-${randomUUID()}`, { connection: this.#connection });
    await queue.waitUntilReady();
    try {
      return await work(queue);
    } finally {
      await queue.obliterate({ force: true });
      await queue.close();
    }
  }
}

async function fill(
  queue: Queue,
  bulk: number,
  until: { seconds: number } | { count: number },
): Promise<{ perSecond: number }> {
  const jobs = Array.from({ length: bulk }, () => ({ ...JOB, opts: { removeOnComplete: true } }));
  let added = 0;
  const startMs = performance.now();
  const isOver = () =>
    'count' in until ? added >= until.count : performance.now() - startMs > until.seconds * 1_000;
  const caller = async () => {
    while (!isOver()) {
      // Counted before they are there, so that the callers together add no more than was asked for.
      added += bulk;
      await queue.addBulk(jobs);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return { perSecond: (added * 1_000) / (performance.now() - startMs) };
}
