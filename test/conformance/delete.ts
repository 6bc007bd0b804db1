/** The laws of deleting a machine: gone with its list entry and history, and never the wrong one. */
import { describe, expect, it } from 'vitest';
import { concurrently } from '../support/waiting.js';
import { expectIndexEqualsScan } from './index-law.js';
import {
  command,
  DOOR,
  getMachine,
  gist,
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

export const describeDelete: Laws = (open, profile) => {
  describe('deleting a machine', () => {
    const subject = useSubject(open);

    it('takes the machine, its list entry and its history, and says so in the feed', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const { uid } = await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('open'));
      const watcher = new Watcher(store, name, await store.tail(name, never));
      expect(await store.deleteMachine(name, 'm', undefined, never)).toEqual({ kind: 'deleted' });
      expect(await store.getMachine(name, 'm', 10, never)).toBeUndefined();
      expect(await listAll(store, name)).toEqual([]);
      expect(await store.countByState(name, DOOR.states, undefined, never)).toEqual([0, 0, 0]);
      expect((await store.listTransitions(name, 'm', undefined, false, 10, never)).kind).toBe(
        'fsm_not_found',
      );
      expect(await watcher.seen(1)).toEqual([
        {
          kind: 'deleted',
          id: 'm',
          uid,
          version: 1,
          configurationVersion: 'v1',
          from: 'open',
          to: '',
          eventName: '',
          eventId: '',
          timeMs: expect.any(Number),
        },
      ]);
      await watcher.stop();
    });

    it('that is not there is ABSENT, once or again, and is not announced', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const watcher = new Watcher(store, name, await store.tail(name, never));
      for (const uid of [undefined, 'any'])
        expect(await store.deleteMachine(name, 'm', uid, never)).toEqual({ kind: 'absent' });
      await givenMachine(store, name, 'm');
      await store.deleteMachine(name, 'm', undefined, never);
      expect(await store.deleteMachine(name, 'm', undefined, never)).toEqual({ kind: 'absent' });
      await givenMachine(store, name, 'm');
      await watcher.seen(3);
      expect(watcher.changes.map(({ kind }) => kind)).toEqual(['created', 'deleted', 'created']);
      await watcher.stop();
    });

    it('with another uid changes nothing and tells the uid', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const made = await givenMachine(store, name, 'm');
      const answer = await store.deleteMachine(name, 'm', 'another', never);
      expect(answer).toEqual({ kind: 'uid_mismatch', uid: made.uid });
      expect(await getMachine(store, name, 'm')).toEqual(made);
      expect(await store.deleteMachine(name, 'm', made.uid, never)).toEqual({ kind: 'deleted' });
    });

    it('with the uid of an earlier machine leaves the later one', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const first = await givenMachine(store, name, 'm');
      await store.deleteMachine(name, 'm', first.uid, never);
      const second = await givenMachine(store, name, 'm');
      expect((await store.deleteMachine(name, 'm', first.uid, never)).kind).toBe('uid_mismatch');
      expect(await getMachine(store, name, 'm')).toEqual(second);
    });

    it('of a long history leaves nothing of it to the next machine of the id', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const batch = () => Array.from({ length: 100 }, () => command('knock'));
      for (let i = 0; i < 15; i++) await store.advance(name, 'm', batch(), never);
      await store.deleteMachine(name, 'm', undefined, never);
      await givenMachine(store, name, 'm');
      expect(await historyOf(store, name, 'm')).toEqual([]);
      await store.advance(name, 'm', [command('open'), command('close'), command('lock')], never);
      const names = (await historyOf(store, name, 'm')).map(({ event }) => event.name);
      expect(names).toEqual(['open', 'close', 'lock']);
      expect((await store.getMachine(name, 'm', 100, never))?.history).toHaveLength(3);
    });

    it('at once by many is done by one', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const stores = handles(subject, profile);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          (stores[i % stores.length] ?? store).deleteMachine(name, 'm', undefined, never),
        ),
      );
      expect(answers.filter(({ kind }) => kind === 'deleted')).toHaveLength(1);
      expect(answers.filter(({ kind }) => kind === 'absent')).toHaveLength(49);
    });

    it('in a storm of creates, events and deletes leaves index and records in agreement', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const stores = handles(subject, profile);
      const ids = ['a', 'b', 'c', 'd'];
      const tally = { created: 0, deleted: 0 };
      await concurrently(800, 64, async (i) => {
        const each = stores[i % stores.length] ?? store;
        const id = ids[i % ids.length] ?? 'a';
        const kind = Math.floor(i / 4) % 4;
        if (kind === 0 && (await each.createMachine(newMachine(name, id), never)).kind === 'created')
          tally.created++;
        if (kind === 1 && (await each.deleteMachine(name, id, undefined, never)).kind === 'deleted')
          tally.deleted++;
        if (kind >= 2) gist(await send(each, name, id, command(kind === 2 ? 'open' : 'close')));
      });
      await expectIndexEqualsScan(store, name, ids, DOOR.states);
      expect(tally.created - tally.deleted).toBe((await listAll(store, name)).length);
    });
  });
};
