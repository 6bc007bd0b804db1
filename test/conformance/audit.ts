/** The laws of the audit: silent about a healthy store, under load too, and blind to no damage. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { concurrently } from '../support/waiting.js';
import {
  audit,
  command,
  type Damage,
  givenMachine,
  givenName,
  handles,
  type Laws,
  never,
  newMachine,
  newName,
  useSubject,
} from './subject.js';

export const describeAudit: Laws = (open, profile) => {
  describe('an audit', () => {
    const subject = useSubject(open);

    it('counts what it compared, and finds nothing in a healthy store', async () => {
      const { store } = subject;
      const name = await givenName(store);
      expect(await audit(store, name)).toEqual({ machinesScanned: 0, entriesScanned: 0, differences: [] });
      await concurrently(300, 64, (i) => givenMachine(store, name, `m${i}`));
      await concurrently(150, 64, (i) => store.advance(name, `m${i}`, [command('open')], never));
      expect(await audit(store, name)).toEqual({
        machinesScanned: 300,
        entriesScanned: 300,
        differences: [],
      });
      expect((await audit(store, newName())).differences).toEqual([]);
    });

    it('finds nothing under load', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const stores = handles(subject, profile);
      await concurrently(100, 64, (i) => givenMachine(store, name, `m${i}`));
      const load = concurrently(1500, 32, async (i) => {
        const each = stores[i % stores.length] ?? store;
        const id = `m${(i * 13) % 100}`;
        if (i % 10 === 0) await each.deleteMachine(name, id, undefined, never);
        else if (i % 10 < 3) await each.createMachine(newMachine(name, id), never);
        else
          await each.advance(
            name,
            id,
            ['open', 'close', 'lock', 'unlock'].slice(i % 4).map((event) => command(event)),
            never,
          );
      });
      let isOver = false;
      void load.finally(() => {
        isOver = true;
      });
      while (!isOver) {
        expect((await audit(store, name)).differences).toEqual([]);
        // A store in this process may answer without a turn of the event loop, and the load needs turns.
        await nextTurn();
      }
      await load;
      expect((await audit(store, name)).differences).toEqual([]);
    });

    it('finds a machine that is not listed', async () => {
      const { damaged } = await givenDamage({ kind: 'remove_entry', id: 'm7', state: 'closed' });
      expect(damaged).toEqual([{ id: 'm7', recordedState: 'closed', listedState: undefined }]);
    });

    it('finds an entry without a machine', async () => {
      const { damaged } = await givenDamage({ kind: 'add_entry', id: 'ghost', state: 'open' });
      expect(damaged).toEqual([{ id: 'ghost', recordedState: undefined, listedState: 'open' }]);
    });

    it('finds a second entry in a state that the machine is not in', async () => {
      const { damaged } = await givenDamage({ kind: 'add_entry', id: 'm7', state: 'open' });
      expect(damaged).toEqual([{ id: 'm7', recordedState: 'closed', listedState: 'open' }]);
    });

    it('finds a machine that is listed in another state', async () => {
      const { name, damaged } = await givenDamage({ kind: 'add_entry', id: 'm7', state: 'open' });
      expect(damaged).toHaveLength(1);
      await profile.damage(subject, {
        kind: 'remove_entry',
        name,
        id: 'm7',
        state: 'closed',
        configurationVersion: 'v1',
      });
      const { differences } = await audit(subject.store, name);
      expect(differences.length).toBeGreaterThan(0);
      for (const difference of differences)
        expect(difference).toMatchObject({ id: 'm7', recordedState: 'closed' });
      expect(differences.some(({ listedState }) => listedState === 'open')).toBe(true);
    });

    it('finds every one of many, once', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await concurrently(200, 64, (i) => givenMachine(store, name, `m${i}`));
      const ids = Array.from({ length: 50 }, (_, i) => `m${i * 4}`);
      for (const id of ids)
        await profile.damage(subject, {
          kind: 'remove_entry',
          name,
          id,
          state: 'closed',
          configurationVersion: 'v1',
        });
      const { differences } = await audit(store, name);
      expect(differences.map(({ id }) => id).sort()).toEqual([...ids].sort());
    });

    /** Twenty machines, all closed, and one wrong entry: what the audit says of it. */
    async function givenDamage(damage: Omit<Damage, 'name' | 'configurationVersion'>) {
      const { store } = subject;
      const name = await givenName(store);
      await concurrently(20, 20, (i) => givenMachine(store, name, `m${i}`));
      await profile.damage(subject, { ...damage, name, configurationVersion: 'v1' });
      return { name, damaged: (await audit(store, name)).differences };
    }
  });
};
