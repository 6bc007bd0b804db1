/** What /metrics of a server says of the bus: counted where it happened, and by no other server on the same store. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { ServerProcess } from '../support/server-process.js';

const redis = engineUrl('redis');
const CASES = [
  { name: 'LMDB', count: 1, flags: [] },
  { name: 'Redis', count: 2, flags: ['--redis', redis ?? '', '--namespace', randomNamespace()] },
];

async function counter(server: ServerProcess, name: string): Promise<number> {
  const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

describe.each(CASES)('events trimmed unprocessed, on $name', ({ name, count, flags }) => {
  describe.skipIf(name === 'Redis' && redis === undefined)('', () => {
    let servers: ServerProcess[] = [];
    beforeAll(async () => {
      servers = await Promise.all(Array.from({ length: count }, () => ServerProcess.start({ flags })));
    });
    afterAll(async () => {
      for (const server of servers) await server.dispose();
    });

    const trimmed = () =>
      Promise.all(servers.map((each) => counter(each, 'switchgear_bus_events_trimmed_unprocessed_total')));

    it('are counted once, by the server that hands out what is left', async () => {
      const [worker, writer = worker] = servers as [ServerProcess, ServerProcess | undefined];
      await using atWorker = connect(worker.grpcAddress);
      await using atWriter = connect(writer.grpcAddress);
      const stream = 'capped';
      const settings = { maxEvents: 2, overflow: 'drop_oldest' } as const;
      await atWriter.bus.createStream({ name: stream, settings });
      await atWriter.bus.createGroup({ stream, group: 'g' });
      for (let i = 0; i < 5; i++) await atWriter.bus.writeEvent({ stream, event: {} });
      expect(await trimmed()).toEqual(servers.map(() => 0));
      const seqs: bigint[] = [];
      for (let turn = 0; turn < 2; turn++) {
        for await (const { event } of atWorker.bus.processEvents({ stream, group: 'g' }))
          seqs.push(event!.seq);
        expect(await trimmed()).toEqual(servers.map((each) => (each === worker ? 3 : 0)));
      }
      expect(seqs).toEqual([4n, 5n]);
      const [group] = (await atWriter.bus.getStreamInfo(stream)).groups;
      expect(group?.trimmedUnprocessed).toBe(3n);
    });
  });
});
