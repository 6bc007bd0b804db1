/** The laws of a batch: commands of one machine in the order given, each decided after the one before. */
import { describe, expect, it } from 'vitest';
import { MAX_EVENTS_PER_STEP } from '../../src/fsm/machine.js';
import {
  command,
  getMachine,
  gist,
  givenMachine,
  givenName,
  historyOf,
  type Laws,
  listAll,
  never,
  send,
  useSubject,
} from './subject.js';
import { Watcher } from './watcher.js';

export const describeEventsBatch: Laws = (open) => {
  describe('a batch of events', () => {
    const subject = useSubject(open);

    it('is applied in the order given', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const names = ['open', 'close', 'lock', 'unlock', 'knock'];
      const answers = await store.advance(
        name,
        'm',
        names.map((each) => command(each)),
        never,
      );
      expect(answers.map((answer) => answer.kind === 'outcome' && answer.outcome)).toMatchObject([
        { kind: 'applied', from: 'closed', to: 'open', version: 1 },
        { kind: 'applied', from: 'open', to: 'closed', version: 2 },
        { kind: 'applied', from: 'closed', to: 'locked', version: 3 },
        { kind: 'applied', from: 'locked', to: 'closed', version: 4 },
        { kind: 'applied', from: 'closed', to: 'closed', version: 5 },
      ]);
      expect((await historyOf(store, name, 'm')).map(({ event }) => event.name)).toEqual(names);
    });

    it('goes on after a refusal', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const answers = await store.advance(
        name,
        'm',
        [
          command('unlock'),
          command('open'),
          command('open', undefined, { expectedVersion: 0 }),
          command('lock'),
          command('close'),
          command('lock', undefined, { expectedState: 'open' }),
          command('lock'),
        ],
        never,
      );
      expect(answers.map(gist)).toEqual([
        'not_allowed',
        'applied',
        'version_mismatch',
        'not_allowed',
        'applied',
        'version_mismatch',
        'applied',
      ]);
      expect(await getMachine(store, name, 'm')).toMatchObject({ state: 'locked', version: 3 });
      expect(await listAll(store, name, { states: ['locked'] })).toHaveLength(1);
      expect(await listAll(store, name, { states: ['closed', 'open'] })).toEqual([]);
    });

    it('that holds one event twice applies it once', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const answers = await store.advance(
        name,
        'm',
        [command('knock', 'e1'), command('knock', 'e1'), command('lock', 'e1'), command('knock', 'e2')],
        never,
      );
      expect(answers.map(gist)).toEqual(['applied', 'applied again', 'event_id_reused', 'applied']);
      expect(answers[1]).toEqual({ ...answers[0], replayed: true });
      expect((await historyOf(store, name, 'm')).map(({ version }) => version)).toEqual([1, 2]);
    });

    it('that holds an unknown event twice evaluates it twice', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const wary = { expectedVersion: 1 };
      await givenMachine(store, name, 'm');
      const answers = await store.advance(
        name,
        'm',
        [command('knock', 'e1', wary), command('knock', 'e2'), command('knock', 'e1', wary)],
        never,
      );
      expect(answers.map(gist)).toEqual(['version_mismatch', 'applied', 'applied']);
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored.outcome).toMatchObject({ version: 2 });
    });

    it('for no machine finds none, each time', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const answers = await store.advance(name, 'm', [command('open', 'e1'), command('open', 'e1')], never);
      expect(answers.map(gist)).toEqual(['fsm_not_found', 'fsm_not_found']);
    });

    it(`takes ${MAX_EVENTS_PER_STEP} events at once, and shows them to a watcher in order`, async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const watcher = new Watcher(store, name, await store.tail(name, never));
      const names = Array.from({ length: MAX_EVENTS_PER_STEP }, (_, i) => (i % 2 === 0 ? 'open' : 'close'));
      const answers = await store.advance(
        name,
        'm',
        names.map((each, i) => command(each, `e${i}`)),
        never,
      );
      expect(answers.map(gist)).toEqual(names.map(() => 'applied'));
      const versions = names.map((_, i) => i + 1);
      expect((await historyOf(store, name, 'm')).map(({ version }) => version)).toEqual(versions);
      expect((await watcher.seen(names.length)).map(({ version }) => version)).toEqual(versions);
      expect(watcher.changes.map(({ eventId }) => eventId)).toEqual(names.map((_, i) => `e${i}`));
      await watcher.stop();
    });

    it('sent again after it was applied is replayed as a whole', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const batch = ['open', 'lock', 'close', 'lock'].map((each, i) => command(each, `e${i}`));
      const first = await store.advance(name, 'm', batch, never);
      const again = await store.advance(name, 'm', batch, never);
      expect(again).toEqual(first.map((answer) => ({ ...answer, replayed: true })));
      expect(await getMachine(store, name, 'm')).toMatchObject({ state: 'locked', version: 3 });
    });

    it('of large events is kept in full', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const details = Array.from({ length: MAX_EVENTS_PER_STEP }, (_, i) => String(i).padEnd(16_384, 'x'));
      await store.advance(
        name,
        'm',
        details.map((text) => command('knock', undefined, { details: text })),
        never,
      );
      const history = await historyOf(store, name, 'm', { limit: 30 });
      expect(history.map(({ event }) => event.details)).toEqual(details);
    });

    it('leaves machines that are not its own alone', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const other = await givenMachine(store, name, 'n');
      await store.advance(name, 'm', [command('open', 'e1'), command('close', 'e2')], never);
      expect(await getMachine(store, name, 'n')).toEqual(other);
      expect(await send(store, name, 'n', command('open', 'e1'))).toMatchObject({ replayed: false });
    });
  });
};
