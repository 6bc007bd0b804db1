/** The laws of kept outcomes: who finds them, for how long, and what may take their place. */
import { describe, expect, it } from 'vitest';
import { REFUSAL_RETENTION_MS } from '../../src/fsm/machine.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { eventually } from '../support/waiting.js';
import { chunk, refusal, swinging, word } from './past.js';
import {
  command,
  getMachine,
  givenMachine,
  givenName,
  handles,
  type Laws,
  never,
  newName,
  outcomeOf,
  type Subject,
  send,
  useSubject,
} from './subject.js';

/** Short where time really passes, long where it is the test's. */
const SHORT_RETENTION_MS = { fake: 3_600_000, engine: 1500 };

export const describeOutcomes: Laws = (open, profile) => {
  describe('an outcome', () => {
    const subject = useSubject(open);

    it('is unknown before the event', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      for (const id of ['m', 'n', undefined]) {
        expect(await store.getOutcome(name, id, 'e1', never)).toBeUndefined();
        expect(await store.getEvent(name, id, 'e1', never)).toBeUndefined();
      }
      expect(await store.getOutcome(newName(), undefined, 'e1', never)).toBeUndefined();
    });

    it('is found by every handle, with and without the machine', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const outcome = await outcomeOf(store, name, 'm', command('open', 'e1'));
      for (const each of handles(subject, profile))
        for (const id of ['m', undefined]) {
          const found = await each.getOutcome(name, id, 'e1', never);
          expect(found).toMatchObject({ id: 'm', stored: { outcome } });
          expect(await each.getEvent(name, id, 'e1', never)).toMatchObject({
            id: 'm',
            transition: { version: 1 },
          });
        }
      expect(await store.getOutcome(name, 'n', 'e1', never)).toBeUndefined();
    });

    it('asked for without a machine is the newest of the event', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const ids = Array.from({ length: 20 }, (_, i) => `m${i}`);
      for (const id of ids) {
        await givenMachine(store, name, id);
        await timePasses(subject, name);
        await send(store, name, id, command('open', 'e1'));
        for (const each of handles(subject, profile)) {
          expect((await each.getOutcome(name, undefined, 'e1', never))?.id).toBe(id);
          expect((await each.getEvent(name, undefined, 'e1', never))?.id).toBe(id);
        }
      }
    });

    it('of an event that was applied elsewhere is not hidden by a later refusal when the event is asked for', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('open', 'e1'));
      await timePasses(subject, name);
      await send(store, name, 'absent', command('open', 'e1'));
      expect(await store.getOutcome(name, undefined, 'e1', never)).toMatchObject({ id: 'absent' });
      expect(await store.getEvent(name, undefined, 'e1', never)).toMatchObject({ id: 'm' });
      expect(await store.getOutcome(name, 'm', 'e1', never)).toMatchObject({
        stored: { outcome: { kind: 'applied' } },
      });
    });

    it('that is not final never takes the place of one that is', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const applied = await outcomeOf(store, name, 'm', command('open', 'e1'));
      await store.deleteMachine(name, 'm', undefined, never);
      await send(store, name, 'm', command('open', 'e1', { expectedVersion: 9 }));
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored.outcome).toEqual(applied);
    });

    it('that is not final gives way to the next', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await send(store, name, 'm', command('open', 'e1'));
      await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('open', 'e1', { expectedVersion: 9 }));
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored.outcome.kind).toBe('version_mismatch');
      const last = await outcomeOf(store, name, 'm', command('open', 'e1'));
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored.outcome).toEqual(last);
    });

    it('stays when its machine is deleted, but the event goes with the history', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const outcome = await outcomeOf(store, name, 'm', command('open', 'e1'));
      await store.deleteMachine(name, 'm', undefined, never);
      await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('lock', 'e2'));
      expect((await store.getOutcome(name, 'm', 'e1', never))?.stored.outcome).toEqual(outcome);
      expect(await store.getEvent(name, 'm', 'e1', never)).toBeUndefined();
      expect(await store.getEvent(name, undefined, 'e1', never)).toBeUndefined();
    });
  });

  describe('the retention of outcomes', () => {
    const retentionMs = SHORT_RETENTION_MS[profile.clock];
    const subject = useSubject(open, { outcomeRetentionMs: retentionMs });

    it('ends: a final outcome lapses and the same id is another event', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('knock', 'e1'));
      expect(await send(store, name, 'm', command('knock', 'e1'))).toMatchObject({ replayed: true });
      await lapse(subject, retentionMs + 1);
      await eventually(async () => !(await has(store, name, 'e1')), 'the outcome lapses');
      expect(await store.getEvent(name, 'm', 'e1', never)).toBeUndefined();
      expect(await store.getOutcome(name, undefined, 'e1', never)).toBeUndefined();
      expect(await send(store, name, 'm', command('lock', 'e1'))).toMatchObject({
        outcome: { kind: 'applied', version: 2 },
        replayed: false,
      });
      expect((await getMachine(store, name, 'm'))?.version).toBe(2);
    });

    it('of what is imported ends too, counted from the import', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await store.importMachine(chunk(name, swinging(1, 1), { refused: [refusal('r1', 'open', 1)] }), never);
      for (const eventId of ['e1', 'r1']) expect(await has(store, name, eventId)).toBe(true);
      await lapse(subject, retentionMs + 1);
      for (const eventId of ['e1', 'r1'])
        await eventually(async () => !(await has(store, name, eventId)), 'the outcome lapses');
      expect(word(await store.importMachine(chunk(name, swinging(1, 1)), never))).toBe('there already');
    });

    it.skipIf(profile.clock === 'engine')(
      "does not end early (skipped where time is the engine's)",
      async () => {
        const { store } = subject;
        const name = await givenName(store);
        await givenMachine(store, name, 'm');
        await send(store, name, 'm', command('knock', 'e1'));
        await lapse(subject, retentionMs - 1);
        expect(await send(store, name, 'm', command('knock', 'e1'))).toMatchObject({ replayed: true });
        expect(await has(store, name, 'e1')).toBe(true);
      },
    );

    it.skipIf(profile.clock === 'engine')(
      "is ten minutes for a refusal that is not final (skipped where time is the engine's)",
      async () => {
        const { store } = subject;
        const name = await givenName(store);
        await send(store, name, 'm', command('knock', 'e1'));
        await lapse(subject, REFUSAL_RETENTION_MS - 1);
        expect(await has(store, name, 'e1')).toBe(true);
        await lapse(subject, 2);
        expect(await has(store, name, 'e1')).toBe(false);
      },
    );

    it('of one machine does not end because another machine had the event later', async () => {
      const { store } = subject;
      const name = await givenName(store);
      for (const id of ['m', 'n']) await givenMachine(store, name, id);
      await send(store, name, 'm', command('knock', 'e1'));
      await send(store, name, 'n', command('knock', 'e1'));
      await send(store, name, 'absent', command('knock', 'e1'));
      await lapse(subject, REFUSAL_RETENTION_MS + 1);
      for (const id of ['m', 'n'])
        expect(await send(store, name, id, command('knock', 'e1'))).toMatchObject({ replayed: true });
    });
  });
};

async function has(store: FsmStore, name: string, eventId: string): Promise<boolean> {
  return (await store.getOutcome(name, 'm', eventId, never)) !== undefined;
}

/** Moves the test's clock; the engine's moves by itself while the test waits for what it asks. */
async function lapse(subject: Subject, ms: number): Promise<void> {
  subject.clock?.advance(ms);
}

/** Returns when the store's clock shows a later millisecond than before. */
async function timePasses(subject: Subject, name: string): Promise<void> {
  if (subject.clock) return subject.clock.advance(1);
  const now = async () => (await outcomeOf(subject.store, name, 'probe', command('probe'))).timeMs;
  const start = await now();
  await eventually(async () => (await now()) > start, 'the clock moves');
}
