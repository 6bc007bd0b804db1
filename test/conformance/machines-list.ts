/** The laws of lists and counts: every machine once, wherever the pages are cut. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../src/fault.js';
import type { FsmStore, MachineFilter } from '../../src/fsm/store.js';
import { concurrently } from '../support/waiting.js';
import {
  command,
  DOOR,
  givenMachine,
  givenName,
  handles,
  type Laws,
  listAll,
  never,
  newName,
  pagesOf,
  send,
  sorted,
  useSubject,
} from './subject.js';

/** As many calls at a time as keep an engine busy and a queue short. */
const WIDTH = 512;

export const describeMachinesList: Laws = (open, profile) => {
  describe('listing machines', () => {
    const subject = useSubject(open);

    it('of an unknown name, or of none there, is empty', async () => {
      const { store } = subject;
      for (const name of [newName(), await givenName(store)]) {
        expect(await store.listMachines(name, {}, undefined, 10, never)).toEqual({
          items: [],
          next: undefined,
        });
        expect(await store.countByState(name, DOOR.states, undefined, never)).toEqual([0, 0, 0]);
      }
    });

    it.each<[string, MachineFilter, (m: Made) => boolean]>([
      ['all', {}, () => true],
      ['one state', { states: ['open'] }, (m) => m.state === 'open'],
      ['two states', { states: ['open', 'locked'] }, (m) => m.state !== 'closed'],
      [
        'a state of one version',
        { states: ['closed'], configurationVersion: 'v2' },
        (m) => m.state === 'closed' && m.version === 'v2',
      ],
      [
        'all states of one version',
        { states: DOOR.states, configurationVersion: 'v1' },
        (m) => m.version === 'v1',
      ],
      ['a state that none is in', { states: ['nowhere'] }, () => false],
      ['a version that none follows', { states: ['open'], configurationVersion: 'v3' }, () => false],
    ])('by %s is complete, each once, in pages of any size', async (_, filter, belongs) => {
      const { store } = subject;
      const { name, made } = await givenMachines(store, 120);
      const expected = sorted(made.filter(belongs).map(({ id }) => id));
      const whole = (await listAll(store, name, filter, 1000)).map(({ id }) => id);
      expect(sorted(whole)).toEqual(expected);
      for (const limit of [1, 7, 50])
        expect((await listAll(store, name, filter, limit)).map(({ id }) => id)).toEqual(whole);
    });

    it('gives each machine as it is', async () => {
      const { store } = subject;
      const { name } = await givenMachines(store, 30);
      const listed = await listAll(store, name, {}, 4);
      for (const machine of listed)
        expect((await store.getMachine(name, machine.id, 0, never))?.machine).toEqual(machine);
    });

    it('pages through 2,000 machines that moved, completely and once each', async () => {
      const { store } = subject;
      const { name, made } = await givenMachines(store, 2000);
      for (const limit of [333, 1000]) {
        const ids = (await listAll(store, name, {}, limit)).map(({ id }) => id);
        expect(sorted(ids)).toEqual(sorted(made.map(({ id }) => id)));
      }
      const states = await Promise.all(
        DOOR.states.map((state) => listAll(store, name, { states: [state] }, 100)),
      );
      expect(states.map((machines) => machines.length)).toEqual(
        await store.countByState(name, DOOR.states, undefined, never),
      );
    });

    it('never holds more than asked for', async () => {
      const { store } = subject;
      const { name } = await givenMachines(store, 60);
      for (const limit of [1, 5, 59]) {
        const read = (after: string | undefined) => store.listMachines(name, {}, after, limit, never);
        for await (const items of pagesOf(read)) expect(items.length).toBeLessThanOrEqual(limit);
      }
    });

    it('shows a machine that stays exactly once while others move, come and go', async () => {
      const { store } = subject;
      const { name, made } = await givenMachines(store, 200);
      const stays = made.filter((_, i) => i % 2 === 0);
      const others = made.filter((_, i) => i % 2 === 1);
      const stores = handles(subject, profile);
      const traffic = concurrently(others.length * 3, 16, async (i) => {
        const each = stores[i % stores.length] ?? store;
        const { id } = others[i % others.length] as Made;
        if (i >= others.length * 2) await each.deleteMachine(name, id, undefined, never);
        else
          await each.advance(
            name,
            id,
            ['close', 'unlock', 'open'].map((event) => command(event)),
            never,
          );
        await givenMachine(each, name, `new-${i}`);
      });
      const lists = [];
      for (let i = 0; i < 5; i++) lists.push(await listAll(store, name, {}, 3));
      await traffic;
      const staying = new Set(stays.map(({ id }) => id));
      for (const list of lists)
        expect(sorted(list.map(({ id }) => id).filter((id) => staying.has(id)))).toEqual(sorted(staying));
    });

    it('shows no machine in a state that was not asked for, while they move', async () => {
      const { store } = subject;
      const { name, made } = await givenMachines(store, 60);
      const round = ['unlock', 'close', 'open'];
      let isOver = false;
      const traffic = concurrently(1200, 16, (i) =>
        send(store, name, made[i % 60]?.id ?? '', command(round[Math.floor(i / 60) % 3] ?? '')),
      ).finally(() => {
        isOver = true;
      });
      const shown = new Set<string>();
      while (!isOver) {
        for (const { state } of await listAll(store, name, { states: ['open'] }, 10)) shown.add(state);
        // A store in this process may answer without a turn of the event loop, and the traffic needs turns.
        await nextTurn();
      }
      await traffic;
      expect([...shown]).toEqual(['open']);
    });

    it('refuses a token that is garbage, of another filter or of another name', async () => {
      const { store } = subject;
      const { name } = await givenMachines(store, 60);
      const other = await givenMachines(store, 10);
      const { next } = await store.listMachines(name, { states: ['closed'] }, undefined, 2, never);
      expect(next).toBeTypeOf('string');
      const wrong: [string, MachineFilter, string][] = [
        [name, {}, 'garbage'],
        [name, { states: ['closed'] }, '\u0000\u{1F6AA}'],
        [name, { states: ['closed'] }, `x${next}`],
        [name, { states: ['open'] }, next ?? ''],
        [name, { states: ['closed'], configurationVersion: 'v1' }, next ?? ''],
        [name, {}, next ?? ''],
        [other.name, { states: ['closed'] }, next ?? ''],
      ];
      for (const [named, filter, token] of wrong)
        await expect(
          store.listMachines(named, filter, token, 2, never),
          JSON.stringify([filter, token]),
        ).rejects.toSatisfy(
          (error) =>
            error instanceof Fault &&
            error.reason === 'INVALID_FIELD' &&
            error.violations[0]?.field === 'page_token',
        );
    });

    it('goes on from a token on every handle', async () => {
      const { store } = subject;
      const { name, made } = await givenMachines(store, 40);
      const stores = handles(subject, profile);
      const ids: string[] = [];
      let turn = 0;
      const read = (after: string | undefined) =>
        (stores[turn++ % stores.length] ?? store).listMachines(name, {}, after, 3, never);
      for await (const items of pagesOf(read)) ids.push(...items.map(({ id }) => id));
      expect(sorted(ids)).toEqual(sorted(made.map(({ id }) => id)));
    });

    it('[large] pages through 100,000 machines in one state completely, once each', {
      timeout: 120_000,
    }, async () => {
      const { store } = subject;
      const name = await givenName(store);
      const count = 100_000;
      await concurrently(count, WIDTH, (i) => givenMachine(store, name, `m${i}`));
      const seen = new Set<string>();
      let listed = 0;
      for (const machine of await listAll(store, name, { states: ['closed'] }, 1000)) {
        seen.add(machine.id);
        listed++;
      }
      expect([listed, seen.size]).toEqual([count, count]);
      expect(await store.countByState(name, DOOR.states, undefined, never)).toEqual([count, 0, 0]);
    });
  });

  describe('counting machines', () => {
    const subject = useSubject(open);

    it('answers in the order of the states asked for, by version or for all', async () => {
      const { store } = subject;
      const { name, made } = await givenMachines(store, 90);
      const count = (state: string, version?: string) =>
        made.filter((m) => m.state === state && (version ?? m.version) === m.version).length;
      for (const version of [undefined, 'v1', 'v2'])
        for (const states of [DOOR.states, [...DOOR.states].reverse(), ['nowhere', 'open'], []])
          expect(await store.countByState(name, states, version, never)).toEqual(
            states.map((s) => count(s, version)),
          );
    });
  });
};

interface Made {
  id: string;
  version: string;
  state: string;
}

/** Machines over both versions and all states; those that are open or locked were moved there by events. */
async function givenMachines(store: FsmStore, count: number): Promise<{ name: string; made: Made[] }> {
  const name = await givenName(store, 'v1', 'v2');
  const made = await concurrently(count, WIDTH, async (i) => {
    const [version, state] = [`v${1 + (i % 2)}`, DOOR.states[i % 3] ?? ''];
    const id = `m${i}`;
    await givenMachine(store, name, id, { configurationVersion: version });
    if (state !== 'closed') await send(store, name, id, command(state === 'open' ? 'open' : 'lock'));
    return { id, version, state };
  });
  return { name, made };
}
