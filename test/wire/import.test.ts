/**
 * `switchgear fsm import` against the real process on both stores, with data laid down as
 * go-statemachine lays it down: all of it comes over, and a run that is repeated or cut short is safe.
 */
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as beta from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { engineUrl } from '../support/backends.js';
import { eventually } from '../support/waiting.js';
import { ring, running, STORES } from './cli-support.js';
import { BY_HAND, EventNotAllowed, type GoStatemachineData, rounds, step } from './go-statemachine-data.js';
import { all, ImportSubject, NOT_ALLOWED } from './import-subject.js';

function v1beta({ server }: ImportSubject) {
  const transport = createGrpcTransport({ baseUrl: `http://${server.grpcAddress}` });
  return createClient(beta.StatemachineService, transport);
}

describe.skipIf(!engineUrl('redis')).each(STORES.filter(({ isMissing }) => !isMissing))(
  'importing into $name',
  (store) => {
    let subject: ImportSubject;
    beforeAll(async () => {
      subject = await ImportSubject.start(store);
    });
    afterAll(() => subject.stop());

    it('brings configurations, machines, histories and outcomes, to be seen through both contracts', async () => {
      const name = 'orders';
      const history = [
        step(1, 'idle', 'go', 'busy'),
        step(2, 'busy', 'rest', 'idle'),
        step(3, 'idle', 'go', 'busy'),
      ];
      await subject.given(async (data) => {
        for (const version of ['v10', 'v9', 'v1']) await data.putConfiguration(ring(name, version));
        await data.putWholeMachine(name, 'o-1', history);
        await data.putMachine(name, 'o-2', { state: 'done', version: 'v10' });
        await data.putOutcome(name, 'o-1', step(2.5, '', 'stop', '', 'r-1'), NOT_ALLOWED);
        await data.putOutcome(name, 'o-2', step(9, '', 'go', '', 'r-2'), { code: EventNotAllowed });
      });
      expect(await subject.run()).toMatchObject({
        configurations: { brought: 3, there: 0 },
        machines: { brought: 2, there: 0 },
        transitions: { brought: 3, there: 0 },
        refusals: { brought: 2, there: 0 },
        leftOutCount: 0,
        exitCode: 0,
      });

      const versions = await all(subject.switchgear.fsm.listConfigurationVersions(name));
      expect(versions.map(({ version }) => version)).toEqual(['v1', 'v9', 'v10']);
      expect(versions[0]).toMatchObject({ ...ring(name), finalStates: [] });
      expect(await subject.idsOf(name)).toEqual(['o-1', 'o-2']);
      const fsm = await subject.switchgear.fsm.getFiniteStateMachine({
        configurationName: name,
        fsmId: 'o-1',
      });
      expect(fsm).toMatchObject({ state: 'busy', version: 3n, configurationVersion: 'v1' });
      expect(await subject.historyOf(name, 'o-1')).toMatchObject(
        history.map(({ eventId, timestamp, transition, originator, details }, i) => ({
          version: BigInt(i + 1),
          from: transition?.from,
          to: transition?.to,
          event: { eventId, name: transition?.event, originator, details, timestamp },
        })),
      );
      const outcome = async (fsmId: string, eventId: string) =>
        (await subject.switchgear.fsm.getEventOutcome({ configurationName: name, fsmId, eventId })).result;
      expect(await outcome('o-1', 'e-2')).toMatchObject({
        case: 'applied',
        value: { from: 'busy', to: 'idle', version: 2n },
      });
      expect(await outcome('o-1', 'r-1')).toMatchObject({
        case: 'eventNotAllowed',
        value: { state: 'idle', version: 2n, allowedEvents: ['go'] },
      });
      expect(await outcome('o-2', 'r-2')).toMatchObject({
        case: 'eventNotAllowed',
        value: { state: 'done' },
      });

      const old = v1beta(subject);
      const machine = await old.getFiniteStateMachine({ config: name, query: { case: 'id', value: 'o-1' } });
      expect(machine).toMatchObject({ configId: `${name}:v1`, state: 'busy', history });
      expect(
        (await old.getAllInState({ config: name, query: { case: 'state', value: 'done' } })).ids,
      ).toEqual(['o-2']);
      const seen = async (id: string) => (await old.getEventOutcome({ config: name, id })).outcome;
      expect(await seen('e-1')).toMatchObject({
        code: beta.EventOutcome_StatusCode.Ok,
        id: 'o-1',
        config: name,
      });
      expect(await seen('r-1')).toMatchObject({ code: EventNotAllowed, id: 'o-1', config: name });
      const sent = {
        eventId: 'e-3',
        transition: { event: 'go' },
        originator: 'sender 3',
        details: '{"step":3}',
      };
      await old.sendEvent({ config: name, id: 'o-1', event: sent });
      expect(await subject.historyOf(name, 'o-1')).toHaveLength(3);
    });

    it('reads values as they stand on the wire, byte by byte', async () => {
      await subject.given(async ({ redis }) => {
        await redis.sadd('configs', 'hand');
        await redis.sadd('configs#hand', 'hand:v1');
        await redis.sadd('fsm:hand:state#on', '1');
        for (const [key, bytes] of Object.entries(BY_HAND)) await redis.set(key, bytes);
      });
      expect(await subject.run()).toMatchObject({ leftOut: [], refusals: { brought: 1 }, exitCode: 0 });
      expect(await subject.historyOf('hand', '1')).toMatchObject([
        {
          from: 'off',
          to: 'on',
          event: {
            eventId: 'h-1',
            name: 'flip',
            originator: 'me',
            details: 'd',
            timestamp: { seconds: 1_700_000_000n, nanos: 5_000 },
          },
        },
      ]);
      const refused = {
        configurationName: 'hand',
        fsmId: '1',
        event: { eventId: 'h-2', name: 'flop', originator: 'me' },
      };
      expect(await subject.switchgear.fsm.sendEvent(refused)).toMatchObject({
        replayed: true,
        result: { case: 'eventNotAllowed', value: { state: 'on', version: 1n } },
      });
    });

    it('changes nothing when it is run again, and catches up with a source that has grown', async () => {
      const name = 'again';
      const lay = (count: number) => async (data: GoStatemachineData) => {
        await data.putConfiguration(ring(name));
        for (const id of ['m-1', 'm-2', 'm-3']) await data.putWholeMachine(name, id, rounds(id, count));
        await data.putMachine(name, 'm-4');
        await data.putOutcome(name, 'm-1', step(1, '', 'rest', '', 'r-1'), NOT_ALLOWED);
      };
      await subject.given(lay(4));
      await subject.run();
      const before = [await subject.idsOf(name), await subject.historyOf(name, 'm-1')];
      expect(await subject.run()).toMatchObject({
        configurations: { brought: 0, there: 1 },
        machines: { brought: 0, there: 4 },
        transitions: { brought: 0, there: 12 },
        refusals: { brought: 0, there: 1 },
        leftOutCount: 0,
        exitCode: 0,
      });
      expect([await subject.idsOf(name), await subject.historyOf(name, 'm-1')]).toEqual(before);
      await subject.given(lay(7));
      expect(await subject.run()).toMatchObject({ machines: { brought: 3, there: 1 }, leftOutCount: 0 });
      const ids = await subject.eventIdsOf(name, 'm-1');
      expect(ids).toEqual(rounds('m-1', 7).map(({ eventId }) => eventId));
    });

    it('brings a history that takes several chunks', async () => {
      await subject.given(async (data) => {
        await data.putConfiguration(ring('long'));
        await data.putMachine('long', 'm', { state: 'idle', history: rounds('e', 2_500) });
        // 40 of the greatest details are more than one message takes.
        const heavy = rounds('h', 200).map((each) => ({ ...each, details: 'x'.repeat(16_384) }));
        await data.putMachine('long', 'heavy', { state: 'idle', history: heavy });
      });
      expect(await subject.run()).toMatchObject({
        leftOut: [],
        transitions: { brought: 2_700 },
        exitCode: 0,
      });
      const ids = await subject.eventIdsOf('long', 'm');
      expect(ids).toEqual(Array.from({ length: 2_500 }, (_, i) => `e-${i}`));
      expect(await subject.historyOf('long', 'heavy')).toHaveLength(200);
    });

    it('writes nothing in a dry run, and tells the same', async () => {
      await subject.given(async (data) => {
        await data.putConfiguration(ring('dry'));
        await data.putWholeMachine('dry', 'm', rounds('e', 3));
        await data.putMachine('dry', 'bad', { state: 'nowhere' });
        await data.putMachine('dry', 'x'.repeat(300));
      });
      const dry = await subject.run('--dry-run');
      expect(dry).toMatchObject({
        machines: { brought: 1 },
        transitions: { brought: 3 },
        leftOutCount: 2,
        exitCode: 4,
      });
      await expect(subject.switchgear.fsm.getConfiguration('dry')).rejects.toMatchObject({
        reason: 'CONFIGURATION_NOT_FOUND',
      });
      const wet = await subject.run();
      expect(wet.machines).toEqual(dry.machines);
      expect(wet.leftOut.map(({ key }) => key).sort()).toEqual(dry.leftOut.map(({ key }) => key).sort());
    });

    it('is complete after a run that was killed and a server that was killed', {
      timeout: 90_000,
    }, async () => {
      const name = 'killed';
      await subject.given(async (data) => {
        await data.putConfiguration(ring(name));
        for (let i = 0; i < 20; i++)
          await data.putMachine(name, `m-${i}`, { state: 'idle', history: rounds(`e-${i}`, 1_800) });
        await data.putOutcome(name, 'm-0', step(1, '', 'rest', '', 'r'), NOT_ALLOWED);
      });
      const count = async () => (await subject.idsOf(name).catch(() => [])).length;
      const first = await running(
        ['fsm', 'import', '--from', subject.source.url],
        subject.server.grpcAddress,
      );
      await eventually(async () => (await count()) > 0, 'the first machine is there');
      await first.kill();
      const second = await running(
        ['fsm', 'import', '--from', subject.source.url],
        subject.server.grpcAddress,
      );
      const had = await count();
      await eventually(
        async () => (await count()) > had || second.exitCode !== undefined,
        'another machine is there',
      );
      await subject.server.kill();
      await second.exited;
      await subject.server.restart();
      expect(await subject.run()).toMatchObject({ leftOut: [], exitCode: 0 });
      expect(await count()).toBe(20);
      for (let i = 0; i < 20; i++)
        expect(await subject.eventIdsOf(name, `m-${i}`)).toEqual(
          rounds(`e-${i}`, 1_800).map(({ eventId }) => eventId),
        );
      expect(await subject.run()).toMatchObject({
        machines: { brought: 0, there: 20 },
        refusals: { there: 1 },
      });
    });
  },
);
