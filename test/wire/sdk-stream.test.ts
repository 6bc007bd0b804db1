/**
 * Event streams of the SDK against the real process: order, bounds, a break, and sendAll, which outlives
 * the streams that it uses.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  connect,
  EffectUnknownError,
  InvalidFieldError,
  type SendInit,
  type SentEvent,
  type Switchgear,
} from '../../src/client/index.js';
import { FlakyProxy } from '../support/flaky-proxy.js';
import type { ServerProcess } from '../support/server-process.js';
import { deferred, eventually } from '../support/waiting.js';
import { ring, STORES } from './cli-support.js';

/** `count` events that go around the ring, spread over `machines` machines, in order for each. */
function laps(configurationName: string, machines: number, count: number): SendInit[] {
  return Array.from({ length: count }, (_, i) => ({
    configurationName,
    fsmId: `m-${i % machines}`,
    event: { eventId: `e-${i}`, name: Math.floor(i / machines) % 2 === 0 ? 'go' : 'rest' },
  }));
}

describe.each(STORES)('event streams on $name', ({ isMissing, start }) => {
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

    async function given(configurationName: string, machines: number): Promise<void> {
      await switchgear.fsm.createConfiguration(ring(configurationName));
      for (let i = 0; i < machines; i += 1)
        await switchgear.fsm.createFiniteStateMachine({ configurationName, fsmId: `m-${i}` });
    }

    it('apply the events of each machine in the order sent, more of them than may be on their way', async () => {
      await given('order', 40);
      const stream = switchgear.fsm.openEventStream();
      const sent = laps('order', 40, 12_000).map((each) => stream.send(each));
      expect(stream.unanswered).toBe(12_000);
      const results = await Promise.all(sent);
      await stream.close();
      // Out of order, every second one would be refused.
      const refused = results.filter(
        (each) => !('outcome' in each) || each.outcome.result.case !== 'applied',
      );
      expect(refused).toEqual([]);
      expect(stream.unanswered).toBe(0);
      const { version } = await switchgear.fsm.getFiniteStateMachine({
        configurationName: 'order',
        fsmId: 'm-7',
      });
      expect(version).toBe(300n);
    });

    it('answer an event that is malformed in its place and go on', async () => {
      await given('malformed', 1);
      await using stream = switchgear.fsm.openEventStream();
      const [bad, good] = await Promise.all([
        stream.send({ configurationName: 'malformed', fsmId: '', event: 'go' }),
        stream.send({ configurationName: 'malformed', fsmId: 'm-0', event: 'go' }),
      ]);
      expect('error' in bad && bad.error).toBeInstanceOf(InvalidFieldError);
      expect(good).toMatchObject({ outcome: { result: { case: 'applied' } } });
    });

    it('stay open for longer than a unary call may take', async () => {
      await given('long', 1);
      const brief = connect(server.grpcAddress, { timeoutMs: 50 });
      const stream = brief.fsm.openEventStream();
      await stream.send({ configurationName: 'long', fsmId: 'm-0', event: 'go' });
      const afterMs = performance.now() + 200;
      await eventually(() => performance.now() > afterMs, 'the time of a unary call is over');
      expect(await stream.send({ configurationName: 'long', fsmId: 'm-0', event: 'rest' })).toMatchObject({
        outcome: { result: { case: 'applied' } },
      });
      await stream.close();
      brief.close();
    });

    it('take nothing more once they are closed', async () => {
      const stream = switchgear.fsm.openEventStream();
      await stream.close();
      await expect(stream.send({ configurationName: 'x', fsmId: 'm', event: 'go' })).rejects.toThrow(
        /closed/,
      );
    });

    it('leave what is unanswered at a break in doubt, and the same ids on another have one effect', async () => {
      await given('broken', 1);
      const proxy = await FlakyProxy.start({ port: Number(server.grpcAddress.split(':')[1]) });
      const cut = connect(`127.0.0.1:${proxy.port}`);
      const events = laps('broken', 1, 3);
      const stream = cut.fsm.openEventStream();
      const [first, ...rest] = events as [SendInit, ...SendInit[]];
      await stream.send(first);
      proxy.mode = 'pause';
      const unanswered = rest.map((each) => stream.send(each).catch((error) => error));
      proxy.cut();
      for (const error of await Promise.all(unanswered)) expect(error).toBeInstanceOf(EffectUnknownError);
      await expect(stream.send(first)).rejects.toBeInstanceOf(EffectUnknownError);
      await stream.close();
      cut.close();
      await proxy.stop();
      await using again = switchgear.fsm.openEventStream();
      const results = await Promise.all(events.map((each) => again.send(each)));
      expect(results.map((each) => 'outcome' in each && each.outcome.result.case)).toEqual([
        'applied',
        'applied',
        'applied',
      ]);
      const machine = await switchgear.fsm.getFiniteStateMachine({
        configurationName: 'broken',
        fsmId: 'm-0',
      });
      expect(machine.version).toBe(3n);
    });

    it('are opened again by sendAll after a kill -9 of the server: one effect each, in order', async () => {
      await given('all', 20);
      const results: SentEvent[] = [];
      const events = laps('all', 20, 8_000);
      let restarted: Promise<void> | undefined;
      for await (const each of switchgear.fsm.sendAll(events)) {
        results.push(each);
        if (results.length === 1_000) restarted = server.kill().then(() => server.restart());
      }
      await restarted;
      const applied = results.filter(
        ({ result }) => 'outcome' in result && result.outcome.result.case === 'applied',
      );
      expect([results.length, applied.length]).toEqual([8_000, 8_000]);
      expect(results.map(({ request }) => request.event.eventId)).toEqual(
        events.map(({ event }) => typeof event !== 'string' && event.eventId),
      );
      const versions = [];
      for await (const { version } of switchgear.fsm.listFiniteStateMachines({ configurationName: 'all' }))
        versions.push(version);
      expect(versions).toEqual(Array(20).fill(400n));
    });

    it('are not read ahead of by sendAll without end', async () => {
      await given('endless', 1);
      let read = 0;
      async function* endless(): AsyncGenerator<SendInit> {
        for (;;) {
          read += 1;
          yield { configurationName: 'endless', fsmId: 'm-0', event: read % 2 === 1 ? 'go' : 'rest' };
        }
      }
      server.pause();
      const all = switchgear.fsm.sendAll(endless());
      const first = all.next();
      await eventually(() => read >= 5_000, 'the window is full');
      server.resume();
      await first;
      expect(read).toBeLessThanOrEqual(5_001);
      await all.return(undefined);
    });

    it('answer through sendAll while its input is still waiting for more', async () => {
      await given('slow', 1);
      const more = deferred<void>();
      async function* slow(): AsyncGenerator<SendInit> {
        yield { configurationName: 'slow', fsmId: 'm-0', event: 'go' };
        await more.promise;
        yield { configurationName: 'slow', fsmId: 'm-0', event: 'rest' };
      }
      const all = switchgear.fsm.sendAll(slow());
      expect((await all.next()).value).toMatchObject({
        result: { outcome: { result: { case: 'applied' } } },
      });
      more.resolve();
      expect((await all.next()).value).toMatchObject({
        result: { outcome: { result: { case: 'applied' } } },
      });
      expect((await all.next()).done).toBe(true);
    });

    it('are given up by sendAll when nobody answers for its timeout', async () => {
      await server.kill();
      const all = switchgear.fsm.sendAll([{ configurationName: 'x', fsmId: 'm', event: 'go' }], {
        timeoutMs: 200,
      });
      await expect(all.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await server.restart();
    });
  });
});
