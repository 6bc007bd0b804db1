/** The laws of streams: found by name, then known by a number that never means another stream. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DEFAULT_STREAM_SETTINGS, type Stream } from '../../../src/bus/event.js';
import type { BusStore } from '../../../src/bus/store.js';
import type { NewStream } from '../../../src/bus/verbs.js';
import { concurrently, eventually } from '../../support/waiting.js';
import { LONG_NAMES, TEXTS } from '../hostile-texts.js';
import { sorted } from '../subject.js';
import {
  addGroup,
  type BusLaws,
  busHandles,
  claimRequest,
  createStream,
  GROUP,
  givenGroup,
  givenStream,
  NO_OPTIONS,
  never,
  newEvent,
  newEvents,
  newGroup,
  newStreamName,
  otherHandle,
  seqsWritten,
  streamFacts,
  TEST_GROUP,
  useBus,
  write,
} from './subject.js';

function newStream(changes: Partial<NewStream> = {}): NewStream {
  return {
    name: newStreamName(),
    uid: randomUUID(),
    settings: DEFAULT_STREAM_SETTINGS,
    requestId: '',
    requestHash: 'h',
    ...changes,
  };
}

async function listNames(store: BusStore, limit: number): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < 1_000; pages++) {
    const page = await store.listStreams(after, limit, never);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    names.push(...page.items.map(({ name }) => name));
    if (page.next === undefined) return names;
    after = page.next;
  }
  throw new Error('the list does not end');
}

/** Every verb that takes a number, and what it answers. */
async function verbs(store: BusStore, number: number): Promise<unknown[]> {
  const position = { kind: 'beginning' } as const;
  const some = { kind: 'some', seqs: [1] } as const;
  return Promise.all([
    store.getStreamFacts(number, never),
    store.write(number, [newEvent()], NO_OPTIONS, never),
    store.read(number, 1, { limit: 10, maxBytes: 1_000, wake: true }, never),
    store.seqAt(number, 0, never),
    store.listEvents(number, GROUP, undefined, 1, 10, never),
    store.listEvents(number, GROUP, 'leased', 1, 10, never),
    store.createGroup(number, newGroup('another'), never),
    store.updateGroup(number, GROUP, TEST_GROUP, undefined, never),
    store.listGroups(number, never),
    store.seekGroup(number, GROUP, position, never),
    store.deleteGroup(number, GROUP, never),
    store.claim(number, claimRequest(), never),
    store.claim(number, claimRequest({ group: 'default' }), never),
    store.settle(number, GROUP, [{ seq: 1, lease: undefined, mark: 'retry', delayMs: 0 }], never),
    store.extend(number, GROUP, [{ seq: 1, lease: 1 }], undefined, never),
    store.listDead(number, GROUP, undefined, 10, never),
    store.replayDead(number, GROUP, some, never),
    store.purgeDead(number, GROUP, some, never),
  ]);
}

export const describeStreams: BusLaws = (open, profile) => {
  describe('a stream', () => {
    const subject = useBus(open);

    it('is what its creator said, by name and by number, on every handle', async () => {
      const settings = {
        maxAgeMs: 86_400_000,
        maxEvents: 7,
        maxBytes: 2 ** 40,
        overflow: 'drop_oldest',
        dedupeWindowMs: 60_000,
      } as const;
      const asked = newStream({ settings });
      const { kind, stream } = await subject.store.createStream(asked, never);
      expect(kind).toBe('created');
      expect(stream).toEqual({
        number: expect.any(Number),
        name: asked.name,
        uid: asked.uid,
        settings,
        revision: 1,
        createTimeMs: expect.any(Number),
      });
      for (const store of busHandles(subject, profile)) {
        expect(await store.getStream(asked.name, never)).toEqual(stream);
        expect(await store.getStreamByNumber(stream.number, never)).toEqual(stream);
        expect(await streamFacts(store, stream.number)).toEqual({
          kind: 'facts',
          stream,
          firstSeq: 1,
          lastSeq: 0,
          bytes: 0,
          groups: [],
        });
      }
    });

    it('is created once: the same request is told so, every other that it exists', async () => {
      const asked = newStream({ requestId: 'r' });
      const { stream } = await subject.store.createStream(asked, never);
      const other = otherHandle(subject, profile);
      const again = async (changes: Partial<NewStream>) =>
        other.createStream({ ...asked, uid: randomUUID(), ...changes }, never);
      expect(await again({})).toEqual({ kind: 'replayed', stream });
      expect(await again({ requestHash: 'other' })).toEqual({ kind: 'exists', stream });
      expect(await again({ requestId: 'other' })).toEqual({ kind: 'exists', stream });
      expect(await again({ requestId: '' })).toEqual({ kind: 'exists', stream });
      const anonymous = newStream();
      await subject.store.createStream(anonymous, never);
      expect((await other.createStream(anonymous, never)).kind).toBe('exists');
    });

    it('is created by one of many who ask at once', async () => {
      const name = newStreamName();
      const stores = busHandles(subject, profile);
      const answers = await concurrently(40, 40, (i) =>
        (stores[i % stores.length] ?? subject.store).createStream(newStream({ name }), never),
      );
      expect(answers.filter(({ kind }) => kind === 'created')).toHaveLength(1);
      expect(answers.filter(({ kind }) => kind === 'exists')).toHaveLength(39);
      expect(new Set(answers.map(({ stream }) => stream.uid)).size).toBe(1);
    });

    it('is not found by a name or a number that nobody made', async () => {
      expect(await subject.store.getStream(newStreamName(), never)).toBeUndefined();
      expect(await subject.store.getStreamByNumber(999_999_999, never)).toBeUndefined();
      for (const answer of await verbs(subject.store, 999_999_999)) expect(answer).toEqual({ kind: 'gone' });
    });

    it('takes new settings by its revision or by none', async () => {
      const { store } = subject;
      const stream = await createStream(store);
      const settings = (maxEvents: number) => ({ ...stream.settings, maxEvents });
      const first = await store.updateStream(stream.name, settings(1), 1, never);
      expect(first).toEqual({ kind: 'updated', stream: { ...stream, settings: settings(1), revision: 2 } });
      const late = await store.updateStream(stream.name, settings(2), 1, never);
      expect(late).toEqual({ ...first, kind: 'revision_mismatch' });
      const second = await otherHandle(subject, profile).updateStream(
        stream.name,
        settings(3),
        undefined,
        never,
      );
      expect(second).toEqual({ kind: 'updated', stream: { ...stream, settings: settings(3), revision: 3 } });
      expect((await streamFacts(store, stream.number)).stream).toMatchObject({
        revision: 3,
        uid: stream.uid,
      });
      await eventually(
        async () => (await store.getStream(stream.name, never))?.revision === 3,
        'the new revision is read',
        3_000,
      );
      expect(await store.updateStream(newStreamName(), settings(1), undefined, never)).toEqual({
        kind: 'stream_not_found',
      });
    });

    it('takes one of many updates to the same revision', async () => {
      const stream = await createStream(subject.store);
      const stores = busHandles(subject, profile);
      const answers = await concurrently(20, 20, (i) =>
        (stores[i % stores.length] ?? subject.store).updateStream(stream.name, stream.settings, 1, never),
      );
      expect(answers.filter(({ kind }) => kind === 'updated')).toHaveLength(1);
      expect(answers.filter(({ kind }) => kind === 'revision_mismatch')).toHaveLength(19);
    });

    it('acts by new settings from the answer on', async () => {
      const { store } = subject;
      const stream = await createStream(store);
      await write(store, stream.number, newEvents(3));
      await store.updateStream(stream.name, { ...stream.settings, maxEvents: 3 }, undefined, never);
      const other = otherHandle(subject, profile);
      expect(await other.write(stream.number, [newEvent()], NO_OPTIONS, never)).toEqual({ kind: 'full' });
    });
  });

  describe('deleting a stream', () => {
    const subject = useBus(open);

    it('takes its uid or none', async () => {
      const { store } = subject;
      const stream = await createStream(store);
      expect(await store.deleteStream(stream.name, 'another', never)).toEqual({
        kind: 'uid_mismatch',
        uid: stream.uid,
      });
      expect((await streamFacts(store, stream.number)).stream).toEqual(stream);
      expect(await store.deleteStream(stream.name, stream.uid, never)).toEqual({ kind: 'deleted' });
      expect(await store.deleteStream(stream.name, undefined, never)).toEqual({ kind: 'absent' });
      const other = await createStream(store);
      expect(await store.deleteStream(other.name, undefined, never)).toEqual({ kind: 'deleted' });
    });

    it('makes every verb on its number answer gone, on every handle', async () => {
      const { store } = subject;
      const number = await givenGroup(store);
      const { stream } = await streamFacts(store, number);
      await write(store, number, newEvents(20));
      await store.claim(number, claimRequest(), never);
      for (const each of busHandles(subject, profile)) await each.getStream(stream.name, never);
      await store.deleteStream(stream.name, undefined, never);
      for (const each of busHandles(subject, profile)) {
        for (const [i, answer] of (await verbs(each, number)).entries())
          expect(answer, `verb ${i}`).toEqual({ kind: 'gone' });
        await each.accept(number, GROUP, { consumer: 'c1', lease: 1, ackDeadlineMs: 1_000 }, never);
        await each.release(number, GROUP, 'c1', 'claim', never);
        await eventually(
          async () => (await each.getStream(stream.name, never)) === undefined,
          'the name is not found',
          3_000,
        );
        await eventually(
          async () => (await each.getStreamByNumber(number, never)) === undefined,
          'the number is not found',
          3_000,
        );
      }
      expect(await listNames(store, 100)).not.toContain(stream.name);
    });

    it('frees the name: the next stream of it has another number and nothing of the first', async () => {
      const { store } = subject;
      const settings = { ...DEFAULT_STREAM_SETTINGS, dedupeWindowMs: 60_000 };
      const name = newStreamName();
      const lives: Stream[] = [];
      for (let life = 0; life < 4; life++) {
        const each = life % 2 === 0 ? store : otherHandle(subject, profile);
        const stream = await createStream(each, settings, name);
        lives.push(stream);
        const event = newEvent({ dedupeId: 'd', body: Buffer.from(`${life}`) });
        const request = { requestId: 'r', requestHash: `${life}` };
        expect(await write(each, stream.number, [event], request)).toEqual([
          { seq: 1, createTimeMs: expect.any(Number), duplicate: false },
        ]);
        expect((await streamFacts(each, stream.number)).groups).toEqual([]);
        await addGroup(each, stream.number, newGroup());
        expect((await store.deleteStream(name, stream.uid, never)).kind).toBe('deleted');
      }
      expect(new Set(lives.map(({ number }) => number)).size).toBe(4);
      for (const { number } of lives)
        expect(await store.getStreamFacts(number, never)).toEqual({ kind: 'gone' });
    });

    it('leaves other streams as they are', async () => {
      const { store } = subject;
      const [one, two] = [await createStream(store), await createStream(store)];
      for (const { number } of [one, two]) await write(store, number, newEvents(5));
      await store.deleteStream(one.name, undefined, never);
      expect(await streamFacts(store, two.number)).toMatchObject({ stream: two, firstSeq: 1, lastSeq: 5 });
      expect(await seqsWritten(store, two.number, [newEvent()])).toEqual([6]);
    });
  });

  describe('listing streams', () => {
    const subject = useBus(open);

    it('has each once, in pages of any size and in one order', async () => {
      const { store } = subject;
      const made = await concurrently(25, 5, () => createStream(store));
      const whole = await listNames(store, 100);
      expect(sorted(whole)).toEqual(sorted(made.map(({ name }) => name)));
      for (const limit of [1, 7, 25]) expect(await listNames(store, limit)).toEqual(whole);
      const [first] = (await store.listStreams(undefined, 1, never)).items;
      expect(first).toEqual(made.find(({ name }) => name === first?.name));
    });
  });

  describe('names of streams and groups', () => {
    const subject = useBus(open);
    const NAMES = [...TEXTS, ...LONG_NAMES];

    it('reach their own stream, whatever text they are', { timeout: 60_000 }, async () => {
      const { store } = subject;
      const made = new Map<string, Stream>();
      for (const name of NAMES) made.set(name, await createStream(store, {}, name));
      expect(new Set([...made.values()].map(({ number }) => number)).size).toBe(NAMES.length);
      for (const [i, name] of NAMES.entries())
        await write(store, made.get(name)?.number ?? 0, newEvents(1 + (i % 5)));
      for (const [i, name] of NAMES.entries()) {
        expect(await store.getStream(name, never)).toEqual(made.get(name));
        expect(await streamFacts(store, made.get(name)?.number ?? 0)).toMatchObject({ lastSeq: 1 + (i % 5) });
      }
      for (const limit of [9, 1_000]) expect(sorted(await listNames(store, limit))).toEqual(sorted(NAMES));
      for (let i = 0; i < NAMES.length; i += 3) await store.deleteStream(NAMES[i] ?? '', undefined, never);
      const left = NAMES.filter((_, i) => i % 3 !== 0);
      expect(sorted(await listNames(store, 50))).toEqual(sorted(left));
    });

    it('reach their own group, consumer and claim, whatever text they are', { timeout: 60_000 }, async () => {
      const { store } = subject;
      for (let at = 0; at < NAMES.length; at += 60) {
        const names = NAMES.slice(at, at + 60);
        const number = await givenStream(store);
        await write(store, number, newEvents(2));
        for (const name of names) await addGroup(store, number, newGroup(name));
        for (const name of names)
          for (const consumer of [name, `${name}x`]) {
            const asked = claimRequest({ group: name, consumer, claimId: name, maxEvents: 1 });
            const answer = await store.claim(number, asked, never);
            const seq = consumer === name ? 1 : 2;
            expect(answer, JSON.stringify(consumer)).toMatchObject({
              events: [{ attempt: 1, event: { seq } }],
            });
          }
        for (const name of names) {
          await store.release(number, name, name, name, never);
          const answer = await store.listEvents(number, name, undefined, 1, 10, never);
          expect(answer).toMatchObject({ items: [{ status: 'unprocessed' }, { status: 'leased' }] });
        }
        const listed = await store.listGroups(number, never);
        expect(listed.kind === 'groups' && sorted(listed.groups.map(({ name }) => name))).toEqual(
          sorted(names),
        );
        for (const name of names)
          expect(await store.deleteGroup(number, name, never)).toEqual({ kind: 'deleted' });
      }
    });
  });
};
