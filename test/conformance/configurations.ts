/** The laws of configurations: created once, the same for ever, listed completely. */
import { describe, expect, it } from 'vitest';
import type { Configuration, ConfigurationContent } from '../../src/fsm/configuration.js';
import {
  content,
  givenName,
  handles,
  type Laws,
  listNames,
  listVersions,
  never,
  newName,
  useSubject,
} from './subject.js';

export const describeConfigurations: Laws = (open, profile) => {
  describe('configurations', () => {
    const subject = useSubject(open);

    it('is stored as it was given, with the time of its creation', async () => {
      const given = content({ finalStates: ['locked'] });
      const answer = await subject.store.createConfiguration(given, never);
      expect(answer.kind).toBe('created');
      expect(answer.configuration).toEqual({ ...given, createTimeMs: expect.any(Number) });
      expect(await subject.store.getConfiguration(given.name, 'v1', never)).toEqual(answer.configuration);
    });

    it('keeps repeated edges and their order', async () => {
      const twice = [...content().transitions, { from: 'closed', event: 'open', to: 'locked' }];
      const given = content({ transitions: twice });
      await subject.store.createConfiguration(given, never);
      const stored = await subject.store.getConfiguration(given.name, 'v1', never);
      expect(stored?.transitions).toEqual(twice);
    });

    it('answers the same content with what is stored', async () => {
      const given = content();
      const first = await subject.store.createConfiguration(given, never);
      const again = await subject.store.createConfiguration(given, never);
      expect(again).toEqual({ kind: 'same', configuration: first.configuration });
    });

    it.each<[string, Partial<ConfigurationContent>]>([
      ['another starting state', { startingState: 'open' }],
      ['another order of states', { states: ['open', 'closed', 'locked'] }],
      ['other final states', { finalStates: ['locked'] }],
      ['a transition less', { transitions: content().transitions.slice(1) }],
    ])('refuses %s under the same name and version, and keeps the first', async (_, changes) => {
      const given = content();
      const first = await subject.store.createConfiguration(given, never);
      const other = await subject.store.createConfiguration({ ...given, ...changes }, never);
      expect(other).toEqual({ kind: 'differs', configuration: first.configuration });
      expect(await subject.store.getConfiguration(given.name, 'v1', never)).toEqual(first.configuration);
    });

    it('is unknown until it is created', async () => {
      const name = newName();
      for (const version of ['v1', undefined])
        expect(await subject.store.getConfiguration(name, version, never)).toBeUndefined();
      expect(await subject.store.listConfigurationVersions(name, undefined, 10, never)).toBeUndefined();
      await subject.store.createConfiguration(content({ name }), never);
      for (const version of ['v1', undefined])
        expect((await subject.store.getConfiguration(name, version, never))?.version).toBe('v1');
      expect(await subject.store.getConfiguration(name, 'v2', never)).toBeUndefined();
    });

    it('calls that version newest which was created last, whatever its text', async () => {
      const name = await givenName(subject.store, 'v9', 'v10', 'a', 'v1');
      await subject.store.createConfiguration(content({ name, version: 'v9' }), never);
      expect((await subject.store.getConfiguration(name, undefined, never))?.version).toBe('v1');
    });

    it('shows a new version to every handle at once', async () => {
      const name = newName();
      const stores = handles(subject, profile);
      for (let i = 0; i < 6; i++) {
        const version = `v${i}`;
        await stores[i % stores.length]?.createConfiguration(content({ name, version }), never);
        for (const store of stores) {
          expect((await store.getConfiguration(name, undefined, never))?.version).toBe(version);
          expect((await store.getConfiguration(name, version, never))?.version).toBe(version);
        }
      }
    });

    it('has one winner when many create it at once', async () => {
      const name = newName();
      const rivals = ['closed', 'open', 'locked'].map((startingState) => content({ name, startingState }));
      const stores = handles(subject, profile);
      const answers = await Promise.all(
        Array.from({ length: 60 }, async (_, i) => {
          const rival = rivals[i % rivals.length] as ConfigurationContent;
          const store = stores[i % stores.length] ?? subject.store;
          return { rival, answer: await store.createConfiguration(rival, never) };
        }),
      );
      const created = answers.filter(({ answer }) => answer.kind === 'created');
      expect(created).toHaveLength(1);
      const winner = created[0]?.answer.configuration as Configuration;
      for (const { rival, answer } of answers) {
        expect(answer.configuration).toEqual(winner);
        if (answer.kind !== 'created')
          expect(answer.kind).toBe(rival.startingState === winner.startingState ? 'same' : 'differs');
      }
    });

    it('keeps every version that many create at once, each once', async () => {
      const name = newName();
      const stores = handles(subject, profile);
      const versions = Array.from({ length: 40 }, (_, i) => `v${i}`);
      await Promise.all(
        versions.map((version, i) =>
          stores[i % stores.length]?.createConfiguration(content({ name, version }), never),
        ),
      );
      const listed = await listVersions(subject.store, name, 7);
      expect([...listed].sort()).toEqual([...versions].sort());
      expect((await subject.store.getConfiguration(name, undefined, never))?.version).toBe(listed.at(-1));
    });

    it.each([1, 3, 100])('lists versions in order of creation, in pages of %i', async (limit) => {
      const versions = ['b', 'a', 'v10', 'v9', 'Z', '0', 'é'];
      const name = await givenName(subject.store, ...versions);
      expect(await listVersions(subject.store, name, limit)).toEqual(versions);
    });

    it.each([1, 7, 1000])('lists every name once, in pages of %i', async (limit) => {
      const names = await Promise.all(Array.from({ length: 30 }, () => givenName(subject.store, 'v1', 'v2')));
      const listed = await listNames(subject.store, limit);
      expect(new Set(listed).size).toBe(listed.length);
      expect(listed).toEqual(expect.arrayContaining(names));
    });

    it('lists names that exist throughout exactly once while others are created', async () => {
      const names = await Promise.all(Array.from({ length: 20 }, () => givenName(subject.store)));
      const others = Promise.all(Array.from({ length: 50 }, () => givenName(subject.store)));
      const listed = await listNames(subject.store, 3);
      await others;
      expect(listed.filter((name) => names.includes(name)).sort()).toEqual([...names].sort());
    });
  });
};
