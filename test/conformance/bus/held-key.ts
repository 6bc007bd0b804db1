/** The laws of the key that a group names as held: which one it is, by which event, and since when not. */
import { describe, expect, it } from 'vitest';
import type { LeasedEvent } from '../../../src/bus/event.js';
import {
  type BusLaws,
  claim,
  expire,
  GROUP,
  givenGroup,
  groupFacts,
  keyed,
  mark,
  markAll,
  never,
  otherHandle,
  seqsClaimed,
  seqsOf,
  useBus,
  write,
} from './subject.js';

const FOR_EVER = { maxAttempts: 0, minBackoffMs: 1, maxBackoffMs: 1 };

export const describeHeldKey: BusLaws = (open, profile) => {
  describe('the held key of a group', () => {
    const subject = useBus(open);
    const heldKey = async (number: number) =>
      (await groupFacts(otherHandle(subject, profile), number)).heldKey;

    it('is that of an event that fails for ever, with its attempts, while other keys go on', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: FOR_EVER });
      await write(store, number, keyed('fine', 'poison', 'fine', 'poison', 'fine', 'poison'));
      const done: number[] = [];
      for (let attempts = 1; attempts <= 7; attempts++) {
        for (const each of await claim(store, number))
          if (each.event.seq === 2) await mark(store, number, each, 'retry', { delayMs: 0 });
          else {
            await mark(store, number, each);
            done.push(each.event.seq);
          }
        expect(await heldKey(number)).toEqual({ key: 'poison', seq: 2, attempts, firstWaitingSeq: 4 });
      }
      expect(done).toEqual([1, 3, 5]);
      await mark(store, number, 2);
      expect(await heldKey(number)).toEqual({ key: 'poison', seq: 4, attempts: 0, firstWaitingSeq: 6 });
      await markAll(store, number, [4]);
      expect(await heldKey(number)).toBeUndefined();
      expect(await seqsClaimed(store, number)).toEqual([6]);
    });

    it('is there only while somebody waits for it', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: FOR_EVER });
      expect(await heldKey(number)).toBeUndefined();
      await write(store, number, keyed('a', '', 'b'));
      await claim(store, number);
      await mark(store, number, 1, 'retry', { delayMs: 60_000 });
      expect(await heldKey(number)).toBeUndefined();
      await write(store, number, keyed('a'));
      await claim(store, number);
      expect(await heldKey(number)).toEqual({ key: 'a', seq: 1, attempts: 1, firstWaitingSeq: 4 });
      await mark(store, number, 4);
      expect(await heldKey(number)).toBeUndefined();
    });

    it('of several is the one that the oldest of those waiting waits for', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: FOR_EVER });
      await write(store, number, keyed('a', 'z', 'm', 'z', 'a', 'm'));
      expect(await seqsClaimed(store, number)).toEqual([1, 2, 3]);
      expect(await heldKey(number)).toEqual({ key: 'z', seq: 2, attempts: 1, firstWaitingSeq: 4 });
      await mark(store, number, 2);
      expect(await heldKey(number)).toEqual({ key: 'a', seq: 1, attempts: 1, firstWaitingSeq: 5 });
      // What is brought back to a busy key waits for it, and may be older than all others.
      expect(await seqsClaimed(store, number)).toEqual([4]);
      await mark(store, number, 2, 'retry');
      expect(await heldKey(number)).toEqual({ key: 'z', seq: 4, attempts: 1, firstWaitingSeq: 2 });
    });

    it('is named whole, whatever it is called, and though nobody has noticed that its lease is over', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: FOR_EVER });
      const key = 'order!7:ü %21 {x}';
      await write(store, number, keyed(key, key));
      const leased = await claim(store, number);
      expect(seqsOf(leased)).toEqual([1]);
      await expire(subject, number, leased[0] as LeasedEvent);
      expect(await groupFacts(store, number)).toMatchObject({ retrying: 1, leased: 0 });
      expect(await heldKey(number)).toEqual({ key, seq: 1, attempts: 1, firstWaitingSeq: 2 });
    });

    it('is gone with a seek, and with a dead letter', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { settings: { maxAttempts: 1 } });
      await write(store, number, keyed('a', 'a'));
      await claim(store, number);
      expect(await heldKey(number)).toMatchObject({ key: 'a', seq: 1 });
      await store.seekGroup(number, GROUP, { kind: 'beginning' }, never);
      expect(await heldKey(number)).toBeUndefined();
      const [again] = await claim(store, number);
      expect(await heldKey(number)).toMatchObject({ key: 'a', seq: 1 });
      await mark(store, number, again as LeasedEvent, 'retry');
      expect(await heldKey(number)).toBeUndefined();
    });
  });
};
