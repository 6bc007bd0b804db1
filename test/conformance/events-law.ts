/** The law of one event: it moves the machine at most once, and everything it changes changes together. */
import { describe, expect, it } from 'vitest';
import {
  command,
  content,
  getMachine,
  givenMachine,
  givenName,
  handles,
  historyOf,
  type Laws,
  listAll,
  never,
  newName,
  outcomeOf,
  send,
  useSubject,
} from './subject.js';
import { Watcher } from './watcher.js';

export const describeEventsLaw: Laws = (open, profile) => {
  describe('an event', () => {
    const subject = useSubject(open);

    it('that is allowed changes state, version, list, history, outcome and feed together', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const made = await givenMachine(store, name, 'm');
      const watcher = new Watcher(store, name, await store.tail(name, never));
      const sent = command('open', 'e1');
      const answer = await send(store, name, 'm', sent);
      expect(answer).toEqual({
        kind: 'outcome',
        outcome: { kind: 'applied', from: 'closed', to: 'open', version: 1, timeMs: expect.any(Number) },
        replayed: false,
      });
      const timeMs = answer.kind === 'outcome' ? answer.outcome.timeMs : 0;
      const { bodyHash, ...event } = sent;
      const transition = { version: 1, from: 'closed', to: 'open', event, applyTimeMs: timeMs };
      const machine = { ...made, state: 'open', version: 1, updateTimeMs: timeMs };
      expect(await store.getMachine(name, 'm', 10, never)).toEqual({ machine, history: [transition] });
      expect(await listAll(store, name, { states: ['open'] })).toEqual([machine]);
      expect(await listAll(store, name, { states: ['closed'] })).toEqual([]);
      expect(await historyOf(store, name, 'm')).toEqual([transition]);
      const stored = { outcome: answer.kind === 'outcome' && answer.outcome, bodyHash, uid: made.uid };
      expect(await store.getOutcome(name, 'm', 'e1', never)).toEqual({ id: 'm', stored });
      expect(await store.getEvent(name, 'm', 'e1', never)).toEqual({ id: 'm', transition });
      expect(await watcher.seen(1)).toEqual([
        {
          kind: 'transition',
          id: 'm',
          uid: made.uid,
          version: 1,
          configurationVersion: 'v1',
          from: 'closed',
          to: 'open',
          eventName: 'open',
          eventId: 'e1',
          timeMs,
        },
      ]);
      await watcher.stop();
    });

    it('that is not allowed changes nothing but its outcome', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const made = await givenMachine(store, name, 'm');
      const watcher = new Watcher(store, name, await store.tail(name, never));
      const outcome = await outcomeOf(store, name, 'm', command('unlock', 'e1'));
      expect(outcome).toEqual({
        kind: 'not_allowed',
        state: 'closed',
        version: 0,
        configurationVersion: 'v1',
        timeMs: expect.any(Number),
      });
      expect(await store.getMachine(name, 'm', 10, never)).toEqual({ machine: made, history: [] });
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored.outcome).toEqual(outcome);
      expect(await store.getEvent(name, 'm', 'e1', never)).toBeUndefined();
      await send(store, name, 'm', command('open', 'e2'));
      expect((await watcher.seen(1)).map(({ eventId }) => eventId)).toEqual(['e2']);
      await watcher.stop();
    });

    it('may leave the state as it is and still counts', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      for (let version = 1; version <= 3; version++)
        expect(await outcomeOf(store, name, 'm', command('knock'))).toMatchObject({
          from: 'closed',
          to: 'closed',
          version,
        });
      expect(await listAll(store, name, { states: ['closed'] })).toHaveLength(1);
      expect(await store.countByState(name, ['closed'], 'v1', never)).toEqual([1]);
    });

    it('of a repeated edge takes the first', async () => {
      const { store } = subject;
      const name = newName();
      const transitions = [
        { from: 'a', event: 'go', to: 'b' },
        { from: 'a', event: 'go', to: 'c' },
      ];
      await store.createConfiguration(
        { name, version: 'v1', states: ['a', 'b', 'c'], transitions, startingState: 'a', finalStates: [] },
        never,
      );
      await givenMachine(store, name, 'm', { state: 'a' });
      expect(await outcomeOf(store, name, 'm', command('go'))).toMatchObject({ kind: 'applied', to: 'b' });
    });

    it('for no machine is FSM_NOT_FOUND, and is evaluated afresh when there is one', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const sent = command('open', 'e1');
      expect(await send(store, name, 'm', sent)).toEqual({
        kind: 'outcome',
        outcome: { kind: 'fsm_not_found', timeMs: expect.any(Number) },
        replayed: false,
      });
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored).toMatchObject({
        outcome: { kind: 'fsm_not_found' },
        uid: '',
      });
      await givenMachine(store, name, 'm');
      expect(await send(store, name, 'm', sent)).toMatchObject({
        outcome: { kind: 'applied' },
        replayed: false,
      });
    });

    it('for no configuration is CONFIGURATION_NOT_FOUND for each command, and is not stored', async () => {
      const { store } = subject;
      const name = newName();
      const sent = command('open', 'e1');
      expect(await store.advance(name, 'm', [sent, command('open')], never)).toEqual([
        { kind: 'configuration_not_found' },
        { kind: 'configuration_not_found' },
      ]);
      await store.createConfiguration(content({ name }), never);
      expect(await store.getOutcome(name, 'm', 'e1', never)).toBeUndefined();
      await givenMachine(store, name, 'm');
      expect(await send(store, name, 'm', sent)).toMatchObject({
        outcome: { kind: 'applied' },
        replayed: false,
      });
    });

    it('sent again with the same body is answered with the first outcome', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const first = await send(store, name, 'm', command('open', 'e1'));
      await send(store, name, 'm', command('close'));
      for (const each of handles(subject, profile)) {
        const again = await send(each, name, 'm', command('open', 'e1'));
        expect(again).toEqual({ ...first, replayed: true });
      }
      expect((await getMachine(store, name, 'm'))?.version).toBe(2);
    });

    it('that was refused stays refused when it is sent again, though the machine moved', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const first = await send(store, name, 'm', command('unlock', 'e1'));
      await send(store, name, 'm', command('lock'));
      expect(await send(store, name, 'm', command('unlock', 'e1'))).toEqual({ ...first, replayed: true });
      expect(await getMachine(store, name, 'm')).toMatchObject({ state: 'locked', version: 1 });
    });

    it.each([
      ['timestamp', { timestampUs: 5 }],
      ['expected version', { expectedVersion: 77 }],
      ['expected state', { expectedState: 'elsewhere' }],
    ])('is the same event with another %s', async (_, changes) => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const first = await send(store, name, 'm', command('open', 'e1'));
      expect(await send(store, name, 'm', command('open', 'e1', changes))).toEqual({
        ...first,
        replayed: true,
      });
    });

    it.each([
      ['name', command('lock', 'e1')],
      ['originator', command('open', 'e1', { originator: 'another' })],
      ['details', command('open', 'e1', { details: '{"a":1}' })],
    ])('with another %s under a used id is refused and changes nothing', async (_, other) => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('open', 'e1'));
      const before = await store.getOutcome(name, 'm', 'e1', never);
      expect(await send(store, name, 'm', other)).toEqual({ kind: 'event_id_reused' });
      expect(await store.getOutcome(name, 'm', 'e1', never)).toEqual(before);
      expect((await getMachine(store, name, 'm'))?.version).toBe(1);
    });

    it('is another event on another machine, and on another configuration name', async () => {
      const { store } = subject;
      const [one, two] = [await givenName(store), await givenName(store)];
      const places = [
        [one, 'm'],
        [one, 'n'],
        [two, 'm'],
      ] as const;
      for (const [name, id] of places) await givenMachine(store, name, id);
      for (const [name, id] of places)
        expect(await send(store, name, id, command('open', 'e1', { originator: id }))).toMatchObject({
          outcome: { kind: 'applied', version: 1 },
          replayed: false,
        });
    });

    it('is not applied to a later machine of the same id', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const made = await givenMachine(store, name, 'm');
      const first = await send(store, name, 'm', command('open', 'e1'));
      await store.deleteMachine(name, 'm', undefined, never);
      expect(await send(store, name, 'm', command('open', 'e1'))).toEqual({ ...first, replayed: true });
      await givenMachine(store, name, 'm');
      expect(await send(store, name, 'm', command('open', 'e1'))).toEqual({ ...first, replayed: true });
      expect(await getMachine(store, name, 'm')).toMatchObject({ state: 'closed', version: 0 });
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored.uid).toBe(made.uid);
    });

    it('keeps its text and time to the microsecond', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const texts = { originator: 'Zoë \u{1F6AA}\u0000\n', details: `{"text":"${'é'.repeat(8000)}"}` };
      const sent = command('open', 'e1', {
        ...texts,
        timestampUs: Number.MAX_SAFE_INTEGER,
      });
      await send(store, name, 'm', sent);
      const { bodyHash: _, ...event } = sent;
      expect((await historyOf(store, name, 'm'))[0]?.event).toEqual(event);
      expect((await store.getEvent(name, 'm', 'e1', never))?.transition.event).toEqual(event);
    });
  });
};
