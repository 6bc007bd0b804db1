/** The laws of the change feed: in order per machine, without loss or repeat, and promptly. */
import { describe, expect, it } from 'vitest';
import { Fault, type Reason } from '../../src/fault.js';
import type { Change, FsmStore } from '../../src/fsm/store.js';
import { concurrently } from '../support/waiting.js';
import { command, givenMachine, givenName, handles, type Laws, never, send, useSubject } from './subject.js';
import { byMachine, Watcher } from './watcher.js';

/** A reader that only polls once a second misses this by far; one that is woken does not come near it. */
const MAX_MEDIAN_WAKE_MS = 200;

/** A watch that will refuse its cursor does so at once. */
const MAX_SILENCE_MS = 2_000;

export const describeWatch: Laws = (open, profile) => {
  describe('a watch', () => {
    const subject = useSubject(open);

    it('shows only what happens after its cursor', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      await send(store, name, 'm', command('open'));
      const watcher = await watching(store, name);
      await send(store, name, 'm', command('close'));
      expect((await watcher.seen(1)).map(({ version }) => version)).toEqual([2]);
      await watcher.stop();
    });

    it('shows only its own name', async () => {
      const { store } = subject;
      const [name, other] = [await givenName(store), await givenName(store)];
      const watcher = await watching(store, name);
      for (let i = 0; i < 20; i++) {
        await givenMachine(store, other, `m${i}`);
        await givenMachine(store, name, `m${i}`);
      }
      await watcher.seen(20);
      await send(store, other, 'm0', command('open'));
      await send(store, name, 'm0', command('lock'));
      expect((await watcher.seen(21)).filter(({ to }) => to === 'open')).toEqual([]);
      expect(new Set(watcher.changes.map(({ uid }) => uid)).size).toBe(20);
      await watcher.stop();
    });

    it('shows the life of a machine in order, and that of the next one of its id after it', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const watcher = await watching(store, name);
      const first = await givenMachine(store, name, 'm');
      await store.advance(name, 'm', [command('open'), command('close')], never);
      await store.deleteMachine(name, 'm', undefined, never);
      const second = await givenMachine(store, name, 'm', { state: 'locked' });
      await send(store, name, 'm', command('unlock'));
      await watcher.seen(6);
      const life = watcher.changes.map(({ kind, uid, version, from, to }) => [kind, uid, version, from, to]);
      expect(life).toEqual([
        ['created', first.uid, 0, '', 'closed'],
        ['transition', first.uid, 1, 'closed', 'open'],
        ['transition', first.uid, 2, 'open', 'closed'],
        ['deleted', first.uid, 2, 'closed', ''],
        ['created', second.uid, 0, '', 'locked'],
        ['transition', second.uid, 1, 'locked', 'closed'],
      ]);
      await watcher.stop();
    });

    it('resumes from the cursor of any batch without loss or repeat', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const stores = handles(subject, profile);
      const watcher = await watching(store, name);
      const total = await traffic(stores, name, 20, 400);
      await watcher.seen(total);
      expectOrdered(watcher.changes);
      for (const at of everyNth(watcher.batches.length, 12)) {
        const rest = watcher.batches.slice(at + 1).flatMap(({ changes }) => changes);
        const each = stores[at % stores.length] ?? store;
        const resumed = new Watcher(each, name, watcher.batches[at]?.cursor ?? '');
        if (rest.length > 0) await resumed.seen(rest.length);
        expect(byMachine(resumed.changes)).toEqual(byMachine(rest));
        await resumed.stop();
      }
      await watcher.stop();
    });

    it('shows a backlog of thousands from its cursor, in batches of at most 1,000', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const tail = await store.tail(name, never);
      const total = await traffic(handles(subject, profile), name, 40, 3000);
      const watcher = new Watcher(store, name, tail);
      expectOrdered(await watcher.seen(total));
      expect(watcher.changes).toHaveLength(total);
      for (const { changes } of watcher.batches) expect(changes.length).toBeLessThanOrEqual(1000);
      await watcher.stop();
    });

    it('has as many watchers as like, on every handle, and all see all', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const stores = handles(subject, profile);
      const cursor = await store.tail(name, never);
      const watchers = Array.from(
        { length: 50 },
        (_, i) => new Watcher(stores[i % stores.length] ?? store, name, cursor),
      );
      const total = await traffic(stores, name, 10, 100);
      for (const watcher of watchers) expectOrdered(await watcher.seen(total));
      for (const watcher of watchers) expect(watcher.changes).toHaveLength(total);
      await Promise.all(watchers.map((watcher) => watcher.stop()));
    });

    it('is woken on every handle: a change is seen well before a second has passed', async () => {
      const { store } = subject;
      const name = await givenName(store);
      for (const each of handles(subject, profile)) {
        const id = `m-${handles(subject, profile).indexOf(each)}`;
        await givenMachine(store, name, id);
        const watcher = await watching(each, name);
        const waits: number[] = [];
        for (let version = 1; version <= 11; version++) {
          await send(store, name, id, command('knock'));
          const answered = performance.now();
          await watcher.seen(version);
          waits.push(performance.now() - answered);
        }
        expect(waits.sort((a, b) => a - b)[5]).toBeLessThan(MAX_MEDIAN_WAKE_MS);
        await watcher.stop();
      }
    });

    it('that comes back to a name after its last watcher left is woken as before', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      for (let i = 0; i < 5; i++) {
        const watcher = await watching(store, name);
        await send(store, name, 'm', command('knock'));
        await watcher.until(() => watcher.changes.length === 1, 'the change', 2000);
        await watcher.stop();
      }
    });

    it('ends with the reason of its signal, while it waits and before it begins', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const watcher = await watching(store, name);
      const reason = new Error('enough');
      expect(await watcher.stop(reason)).toBe(reason);
      const late = store.watch(name, await store.tail(name, never), AbortSignal.abort(reason));
      await expect(late[Symbol.asyncIterator]().next()).rejects.toBe(reason);
    });

    it('can be left by its reader, and does not stop the others', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const cursor = await store.tail(name, never);
      const other = new Watcher(store, name, cursor);
      await givenMachine(store, name, 'm');
      for await (const { changes } of store.watch(name, cursor, never)) if (changes.length > 0) break;
      await send(store, name, 'm', command('open'));
      await other.seen(2);
      await other.stop();
    });

    it('refuses a cursor that is garbage, forged or of another name', async () => {
      const { store } = subject;
      const [name, other] = [await givenName(store), await givenName(store)];
      await givenMachine(store, name, 'm');
      const cursor = await store.tail(name, never);
      const wrong = [
        '',
        'garbage',
        '\u0000',
        `x${cursor}`,
        cursor.slice(0, -1),
        await store.tail(other, never),
      ];
      for (const each of [...wrong, '{"v":1}', Buffer.from('[1,2,3]').toString('base64url')])
        expect(await endOf(store, name, each), JSON.stringify(each)).toSatisfy(
          isFault('INVALID_FIELD', 'cursor'),
        );
    });

    it('of a cursor older than what is kept is CURSOR_EXPIRED, and a new tail works', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const old = await store.tail(name, never);
      await traffic([store], name, 40, 200);
      await profile.expireFeed(subject, name);
      expect(await endOf(store, name, old)).toSatisfy(isFault('CURSOR_EXPIRED'));
      const watcher = await watching(store, name);
      await givenMachine(store, name, 'm-new');
      await watcher.until(
        () => watcher.changes.some(({ id }) => id === 'm-new'),
        'a change after the new tail',
      );
      await watcher.stop();
    });

    it('of a cursor older than what is kept is CURSOR_EXPIRED, however much came after what is gone', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await givenMachine(store, name, 'm');
      const old = await store.tail(name, never);
      await send(store, name, 'm', command('knock'));
      await profile.expireFeed(subject, name);
      const batch = () => Array.from({ length: 100 }, () => command('knock'));
      for (let i = 0; i < 15; i++) await store.advance(name, 'm', batch(), never);
      const watcher = new Watcher(store, name, old);
      const end = await watcher.stopAfter(MAX_SILENCE_MS, new Error('the watch went on'));
      expect(end).toSatisfy(isFault('CURSOR_EXPIRED'));
      expect(watcher.changes).toEqual([]);
    });

    it('of a cursor that is old is resumed while nothing after it is gone', async () => {
      const { store } = subject;
      const name = await givenName(store);
      await traffic([store], name, 40, 200);
      const tail = await store.tail(name, never);
      await profile.expireFeed(subject, name);
      const watcher = new Watcher(store, name, tail);
      await givenMachine(store, name, 'm-new');
      await watcher.until(
        () => watcher.changes.some(({ id }) => id === 'm-new'),
        'a change after the old tail',
      );
      await watcher.stop();
    });
  });
};

/** A watcher from now on. */
async function watching(store: FsmStore, name: string): Promise<Watcher> {
  return new Watcher(store, name, await store.tail(name, never));
}

/** Makes machines and sends them allowed events, from every handle at once; returns how many changes that is. */
async function traffic(
  stores: readonly FsmStore[],
  name: string,
  machines: number,
  events: number,
): Promise<number> {
  const of = (i: number) => stores[i % stores.length] as FsmStore;
  await concurrently(machines, 16, (i) => givenMachine(of(i), name, `m${i}`));
  await concurrently(events, 32, (i) => send(of(i), name, `m${i % machines}`, command('knock')));
  return machines + events;
}

/** Every machine's versions come one after another from its creation. */
function expectOrdered(changes: readonly Change[]): void {
  for (const [id, ofMachine] of byMachine(changes))
    expect(
      ofMachine.map(({ version }) => version),
      id,
    ).toEqual(ofMachine.map((_, i) => i));
}

function everyNth(length: number, parts: number): number[] {
  const step = Math.max(1, Math.floor(length / parts));
  return Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
}

/** What a watch from `cursor` throws; a watch that goes on instead fails the test. */
async function endOf(store: FsmStore, name: string, cursor: string): Promise<unknown> {
  const patience = new Error('the watch went on');
  return new Watcher(store, name, cursor).stopAfter(MAX_SILENCE_MS, patience);
}

function isFault(reason: Reason, field?: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof Fault &&
    error.reason === reason &&
    (field ?? error.violations[0]?.field) === error.violations[0]?.field;
}
