/** The laws of history by count: set with a revision, carried out by each machine's next event. */
import { describe, expect, it } from 'vitest';
import type { FsmStore } from '../../src/fsm/store.js';
import { eventually } from '../support/waiting.js';
import {
  command,
  content,
  givenMachine,
  givenName,
  handles,
  historyOf,
  type Laws,
  never,
  newName,
  send,
  useSubject,
} from './subject.js';

export const describeRetention: Laws = (open, profile) => {
  describe('retention', () => {
    const subject = useSubject(open);

    it('keeps all history until it is set', async () => {
      const { store } = subject;
      const name = await givenName(store);
      expect(await store.getRetention(name, never)).toEqual({ historyMaxCount: 0, revision: 0 });
      await givenMachine(store, name, 'm');
      await knock(store, name, 250);
      expect(await historyOf(store, name, 'm')).toHaveLength(250);
    });

    it('is that of a name, whatever versions come', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await store.setRetention(name, 7, undefined, never);
      await store.createConfiguration(content({ name, version: 'v2' }), never);
      expect(await store.getRetention(name, never)).toEqual({ historyMaxCount: 7, revision: 1 });
    });

    it('of an unknown name does not exist and cannot be set', async () => {
      const { store } = subject;
      const name = newName();
      expect(await store.getRetention(name, never)).toBeUndefined();
      expect(await store.setRetention(name, 5, undefined, never)).toEqual({
        kind: 'configuration_not_found',
      });
      await store.createConfiguration(content({ name }), never);
      expect(await store.getRetention(name, never)).toEqual({ historyMaxCount: 0, revision: 0 });
    });

    it('raises its revision with every change, also to the same count', async () => {
      const { store } = subject;
      const name = await givenName(store);
      for (let revision = 1; revision <= 3; revision++)
        expect(await store.setRetention(name, 5, undefined, never)).toEqual({
          kind: 'set',
          retention: { historyMaxCount: 5, revision },
        });
    });

    it('with a revision expected is set only while it holds', async () => {
      const { store } = subject;
      const name = await givenName(store);
      expect((await store.setRetention(name, 5, 0, never)).kind).toBe('set');
      const late = await store.setRetention(name, 9, 0, never);
      expect(late).toEqual({ kind: 'revision_mismatch', retention: { historyMaxCount: 5, revision: 1 } });
      expect(await store.getRetention(name, never)).toEqual({ historyMaxCount: 5, revision: 1 });
      expect((await store.setRetention(name, 9, 1, never)).kind).toBe('set');
    });

    it('with one revision expected by many is set by one', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const stores = handles(subject, profile);
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          (stores[i % stores.length] ?? store).setRetention(name, i, 0, never),
        ),
      );
      expect(answers.filter(({ kind }) => kind === 'set')).toHaveLength(1);
      expect((await store.getRetention(name, never))?.revision).toBe(1);
    });

    it('trims a machine with its next event, and versions go on', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await knock(store, name, 10);
      await store.setRetention(name, 3, undefined, never);
      await knock(store, name, 1);
      expect(await versions(store, name)).toEqual([9, 10, 11]);
      await knock(store, name, 1);
      expect(await versions(store, name)).toEqual([10, 11, 12]);
      expect((await store.getMachine(name, 'm', 100, never))?.history).toHaveLength(3);
    });

    it('holds within a batch that is longer than it', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await store.setRetention(name, 2, undefined, never);
      await knock(store, name, 50);
      expect(await versions(store, name)).toEqual([49, 50]);
      expect(await versions(store, name, true)).toEqual([50, 49]);
    });

    it('that trims takes the event, but neither its outcome nor its dedupe', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await store.setRetention(name, 1, undefined, never);
      const first = await send(store, name, 'm', command('knock', 'e1'));
      expect(await store.getEvent(name, 'm', 'e1', never)).toMatchObject({ transition: { version: 1 } });
      await send(store, name, 'm', command('knock', 'e2'));
      expect(await store.getEvent(name, 'm', 'e1', never)).toBeUndefined();
      expect(await store.getEvent(name, 'm', 'e2', never)).toMatchObject({ transition: { version: 2 } });
      expect(await send(store, name, 'm', command('knock', 'e1'))).toEqual({ ...first, replayed: true });
    });

    it('makes a position below what is kept EXPIRED', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const { uid } = await givenMachine(store, name, 'm');
      await knock(store, name, 10);
      const first = await store.listTransitions(name, 'm', undefined, false, 2, never);
      await store.setRetention(name, 3, undefined, never);
      await knock(store, name, 1);
      const next = first.kind === 'page' ? first.next : undefined;
      expect(next).toEqual({ uid, version: 3 });
      for (const newestFirst of [false, true])
        expect(await store.listTransitions(name, 'm', next, newestFirst, 2, never)).toEqual({
          kind: 'expired',
        });
      const kept = await store.listTransitions(name, 'm', { uid, version: 9 }, false, 1, never);
      expect(kept).toMatchObject({ kind: 'page', items: [{ version: 9 }] });
    });

    it('ends a listing from the newest where the kept history ends', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await store.setRetention(name, 5, undefined, never);
      await knock(store, name, 20);
      for (const limit of [1, 2, 5])
        expect(
          (await historyOf(store, name, 'm', { newestFirst: true, limit })).map((t) => t.version),
        ).toEqual([20, 19, 18, 17, 16]);
    });

    it('widened again keeps more from then on', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await store.setRetention(name, 1, undefined, never);
      await knock(store, name, 5);
      await store.setRetention(name, 0, undefined, never);
      await knock(store, name, 3);
      expect(await versions(store, name)).toEqual([5, 6, 7, 8]);
    });

    it('reaches every handle within a second', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const stores = handles(subject, profile);
      for (const each of stores) await knock(each, name, 3);
      await store.setRetention(name, 1, undefined, never);
      const followed = async (each: FsmStore) => {
        await knock(each, name, 1);
        return (await versions(store, name)).length === 1;
      };
      for (const each of stores) await eventually(() => followed(each), 'the handle follows', 1_100);
    });
  });
};

async function knock(store: FsmStore, name: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 100)
    await store.advance(
      name,
      'm',
      Array.from({ length: Math.min(left, 100) }, () => command('knock')),
      never,
    );
}

async function versions(store: FsmStore, name: string, newestFirst = false): Promise<number[]> {
  return (await historyOf(store, name, 'm', { newestFirst })).map(({ version }) => version);
}
