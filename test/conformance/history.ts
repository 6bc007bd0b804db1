/** The laws of a machine's history: gapless, paged both ways, and honest about what is gone. */
import { describe, expect, it } from 'vitest';
import type { FsmStore, HistoryPosition } from '../../src/fsm/store.js';
import {
  command,
  givenMachine,
  givenName,
  historyOf,
  type Laws,
  never,
  send,
  useSubject,
} from './subject.js';

export const describeHistory: Laws = (open) => {
  describe('the history of a machine', () => {
    const subject = useSubject(open);

    it.each([
      ['oldest first', false, 1],
      ['oldest first', false, 7],
      ['oldest first', false, 1000],
      ['newest first', true, 1],
      ['newest first', true, 7],
      ['newest first', true, 1000],
    ])('pages %s (%s) completely by %i', async (_, newestFirst, limit) => {
      const { store } = subject;
      const { name, versions } = await knocked(store, 25);
      const read = await historyOf(store, name, 'm', { newestFirst, limit });
      expect(read.map(({ version }) => version)).toEqual(newestFirst ? versions.reverse() : versions);
    });

    it('of a page says whose it is and where the next one starts', async () => {
      const { store } = subject;
      const { name, uid } = await knocked(store, 5);
      expect(await page(store, name, undefined, false, 2)).toMatchObject({ uid, next: { uid, version: 3 } });
      expect(await page(store, name, undefined, true, 2)).toMatchObject({ uid, next: { uid, version: 3 } });
      expect(await page(store, name, { uid, version: 4 }, false, 2)).toMatchObject({ next: undefined });
      expect(await page(store, name, { uid, version: 2 }, true, 2)).toMatchObject({ next: undefined });
    });

    it('goes on from a position though events come meanwhile', async () => {
      const { store } = subject;
      const { name, uid } = await knocked(store, 4);
      await send(store, name, 'm', command('open'));
      const older = await page(store, name, { uid, version: 3 }, true, 10);
      expect(older.kind === 'page' && older.items.map(({ version }) => version)).toEqual([3, 2, 1]);
      const newer = await page(store, name, { uid, version: 3 }, false, 10);
      expect(newer.kind === 'page' && newer.items.map(({ version }) => version)).toEqual([3, 4, 5]);
    });

    it('comes with the machine: the last one always, and as many of the newest as asked, oldest first', async () => {
      const { store } = subject;
      const { name } = await knocked(store, 5);
      for (const [size, versions] of [
        [0, [5]],
        [1, [5]],
        [3, [3, 4, 5]],
        [1000, [1, 2, 3, 4, 5]],
      ] as const) {
        const found = await store.getMachine(name, 'm', size, never);
        expect(found?.history.map(({ version }) => version)).toEqual(versions);
      }
    });

    it("is that machine's alone, however machines take turns", async () => {
      const { store } = subject;
      const name = await givenName(store);
      const ids = ['m', 'n', 'o'];
      for (const id of ids) await givenMachine(store, name, id);
      for (let i = 0; i < 10; i++)
        for (const id of ids) await send(store, name, id, command('knock', `${id}${i}`, { originator: id }));
      for (const id of ids) {
        const events = (await historyOf(store, name, id)).map(({ event }) => [
          event.eventId,
          event.originator,
        ]);
        expect(events).toEqual(Array.from({ length: 10 }, (_, i) => [`${id}${i}`, id]));
        expect((await store.getEvent(name, id, `${id}4`, never))?.transition.event.originator).toBe(id);
      }
    });

    it('of no machine is FSM_NOT_FOUND', async () => {
      const { store } = subject;
      const name = await givenName(store);
      expect(await page(store, name, undefined, false, 10)).toEqual({ kind: 'fsm_not_found' });
      expect(await store.getMachine(name, 'm', 10, never)).toBeUndefined();
    });

    it('at a position of an earlier machine of the same id is EXPIRED', async () => {
      const { store } = subject;
      const { name, uid } = await knocked(store, 3);
      await store.deleteMachine(name, 'm', undefined, never);
      await givenMachine(store, name, 'm');
      await store.advance(
        name,
        'm',
        Array.from({ length: 5 }, () => command('knock')),
        never,
      );
      for (const newestFirst of [false, true])
        expect(await page(store, name, { uid, version: 2 }, newestFirst, 10)).toEqual({ kind: 'expired' });
    });
  });
};

/** A machine `m` that was knocked `count` times. */
async function knocked(store: FsmStore, count: number) {
  const name = await givenName(store);
  const { uid } = await givenMachine(store, name, 'm');
  const commands = Array.from({ length: count }, () => command('knock'));
  await store.advance(name, 'm', commands, never);
  return { name, uid, versions: commands.map((_, i) => i + 1) };
}

function page(
  store: FsmStore,
  name: string,
  from: HistoryPosition | undefined,
  newestFirst: boolean,
  limit: number,
) {
  return store.listTransitions(name, 'm', from, newestFirst, limit, never);
}
