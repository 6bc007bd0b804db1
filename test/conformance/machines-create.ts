/** The laws of creating a machine: it comes whole, it is never overwritten, and a repeat meets the first. */
import { describe, expect, it } from 'vitest';
import { expectIndexEqualsScan } from './index-law.js';
import {
  command,
  getMachine,
  givenMachine,
  givenName,
  handles,
  historyOf,
  type Laws,
  listAll,
  never,
  newMachine,
  send,
  useSubject,
} from './subject.js';
import { Watcher } from './watcher.js';

export const describeMachinesCreate: Laws = (open, profile) => {
  describe('creating machines', () => {
    const subject = useSubject(open);

    it('makes a machine at version 0, in its list and without history', async () => {
      const name = await givenName(subject.store);
      const asked = newMachine(name, 'm', { state: 'open' });
      const answer = await subject.store.createMachine(asked, never);
      const { createTimeMs } = answer.machine;
      expect(answer).toEqual({
        kind: 'created',
        machine: {
          configurationName: name,
          configurationVersion: 'v1',
          id: 'm',
          uid: asked.uid,
          state: 'open',
          version: 0,
          createTimeMs: expect.any(Number),
          updateTimeMs: createTimeMs,
        },
      });
      expect(await subject.store.getMachine(name, 'm', 10, never)).toEqual({
        machine: answer.machine,
        history: [],
      });
      expect(await historyOf(subject.store, name, 'm')).toEqual([]);
      expect(await listAll(subject.store, name)).toEqual([answer.machine]);
    });

    it('announces a machine as CREATED', async () => {
      const name = await givenName(subject.store);
      const watcher = new Watcher(subject.store, name, await subject.store.tail(name, never));
      const machine = await givenMachine(subject.store, name, 'm', { state: 'locked' });
      expect(await watcher.seen(1)).toEqual([
        {
          kind: 'created',
          id: 'm',
          uid: machine.uid,
          version: 0,
          configurationVersion: 'v1',
          from: '',
          to: 'locked',
          eventName: '',
          eventId: '',
          timeMs: machine.createTimeMs,
        },
      ]);
      await watcher.stop();
    });

    it('never overwrites: without a request id any repeat meets the machine as it is now', async () => {
      const name = await givenName(subject.store);
      const machine = await givenMachine(subject.store, name, 'm');
      await send(subject.store, name, 'm', command('open'));
      const again = await subject.store.createMachine(newMachine(name, 'm'), never);
      expect(again.kind).toBe('exists');
      expect(again.machine).toMatchObject({ uid: machine.uid, state: 'open', version: 1 });
      expect(await getMachine(subject.store, name, 'm')).toEqual(again.machine);
    });

    it('answers a repeat of its request with the machine as it was created, though it moved since', async () => {
      const name = await givenName(subject.store);
      const request = { requestId: 'r1', requestHash: 'h1' };
      const machine = await givenMachine(subject.store, name, 'm', request);
      await send(subject.store, name, 'm', command('open'));
      const again = await subject.store.createMachine(newMachine(name, 'm', request), never);
      expect(again).toEqual({ kind: 'replayed', machine });
    });

    it.each([
      ['another request id', { requestId: 'r2', requestHash: 'h1' }],
      ['the same request id for other content', { requestId: 'r1', requestHash: 'h2' }],
      ['no request id', { requestId: '', requestHash: 'h1' }],
    ])('answers %s with EXISTS', async (_, request) => {
      const name = await givenName(subject.store);
      const machine = await givenMachine(subject.store, name, 'm', { requestId: 'r1', requestHash: 'h1' });
      const other = await subject.store.createMachine(newMachine(name, 'm', request), never);
      expect(other).toEqual({ kind: 'exists', machine });
    });

    it('forgets the request when the machine is deleted', async () => {
      const name = await givenName(subject.store);
      const request = { requestId: 'r1', requestHash: 'h1' };
      const first = await givenMachine(subject.store, name, 'm', request);
      await subject.store.deleteMachine(name, 'm', undefined, never);
      const second = await givenMachine(subject.store, name, 'm', request);
      expect(second.uid).not.toBe(first.uid);
    });

    it('keeps ids apart by configuration name', async () => {
      const [one, two] = [await givenName(subject.store), await givenName(subject.store)];
      await givenMachine(subject.store, one, 'm');
      await givenMachine(subject.store, two, 'm', { state: 'locked' });
      await send(subject.store, one, 'm', command('open'));
      expect(await getMachine(subject.store, one, 'm')).toMatchObject({ state: 'open', version: 1 });
      expect(await getMachine(subject.store, two, 'm')).toMatchObject({ state: 'locked', version: 0 });
    });

    it('follows the version it was created with, whatever is created later', async () => {
      const name = await givenName(subject.store);
      await givenMachine(subject.store, name, 'm');
      await subject.store.createConfiguration(
        {
          name,
          version: 'v2',
          states: ['closed'],
          transitions: [],
          startingState: 'closed',
          finalStates: [],
        },
        never,
      );
      await givenMachine(subject.store, name, 'n', { configurationVersion: 'v2' });
      expect(await send(subject.store, name, 'm', command('open'))).toMatchObject({
        outcome: { kind: 'applied' },
      });
      expect(await send(subject.store, name, 'n', command('open'))).toMatchObject({
        outcome: { kind: 'not_allowed', configurationVersion: 'v2' },
      });
    });

    it('has one winner when 200 create the same id at once', async () => {
      const name = await givenName(subject.store);
      const stores = handles(subject, profile);
      const tail = await subject.store.tail(name, never);
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          (stores[i % stores.length] ?? subject.store).createMachine(newMachine(name, 'm'), never),
        ),
      );
      expect(answers.filter(({ kind }) => kind === 'created')).toHaveLength(1);
      expect(new Set(answers.map(({ machine }) => machine.uid)).size).toBe(1);
      await expectIndexEqualsScan(subject.store, name, ['m'], ['closed', 'open', 'locked']);
      const watcher = new Watcher(subject.store, name, tail);
      await send(subject.store, name, 'm', command('open'));
      await watcher.until(() => watcher.changes.some(({ version }) => version === 1), 'the transition');
      expect(watcher.changes.map(({ kind }) => kind)).toEqual(['created', 'transition']);
      await watcher.stop();
    });

    it('gives 200 repeats of one request the same machine', async () => {
      const name = await givenName(subject.store);
      const stores = handles(subject, profile);
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          (stores[i % stores.length] ?? subject.store).createMachine(
            newMachine(name, 'm', { requestId: 'r', requestHash: 'h' }),
            never,
          ),
        ),
      );
      expect(answers.filter(({ kind }) => kind === 'created')).toHaveLength(1);
      expect(answers.filter(({ kind }) => kind === 'replayed')).toHaveLength(199);
      for (const { machine } of answers) expect(machine).toEqual(answers[0]?.machine);
    });
  });
};
