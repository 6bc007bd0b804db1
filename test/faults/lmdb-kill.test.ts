/**
 * kill -9 under load, again and again on one directory: what was acknowledged is there, nothing was
 * applied twice, and the directory opens. SWITCHGEAR_KILL_ROUNDS raises the number of rounds.
 */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyHash } from '../../src/fsm/machine.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { openLmdb } from '../../src/stores/lmdb/open.js';
import { audit, historyOf, listAll, never } from '../conformance/subject.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { linesOf, startChild } from './lmdb-processes.js';

const ROUNDS = Number(process.env.SWITCHGEAR_KILL_ROUNDS ?? 20);
/** The child is killed once it has been told of so many events, at whatever it does then. */
const MAX_ACKS = 1_500;
const RETENTION_MS = 3_600_000;

interface Ack {
  readonly id: string;
  readonly eventId: string;
  readonly version: number;
}

describe('an embedded store whose process is killed', () => {
  let dataDir = '';
  const acks: Ack[] = [];

  beforeAll(() => {
    dataDir = temporaryDirectory('kill');
  });
  afterAll(() => removeDirectory(dataDir));

  it(`has every acknowledged event once, ${ROUNDS} times over`, { timeout: ROUNDS * 10_000 }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const acknowledged = await loadUntilKilled(dataDir, `r${round}`);
      expect(acknowledged.length).toBeGreaterThan(0);
      acks.push(...acknowledged);
      await withStore(dataDir, async (store) => {
        await expectWhole(store);
        await expectKept(store, acknowledged);
      });
    }
    await withStore(dataDir, (store) => expectKept(store, acks));
  });

  it('answers every acknowledged event from its outcome when it is sent again', async () => {
    await withStore(dataDir, async (store) => {
      const before = await versions(store);
      await Promise.all(
        acks.map(async ({ id, eventId, version }) => {
          const [answer] = await store.advance('door', id, [push(eventId)], never);
          expect(answer).toMatchObject({ kind: 'outcome', replayed: true, outcome: { version } });
        }),
      );
      expect(await versions(store)).toEqual(before);
    });
  });
});

async function loadUntilKilled(dataDir: string, round: string): Promise<Ack[]> {
  const child = await startChild('load', dataDir, round);
  const enough = randomInt(1, MAX_ACKS);
  await child.outputWith((output) => output.split('\nack ').length > enough || undefined);
  await child.kill();
  return linesOf(child).flatMap((line) => {
    const [word, id = '', eventId = '', version] = line.split(' ');
    return word === 'ack' ? [{ id, eventId, version: Number(version) }] : [];
  });
}

async function withStore(dataDir: string, use: (store: FsmStore) => Promise<void>): Promise<void> {
  const engine = await openLmdb({ dataDir, durability: 'relaxed' });
  try {
    await use(engine.fsmStore({ outcomeRetentionMs: RETENTION_MS }));
  } finally {
    await engine.close();
  }
}

/** Every history is gapless, as long as its machine's version, and has no event twice; lists and counts agree. */
async function expectWhole(store: FsmStore): Promise<void> {
  const machines = await listAll(store, 'door');
  for (const { id, version, state } of machines) {
    const history = await historyOf(store, 'door', id, { limit: 1_000 });
    expect(history.map((entry) => entry.version)).toEqual(Array.from({ length: version }, (_, i) => i + 1));
    expect(new Set(history.map(({ event }) => event.eventId)).size).toBe(version);
    expect(state).toBe(version % 2 === 0 ? 'closed' : 'open');
  }
  expect((await audit(store, 'door')).differences).toEqual([]);
  const inState = (state: string) => machines.filter((machine) => machine.state === state).length;
  const counts = await store.countByState('door', ['closed', 'open'], undefined, never);
  expect(counts).toEqual([inState('closed'), inState('open')]);
}

async function expectKept(store: FsmStore, acks: readonly Ack[]): Promise<void> {
  for (const { id, eventId, version } of acks) {
    const found = await store.getEvent('door', id, eventId, never);
    expect(found?.transition).toMatchObject({ version, event: { eventId } });
  }
}

async function versions(store: FsmStore): Promise<Record<string, number>> {
  const machines = await listAll(store, 'door');
  return Object.fromEntries(machines.map(({ id, version }) => [id, version]));
}

function push(eventId: string) {
  const event = { eventId, name: 'push', originator: 'child', details: '', timestampUs: 0 };
  return { ...event, bodyHash: bodyHash(event) };
}
