/**
 * What an import makes of a source that is damaged, laxer than Switchgear, or full of hostile names: one
 * thing is left out with its reason, and the rest comes.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineUrl } from '../support/backends.js';
import { ring, STORES } from './cli-support.js';
import { FsmNotFound, Ok, rounds, step } from './go-statemachine-data.js';
import { ImportSubject, NOT_ALLOWED } from './import-subject.js';

describe.skipIf(!engineUrl('redis')).each(STORES.filter(({ isMissing }) => !isMissing))(
  'what cannot be imported as it is into $name',
  (store) => {
    let subject: ImportSubject;
    beforeAll(async () => {
      subject = await ImportSubject.start(store);
    });
    afterAll(() => subject.stop());

    it('leaves out what it cannot read or bring, says why, and goes on with the rest', async () => {
      const name = 'broken';
      await subject.switchgear.fsm.createConfiguration(ring('theirs'));
      await subject.switchgear.fsm.createFiniteStateMachine({ configurationName: 'theirs', fsmId: 'm' });
      await subject.switchgear.fsm.createConfiguration({ ...ring('other'), startingState: 'busy' });
      await subject.given(async (data) => {
        const { redis } = data;
        for (const each of [name, 'theirs', 'other', 'a:b']) await data.putConfiguration(ring(each));
        await data.putConfiguration({ ...ring('unused'), states: ['idle', 'busy', 'done', 'never'] });
        await redis.sadd(`configs#${name}`, `${name}:v7`);
        await redis.set(`configs#${name}:v8`, 'not a message');
        await data.putMachine(name, 'good', { state: 'busy', history: rounds('g', 1) });
        await data.putMachine(name, 'gap', {
          state: 'busy',
          history: [rounds('e', 1), rounds('f', 1)].flat(),
        });
        await data.putMachine(name, 'lost', { state: 'done', history: rounds('e', 2) });
        await data.putMachine(name, 'unknown', { state: 'nowhere' });
        await data.putMachine(name, 'orphan', { version: 'v3' });
        await data.putMachine(name, 'unread', { version: 'v8' });
        await data.putMachine('other', 'of other');
        await data.putMachine('theirs', 'm');
        await redis.set(`fsm:${name}#junk`, Buffer.from([0xff, 0xff, 0xff]));
        await redis.set(`fsm:${name}#empty`, '');
        await redis.set(Buffer.from(`fsm:${name}#\xff`, 'latin1'), 'x');
        await redis.hset(`fsm:${name}#hash`, 'a', 'b');
        await data.putOutcome(name, 'good', step(1, '', 'go', '', 'x-1'), {
          code: Ok,
        });
        await data.putOutcome(name, 'none', step(1, '', 'go', '', 'x-2'), NOT_ALLOWED);
        await data.putOutcome(name, 'gap', step(1, '', 'go', '', 'x-3'), NOT_ALLOWED);
        await data.putOutcome(name, 'good', step(1, '', 'go', '', 'x-4'), NOT_ALLOWED);
        await redis.del(`events:${name}#x-4`);
        await data.putOutcome(name, 'none', step(1, '', 'go', '', 'x-5'), { code: FsmNotFound });
        await redis.set(`events:${name}:outcome#x-6`, 'not a message');
        await data.putOutcome('nobody', 'm', step(1, '', 'go', '', 'x-7'), NOT_ALLOWED);
        await data.putOutcome(name, 'good', step(1, '', 'go', '', 'x-8'), NOT_ALLOWED);
        await redis.rename(`events:${name}:outcome#x-8`, 'events:somebody:outcome#x-8');
        await redis.set('something:else', 'is left alone');
      });
      const { leftOut, notes, exitCode, machines } = await subject.run();
      expect(exitCode).toBe(4);
      expect(machines).toEqual({ brought: 1, there: 0 });
      expect(await subject.idsOf(name)).toEqual(['good']);
      const reasons = new Map(leftOut.map(({ key, reason }) => [key, reason]));
      const expected: [string, RegExp][] = [
        ['configs#a:b:v1', /name/],
        ['configs#other:v1', /other content/],
        ['configs#unused:v1', /used by no transition/],
        ['configs#broken:v7', /not stored/],
        ['configs#broken:v8', /is not a Configuration/],
        ['fsm:broken#gap', /transition 2 leaves "idle", and the one before it ended in "busy"/],
        ['fsm:broken#lost', /is in state "done", and its history ends in "idle"/],
        ['fsm:broken#unknown', /state "nowhere"/],
        ['fsm:broken#orphan', /broken:v3, which is not there/],
        ['fsm:broken#unread', /broken:v8, which was left out/],
        ['fsm:other#of other', /other:v1, which was left out/],
        ['fsm:theirs#m', /exists/],
        ['fsm:broken#junk', /is not a FiniteStateMachine/],
        ['fsm:broken#empty', /no configuration/],
        ['fsm:broken#\xff', /not text/],
        ['fsm:broken#hash', /not of a kind/],
        ['events:broken:outcome#x-1', /history of its machine does not have it/],
        ['events:broken:outcome#x-2', /machine is not there/],
        ['events:broken:outcome#x-3', /machine was left out/],
        ['events:broken:outcome#x-4', /not stored itself/],
        ['events:broken:outcome#x-6', /./],
        ['events:nobody:outcome#x-7', /machine is not there/],
        ['events:somebody:outcome#x-8', /another configuration/],
      ];
      for (const [key, reason] of expected) expect(reasons.get(key), key).toMatch(reason);
      expect([...reasons.keys()].sort()).toEqual(expected.map(([key]) => key).sort());
      expect(notes.map(({ key }) => key)).toEqual(['events:broken:outcome#x-5']);
    });

    it('takes what go-statemachine allows and Switchgear does not, and notes what it made of it', async () => {
      const name = 'lax';
      const again = [
        step(0, 'idle', 'go', 'busy', 'e'),
        step(1, 'busy', 'rest', 'idle', 'e'),
        step(2, 'idle', 'go', 'busy', ''),
      ];
      await subject.given(async (data) => {
        const lax = ring(name);
        lax.transitions.push({ from: 'idle', event: 'go', to: 'done' });
        lax.transitions.push({ from: 'done', event: 'reopen', to: 'new' });
        lax.states.push('idle');
        await data.putConfiguration({ ...lax, version: '' });
        await data.putMachine(name, 'm', { state: 'busy', history: again, version: '' });
      });
      const { notes, leftOut, exitCode } = await subject.run();
      expect({ leftOut, exitCode }).toEqual({ leftOut: [], exitCode: 0 });
      expect(notes).toEqual([
        { key: `configs#${name}:`, reason: expect.stringMatching(/^1 of its transitions were dropped/) },
        { key: `configs#${name}:`, reason: expect.stringMatching(/^1 states were added/) },
        { key: `fsm:${name}#m`, reason: expect.stringMatching(/^2 of its events/) },
      ]);
      const { states, transitions } = await subject.switchgear.fsm.getConfiguration(name, 'v1');
      expect(states).toEqual(['idle', 'busy', 'done', 'new']);
      expect(transitions.filter(({ from, event }) => from === 'idle' && event === 'go')).toMatchObject([
        { to: 'busy' },
      ]);
      expect(await subject.eventIdsOf(name, 'm')).toEqual(['e', 'e~2', 'imported~3']);
      expect(await subject.run()).toMatchObject({ machines: { brought: 0, there: 1 }, leftOutCount: 0 });
    });

    it('takes keys apart by what their values say, whatever names and ids hold', async () => {
      const names = ['a', 'a#b', 'state', '#', '{a}', '%41', 'né', "'; --"];
      const ids = ['c', ':state#idle', '#', '{}', '%', '\u{1f6aa}', 'a b', '../x', 'x:outcome#y'];
      await subject.given(async (data) => {
        for (const name of names) {
          await data.putConfiguration(ring(name));
          for (const id of ids) await data.putWholeMachine(name, id, rounds(`${id}!`, 2));
          await data.putOutcome(name, 'c', step(1, '', 'rest', '', ':outcome#r'), NOT_ALLOWED);
        }
        // By its key it may be of "a#b", and that has a machine "c" whose key may be of "a".
        await data.putWholeMachine('a', 'b#d', rounds('b#d', 2));
      });
      const { leftOut, machines, exitCode } = await subject.run();
      expect({ leftOut, exitCode }).toEqual({ leftOut: [], exitCode: 0 });
      expect(machines.brought).toBe(names.length * ids.length + 1);
      for (const name of names) {
        const expected = name === 'a' ? [...ids, 'b#d'] : ids;
        expect(await subject.idsOf(name)).toEqual([...expected].sort());
        expect(await subject.eventIdsOf(name, 'x:outcome#y')).toEqual(['x:outcome#y!-0', 'x:outcome#y!-1']);
        const asked = { configurationName: name, fsmId: 'c', eventId: ':outcome#r' };
        expect((await subject.switchgear.fsm.getEventOutcome(asked)).result.case).toBe('eventNotAllowed');
      }
    });
  },
);
