/** The law that every storm ends with: what a scan of the machines says, the state index says too. */
import { expect } from 'vitest';
import type { Machine } from '../../src/fsm/machine.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { audit, getMachine, listAll, never, sorted } from './subject.js';

/** Compares records, lists and counts of `name` for the machines `ids` (all there may be). */
export async function expectIndexEqualsScan(
  store: FsmStore,
  name: string,
  ids: readonly string[],
  states: readonly string[],
): Promise<void> {
  const scanned = (await Promise.all(ids.map((id) => getMachine(store, name, id)))).filter(
    (m) => m !== undefined,
  );
  expect(await audit(store, name)).toEqual({
    machinesScanned: scanned.length,
    entriesScanned: scanned.length,
    differences: [],
  });
  expect(places(await listAll(store, name))).toEqual(places(scanned));
  const counts = await store.countByState(name, states, undefined, never);
  expect(counts).toEqual(states.map((state) => scanned.filter((m) => m.state === state).length));
  for (const state of states)
    expect(places(await listAll(store, name, { states: [state] }))).toEqual(
      places(scanned.filter((m) => m.state === state)),
    );
}

function places(machines: readonly Machine[]): string[] {
  return sorted(machines.map(({ id, uid, state, version }) => JSON.stringify([id, uid, state, version])));
}
