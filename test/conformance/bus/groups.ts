/** The laws of groups: where they start, what they are set to, and how they are moved, ended and made again. */
import { describe, expect, it } from 'vitest';
import { MAX_GROUPS } from '../../../src/bus/bounds.js';
import { DEFAULT_GROUP_OF_STREAM, type LeasedEvent, type Position } from '../../../src/bus/event.js';
import { concurrently } from '../../support/waiting.js';
import {
  addGroup,
  type BusLaws,
  busHandles,
  claim,
  claimOne,
  claimRequest,
  GROUP,
  givenGroup,
  givenStream,
  groupFacts,
  listDead,
  listStatuses,
  makeDead,
  mark,
  markAll,
  never,
  newEvents,
  newGroup,
  otherHandle,
  pass,
  range,
  seqsClaimed,
  statuses,
  streamFacts,
  TEST_GROUP,
  useBus,
  write,
} from './subject.js';

export const describeGroups: BusLaws = (open, profile) => {
  describe('a group', () => {
    const subject = useBus(open);

    it('is what its creator said', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const filter = { types: ['a', 'é'], attributes: { color: 'red', '': '' } };
      const { kind, ...rest } = await store.createGroup(number, newGroup('g', { filter }), never);
      expect(kind).toBe('created');
      const group = { name: 'g', settings: TEST_GROUP, filter, revision: 1, generation: expect.any(Number) };
      expect(rest).toEqual({ group: { ...group, createTimeMs: expect.any(Number) } });
      for (const each of busHandles(subject, profile))
        expect(await each.listGroups(number, never)).toEqual({
          kind: 'groups',
          groups: [{ ...group, createTimeMs: expect.any(Number) }],
        });
    });

    it('is created once: the same request is told so, every other that it exists', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const asked = newGroup('g', { requestId: 'r', requestHash: 'h' });
      const made = await store.createGroup(number, asked, never);
      const group = 'group' in made && made.group;
      const other = otherHandle(subject, profile);
      expect(await other.createGroup(number, asked, never)).toEqual({ kind: 'replayed', group });
      for (const changes of [{ requestHash: 'i' }, { requestId: 's' }, { requestId: '' }])
        expect(await other.createGroup(number, { ...asked, ...changes }, never)).toEqual({
          kind: 'exists',
          group,
        });
      const stores = busHandles(subject, profile);
      const answers = await concurrently(20, 20, (i) =>
        (stores[i % stores.length] ?? store).createGroup(number, newGroup('h'), never),
      );
      expect(answers.filter(({ kind }) => kind === 'created')).toHaveLength(1);
    });

    it('takes new settings by its revision or by none, and acts by them', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { filter: { types: [], attributes: {} } });
      await write(store, number, newEvents(1));
      const settings = { ...TEST_GROUP, maxAttempts: 1 };
      const first = await store.updateGroup(number, GROUP, settings, 1, never);
      expect(first).toMatchObject({ kind: 'updated', group: { name: GROUP, settings, revision: 2 } });
      expect('group' in first && first.group.filter).toEqual({ types: [], attributes: {} });
      const late = await store.updateGroup(number, GROUP, TEST_GROUP, 1, never);
      expect(late).toMatchObject({ kind: 'revision_mismatch', group: { settings, revision: 2 } });
      expect(await store.updateGroup(number, 'nobody', settings, undefined, never)).toEqual({
        kind: 'group_not_found',
      });
      await mark(otherHandle(subject, profile), number, await claimOne(store, number), 'retry');
      expect(await statuses(store, number)).toEqual(['dead']);
      expect(
        await otherHandle(subject, profile).updateGroup(number, GROUP, TEST_GROUP, undefined, never),
      ).toMatchObject({
        kind: 'updated',
        group: { settings: TEST_GROUP, revision: 3 },
      });
    });

    it('called default has the settings of one, and can be changed, sought and deleted', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, newEvents(2));
      expect(await statuses(store, number, 'default')).toEqual(['unprocessed', 'unprocessed']);
      expect(await store.listGroups(number, never)).toEqual({ kind: 'groups', groups: [] });
      const old = await claimOne(store, number, { group: 'default' });
      expect(await store.listGroups(number, never)).toMatchObject({
        groups: [{ name: 'default', settings: DEFAULT_GROUP_OF_STREAM, filter: undefined, revision: 1 }],
      });
      expect((await store.createGroup(number, newGroup('default'), never)).kind).toBe('exists');
      const updated = await store.updateGroup(number, 'default', TEST_GROUP, 1, never);
      expect(updated).toMatchObject({ kind: 'updated', group: { revision: 2, settings: TEST_GROUP } });
      expect(await store.deleteGroup(number, 'default', never)).toEqual({ kind: 'deleted' });
      expect((await streamFacts(store, number)).groups).toEqual([]);
      expect(await mark(store, number, old, 'processed', { group: 'default' })).toBe('stale');
      expect(await seqsClaimed(store, number, { group: 'default' })).toEqual([1, 2]);
    });

    it('starts where its creator says', async () => {
      const { store } = subject;
      const number = await givenStream(store, { maxEvents: 6, overflow: 'drop_oldest' });
      const times: number[] = [];
      for (let i = 0; i < 8; i++) {
        times.push((await write(store, number, newEvents(1)))[0]?.createTimeMs ?? 0);
        await pass(subject, 3);
      }
      const starts: [Position, number][] = [
        [{ kind: 'beginning' }, 3],
        [{ kind: 'end' }, 9],
        [{ kind: 'seq', seq: 3 }, 3],
        [{ kind: 'seq', seq: 5 }, 5],
        [{ kind: 'seq', seq: 9 }, 9],
        [{ kind: 'time', timeMs: 0 }, 3],
        [{ kind: 'time', timeMs: times[5] ?? 0 }, 6],
        [{ kind: 'time', timeMs: (times[5] ?? 0) + 1 }, 7],
        [{ kind: 'time', timeMs: 2 ** 42 }, 9],
      ];
      for (const [i, [start, seq]] of starts.entries()) {
        await addGroup(store, number, newGroup(`g${i}`, { start }));
        expect(await groupFacts(store, number, `g${i}`)).toMatchObject({ cursor: seq, unprocessed: 9 - seq });
        expect(await seqsClaimed(store, number, { group: `g${i}` })).toEqual(range(seq, 8));
      }
      for (const seq of [0, 2, 10, 1_000])
        expect(
          await store.createGroup(number, newGroup('out', { start: { kind: 'seq', seq } }), never),
        ).toEqual({
          kind: 'out_of_range',
          firstSeq: 3,
          lastSeq: 8,
        });
      expect((await store.listGroups(number, never)) as unknown).toMatchObject({
        groups: starts.map((_, i) => ({ name: `g${i}` })),
      });
    });

    it('that starts at the end is given what is written from then on', async () => {
      const { store } = subject;
      const number = await givenStream(store);
      await write(store, number, newEvents(3));
      await addGroup(store, number, newGroup(GROUP, { start: { kind: 'end' } }));
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await statuses(store, number)).toEqual(Array(3).fill('processed'));
      await write(store, number, newEvents(2));
      expect(await seqsClaimed(store, number)).toEqual([4, 5]);
    });

    it('is one of at most 64, by name', { timeout: 60_000 }, async () => {
      const { store } = subject;
      const number = await givenStream(store);
      const names = range(1, MAX_GROUPS).map((i) => `g-${String((i * 37) % 100).padStart(2, '0')}`);
      for (const name of names) await addGroup(store, number, newGroup(name));
      expect(await store.createGroup(number, newGroup('another'), never)).toEqual({
        kind: 'too_many_groups',
      });
      expect((await store.createGroup(number, newGroup('g-37'), never)).kind).toBe('exists');
      const listed = await store.listGroups(number, never);
      expect(listed.kind === 'groups' && listed.groups.map(({ name }) => name)).toEqual([...names].sort());
      expect((await streamFacts(store, number)).groups).toHaveLength(MAX_GROUPS);
      await store.deleteGroup(number, names[0] ?? '', never);
      await addGroup(store, number, newGroup('another'));
    });

    it('is not there after it was deleted, and made again it is another', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(6));
      await makeDead(store, number, 2);
      const request = claimRequest({ consumer: 'c2' });
      await markAll(store, number, [1]);
      await mark(store, number, 3, 'retry', { delayMs: 60_000 });
      await mark(store, number, 4, 'unprocessed');
      const old = await claimOne(store, number, request);
      expect(old.event.seq).toBe(4);
      expect(await store.deleteGroup(number, GROUP, never)).toEqual({ kind: 'deleted' });
      expect(await store.deleteGroup(number, GROUP, never)).toEqual({ kind: 'absent' });
      expect(await store.claim(number, request, never)).toEqual({ kind: 'group_not_found' });
      for (const answer of [
        await store.settle(number, GROUP, [], never),
        await store.seekGroup(number, GROUP, { kind: 'end' }, never),
        await store.listEvents(number, GROUP, undefined, 1, 10, never),
        await store.listDead(number, GROUP, undefined, 10, never),
        await store.replayDead(number, GROUP, { kind: 'all', after: undefined }, never),
        await store.purgeDead(number, GROUP, { kind: 'all', after: undefined }, never),
      ])
        expect(answer).toEqual({ kind: 'group_not_found' });
      await addGroup(store, number, newGroup());
      expect(await groupFacts(store, number)).toMatchObject({
        unprocessed: 6,
        leased: 0,
        retrying: 0,
        waiting: 0,
        dead: 0,
        trimmedUnprocessed: 0,
      });
      expect(await listDead(store, number)).toEqual([]);
      expect(await mark(store, number, old)).toBe('stale');
      const again = await claim(otherHandle(subject, profile), number, request);
      expect(again.map(({ event, attempt }) => [event.seq, attempt])).toEqual(
        range(1, 6).map((seq) => [seq, 1]),
      );
      expect(again[0]?.lease).toBeGreaterThan(old.lease);
      expect(await mark(store, number, { ...old, event: { ...old.event, seq: 4 } })).toBe('stale');
      expect(await mark(store, number, again[3] as LeasedEvent)).toBe('ok');
    });
  });

  describe('seeking', () => {
    const subject = useBus(open);

    it('goes to any place that is kept, and says where that is', async () => {
      const { store } = subject;
      const number = await givenGroup(store, { stream: { maxEvents: 6, overflow: 'drop_oldest' } });
      const times: number[] = [];
      for (let i = 0; i < 8; i++) {
        times.push((await write(store, number, newEvents(1)))[0]?.createTimeMs ?? 0);
        await pass(subject, 3);
      }
      const places: [Position, number][] = [
        [{ kind: 'beginning' }, 3],
        [{ kind: 'end' }, 9],
        [{ kind: 'seq', seq: 4 }, 4],
        [{ kind: 'seq', seq: 9 }, 9],
        [{ kind: 'time', timeMs: 0 }, 3],
        [{ kind: 'time', timeMs: times[6] ?? 0 }, 7],
        [{ kind: 'time', timeMs: 2 ** 42 }, 9],
      ];
      let { generation } = (await groupFacts(store, number)).group;
      for (const [to, cursor] of places) {
        const answer = await otherHandle(subject, profile).seekGroup(number, GROUP, to, never);
        expect(answer).toMatchObject({ kind: 'sought', cursor, group: { name: GROUP, revision: 1 } });
        const after = 'group' in answer ? answer.group.generation : 0;
        expect(after).toBeGreaterThan(generation);
        generation = after;
        expect(await groupFacts(store, number)).toMatchObject({ cursor, unprocessed: 9 - cursor, leased: 0 });
        expect(await seqsClaimed(store, number)).toEqual(range(cursor, 8));
      }
      for (const seq of [0, 2, 10])
        expect(await store.seekGroup(number, GROUP, { kind: 'seq', seq }, never)).toEqual({
          kind: 'out_of_range',
          firstSeq: 3,
          lastSeq: 8,
        });
      expect((await groupFacts(store, number)).group.generation).toBe(generation);
      expect(await store.seekGroup(number, 'nobody', { kind: 'end' }, never)).toEqual({
        kind: 'group_not_found',
      });
    });

    it('forgets all that was in flight or marked, and gives everything again as new', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(8));
      const leased = await claim(store, number, { maxEvents: 5 });
      await mark(store, number, leased[0] as LeasedEvent);
      await mark(store, number, leased[1] as LeasedEvent, 'retry', { delayMs: 60_000 });
      await mark(store, number, leased[2] as LeasedEvent, 'unprocessed');
      await markAll(store, number, [7]);
      await store.seekGroup(number, GROUP, { kind: 'beginning' }, never);
      expect(await listStatuses(store, number)).toEqual(
        range(1, 8).map((seq) => ({ seq, status: 'unprocessed', attempts: 0 })),
      );
      expect(await groupFacts(store, number)).toMatchObject({
        leased: 0,
        retrying: 0,
        unprocessed: 8,
        lag: 8,
      });
      const again = await claim(store, number);
      expect(again.map(({ event, attempt }) => [event.seq, attempt])).toEqual(
        range(1, 8).map((seq) => [seq, 1]),
      );
      expect(await mark(store, number, leased[3] as LeasedEvent)).toBe('stale');
      expect(await seqsClaimed(store, number)).toEqual([]);
    });

    it('to the end leaves nothing to be given', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(5));
      await claim(store, number, { maxEvents: 2 });
      await store.seekGroup(number, GROUP, { kind: 'end' }, never);
      expect(await seqsClaimed(store, number)).toEqual([]);
      expect(await statuses(store, number)).toEqual(Array(5).fill('processed'));
    });

    it('leaves dead letters as they are, and does not give them again', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(3));
      await makeDead(store, number, 2);
      const dead = await listDead(store, number);
      await store.seekGroup(number, GROUP, { kind: 'beginning' }, never);
      expect(await listDead(store, number)).toEqual(dead);
      expect(await statuses(store, number)).toEqual(['unprocessed', 'dead', 'unprocessed']);
      expect(await seqsClaimed(store, number)).toEqual([1, 3]);
      expect((await groupFacts(store, number)).dead).toBe(1);
    });

    it('leaves the other groups where they are', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await addGroup(store, number, newGroup('g2'));
      await write(store, number, newEvents(3));
      const held = await claim(store, number, { group: 'g2' });
      await store.seekGroup(number, GROUP, { kind: 'end' }, never);
      expect(await statuses(store, number, 'g2')).toEqual(Array(3).fill('leased'));
      expect(await markAll(store, number, held, 'processed', { group: 'g2' })).toEqual(['ok', 'ok', 'ok']);
    });

    it('over and over makes every older token stale', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      await write(store, number, newEvents(1));
      const held: LeasedEvent[] = [];
      for (let i = 0; i < 5; i++) {
        held.push(await claimOne(store, number));
        if (i < 4) await store.seekGroup(number, GROUP, { kind: 'beginning' }, never);
      }
      for (const old of held.slice(0, -1)) expect(await mark(store, number, old)).toBe('stale');
      expect(await mark(store, number, held.at(-1) as LeasedEvent)).toBe('ok');
    });
  });
};
