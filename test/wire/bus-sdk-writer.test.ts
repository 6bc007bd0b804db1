/** The batching writer of the SDK: order, one effect each, backpressure, refusals of single events. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bodyJson,
  connect,
  InvalidFieldError,
  type Switchgear,
  type WrittenEvent,
} from '../../src/client/index.js';
import type { ServerProcess } from '../support/server-process.js';
import { eventually } from '../support/waiting.js';
import { STORES } from './cli-support.js';

describe.each(STORES)('a writer on $name', ({ isMissing, start }) => {
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

    async function numbersIn(stream: string): Promise<number[]> {
      const numbers: number[] = [];
      for await (const event of switchgear.bus.getStreamEvents({ stream }))
        numbers.push((bodyJson(event) as { i: number }).i);
      return numbers;
    }

    it('writes in the order of the calls, and the end of its block flushes', async () => {
      await switchgear.bus.createStream({ name: 'order' });
      const written: Promise<WrittenEvent>[] = [];
      {
        await using writer = switchgear.bus.writer('order');
        for (let i = 0; i < 3_500; i += 1) {
          await writer.ready;
          written.push(writer.write({ body: { i } }));
        }
      }
      const seqs = (await Promise.all(written)).map(({ seq }) => Number(seq));
      expect(seqs).toEqual(Array.from({ length: 3_500 }, (_, i) => i + 1));
      expect(await numbersIn('order')).toEqual(Array.from({ length: 3_500 }, (_, i) => i));
    });

    it('keeps batches to their size: large events travel in several', async () => {
      await switchgear.bus.createStream({ name: 'large' });
      await using writer = switchgear.bus.writer('large');
      const body = new Uint8Array(700_000).fill(7);
      const written = await Promise.all(Array.from({ length: 10 }, () => writer.write({ body })));
      expect(written.map(({ seq }) => Number(seq))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    });

    it('fails an event that is refused for itself, and writes the others of its batch', async () => {
      await switchgear.bus.createStream({ name: 'refused' });
      const writer = switchgear.bus.writer('refused');
      const all = [1, 2, 3].map((i) =>
        writer.write({ body: { i }, ...(i === 2 && { type: 'x'.repeat(200) }) }),
      );
      const [first, second, third] = await Promise.allSettled(all);
      expect([first?.status, third?.status]).toEqual(['fulfilled', 'fulfilled']);
      expect(second).toMatchObject({ status: 'rejected', reason: expect.any(InvalidFieldError) });
      expect(await numbersIn('refused')).toEqual([1, 3]);
      await expect(writer.flush()).rejects.toBeInstanceOf(InvalidFieldError);
      await writer.close();
      await expect(writer.write({})).rejects.toThrow(/closed/);
    });

    it('holds writers back that wait for room, while nobody answers', async () => {
      await switchgear.bus.createStream({ name: 'room' });
      const writer = switchgear.bus.writer('room', { maxWaitingEvents: 100 });
      server.pause();
      let given = 0;
      const writing = (async () => {
        for (; given < 150; given += 1) {
          await writer.ready;
          void writer.write({ body: { i: given } });
        }
      })();
      await eventually(() => given === 100, 'it is full');
      server.resume();
      await writing;
      await writer.close();
      expect(await numbersIn('room')).toHaveLength(150);
    });

    it.each(['SIGTERM', 'SIGKILL'] as const)(
      'writes every event once and in order across %s and a restart of the server',
      async (signal) => {
        const stream = `restart-${signal}`;
        await switchgear.bus.createStream({ name: stream });
        await using writer = switchgear.bus.writer(stream, { maxBatchEvents: 50, maxWaitingEvents: 200 });
        let restarted: Promise<void> | undefined;
        const written: Promise<WrittenEvent>[] = [];
        for (let i = 0; i < 5_000; i += 1) {
          await writer.ready;
          written.push(writer.write({ body: { i } }));
          if (i !== 2_000) continue;
          server.signal(signal);
          restarted = server.exited.then(() => server.restart());
        }
        await writer.flush();
        await restarted;
        await Promise.all(written);
        expect(await numbersIn(stream)).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
      },
    );

    it('writes nothing behind what could not be written', async () => {
      await switchgear.bus.createStream({ name: 'full', settings: { maxEvents: 10 } });
      const writer = switchgear.bus.writer('full', { maxBatchEvents: 4, lingerMs: 0 });
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) => writer.write({ body: { i } })),
      );
      expect(results.map(({ status }) => status)).toEqual([
        ...Array(8).fill('fulfilled'),
        ...Array(12).fill('rejected'),
      ]);
      await expect(writer.close()).rejects.toMatchObject({ name: 'StreamFullError' });
      expect(await numbersIn('full')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    });
  });
});
