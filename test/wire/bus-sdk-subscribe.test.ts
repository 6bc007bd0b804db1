/** Subscriptions of the SDK outlive their server: nothing is lost, nothing comes twice, and gaps are told. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyJson, connect, type SubscribeEvent, type Switchgear } from '../../src/client/index.js';
import type { ServerProcess } from '../support/server-process.js';
import { deferred, eventually } from '../support/waiting.js';
import { STORES } from './cli-support.js';

describe.each(STORES)('a subscription on $name', ({ isMissing, start }) => {
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

    const write = async (stream: string, from: number, to: number) => {
      for (let i = from; i < to; i += 1)
        await switchgear.bus.writeEvent({
          stream,
          event: { type: i % 2 === 0 ? 'even' : 'odd', body: { i } },
        });
    };

    async function take(events: AsyncIterable<SubscribeEvent>, count: number) {
      const numbers: number[] = [];
      let cursor = '';
      for await (const each of events) {
        if (each.kind === 'event') numbers.push((bodyJson(each.event) as { i: number }).i);
        if ('cursor' in each && each.cursor) cursor = each.cursor;
        if (numbers.length === count) break;
      }
      return { numbers, cursor };
    }

    it.each(['SIGTERM', 'SIGKILL'] as const)(
      'goes on where it was after %s and a restart',
      async (signal) => {
        const stream = `restart-${signal}`;
        await switchgear.bus.createStream({ name: stream });
        await write(stream, 0, 10);
        const seen: number[] = [];
        const controller = new AbortController();
        const subscribing = (async () => {
          const request = { stream, from: 'beginning' } as const;
          for await (const each of switchgear.bus.subscribe(request, { signal: controller.signal }))
            if (each.kind === 'event') seen.push((bodyJson(each.event) as { i: number }).i);
        })();
        await write(stream, 10, 50);
        await eventually(() => seen.length === 50, 'the first have come');
        server.signal(signal);
        await server.exited;
        await server.restart();
        await write(stream, 50, 100);
        await eventually(() => seen.length >= 100, 'the others have come');
        controller.abort();
        await subscribing;
        expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i));
      },
    );

    it('from now loses nothing that is written while the server is away before its first frame', async () => {
      await switchgear.bus.createStream({ name: 'now' });
      await write('now', 0, 5);
      const taking = take(switchgear.bus.subscribe({ stream: 'now' }), 10);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await server.kill();
      await server.restart();
      await write('now', 5, 15);
      expect((await taking).numbers).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    });

    it('begins at a sequence, at a time, or after a cursor, and filters', async () => {
      await switchgear.bus.createStream({ name: 'places' });
      await write('places', 0, 20);
      const first = await take(switchgear.bus.subscribe({ stream: 'places', from: { seq: 11 } }), 10);
      expect(first.numbers).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
      const time = new Date(Date.now() - 60_000);
      expect((await take(switchgear.bus.subscribe({ stream: 'places', from: { time } }), 3)).numbers).toEqual(
        [0, 1, 2],
      );
      const next = take(switchgear.bus.subscribe({ stream: 'places', cursor: first.cursor }), 2);
      await write('places', 20, 22);
      expect((await next).numbers).toEqual([20, 21]);
      const filter = { types: ['odd'] };
      const odd = switchgear.bus.subscribe({ stream: 'places', from: 'beginning', filter });
      expect((await take(odd, 3)).numbers).toEqual([1, 3, 5]);
    });

    it('tells what is gone', async () => {
      await switchgear.bus.createStream({
        name: 'gap',
        settings: { maxEvents: 10, overflow: 'drop_oldest' },
      });
      await write('gap', 0, 1);
      const first = await take(switchgear.bus.subscribe({ stream: 'gap', from: 'beginning' }), 1);
      await write('gap', 1, 40);
      for await (const each of switchgear.bus.subscribe({ stream: 'gap', cursor: first.cursor })) {
        expect(each).toMatchObject({ kind: 'gap', fromSeq: 2n });
        break;
      }
    });

    it('ends when its stream is deleted', async () => {
      await switchgear.bus.createStream({ name: 'deleted' });
      const first = deferred<void>();
      const subscribing = (async () => {
        for await (const _ of switchgear.bus.subscribe({ stream: 'deleted', from: 'beginning' }))
          first.resolve();
      })();
      const ended = expect(subscribing).rejects.toMatchObject({ name: 'StreamNotFoundError' });
      await write('deleted', 0, 1);
      await first.promise;
      await switchgear.bus.deleteStream({ name: 'deleted' });
      await ended;
    });
  });
});
