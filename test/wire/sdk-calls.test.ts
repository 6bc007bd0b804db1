/** Every method of the SDK, against the real process on both stores. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Change,
  connect,
  messageToJson,
  type Switchgear,
  type WatchEvent,
} from '../../src/client/index.js';
import type { ServerProcess } from '../support/server-process.js';
import { ring, STORES } from './cli-support.js';

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe.each(STORES)('the SDK on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let switchgear: Switchgear;
    beforeAll(async () => {
      server = await start();
      switchgear = connect(server.grpcAddress);
    });
    afterAll(async () => {
      await switchgear?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    it('creates configurations, finds them, lists them and draws them', async () => {
      const { fsm } = switchgear;
      const first = await fsm.createConfiguration(ring('ring'));
      expect([first.created, first.warnings]).toEqual([true, []]);
      expect((await fsm.createConfiguration(ring('ring'))).created).toBe(false);
      await fsm.createConfiguration(ring('ring', 'v2'));
      expect((await fsm.getConfiguration('ring')).version).toBe('v2');
      expect((await fsm.getConfiguration('ring', 'v1')).states).toEqual(['idle', 'busy', 'done']);
      expect(await collected(fsm.listConfigurations())).toContain('ring');
      const versions = await collected(fsm.listConfigurationVersions('ring'));
      expect(versions.map(({ version }) => version)).toEqual(['v1', 'v2']);
      expect(await fsm.renderConfiguration({ name: 'ring' })).toContain('stateDiagram-v2');
    });

    it('creates a machine, moves it, and tells its whole story', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('story'));
      const of = { configurationName: 'story', fsmId: 'm' };
      const made = await fsm.createFiniteStateMachine(of);
      expect([made.state, made.version]).toEqual(['idle', 0n]);
      const event = { name: 'go', eventId: 'e-1', originator: 'test', details: '{"a":1}' };
      const outcome = await fsm.sendEvent({ ...of, event, expectedVersion: 0n, expectedState: 'idle' });
      expect(outcome.result).toMatchObject({ case: 'applied', value: { from: 'idle', to: 'busy' } });
      expect((await fsm.apply({ ...of, event })).replayed).toBe(true);
      expect((await fsm.getEventOutcome({ configurationName: 'story', eventId: 'e-1' })).fsmId).toBe('m');
      expect((await fsm.getEvent({ ...of, eventId: 'e-1' })).transition?.event).toMatchObject(event);
      expect((await fsm.listAllowedEvents('story', 'm')).transitions.map((each) => each.event)).toEqual([
        'rest',
        'stop',
      ]);
      await fsm.apply({ ...of, event: 'rest' });
      const history = await collected(fsm.listTransitions(of));
      expect(history.map(({ version, to }) => [version, to])).toEqual([
        [1n, 'busy'],
        [2n, 'idle'],
      ]);
      const backwards = await collected(fsm.listTransitions({ ...of, newestFirst: true, pageSize: 1 }));
      expect(backwards.map(({ version }) => version)).toEqual([2n, 1n]);
      const now = await fsm.getFiniteStateMachine({ ...of, historySize: 1 });
      expect([now.state, now.history.map(({ version }) => version)]).toEqual(['idle', [2n]]);
      expect((await fsm.countByState({ configurationName: 'story' })).total).toBe(1n);
      expect(
        await collected(fsm.listFiniteStateMachines({ configurationName: 'story', state: 'busy' })),
      ).toEqual([]);
      const audit = (await collected(fsm.auditIndex('story'))).at(-1);
      expect([audit?.done, audit?.machinesScanned, audit?.differenceCount]).toEqual([true, 1n, 0n]);
      expect(await fsm.deleteFiniteStateMachine({ ...of, uid: made.uid })).toBe(true);
      expect(await fsm.deleteFiniteStateMachine(of)).toBe(false);
    });

    it('sets retention, and only while the expected revision holds', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('kept'));
      const { revision } = await fsm.getRetention('kept');
      const set = { configurationName: 'kept', historyMaxCount: 3n, expectedRevision: revision };
      expect((await fsm.setRetention(set)).revision).toBe(revision + 1n);
      await expect(fsm.setRetention(set)).rejects.toMatchObject({ name: 'RevisionMismatchError' });
      expect((await fsm.getRetention('kept')).historyMaxCount).toBe(3n);
    });

    it('sends a batch and answers each in its place, errors too', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('batch'));
      const of = { configurationName: 'batch', fsmId: 'm' };
      await fsm.createFiniteStateMachine(of);
      const results = await fsm.sendEvents([
        { ...of, event: 'go' },
        { ...of, event: 'go' },
        { ...of, fsmId: '', event: 'go' },
        { ...of, event: 'rest' },
      ]);
      const kinds = results.map((each) => ('error' in each ? each.error.name : each.outcome.result.case));
      expect(kinds).toEqual(['applied', 'eventNotAllowed', 'InvalidFieldError', 'applied']);
      expect(await fsm.sendEvents([])).toEqual([]);
    });

    it('watches a snapshot, then changes; the cursor of the last goes on from there', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('seen'));
      await fsm.createFiniteStateMachine({ configurationName: 'seen', fsmId: 'a' });
      const seen: WatchEvent[] = [];
      let cursor: string | undefined;
      for await (const event of fsm.watchTransitions({ configurationName: 'seen', snapshot: true })) {
        if (event.kind === 'cursor') continue;
        seen.push(event);
        if (event.kind === 'snapshot_complete')
          await fsm.sendEvent({ configurationName: 'seen', fsmId: 'a', event: 'go' });
        if (event.kind === 'change') cursor = event.cursor;
        if (event.kind === 'change') break;
      }
      expect(seen.map(({ kind }) => kind)).toEqual([
        'snapshot_started',
        'fsm',
        'snapshot_complete',
        'change',
      ]);
      await fsm.sendEvent({ configurationName: 'seen', fsmId: 'a', event: 'rest' });
      const next = await firstChange(
        fsm.watchTransitions({ configurationName: 'seen', cursor: cursor ?? '' }),
      );
      expect([next.fsmId, next.version, next.to]).toEqual(['a', 2n, 'idle']);
    });

    it('ends a watch when its signal aborts', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('ended'));
      const controller = new AbortController();
      const watch = fsm.watchTransitions(
        { configurationName: 'ended', snapshot: true },
        { signal: controller.signal },
      );
      for await (const event of watch) if (event.kind === 'snapshot_complete') controller.abort();
      expect(controller.signal.aborted).toBe(true);
    });

    it('tells who is ready, and the release', async () => {
      const { health } = switchgear;
      expect(await health.isServing()).toBe(true);
      expect(await health.list()).toContainEqual({
        service: 'switchgear.fsm.v1.FsmService',
        isServing: true,
      });
      expect(await health.release()).toMatch(/^\d+\.\d+\.\d+/);
    });

    it('shows any answer as JSON with every field in it', async () => {
      const { fsm } = switchgear;
      await fsm.createConfiguration(ring('shown'));
      const machine = await fsm.createFiniteStateMachine({ configurationName: 'shown', fsmId: 'm' });
      expect(messageToJson(machine)).toMatchObject({ id: 'm', version: '0', history: [] });
      expect(messageToJson(await fsm.countByState({ configurationName: 'shown' }))).toMatchObject({
        total: '1',
      });
    });
  });
});

describe('await using', () => {
  it('closes the connection and the stream at the end of the block', async () => {
    const server = await (STORES[0] as (typeof STORES)[number]).start();
    const connected = async () => {
      await using switchgear = connect(server.grpcAddress);
      await switchgear.fsm.createConfiguration(ring('used'));
      await switchgear.fsm.createFiniteStateMachine({ configurationName: 'used', fsmId: 'm' });
      let sent: Promise<unknown> | undefined;
      {
        await using stream = switchgear.fsm.openEventStream();
        sent = stream.send({ configurationName: 'used', fsmId: 'm', event: 'go' });
      }
      expect(await sent).toMatchObject({ outcome: { result: { case: 'applied' } } });
      return switchgear;
    };
    const closed = await connected();
    // The server stops at once: there is no connection left that it would have to wait for.
    expect(await server.stop()).toBe(0);
    await expect(closed.health.isServing()).rejects.toMatchObject({ code: expect.any(String) });
    await server.dispose();
  });
});

async function firstChange(watch: AsyncIterable<WatchEvent>): Promise<Change> {
  for await (const event of watch) if (event.kind === 'change') return event.change;
  throw new Error('the watch ended');
}
