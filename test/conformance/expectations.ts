/** The laws of expectations: an event that its sender bound to a version or a state moves nothing else. */
import { describe, expect, it } from 'vitest';
import {
  command,
  getMachine,
  givenMachine,
  givenName,
  handles,
  type Laws,
  never,
  outcomeOf,
  send,
  useSubject,
} from './subject.js';

export const describeExpectations: Laws = (open, profile) => {
  describe('an expectation', () => {
    const subject = useSubject(open);

    it.each([
      ['version', { expectedVersion: 0 }],
      ['state', { expectedState: 'closed' }],
      ['version and state', { expectedVersion: 0, expectedState: 'closed' }],
    ])('of the %s that holds lets the event through', async (_, expected) => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      expect(await outcomeOf(store, name, 'm', command('open', 'e1', expected))).toMatchObject({
        kind: 'applied',
      });
    });

    it.each([
      ['version', { expectedVersion: 1 }],
      ['state', { expectedState: 'open' }],
      ['version, beside a state that holds', { expectedVersion: 1, expectedState: 'closed' }],
      ['state, beside a version that holds', { expectedVersion: 0, expectedState: 'open' }],
      ['state that does not exist', { expectedState: 'nowhere' }],
      ['version far away', { expectedVersion: Number.MAX_SAFE_INTEGER }],
    ])('of the %s that does not hold is VERSION_MISMATCH with what is true', async (_, expected) => {
      const { store } = subject;
      const name = await givenName(store);
      const made = await givenMachine(store, name, 'm');
      const outcome = await outcomeOf(store, name, 'm', command('open', 'e1', expected));
      expect(outcome).toEqual({
        kind: 'version_mismatch',
        actualState: 'closed',
        actualVersion: 0,
        timeMs: expect.any(Number),
      });
      expect(await getMachine(store, name, 'm')).toEqual(made);
      const { stored } = (await store.getOutcome(name, 'm', 'e1', never)) ?? {};
      expect(stored).toMatchObject({ outcome, uid: made.uid });
    });

    it('is looked at before the transition: an old view is told so rather than refused', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      expect(
        await outcomeOf(store, name, 'm', command('unlock', 'e1', { expectedVersion: 3 })),
      ).toMatchObject({
        kind: 'version_mismatch',
      });
    });

    it('that failed is evaluated afresh when the event is sent again, even with another body', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const wary = command('open', 'e1', { expectedState: 'locked' });
      expect(await outcomeOf(store, name, 'm', wary)).toMatchObject({ kind: 'version_mismatch' });
      const other = command('lock', 'e1', { expectedState: 'closed' });
      expect(await send(store, name, 'm', other)).toMatchObject({
        outcome: { kind: 'applied' },
        replayed: false,
      });
      expect(await send(store, name, 'm', wary)).toEqual({ kind: 'event_id_reused' });
    });

    it('of one version lets exactly one of 200 events through', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const stores = handles(subject, profile);
      const outcomes = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          outcomeOf(
            stores[i % stores.length] ?? store,
            name,
            'm',
            command('knock', `e${i}`, { expectedVersion: 0 }),
          ),
        ),
      );
      expect(outcomes.filter(({ kind }) => kind === 'applied')).toHaveLength(1);
      expect(outcomes.filter(({ kind }) => kind === 'version_mismatch')).toHaveLength(199);
      expect((await getMachine(store, name, 'm'))?.version).toBe(1);
    });
  });
};
