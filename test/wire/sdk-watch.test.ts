/** Watches of the SDK outlive their server: nothing is lost and nothing comes twice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Change, ConfigurationNotFoundError, connect, type Switchgear } from '../../src/client/index.js';
import { FlakyProxy } from '../support/flaky-proxy.js';
import type { ServerProcess } from '../support/server-process.js';
import { deferred, eventually } from '../support/waiting.js';
import { ring, STORES } from './cli-support.js';

describe.each(STORES)('a watch on $name', ({ isMissing, start }) => {
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

    it.each(['SIGKILL', 'SIGTERM'] as const)(
      'goes on where it was after %s and a restart',
      async (signal) => {
        const { fsm } = switchgear;
        const configurationName = `restart-${signal}`;
        await fsm.createConfiguration(ring(configurationName));
        const of = { configurationName, fsmId: 'm' };
        await fsm.createFiniteStateMachine(of);
        const versions: bigint[] = [];
        const ready = deferred<void>();
        const controller = new AbortController();
        const watching = (async () => {
          const watch = fsm.watchTransitions({ ...of, snapshot: true }, { signal: controller.signal });
          for await (const event of watch) {
            if (event.kind === 'snapshot_complete') ready.resolve();
            if (event.kind === 'change') versions.push(event.change.version);
          }
        })();
        await ready.promise;
        const around = async (from: number, to: number) => {
          for (let i = from; i < to; i += 1) await fsm.apply({ ...of, event: i % 2 === 0 ? 'go' : 'rest' });
        };
        await around(0, 50);
        server.signal(signal);
        await server.exited;
        await server.restart();
        await around(50, 100);
        await eventually(() => versions.length >= 100, 'all changes have come');
        controller.abort();
        await watching;
        expect(versions).toEqual(Array.from({ length: 100 }, (_, i) => BigInt(i + 1)));
      },
    );

    it('goes on over another connection when its own falls silent without a word', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('silent'));
      const proxy = await FlakyProxy.start({ port: Number(server.grpcAddress.split(':')[1]) });
      const through = connect(`127.0.0.1:${proxy.port}`, { keepAliveMs: 200 });
      const ready = deferred<void>();
      const changes: Change[] = [];
      const watching = (async () => {
        for await (const event of through.fsm.watchTransitions({
          configurationName: 'silent',
          snapshot: true,
        })) {
          if (event.kind === 'snapshot_complete') ready.resolve();
          if (event.kind === 'change') changes.push(event.change);
          if (changes.length === 1) break;
        }
      })();
      await ready.promise;
      proxy.mode = 'pause';
      await eventually(() => proxy.connections > 1, 'it has given the silent connection up');
      await fsm.createFiniteStateMachine({ configurationName: 'silent', fsmId: 'meanwhile' });
      proxy.mode = 'pass';
      await watching;
      expect(changes.map(({ fsmId }) => fsmId)).toEqual(['meanwhile']);
      through.close();
      await proxy.stop();
    });

    it('filters by machine and by state', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('filtered'));
      for (const fsmId of ['a', 'b'])
        await fsm.createFiniteStateMachine({ configurationName: 'filtered', fsmId });
      const watch = fsm.watchTransitions({
        configurationName: 'filtered',
        fsmId: 'b',
        state: 'done',
        snapshot: true,
      });
      const seen: string[] = [];
      for await (const event of watch) {
        if (event.kind === 'snapshot_complete')
          for (const fsmId of ['a', 'b'])
            for (const name of ['go', 'stop'])
              await fsm.apply({ configurationName: 'filtered', fsmId, event: name });
        if (event.kind === 'fsm') seen.push(event.fsm.id);
        if (event.kind === 'change') seen.push(`${event.change.fsmId} ${event.change.to}`);
        if (event.kind === 'change') break;
      }
      expect(seen).toEqual(['b done']);
    });

    it('is refused for a configuration that is not there', async () => {
      const watch = switchgear.fsm.watchTransitions({ configurationName: 'nowhere' });
      await expect(watch.next()).rejects.toBeInstanceOf(ConfigurationNotFoundError);
    });
  });
});
