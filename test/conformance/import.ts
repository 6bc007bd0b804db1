/** The laws of an import: a machine comes with its past once, however often and in whatever pieces it is sent. */
import { describe, expect, it } from 'vitest';
import { MAX_IMPORTED_PER_STEP } from '../../src/fsm/import.js';
import { expectIndexEqualsScan } from './index-law.js';
import { chunk, past, refusal, swinging, word } from './past.js';
import {
  command,
  getMachine,
  gist,
  givenMachine,
  givenName,
  handles,
  historyOf,
  type Laws,
  never,
  outcomeOf,
  send,
  useSubject,
} from './subject.js';
import { Watcher } from './watcher.js';

const STATES = ['closed', 'open', 'locked'];

export const describeImport: Laws = (open, profile) => {
  describe('importing a machine', () => {
    const subject = useSubject(open);

    it('makes it with its list entry, history, outcomes and changes, as if it had happened here', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const watcher = new Watcher(store, name, await store.tail(name, never));
      const history = past(['locked', 'closed', 'open', 'open']);
      const answer = await store.importMachine(chunk(name, history), never);
      const machine = await getMachine(store, name, 'm');
      expect(answer).toEqual({ kind: 'imported', machine, written: true });
      expect(machine).toMatchObject({
        configurationVersion: 'v1',
        uid: 'uid',
        state: 'open',
        version: 3,
        updateTimeMs: machine?.createTimeMs,
      });
      const transitions = history.map(({ from, to, event }, i) => ({
        version: i + 1,
        from,
        to,
        event,
        applyTimeMs: machine?.createTimeMs,
      }));
      expect(await historyOf(store, name, 'm')).toEqual(transitions);
      for (const [i, { from, to, event, bodyHash }] of history.entries()) {
        const outcome = { kind: 'applied', from, to, version: i + 1, timeMs: machine?.createTimeMs };
        const stored = { outcome, bodyHash, uid: 'uid' };
        expect(await store.getOutcome(name, 'm', event.eventId, never)).toEqual({ id: 'm', stored });
        expect(await store.getEvent(name, undefined, event.eventId, never)).toEqual({
          id: 'm',
          transition: transitions[i],
        });
      }
      const changes = await watcher.seen(4);
      expect(changes.map(({ kind, from, to, version }) => [kind, from, to, version])).toEqual([
        ['created', '', 'locked', 0],
        ['transition', 'locked', 'closed', 1],
        ['transition', 'closed', 'open', 2],
        ['transition', 'open', 'open', 3],
      ]);
      expect(new Set(changes.map(({ uid }) => uid))).toEqual(new Set(['uid']));
      await watcher.stop();
      await expectIndexEqualsScan(store, name, ['m'], STATES);
    });

    it('leaves a machine that goes on, and answers its old events from what was remembered', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await store.importMachine(chunk(name, past(['closed', 'open'])), never);
      const old = command('walk', 'e1', { originator: 'elsewhere', details: 'step 0' });
      expect(gist(await send(store, name, 'm', old))).toBe('applied again');
      expect(gist(await send(store, name, 'm', { ...old, bodyHash: 'other' }))).toBe('event_id_reused');
      expect(await outcomeOf(store, name, 'm', command('close'))).toMatchObject({
        kind: 'applied',
        version: 2,
      });
      await expectIndexEqualsScan(store, name, ['m'], STATES);
    });

    it('without a past makes it in its state at version 0', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const answer = await store.importMachine(chunk(name, [], { state: 'locked' }), never);
      expect(answer).toMatchObject({ written: true, machine: { state: 'locked', version: 0 } });
      expect(await historyOf(store, name, 'm')).toEqual([]);
      await expectIndexEqualsScan(store, name, ['m'], STATES);
      expect(word(await store.importMachine(chunk(name, [], { state: 'locked' }), never))).toBe(
        'there already',
      );
    });

    it('goes on in chunks of the greatest size, and changes nothing when they are all sent again', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const sizes = [MAX_IMPORTED_PER_STEP, MAX_IMPORTED_PER_STEP, 500];
      const chunks = sizes.map((size, i) => {
        const firstVersion = i * MAX_IMPORTED_PER_STEP + 1;
        return chunk(name, swinging(firstVersion, size), { firstVersion, uid: `uid-${i}` });
      });
      for (const each of chunks) expect(word(await store.importMachine(each, never))).toBe('written');
      const before = await store.getMachine(name, 'm', 10, never);
      expect(before?.machine).toMatchObject({ uid: 'uid-0', version: 2_500, state: 'closed' });
      const tail = await store.tail(name, never);
      for (const each of chunks) expect(word(await store.importMachine(each, never))).toBe('there already');
      expect(await store.getMachine(name, 'm', 10, never)).toEqual(before);
      expect(await store.tail(name, never)).toBe(tail);
      const ids = (await historyOf(store, name, 'm', { limit: 1_000 })).map(({ event }) => event.eventId);
      expect(ids).toEqual(Array.from({ length: 2_500 }, (_, i) => `e${i + 1}`));
      await expectIndexEqualsScan(store, name, ['m'], STATES);
    });

    it('takes of a chunk what is not there yet, so that a source that has grown can be sent again', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await store.importMachine(chunk(name, swinging(1, 3)), never);
      expect(word(await store.importMachine(chunk(name, swinging(1, 6)), never))).toBe('written');
      const ids = (await historyOf(store, name, 'm')).map(({ event }) => event.eventId);
      expect(ids).toEqual(['e1', 'e2', 'e3', 'e4', 'e5', 'e6']);
      expect(await getMachine(store, name, 'm')).toMatchObject({ version: 6, state: 'closed' });
      await expectIndexEqualsScan(store, name, ['m'], STATES);
    });

    it.each([
      ['a machine that was created here', { importId: 'r1' }],
      ['a machine of another import', { importId: 'import-2' }],
      ['a machine that follows another version', { configurationVersion: 'v2' }],
      ['a machine that ends before the chunk begins', { firstVersion: 4 }],
    ])('leaves %s as it is: EXISTS', async (what, changes) => {
      const { store } = subject;
      const name = await givenName(store, 'v1', 'v2');
      if (what.includes('created here'))
        await givenMachine(store, name, 'm', { requestId: 'r1', requestHash: 'hash' });
      else await store.importMachine(chunk(name, swinging(1, 2)), never);
      const before = await store.getMachine(name, 'm', 10, never);
      const answer = await store.importMachine(chunk(name, swinging(1, 3), changes), never);
      expect(answer).toEqual({ kind: 'exists', machine: before?.machine });
      expect(await store.getMachine(name, 'm', 10, never)).toEqual(before);
      expect(await store.getOutcome(name, 'm', 'e3', never)).toBeUndefined();
    });

    it('tells a machine that went its own way since from one that has the chunk', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await store.importMachine(chunk(name, swinging(1, 2)), never);
      await send(store, name, 'm', command('open', 'own'));
      const grown = chunk(name, swinging(1, 3));
      expect(word(await store.importMachine(grown, never))).toBe('exists');
      expect(word(await store.importMachine(chunk(name, swinging(1, 2)), never))).toBe('there already');
      expect((await historyOf(store, name, 'm')).map(({ event }) => event.eventId)).toEqual([
        'e1',
        'e2',
        'own',
      ]);
    });

    it('is no create: a creator with the same request id meets a machine that exists', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await store.importMachine(chunk(name, []), never);
      const asked = {
        configurationName: name,
        configurationVersion: 'v1',
        id: 'm',
        uid: 'u',
        state: 'closed',
      };
      const request = { requestId: 'import-1', requestHash: 'hash' };
      expect((await store.createMachine({ ...asked, ...request }, never)).kind).toBe('exists');
    });

    it('does not begin in the middle', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const answer = await store.importMachine(chunk(name, swinging(2, 2), { firstVersion: 2 }), never);
      expect(answer).toEqual({ kind: 'fsm_not_found' });
      expect(await getMachine(store, name, 'm')).toBeUndefined();
    });

    it('names the entry that does not start where the machine is', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await store.importMachine(chunk(name, swinging(1, 2)), never);
      const wrong = [...swinging(1, 2), ...past(['open', 'closed'], 3)];
      const answer = await store.importMachine(chunk(name, wrong), never);
      expect(answer).toMatchObject({ kind: 'broken', index: 2, machine: { version: 2 } });
      expect((await historyOf(store, name, 'm')).length).toBe(2);
    });

    it('changes nothing when the id of one of its events was used for another body', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('open', 'e3'));
      await store.deleteMachine(name, 'm', undefined, never);
      const tail = await store.tail(name, never);
      const answer = await store.importMachine(chunk(name, swinging(1, 4)), never);
      expect(answer).toEqual({ kind: 'event_id_reused', eventId: 'e3' });
      const refused = [refusal('r1', 'closed', 0), refusal('e3', 'closed', 0)];
      expect(await store.importMachine(chunk(name, swinging(1, 2), { refused }), never)).toEqual(answer);
      expect(await getMachine(store, name, 'm')).toBeUndefined();
      expect(await store.getOutcome(name, 'm', 'e1', never)).toBeUndefined();
      expect(await store.tail(name, never)).toBe(tail);
    });

    it('remembers refusals as EVENT_NOT_ALLOWED once, also on a machine that has moved since', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const refused = [refusal('r1', 'closed', 0), refusal('r2', 'open', 1)];
      await store.importMachine(chunk(name, swinging(1, 1)), never);
      const late = chunk(name, [], { firstVersion: 2, state: 'open', refused });
      expect(word(await store.importMachine(late, never))).toBe('written');
      const found = await store.getOutcome(name, 'm', 'r2', never);
      expect(found?.stored.outcome).toMatchObject({
        kind: 'not_allowed',
        state: 'open',
        version: 1,
        configurationVersion: 'v1',
      });
      await send(store, name, 'm', command('close', 'own'));
      expect(word(await store.importMachine(late, never))).toBe('there already');
      expect(await store.getOutcome(name, 'm', 'r2', never)).toEqual(found);
      expect(gist(await send(store, name, 'm', command('unlock', 'r1')))).toBe('not_allowed again');
      expect(await getMachine(store, name, 'm')).toMatchObject({ version: 2 });
    });

    it('keeps no more history than the name keeps', async () => {
      const { store } = subject;
      const name = await givenName(store);
      for (const each of handles(subject, profile)) await each.setRetention(name, 3, undefined, never);
      await store.importMachine(chunk(name, swinging(1, 40)), never);
      expect((await historyOf(store, name, 'm')).map(({ version }) => version)).toEqual([38, 39, 40]);
      expect(word(await store.importMachine(chunk(name, swinging(1, 40)), never))).toBe('there already');
      expect(word(await store.importMachine(chunk(name, swinging(1, 10)), never))).toBe('there already');
    });

    it('has one effect when the same chunks come from many at once', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const stores = handles(subject, profile);
      const tail = await store.tail(name, never);
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, i) => {
          const sent = chunk(name, swinging(1, 5 + (i % 3)), { uid: `uid-${i}` });
          return (stores[i % stores.length] ?? store).importMachine(sent, never);
        }),
      );
      expect(answers.filter((answer) => word(answer) === 'written').length).toBeLessThanOrEqual(3);
      expect(new Set(answers.map(({ kind }) => kind))).toEqual(new Set(['imported']));
      expect((await historyOf(store, name, 'm')).map(({ event }) => event.eventId)).toEqual(
        Array.from({ length: 7 }, (_, i) => `e${i + 1}`),
      );
      const watcher = new Watcher(store, name, tail);
      expect((await watcher.seen(8)).map(({ version }) => version)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      await watcher.stop();
      await expectIndexEqualsScan(store, name, ['m'], STATES);
    });
  });
};
