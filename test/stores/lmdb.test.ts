/** The law of the fsm store on LMDB, and what holds for this backend alone. */
import { setTimeout as nextTimer } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_OUTCOME_RETENTION_MS, REFUSAL_RETENTION_MS } from '../../src/fsm/machine.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { join } from '../../src/placement.js';
import { type Database, keysIn, openEnvironment } from '../../src/stores/lmdb/environment.js';
import { FEED_RETENTION_MS } from '../../src/stores/lmdb/fsm-ledger.js';
import { EVERYTHING, feedEndsKey, feedKey, listedKey, nameKey } from '../../src/stores/lmdb/keys.js';
import { type LmdbEngine, openLmdb, peekDeployment } from '../../src/stores/lmdb/open.js';
import { describeFsmStore } from '../conformance/fsm-store.js';
import {
  command,
  content,
  edge,
  type FsmStoreProfile,
  getMachine,
  givenMachine,
  givenName,
  historyOf,
  listAll,
  never,
  newMachine,
  type OpenOptions,
  outcomeOf,
  type Subject,
  send,
} from '../conformance/subject.js';
import { FakeClock } from '../support/fake-clock.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { eventually } from '../support/waiting.js';

const MAX_BYTES = 2 ** 30;
const behind = new WeakMap<FsmStore, Database>();

async function open({
  outcomeRetentionMs = DEFAULT_OUTCOME_RETENTION_MS,
}: OpenOptions = {}): Promise<Subject> {
  const dataDir = temporaryDirectory('lmdb');
  const clock = new FakeClock();
  const engine = await openLmdb({ dataDir, durability: 'relaxed', clock, maxBytes: MAX_BYTES });
  // Before anything is written: opening one in the middle of a transaction would wait for itself.
  const db = openEnvironment({ dataDir, durability: 'relaxed', maxBytes: MAX_BYTES });
  const store = engine.fsmStore({ outcomeRetentionMs });
  const close = async () => {
    await engine.close();
    await db.close();
    removeDirectory(dataDir);
  };
  behind.set(store, db);
  return { store, clock, close };
}

/** The same environment by another handle: behind the store's back, as a bug would write. */
async function tamper({ store }: Subject, change: (db: Database) => void): Promise<void> {
  const db = behind.get(store);
  if (!db) throw new Error('not a store of this test');
  await db.transaction(() => change(db));
  // The store's handle lets its snapshot go by a timer, so one that is set now fires after it.
  await nextTimer(1);
}

function numberOf(db: Database, name: string): number {
  return (db.get(nameKey(name)) as [number])[0];
}

const profile: FsmStoreProfile = {
  shards: 1,
  sharedByProcesses: false,
  clock: 'fake',
  reasons: [
    'one process owns the directory, so there is nothing to spread and no second handle',
    'the store runs in this process and is given its clock',
  ],
  damage: async (subject, { kind, name, id, state, configurationVersion }) =>
    tamper(subject, (db) => {
      const key = listedKey(numberOf(db, name), { state, configurationVersion, id });
      if (kind === 'add_entry') db.putSync(key, 0);
      else db.removeSync(key);
    }),
  expireFeed: async (subject, name) =>
    tamper(subject, (db) => {
      const no = numberOf(db, name);
      const [last, trimmed] = db.get(feedEndsKey(no)) as [number, number];
      for (let at = trimmed + 1; at <= last; at++) db.removeSync(feedKey(no, at));
      db.putSync(feedEndsKey(no), [last, last]);
    }),
};

describeFsmStore('LMDB', open, profile);

describe('the fsm store on LMDB alone', () => {
  let dataDir = '';
  let engine: LmdbEngine | undefined;
  let spy: Database | undefined;
  let clock = new FakeClock();

  beforeEach(() => {
    dataDir = temporaryDirectory('lmdb-alone');
    clock = new FakeClock();
  });
  afterEach(async () => {
    await stop();
    removeDirectory(dataDir);
  });

  async function stop(): Promise<void> {
    await engine?.close();
    await spy?.close();
    engine = undefined;
    spy = undefined;
  }

  async function start(): Promise<FsmStore> {
    await stop();
    engine = await openLmdb({ dataDir, durability: 'relaxed', clock, maxBytes: MAX_BYTES });
    spy = openEnvironment({ dataDir, durability: 'relaxed', maxBytes: MAX_BYTES });
    return engine.fsmStore({ outcomeRetentionMs: 60_000 });
  }

  /** How many keys there are of each kind, counted behind the store's back. */
  function keysOf(...tags: number[]): number[] {
    if (!spy) throw new Error('not started');
    spy.resetReadTxn();
    const all = keysIn(spy, EVERYTHING, 1_000_000);
    return tags.map((tag) => all.filter((key) => key[0] === tag).length);
  }
  const [HISTORY, SWEEP, OUTCOME, EXPIRY, FEED] = [0x23, 0x24, 0x30, 0x31, 0x41];

  it('takes ids of the greatest length there is, all at once', async () => {
    const store = await start();
    const name = '\u{1f6aa}'.repeat(32);
    const version = 'v'.repeat(128);
    const [from, to] = ['f'.repeat(128), 't'.repeat(128)];
    const states = {
      states: [from, to],
      transitions: [edge(from, 'e'.repeat(128), to)],
      startingState: from,
    };
    await store.createConfiguration(content({ name, version, ...states }), never);
    const id = 'i'.repeat(256);
    await givenMachine(store, name, id, { configurationVersion: version, state: from });
    const sent = command('e'.repeat(128), 'x'.repeat(256), { details: 'd'.repeat(16_384) });
    expect(await outcomeOf(store, name, id, sent)).toMatchObject({ kind: 'applied', to });
    expect((await store.getEvent(name, undefined, sent.eventId, never))?.transition.event.details).toBe(
      sent.details,
    );
  });

  it('forgets outcomes on the disk too once they have lapsed', async () => {
    const store = await start();
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    for (let i = 0; i < 500; i++) await send(store, name, 'm', command('knock', `e${i % 450}`));
    expect(keysOf(OUTCOME, EXPIRY)).toEqual([450, 450]);
    clock.advance(60_001);
    await eventually(() => keysOf(OUTCOME, EXPIRY).every((count) => count === 0), 'outcomes are swept');
    expect(keysOf(HISTORY)).toEqual([500 - 50]);
  });

  it('keeps an outcome that was written again when its first expiry comes', async () => {
    const store = await start();
    const name = await givenName(store);
    const sent = command('knock', 'e');
    await send(store, name, 'm', sent);
    clock.advance(REFUSAL_RETENTION_MS - 1);
    await send(store, name, 'm', sent);
    clock.advance(2);
    await eventually(() => keysOf(EXPIRY)[0] === 1, 'the first expiry is swept');
    expect((await store.getOutcome(name, 'm', 'e', never))?.stored.outcome.kind).toBe('fsm_not_found');
  });

  it('sweeps the history of a deleted machine, also after a restart', async () => {
    let store = await start();
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    await givenMachine(store, name, 'bystander');
    await send(store, name, 'bystander', command('open'));
    for (let i = 0; i < 20; i++)
      await store.advance(
        name,
        'm',
        Array.from({ length: 100 }, () => command('knock')),
        never,
      );
    await store.deleteMachine(name, 'm', undefined, never);
    expect(keysOf(SWEEP)).toEqual([1]);
    store = await start();
    await eventually(() => keysOf(SWEEP)[0] === 0, 'the history is swept');
    expect(keysOf(HISTORY)).toEqual([1]);
    expect(await historyOf(store, name, 'bystander')).toHaveLength(1);
  });

  it('sweeps what a lowered retention lets go at once', async () => {
    const store = await start();
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    for (let i = 0; i < 10; i++)
      await store.advance(
        name,
        'm',
        Array.from({ length: 100 }, () => command('knock')),
        never,
      );
    await store.setRetention(name, 3, undefined, never);
    await send(store, name, 'm', command('knock'));
    expect((await historyOf(store, name, 'm')).map(({ version }) => version)).toEqual([999, 1_000, 1_001]);
    await eventually(() => keysOf(HISTORY)[0] === 3, 'the rest is swept');
  });

  it('trims changes older than the feed keeps as new ones come, and says so to old cursors', async () => {
    const store = await start();
    const name = await givenName(store);
    await givenMachine(store, name, 'm');
    const old = await store.tail(name, never);
    for (let i = 0; i < 10; i++) await send(store, name, 'm', command('knock'));
    clock.advance(FEED_RETENTION_MS);
    const kept = await store.tail(name, never);
    for (let i = 0; i < 6; i++) await send(store, name, 'm', command('knock'));
    expect(keysOf(FEED)).toEqual([6]);
    const first = (cursor: string) => store.watch(name, cursor, never)[Symbol.asyncIterator]().next();
    await expect(first(old)).rejects.toMatchObject({ reason: 'CURSOR_EXPIRED' });
    expect((await first(kept)).value.changes).toHaveLength(6);
  });

  it('does nothing for a call that was aborted before its turn', async () => {
    const store = await start();
    const name = await givenName(store);
    const ended = new AbortController();
    const first = givenMachine(store, name, 'first');
    const second = store.createMachine(newMachine(name, 'second'), ended.signal);
    ended.abort();
    await expect(second).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    await first;
    expect(await getMachine(store, name, 'second')).toBeUndefined();
  });

  it('answers what was in flight when it is closed, and refuses what comes after', async () => {
    const store = await start();
    const name = await givenName(store);
    const inFlight = Array.from({ length: 200 }, (_, i) => givenMachine(store, name, `m${i}`));
    const closed = stop();
    await expect(givenMachine(store, name, 'late')).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    expect(await Promise.all(inFlight)).toHaveLength(200);
    await closed;
    await expect(getMachine(store, name, 'm0')).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    expect(await listAll(await start(), name)).toHaveLength(200);
  });

  it('ends a watch when it is closed', async () => {
    const store = await start();
    const name = await givenName(store);
    const next = store
      .watch(name, await store.tail(name, never), never)
      [Symbol.asyncIterator]()
      .next();
    await stop();
    await expect(next).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
  });

  it('records the deployment, which can be read while it is open and after', async () => {
    await start();
    const placement = { homes: { fsm: 'embedded' }, shardCounts: { fsm: 1 } } as const;
    const record = engine && (await join(engine.placement, placement));
    expect(await peekDeployment(dataDir)).toEqual(record);
    await start();
    expect(engine && (await join(engine.placement, placement))).toEqual(record);
    expect(await engine?.placement.replace('something else', '{}')).toBe(false);
  });
});
