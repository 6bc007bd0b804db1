/**
 * What the SDK does when an answer does not come: the ids that it made before the first try turn a second
 * one into a replay. The store's replies are really lost, and the server is really gone.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, EffectUnknownError, type Switchgear } from '../../src/client/index.js';
import { engineUrl } from '../support/backends.js';
import { FlakyProxy } from '../support/flaky-proxy.js';
import { RedisServer } from '../support/redis-server.js';
import type { ServerProcess } from '../support/server-process.js';
import { ring, STORES, startFixed, typed } from './cli-support.js';

describe.skipIf(!engineUrl('redis'))('when the reply of the store is lost', () => {
  let redis: RedisServer;
  let proxy: FlakyProxy;
  let server: ServerProcess;
  let switchgear: Switchgear;
  beforeAll(async () => {
    redis = await RedisServer.start();
    proxy = await FlakyProxy.start({ port: redis.port });
    server = await startFixed(['--redis', `redis://127.0.0.1:${proxy.port}`]);
    switchgear = connect(server.grpcAddress);
    await switchgear.fsm.createConfiguration(ring('ring'));
  });
  afterAll(async () => {
    switchgear?.close();
    await server?.dispose();
    await proxy?.stop();
    await redis?.stop();
  });

  const of = (fsmId: string) => ({ configurationName: 'ring', fsmId });

  /** Cuts the reply to the next script call that holds `text`. */
  const lose = (text: string) => proxy.dropNextReply((bytes) => bytes.includes(text));

  it('an event that has no id of the caller is applied once', async () => {
    const { fsm } = switchgear;
    await fsm.createFiniteStateMachine(of('event'));
    // Before the first event of a shard the store asks for the configuration: that reply may be lost too.
    await fsm.apply({ ...of('event'), event: 'go' });
    const lost = lose('event');
    const outcome = await fsm.sendEvent({ ...of('event'), event: 'rest' });
    await lost;
    expect([outcome.result.case, outcome.replayed]).toEqual(['applied', true]);
    expect((await fsm.getFiniteStateMachine(of('event'))).version).toBe(2n);
  });

  it('a machine is created once, and the caller gets it', async () => {
    const { fsm } = switchgear;
    const lost = lose('created-once');
    const machine = await fsm.createFiniteStateMachine(of('created-once'));
    await lost;
    expect([machine.id, machine.version]).toEqual(['created-once', 0n]);
    const made = (await fsm.countByState({ configurationName: 'ring' })).total;
    const again = lose('ring');
    await fsm.createFiniteStateMachine({ configurationName: 'ring' });
    await again;
    expect((await fsm.countByState({ configurationName: 'ring' })).total).toBe(made + 1n);
  });

  it('a batch is applied once each, in order', async () => {
    const { fsm } = switchgear;
    await fsm.createFiniteStateMachine(of('batch'));
    const lost = lose('batch');
    const events = ['go', 'rest', 'go', 'stop'];
    const results = await fsm.sendEvents(events.map((event) => ({ ...of('batch'), event })));
    await lost;
    expect(results.map((each) => 'outcome' in each && each.outcome.result.case)).toEqual(
      events.map(() => 'applied'),
    );
    expect(await fsm.getFiniteStateMachine(of('batch'))).toMatchObject({ version: 4n, state: 'done' });
  });

  it('a command has one effect too, and says that the answer is a replay', async () => {
    const { fsm } = switchgear;
    const address = server.grpcAddress;
    await fsm.createFiniteStateMachine(of('typed'));
    await fsm.apply({ ...of('typed'), event: 'go' });
    const lost = lose('typed');
    const sent = await typed(['fsm', 'send', 'ring', 'typed', 'rest'], { address });
    await lost;
    expect([sent.exitCode, sent.stdout]).toEqual([
      0,
      expect.stringMatching(/applied: busy -> idle.*\nreplayed/),
    ]);
    const lostAgain = lose('typed-new');
    const created = await typed(['fsm', 'create', 'ring', 'typed-new'], { address });
    await lostAgain;
    expect(created.exitCode).toBe(0);
    expect((await fsm.getFiniteStateMachine(of('typed'))).version).toBe(2n);
  });

  it('a call that cannot be repeated safely says so, and does not repeat', async () => {
    const { fsm } = switchgear;
    const { revision } = await fsm.setRetention({ configurationName: 'ring', historyMaxCount: 7n });
    const lost = lose('7654321');
    const set = fsm.setRetention({ configurationName: 'ring', historyMaxCount: 7_654_321n });
    await expect(set).rejects.toBeInstanceOf(EffectUnknownError);
    await lost;
    expect(await fsm.getRetention('ring')).toMatchObject({
      revision: revision + 1n,
      historyMaxCount: 7_654_321n,
    });
  });
});

describe.each(STORES)('across a restart of the server on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let switchgear: Switchgear;
    beforeAll(async () => {
      server = await start();
      switchgear = connect(server.grpcAddress, { timeoutMs: 20_000 });
      await switchgear.fsm.createConfiguration(ring('ring'));
      await switchgear.fsm.createFiniteStateMachine({ configurationName: 'ring', fsmId: 'm' });
    });
    afterAll(async () => {
      switchgear?.close();
      await server?.dispose();
    });

    it('reads and writes that carry an id are repeated until somebody answers', async () => {
      const { fsm } = switchgear;
      await server.kill();
      const calls = Promise.all([
        fsm.getConfiguration('ring'),
        fsm.sendEvent({ configurationName: 'ring', fsmId: 'm', event: 'go' }),
        fsm.createFiniteStateMachine({ configurationName: 'ring', fsmId: 'm2' }),
        fsm.sendEvents([{ configurationName: 'ring', fsmId: 'm3', event: 'go' }]),
      ]);
      await server.restart();
      const [configuration, outcome, machine, [result]] = await calls;
      expect([configuration.name, outcome.result.case, machine.id]).toEqual(['ring', 'applied', 'm2']);
      expect(result).toMatchObject({ outcome: { result: { case: 'fsmNotFound' } } });
    });

    it('no longer than a call is allowed to take', async () => {
      await server.kill();
      const startedMs = performance.now();
      const call = switchgear.fsm.getConfiguration('ring', '', { timeoutMs: 300 });
      // Whichever comes first: the last try that fits, or the deadline in the middle of one.
      await expect(call).rejects.toMatchObject({
        code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/),
      });
      const impatient = connect(server.grpcAddress, { retryForMs: 0 });
      await expect(impatient.fsm.getConfiguration('ring')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      impatient.close();
      expect(performance.now() - startedMs).toBeLessThan(5_000);
      await server.restart();
    });
  });
});
