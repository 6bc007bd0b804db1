/** The law of a snapshot: a tail, then a list, then the changes after the tail miss nothing, under load too. */
import { describe, expect, it } from 'vitest';
import type { Change, FsmStore } from '../../src/fsm/store.js';
import { concurrently } from '../support/waiting.js';
import {
  command,
  givenMachine,
  givenName,
  handles,
  type Laws,
  listAll,
  never,
  newMachine,
  useSubject,
} from './subject.js';
import { Watcher } from './watcher.js';

/** What a reader of snapshot and changes knows of a machine. */
interface Known {
  uid: string;
  version: number;
  state: string;
}

export const describeSnapshot: Laws = (open, profile) => {
  describe('a snapshot and the changes after it', () => {
    const subject = useSubject(open);

    it('together come to what is there, while machines are made, moved and deleted', async () => {
      const { store } = subject;
      const name = await givenName(store);
      const stores = handles(subject, profile);
      await concurrently(60, 16, (i) => givenMachine(store, name, `m${i}`));
      const load = churn(stores, name, 900);
      for (let i = 0; i < 3; i++) await expectCovered(store, name, load);
      await load;
    });
  });
};

/** Reads as a watcher with snapshot does; when the load has ended, what it knows is what is there. */
async function expectCovered(store: FsmStore, name: string, load: Promise<unknown>): Promise<void> {
  const watcher = new Watcher(store, name, await store.tail(name, never));
  const known = new Map<string, Known>();
  for (const { id, uid, version, state } of await listAll(store, name, {}, 10))
    known.set(id, { uid, version, state });
  await load;
  const truth = new Map<string, Known>();
  for (const { id, uid, version, state } of await listAll(store, name))
    truth.set(id, { uid, version, state });
  let folded = 0;
  const isCovered = () => {
    for (; folded < watcher.changes.length; folded++) fold(known, watcher.changes[folded] as Change);
    return sameAs(known, truth);
  };
  await watcher.until(isCovered, 'all that is there', 5000).catch(() => undefined);
  expect(known).toEqual(truth);
  await watcher.stop();
}

/** Changes of one machine come in order, so the last one counts, whatever the snapshot showed. */
function fold(known: Map<string, Known>, { kind, id, uid, version, to }: Change): void {
  if (kind === 'deleted') known.delete(id);
  else known.set(id, { uid, version, state: to });
}

function sameAs(known: Map<string, Known>, truth: Map<string, Known>): boolean {
  if (known.size !== truth.size) return false;
  return [...truth].every(([id, { uid, version, state }]) => {
    const here = known.get(id);
    return here?.uid === uid && here.version === version && here.state === state;
  });
}

async function churn(stores: readonly FsmStore[], name: string, count: number): Promise<void> {
  await concurrently(count, 8, async (i) => {
    const store = stores[i % stores.length] as FsmStore;
    const id = `m${(i * 7) % 60}`;
    if (i % 9 === 0) await store.deleteMachine(name, id, undefined, never);
    else if (i % 5 === 0) await store.createMachine(newMachine(name, id), never);
    else
      await store.advance(
        name,
        id,
        ['open', 'close', 'lock'].map((event) => command(event)),
        never,
      );
  });
}
