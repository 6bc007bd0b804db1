/** The law of hostile names: whatever text a name or an id is, it reaches its own record and no other's. */
import { describe, expect, it } from 'vitest';
import type { FsmStore } from '../../src/fsm/store.js';
import { LONG_IDS, LONG_NAMES, TEXTS } from './hostile-texts.js';
import { expectIndexEqualsScan } from './index-law.js';
import {
  command,
  content,
  edge,
  getMachine,
  givenMachine,
  givenName,
  historyOf,
  type Laws,
  listAll,
  listNames,
  listVersions,
  never,
  newName,
  send,
  sorted,
  useSubject,
} from './subject.js';
import { byMachine, Watcher } from './watcher.js';

export const describeHostileNames: Laws = (open) => {
  describe('hostile names', () => {
    const subject = useSubject(open);

    it('as machine ids reach only their own machine', async () => {
      const { store } = subject;
      await expectApart(store, await givenName(store), [...TEXTS, ...LONG_IDS]);
    });

    it('as configuration names reach only their own configuration and machines', async () => {
      const { store } = subject;
      const prefix = newName('x');
      const texts = [...TEXTS, ...LONG_NAMES.map((name) => name.slice(40))];
      const names = texts.map((text) => `${prefix}${text}`);
      for (const [i, name] of names.entries()) {
        const version = `v${i}`;
        await store.createConfiguration(content({ name, version }), never);
        const { uid } = await givenMachine(store, name, 'm', { configurationVersion: version });
        expect((await getMachine(store, name, 'm'))?.uid).toBe(uid);
      }
      for (const [i, name] of names.entries()) {
        expect((await store.getConfiguration(name, undefined, never))?.name).toBe(name);
        expect(await listVersions(store, name, 10)).toEqual([`v${i}`]);
        expect((await listAll(store, name)).map((machine) => machine.configurationName)).toEqual([name]);
      }
      const listed = await listNames(store, 13);
      expect(sorted(listed.filter((name) => name.startsWith(prefix)))).toEqual(sorted(names));
    });

    it('as versions are kept apart', async () => {
      const { store } = subject;
      const name = newName();
      const versions = [...TEXTS, ...LONG_NAMES];
      for (const version of versions) await store.createConfiguration(content({ name, version }), never);
      expect(await listVersions(store, name, 9)).toEqual(versions);
      for (const version of versions) {
        expect((await store.getConfiguration(name, version, never))?.version).toBe(version);
        await givenMachine(store, name, `of ${version}`, { configurationVersion: version });
      }
      for (const version of versions) {
        const filter = { states: ['closed'], configurationVersion: version };
        expect((await listAll(store, name, filter)).map(({ id }) => id)).toEqual([`of ${version}`]);
        expect(await store.countByState(name, ['closed'], version, never)).toEqual([1]);
      }
    });

    it('as states and event names lead where they say', async () => {
      const { store } = subject;
      const name = newName();
      const states = [...TEXTS, ...LONG_NAMES];
      const transitions = states.map((state, i) => edge(state, state, states[(i + 1) % states.length] ?? ''));
      await store.createConfiguration(
        content({ name, states, transitions, startingState: states[0] ?? '' }),
        never,
      );
      for (const [i, state] of states.entries()) {
        await givenMachine(store, name, `stays ${i}`, { state });
        await givenMachine(store, name, `moves ${i}`, { state });
        const answer = await send(store, name, `moves ${i}`, command(state));
        expect(answer).toMatchObject({
          outcome: { kind: 'applied', from: state, to: states[(i + 1) % states.length] },
        });
      }
      for (const [i, state] of states.entries()) {
        const before = (i + states.length - 1) % states.length;
        const ids = (await listAll(store, name, { states: [state] }, 1)).map(({ id }) => id);
        expect(sorted(ids)).toEqual(sorted([`stays ${i}`, `moves ${before}`]));
      }
      expect(await store.countByState(name, states, undefined, never)).toEqual(states.map(() => 2));
      const ids = states.flatMap((_, i) => [`stays ${i}`, `moves ${i}`]);
      await expectIndexEqualsScan(store, name, ids, states.slice(0, 5));
    });

    it('as states or events that begin or end alike allow only what is their own', async () => {
      const { store } = subject;
      const alike = ['a', 'ba', 'ab', 'bab', 'aa', '!a', 'a!', '=a', 'a=', 'a=a', '.a', 'a.', '%a', '%61'];
      const [name, allows] = [newName(), (i: number, k: number) => (i + k) % 3 === 0];
      const transitions = alike.flatMap((state, i) =>
        alike.flatMap((event, k) => (allows(i, k) ? [edge(state, event, alike[k] ?? '')] : [])),
      );
      await store.createConfiguration(
        content({ name, states: alike, transitions, startingState: 'a' }),
        never,
      );
      for (const [i, state] of alike.entries())
        for (const [k, event] of alike.entries()) {
          const id = `${i}-${k}`;
          await givenMachine(store, name, id, { state });
          const expected = allows(i, k)
            ? { kind: 'applied', from: state, to: event }
            : { kind: 'not_allowed', state };
          expect(await send(store, name, id, command(event)), id).toMatchObject({ outcome: expected });
        }
    });

    it('as event ids are events of their own', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const ids = ['m', 'm:', ':m'];
      for (const id of ids) await givenMachine(store, name, id);
      const eventIds = [...TEXTS, ...LONG_IDS];
      for (const id of ids)
        for (const [i, eventId] of eventIds.entries())
          expect(await send(store, name, id, command('knock', eventId))).toMatchObject({
            outcome: { version: i + 1 },
            replayed: false,
          });
      for (const id of ids)
        for (const [i, eventId] of eventIds.entries()) {
          expect((await store.getEvent(name, id, eventId, never))?.transition.version).toBe(i + 1);
          expect((await store.getOutcome(name, id, eventId, never))?.stored.outcome).toMatchObject({
            version: i + 1,
          });
        }
      const history = await historyOf(store, name, 'm', { limit: 10 });
      expect(history.map(({ event }) => event.eventId)).toEqual(eventIds);
    });

    it('as request ids tell requests apart', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const requests = [...TEXTS, ...LONG_IDS];
      for (const [i, requestId] of requests.entries())
        await givenMachine(store, name, `m${i}`, { requestId, requestHash: requestId });
      for (const [i, requestId] of requests.entries()) {
        const ask = (hash: string) =>
          store.createMachine(
            {
              configurationName: name,
              configurationVersion: 'v1',
              id: `m${i}`,
              uid: 'u',
              state: 'closed',
              requestId,
              requestHash: hash,
            },
            never,
          );
        expect((await ask(requestId)).kind).toBe('replayed');
        expect((await ask(`${requestId}x`)).kind).toBe('exists');
      }
    });

    it.each([
      ['a', 'b:c', 'a:b', 'c'],
      ['a', 'b#c', 'a#b', 'c'],
      ['a', 'b\u0000c', 'a\u0000b', 'c'],
      ['a', 'b!c', 'a!b', 'c'],
      ['a', 'b}c', 'a}b', 'c'],
      ['a', 'b/c', 'a/b', 'c'],
    ])('split elsewhere are other names: (%j, %j) and (%j, %j)', async (name1, rest1, name2, rest2) => {
      const { store } = subject;
      const prefix = newName('split');
      const pairs = [
        [prefix + name1, rest1],
        [prefix + name2, rest2],
      ] as const;
      for (const [name, rest] of pairs) {
        expect((await store.createConfiguration(content({ name, version: rest }), never)).kind).toBe(
          'created',
        );
        await givenMachine(store, name, rest, { configurationVersion: rest });
        await givenMachine(store, name, 'other', { configurationVersion: rest });
        await send(store, name, rest, command('open', 'e1'));
      }
      for (const [name, rest] of pairs) {
        expect(await listVersions(store, name, 10)).toEqual([rest]);
        expect(sorted((await listAll(store, name)).map(({ id }) => id))).toEqual(sorted([rest, 'other']));
        expect(await getMachine(store, name, rest)).toMatchObject({ state: 'open', version: 1 });
        expect(await historyOf(store, name, rest)).toHaveLength(1);
        expect(await store.deleteMachine(name, rest, undefined, never)).toEqual({ kind: 'deleted' });
      }
    });
  });
};

/** Makes a machine of each id, knocks the i-th i times, deletes every third, and looks at all that is left. */
async function expectApart(store: FsmStore, name: string, ids: readonly string[]): Promise<void> {
  const watcher = new Watcher(store, name, await store.tail(name, never));
  const uids = new Map<string, string>();
  for (const id of ids) uids.set(id, (await givenMachine(store, name, id)).uid);
  expect(uids.size).toBe(ids.length);
  for (const [i, id] of ids.entries())
    await store.advance(
      name,
      id,
      Array.from({ length: 1 + (i % 7) }, (_, k) => command('knock', `e${k}`)),
      never,
    );
  for (let i = 0; i < ids.length; i += 3) await store.deleteMachine(name, ids[i] ?? '', undefined, never);
  for (const [i, id] of ids.entries()) {
    const found = await store.getMachine(name, id, 100, never);
    if (i % 3 === 0) expect(found).toBeUndefined();
    else expect(found?.machine).toMatchObject({ id, uid: uids.get(id), version: 1 + (i % 7) });
    expect(found?.history.length ?? 0).toBe(i % 3 === 0 ? 0 : 1 + (i % 7));
    expect(await store.getOutcome(name, id, 'e0', never)).toMatchObject({
      id,
      stored: { uid: uids.get(id) },
    });
  }
  const left = ids.filter((_, i) => i % 3 !== 0);
  for (const limit of [1, 10])
    expect(sorted((await listAll(store, name, {}, limit)).map(({ id }) => id))).toEqual(sorted(left));
  await expectIndexEqualsScan(store, name, ids, ['closed']);
  const changes = ids.map((_, i) => 2 + (i % 7) + (i % 3 === 0 ? 1 : 0));
  await watcher.seen(changes.reduce((sum, count) => sum + count));
  const seen = byMachine(watcher.changes);
  expect(ids.map((id) => seen.get(id)?.length)).toEqual(changes);
  await watcher.stop();
}
