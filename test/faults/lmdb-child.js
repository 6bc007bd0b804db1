/**
 * A process that owns a data directory, for tests that kill, freeze or starve one. It runs the built
 * product and says on stdout what it was told by the store, a line as soon as each answer is there.
 * Plain JavaScript, because nothing compiles it.
 *
 *   hold DIR           opens, says `open`, closes on SIGTERM
 *   load DIR ROUND     applies events to MACHINES machines until it is killed: `ack MACHINE EVENT VERSION`
 *   fill DIR           creates machines until the store is full, then reads and deletes: a JSON report
 *   break DIR FILES    closes the store's own files behind its back, then writes: a JSON report
 */
import { randomUUID } from 'node:crypto';
import { closeSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { bodyHash } from '../../dist/src/fsm/machine.js';
import { openLmdb } from '../../dist/src/stores/lmdb/open.js';

const MACHINES = 20;
const CALLERS = 100;
const never = new AbortController().signal;
const [mode, dataDir, argument] = process.argv.slice(2);

const say = (line) => writeSync(1, `${line}\n`);

async function openStore() {
  const engine = await openLmdb({ dataDir, durability: 'fsync' });
  const store = engine.fsmStore({ outcomeRetentionMs: 3_600_000 });
  await store.createConfiguration(
    {
      name: 'door',
      version: 'v1',
      states: ['closed', 'open'],
      transitions: [
        { from: 'closed', event: 'push', to: 'open' },
        { from: 'open', event: 'push', to: 'closed' },
      ],
      startingState: 'closed',
      finalStates: [],
    },
    never,
  );
  return { engine, store };
}

function push(eventId) {
  const event = { eventId, name: 'push', originator: 'child', details: '', timestampUs: 0 };
  return { ...event, bodyHash: bodyHash(event) };
}

function create(store, id) {
  return store.createMachine(
    {
      configurationName: 'door',
      configurationVersion: 'v1',
      id,
      uid: randomUUID(),
      state: 'closed',
      requestId: id,
      requestHash: '',
    },
    never,
  );
}

async function load() {
  const { store } = await openStore();
  for (let i = 0; i < MACHINES; i++) await create(store, `m${i}`);
  say('open');
  let next = 0;
  const caller = async () => {
    for (;;) {
      const n = next++;
      const [id, eventId] = [`m${n % MACHINES}`, `${argument}-${n}`];
      const [answer] = await store.advance('door', id, [push(eventId)], never);
      say(`ack ${id} ${eventId} ${answer.outcome.version}`);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

/** What a call came to, in one word. */
function word(promise) {
  return promise.then(
    () => 'ok',
    (error) => error.reason ?? error.message,
  );
}

async function audit(store) {
  const sum = { machines: 0, entries: 0, differences: 0 };
  for await (const { machinesScanned, entriesScanned, differences } of store.auditIndex('door', never)) {
    sum.machines = machinesScanned;
    sum.entries = entriesScanned;
    sum.differences += differences.length;
  }
  return sum;
}

async function census(store) {
  const [closed, open] = await store.countByState('door', ['closed', 'open'], undefined, never);
  return { ...(await audit(store)), closed, open };
}

async function fill() {
  const { engine, store } = await openStore();
  const created = [];
  const refusals = new Set();
  for (let round = 0; refusals.size === 0; round++) {
    const ids = Array.from({ length: 100 }, (_, i) => `m-${round}-${i}`);
    const words = await Promise.all(ids.map((id) => word(create(store, id))));
    for (const [i, said] of words.entries())
      if (said === 'ok') created.push(ids[i]);
      else refusals.add(said);
  }
  const refusedEvent = await word(store.advance('door', created[0], [push('late')], never));
  const full = { ...(await census(store)), acknowledged: created.length };
  const found = await store.getMachine('door', created.at(-1), 0, never);
  const words = [];
  while (created.length > 0) {
    const doomed = created.splice(0, 100);
    words.push(
      ...(await Promise.all(doomed.map((id) => word(store.deleteMachine('door', id, undefined, never))))),
    );
  }
  const deletions = new Set(words);
  const again = await word(create(store, 'again'));
  const after = await census(store);
  await engine.close();
  say(
    JSON.stringify({
      refusals: [...refusals],
      refusedEvent,
      full,
      found: found?.machine.version,
      deletions: [...deletions],
      again,
      after,
    }),
  );
}

/** File descriptors of data.mdb: LMDB opens one for pages and one for the commit mark. */
function dataFiles() {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).endsWith('data.mdb');
    } catch {
      return false;
    }
  });
}

async function breakFiles() {
  const { engine, store } = await openStore();
  await create(store, 'before');
  const files = dataFiles().map(Number);
  for (const at of argument.split(',')) closeSync(files[Number(at)]);
  const words = await Promise.all(['a', 'b', 'c'].map((id) => word(create(store, id))));
  const later = await word(create(store, 'later'));
  const reads = await word(store.getMachine('door', 'before', 0, never));
  const seen = await store.getMachine('door', 'a', 0, never).then(
    (found) => found !== undefined,
    () => false,
  );
  say(JSON.stringify({ files: files.length, words, later, reads, seen }));
  await engine.close();
  say('closed');
}

async function hold() {
  const { engine } = await openStore();
  process.once('SIGTERM', () => engine.close().then(() => process.exit(0)));
  say('open');
  setInterval(() => {}, 1_000);
}

try {
  await { hold, load, fill, break: breakFiles }[mode]();
} catch (error) {
  say(`error ${error.message}`);
  process.exit(1);
}
