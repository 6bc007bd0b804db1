/** Storms: many callers on few things, from every handle at once, and what must be true after. */
import { describe, expect, it } from 'vitest';
import type { FsmStore } from '../../src/fsm/store.js';
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
  never,
  outcomeOf,
  send,
  useSubject,
} from './subject.js';
import { Watcher } from './watcher.js';

export const describeStorms: Laws = (open, profile) => {
  describe('a storm', () => {
    const subject = useSubject(open);
    const either = (i: number): FsmStore => {
      const stores = handles(subject, profile);
      return stores[i % stores.length] ?? subject.store;
    };

    it('of 1,000 duplicates of one event is one transition and 1,000 equal outcomes', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const watcher = new Watcher(store, name, await store.tail(name, never));
      const answers = await concurrently(1000, 1000, (i) =>
        send(either(i), name, 'm', command('knock', 'e1')),
      );
      const outcomes = new Set(
        answers.map((answer) => JSON.stringify(answer.kind === 'outcome' && answer.outcome)),
      );
      expect(outcomes.size).toBe(1);
      expect(answers[0]).toMatchObject({ outcome: { kind: 'applied', version: 1 } });
      expect(answers.filter((answer) => answer.kind === 'outcome' && !answer.replayed)).toHaveLength(1);
      expect((await historyOf(store, name, 'm')).map(({ version }) => version)).toEqual([1]);
      await send(store, name, 'm', command('lock', 'e2'));
      await watcher.until(
        () => watcher.changes.some(({ eventId }) => eventId === 'e2'),
        'the event after the storm',
      );
      expect(watcher.changes.map(({ eventId }) => eventId)).toEqual(['e1', 'e2']);
      await watcher.stop();
    });

    it('of duplicates with two bodies gives every caller of the winner its outcome and the others REUSED', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const bodies = ['one', 'two'].map((originator) => command('knock', 'e1', { originator }));
      const answers = await concurrently(200, 200, async (i) => ({
        body: i % 2,
        gist: gist(await send(either(i >> 1), name, 'm', bodies[i % 2] as (typeof bodies)[0])),
      }));
      const winner = answers.find((answer) => answer.gist === 'applied')?.body;
      expect(answers.filter((answer) => answer.gist === 'applied')).toHaveLength(1);
      expect(
        answers.filter((answer) => answer.gist === 'applied again' && answer.body === winner),
      ).toHaveLength(99);
      expect(
        answers.filter((answer) => answer.gist === 'event_id_reused' && answer.body !== winner),
      ).toHaveLength(100);
    });

    it('of 64 callers on one machine leaves a history without gap as long as its version', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const outcomes = await concurrently(64 * 20, 64, (i) =>
        outcomeOf(either(i), name, 'm', command(['open', 'close', 'knock'][i % 3] ?? '', `e${i}`)),
      );
      const applied = outcomes.flatMap((outcome) => (outcome.kind === 'applied' ? [outcome.version] : []));
      const versions = Array.from({ length: applied.length }, (_, i) => i + 1);
      expect([...applied].sort((a, b) => a - b)).toEqual(versions);
      const machine = await getMachine(store, name, 'm');
      expect(machine?.version).toBe(applied.length);
      const history = await historyOf(store, name, 'm', { limit: 100 });
      expect(history.map(({ version }) => version)).toEqual(versions);
      history.reduce((state, { from, to }) => {
        expect(from).toBe(state);
        return to;
      }, 'closed');
      expect(history.at(-1)?.to).toBe(machine?.state);
      await expectIndexEqualsScan(store, name, ['m'], DOOR.states);
    });

    it('of batches on one machine keeps each batch together', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await concurrently(64, 32, (i) =>
        either(i).advance(
          name,
          'm',
          Array.from({ length: 5 }, (_, k) => command('knock', `b${i}-${k}`)),
          never,
        ),
      );
      const ids = (await historyOf(store, name, 'm')).map(({ event }) => event.eventId);
      expect(ids).toHaveLength(64 * 5);
      for (let at = 0; at < ids.length; at += 5) {
        const batch = ids[at]?.split('-')[0];
        expect(ids.slice(at, at + 5)).toEqual([0, 1, 2, 3, 4].map((k) => `${batch}-${k}`));
      }
    });

    it('over 100 machines leaves list, counts and records in agreement', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const ids = Array.from({ length: 100 }, (_, i) => `m${i}`);
      await concurrently(ids.length, 64, (i) => givenMachine(either(i), name, `m${i}`));
      const events = ['open', 'close', 'lock', 'unlock', 'knock'];
      const answers = await concurrently(3000, 128, async (i) => {
        const id = `m${(i * 31) % 100}`;
        return { id, answer: await send(either(i), name, id, command(events[(i * 7) % 5] ?? '')) };
      });
      await expectIndexEqualsScan(store, name, ids, DOOR.states);
      for (const id of ids) {
        const applied = answers.filter((each) => each.id === id && gist(each.answer) === 'applied');
        expect((await getMachine(store, name, id))?.version).toBe(applied.length);
      }
    });

    it('of callers that all repeat what they sent has each event once', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const ids = Array.from({ length: 10 }, (_, i) => `m${i}`);
      for (const id of ids) await givenMachine(store, name, id);
      await concurrently(1500, 100, (i) =>
        send(either(i), name, `m${i % 10}`, command('knock', `e${i % 500}`)),
      );
      for (const id of ids) {
        const eventIds = (await historyOf(store, name, id)).map(({ event }) => event.eventId);
        expect(new Set(eventIds).size).toBe(eventIds.length);
        expect(eventIds).toHaveLength(50);
      }
    });
  });
};
