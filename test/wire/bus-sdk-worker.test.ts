/** Workers of the SDK: every event has its turn, through failures, slow handlers, restarts and closing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bodyJson,
  connect,
  type Delivery,
  retryAfter,
  StreamNotFoundError,
  type Switchgear,
} from '../../src/client/index.js';
import type { ServerProcess } from '../support/server-process.js';
import { deferred, eventually } from '../support/waiting.js';
import { STORES } from './cli-support.js';

const SECOND = { ackDeadlineMs: 1_000, maxAttempts: 0, minBackoffMs: 10, maxBackoffMs: 50 };

describe.each(STORES)('a worker on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let switchgear: Switchgear;
    beforeAll(async () => {
      server = await start();
      switchgear = connect(server.grpcAddress, { timeoutMs: 20_000 });
    });
    afterAll(async () => {
      switchgear?.close();
      await server?.dispose();
    });

    const numbers = (count: number, from = 0, keys = 5) =>
      Array.from({ length: count }, (_, i) => ({ body: { i: from + i }, orderingKey: `k-${i % keys}` }));
    const numberOf = ({ event }: Delivery) => (bodyJson(event) as { i: number }).i;

    async function given(stream: string, count: number, settings = SECOND, keys = 5): Promise<void> {
      await switchgear.bus.createStream({ name: stream });
      await switchgear.bus.createGroup({ stream, group: 'g', settings });
      for (let i = 0; i < count; i += 1_000)
        await switchgear.bus.writeEvents({ stream, events: numbers(Math.min(1_000, count - i), i, keys) });
    }

    async function standing(stream: string) {
      const { groups } = await switchgear.bus.getStreamInfo(stream);
      return groups.find(({ group }) => group?.name === 'g')!;
    }

    const nothingLeft = (stream: string) => async () => {
      const { lag, unprocessed = 0n, leased, retrying, waiting } = await standing(stream);
      return lag + unprocessed + leased + retrying + waiting === 0n;
    };

    it('handles every event once, those of a key in order and one at a time, and more as they come', async () => {
      await given('all', 500);
      const seen: number[] = [];
      const inHand = new Map<string, number>();
      const worker = switchgear.bus.process(
        'all',
        async (delivery) => {
          const key = delivery.event.orderingKey;
          inHand.set(key, (inHand.get(key) ?? 0) + 1);
          expect(inHand.get(key)).toBe(1);
          await sleep(0);
          seen.push(numberOf(delivery));
          inHand.set(key, 0);
        },
        { group: 'g' },
      );
      await eventually(() => seen.length === 500, 'all are handled');
      await switchgear.bus.writeEvents({ stream: 'all', events: numbers(100, 500) });
      await eventually(nothingLeft('all'), 'all are marked');
      await worker.close();
      await worker.done;
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 600 }, (_, i) => i));
      for (let key = 0; key < 5; key += 1) {
        const ofKey = seen.filter((i) => i % 5 === key);
        expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b));
      }
    });

    it('shares a group with others: no event goes to two of them', async () => {
      await given('shared', 400);
      const seen: number[] = [];
      const workers = [1, 2, 3].map(() =>
        switchgear.bus.process('shared', (delivery) => void seen.push(numberOf(delivery)), { group: 'g' }),
      );
      await eventually(nothingLeft('shared'), 'all are marked');
      await Promise.all(workers.map((worker) => worker.close()));
      expect([seen.length, new Set(seen).size]).toEqual([400, 400]);
    });

    it('ends when nothing is left, unless it follows', async () => {
      await given('drained', 300);
      let handled = 0;
      const options = { group: 'g', follow: false, maxOutstanding: 20 };
      const worker = switchgear.bus.process(
        'drained',
        () => {
          handled += 1;
        },
        options,
      );
      await worker.done;
      expect(handled).toBe(300);
      expect(await nothingLeft('drained')()).toBe(true);
    });

    it('brings back what a handler threw, with its attempt, at the time that it chose', async () => {
      await given('thrown', 2);
      const turns: [number, number, number][] = [];
      const failures: unknown[] = [];
      const startMs = performance.now();
      await using worker = switchgear.bus.process(
        'thrown',
        (delivery) => {
          turns.push([numberOf(delivery), delivery.attempt, performance.now() - startMs]);
          if (delivery.attempt > 1) return;
          throw numberOf(delivery) === 0 ? new Error('no') : retryAfter(700);
        },
        { group: 'g', onSettled: (_, { failure }) => failures.push(failure) },
      );
      await eventually(() => failures.length === 4, 'both had two turns');
      expect(turns.map(([i, attempt]) => [i, attempt])).toEqual([
        [0, 1],
        [1, 1],
        [0, 2],
        [1, 2],
      ]);
      expect(turns[3]![2] - turns[1]![2]).toBeGreaterThanOrEqual(695);
      expect(failures.filter(Boolean)).toHaveLength(2);
      await worker.close();
    });

    it('keeps its leases while handlers run for longer than one lasts, and while events wait for them', async () => {
      await given('slow', 6);
      const turns: [number, number][] = [];
      const lost: number[] = [];
      await using worker = switchgear.bus.process(
        'slow',
        async (delivery) => {
          turns.push([numberOf(delivery), delivery.attempt]);
          delivery.signal.addEventListener('abort', () => lost.push(numberOf(delivery)));
          await sleep(1_800);
        },
        { group: 'g', concurrency: 3 },
      );
      await eventually(nothingLeft('slow'), 'all are marked');
      await worker.close();
      expect(turns).toEqual([0, 1, 2, 3, 4, 5].map((i) => [i, 1]));
      expect(lost).toEqual([]);
    });

    it('tells a handler that its lease was lost, and does not mark its event', async () => {
      await given('lost', 1);
      const begun = deferred<void>();
      const told = deferred<unknown>();
      const settled = deferred<unknown>();
      await using worker = switchgear.bus.process(
        'lost',
        async ({ signal }) => {
          begun.resolve();
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
          told.resolve(signal.reason);
        },
        { group: 'g', follow: false, onSettled: (_, how) => settled.resolve(how) },
      );
      await begun.promise;
      await switchgear.bus.seekGroup({ stream: 'lost', group: 'g', to: 'end' });
      expect(await told.promise).toMatchObject({ message: expect.stringMatching(/lease is lost/) });
      expect(await settled.promise).toMatchObject({ mark: undefined, result: { result: 'stale' } });
      await worker.done;
    });

    it('closes gracefully: finishes what runs, gives back what was not begun, and takes no more', async () => {
      await given('closed', 100, { ...SECOND, ackDeadlineMs: 60_000 });
      const begun: number[] = [];
      let finished = 0;
      const worker = switchgear.bus.process(
        'closed',
        async (delivery) => {
          begun.push(numberOf(delivery));
          await sleep(300);
          finished += 1;
        },
        { group: 'g', concurrency: 4, maxOutstanding: 40 },
      );
      await eventually(() => begun.length >= 4, 'handlers run');
      await worker.close();
      await worker.done;
      expect(finished).toBe(begun.length);
      expect(begun.length).toBeLessThan(10);
      const { leased, retrying } = await standing('closed');
      expect([leased, retrying]).toEqual([0n, 0n]);
      const again: number[] = [];
      const attempts = new Set<number>();
      const next = switchgear.bus.process(
        'closed',
        (delivery) => {
          again.push(numberOf(delivery));
          attempts.add(delivery.attempt);
        },
        { group: 'g', follow: false },
      );
      await next.done;
      expect([...begun, ...again].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
      expect([...attempts]).toEqual([1]);
    });

    it('waits for handlers no longer than its grace, and tells them', async () => {
      await given('stubborn', 1);
      const begun = deferred<void>();
      const controller = new AbortController();
      const worker = switchgear.bus.process(
        'stubborn',
        async ({ signal }) => {
          begun.resolve();
          await sleep(60_000, undefined, { signal });
        },
        { group: 'g', graceMs: 100, signal: controller.signal, onSettled: () => {} },
      );
      await begun.promise;
      const closedMs = performance.now();
      controller.abort();
      await worker.done;
      expect(performance.now() - closedMs).toBeLessThan(3_000);
    });

    it.each(['SIGTERM', 'SIGKILL'] as const)(
      'goes on after %s and a restart of the server: every event has its turn, and none after its mark',
      async (signal) => {
        const stream = `restart-${signal}`;
        await given(stream, 2_000, SECOND, 100);
        const marked = new Set<number>();
        const afterMark: number[] = [];
        const seen = new Set<number>();
        const worker = switchgear.bus.process(
          stream,
          async (delivery) => {
            const i = numberOf(delivery);
            if (marked.has(i)) afterMark.push(i);
            seen.add(i);
            await sleep(1);
          },
          {
            group: 'g',
            concurrency: 16,
            onSettled: (delivery, { mark, result }) => {
              if (mark === 'processed' && 'result' in result && result.result === 'ok')
                marked.add(numberOf(delivery));
            },
          },
        );
        await eventually(() => seen.size > 400, 'it is in the middle');
        server.signal(signal);
        await server.exited;
        await server.restart();
        await eventually(nothingLeft(stream), 'all are marked', 25_000);
        await worker.close();
        await worker.done;
        expect(seen.size).toBe(2_000);
        expect(afterMark).toEqual([]);
      },
    );

    it('ends with the error when its stream is deleted', async () => {
      await given('deleted', 1);
      const handled = deferred<void>();
      const worker = switchgear.bus.process('deleted', () => handled.resolve(), { group: 'g' });
      await handled.promise;
      const ended = expect(worker.done).rejects.toBeInstanceOf(StreamNotFoundError);
      await switchgear.bus.deleteStream({ name: 'deleted' });
      await ended;
      await worker.close();
    });

    it('ends, and does not come back, when its connection is closed by its owner', async () => {
      await given('unplugged', 1);
      const own = connect(server.grpcAddress);
      const handled = deferred<void>();
      const worker = own.bus.process('unplugged', () => handled.resolve(), { group: 'g', graceMs: 100 });
      await handled.promise;
      const ended = expect(worker.done).rejects.toThrow(/connection was closed/);
      own.close();
      await ended;
      await worker.close();
    });

    it('retries what failed, due or not, each event once', async () => {
      await given('failed', 20, { ...SECOND, minBackoffMs: 60_000, maxBackoffMs: 60_000 });
      const fail = () => {
        throw new Error('no');
      };
      const options = { group: 'g', follow: false, onSettled: () => {} };
      // Each key comes on only when its first event is done with.
      await switchgear.bus.process('failed', fail, options).done;
      const turns: number[] = [];
      await switchgear.bus.retry(
        'failed',
        (delivery) => {
          turns.push(delivery.attempt);
          if (numberOf(delivery) === 0) fail();
        },
        { group: 'g', onSettled: () => {} },
      ).done;
      expect(turns).toEqual(Array(5).fill(2));
      expect((await standing('failed')).retrying).toBe(1n);
    });
  });
});
