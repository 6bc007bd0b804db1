/**
 * The history of machines, one entry a transition, in a range of its own for each machine's serial. What
 * a machine keeps is said by its record (`historyFrom` to `version`) from the moment that is written;
 * the entries below go in bounded steps, some at once and the rest by the sweeper, which finds the
 * machines it has work on in `sweep` entries, also after a restart.
 */
import type { AppliedTransition } from '../../fsm/machine.js';
import type { HistoryPage, HistoryPosition } from '../../fsm/store.js';
import type { Batch } from './batch.js';
import { entriesIn, keysIn, read } from './environment.js';
import type { FsmContext } from './fsm-context.js';
import { decodeTransition, type MachineRecord, type TransitionTuple } from './fsm-records.js';
import { historyKey, historyVersionIn, SWEEPS, sweepKey, sweepSerialIn } from './keys.js';

/** Entries that one event removes itself; what is beyond waits for the sweeper. */
const TRIMMED_PER_EVENT = 8;
/** Above every version: all of a machine's history. */
const ALL = 2 ** 48 - 1;

/** Lets go of what is beyond the newest `maxCount`, after `events` more; returns the version of the oldest that is kept. */
export function trimHistory(batch: Batch, machine: MachineRecord, events: number, maxCount: number): number {
  const { serial, version, historyFrom } = machine;
  const keepFrom = maxCount === 0 ? historyFrom : Math.max(historyFrom, version - maxCount + 1);
  const removedTo = Math.min(keepFrom, historyFrom + events * TRIMMED_PER_EVENT);
  for (let at = historyFrom; at < removedTo; at++) batch.remove(historyKey(serial, at));
  if (removedTo < keepFrom) batch.put(sweepKey(serial), keepFrom - 1);
  return keepFrom;
}

/** Leaves a deleted machine's whole history to the sweeper. */
export function abandonHistory(batch: Batch, machine: MachineRecord): void {
  if (machine.version > 0) batch.put(sweepKey(machine.serial), ALL);
}

/** Removes at most `limit` entries of histories that were let go; true = there may be more. */
export function sweepHistory(batch: Batch, limit: number): boolean {
  const [task] = entriesIn<number>(batch.db, SWEEPS, { limit: 1 });
  if (!task) return false;
  const serial = sweepSerialIn(task.key);
  const range = { start: historyKey(serial, 0), end: historyKey(serial, Math.min(task.value + 1, ALL)) };
  const keys = keysIn(batch.db, range, limit);
  for (const key of keys) batch.remove(key);
  if (keys.length < limit) batch.remove(task.key);
  return true;
}

export class FsmHistory {
  readonly #context: FsmContext;

  constructor(context: FsmContext) {
    this.#context = context;
  }

  list(
    name: string,
    id: string,
    from: HistoryPosition | undefined,
    newestFirst: boolean,
    limit: number,
    signal: AbortSignal,
  ): Promise<HistoryPage> {
    return read(signal, (): HistoryPage => {
      const no = this.#context.name(name)?.no;
      const machine = no === undefined ? undefined : this.#context.machine(no, id);
      if (!machine) return { kind: 'fsm_not_found' };
      if (from && (from.uid !== machine.uid || from.version < machine.historyFrom))
        return { kind: 'expired' };
      return newestFirst
        ? this.#backward(machine, from?.version ?? machine.version, limit)
        : this.#forward(machine, from?.version ?? machine.historyFrom, limit);
    });
  }

  #forward(machine: MachineRecord, first: number, limit: number): HistoryPage {
    const last = Math.min(machine.version, first + limit - 1);
    const next = last < machine.version ? last + 1 : undefined;
    return this.#page(machine, this.between(machine.serial, first, last), next);
  }

  #backward(machine: MachineRecord, from: number, limit: number): HistoryPage {
    const newest = Math.min(from, machine.version);
    const oldest = Math.max(machine.historyFrom, newest - limit + 1);
    const next = oldest > machine.historyFrom ? oldest - 1 : undefined;
    return this.#page(machine, this.between(machine.serial, oldest, newest).reverse(), next);
  }

  #page({ uid }: MachineRecord, items: AppliedTransition[], next: number | undefined): HistoryPage {
    return { kind: 'page', uid, items, next: next === undefined ? undefined : { uid, version: next } };
  }

  /** Both ends included, oldest first; to be called within a read. */
  between(serial: number, first: number, last: number): AppliedTransition[] {
    if (last < first) return [];
    const range = { start: historyKey(serial, first), end: historyKey(serial, last + 1) };
    return entriesIn<TransitionTuple>(this.#context.db, range, { limit: last - first + 1 }).map(
      ({ key, value }) => decodeTransition(historyVersionIn(key), value),
    );
  }
}
