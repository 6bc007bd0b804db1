/**
 * Machines come, are looked at, listed and counted, and go. A machine is two entries that always change
 * in one job: its record, and its place in the list under (state, version). Listing walks places and
 * takes each record from the same snapshot, so none is shown in a state it is not in.
 */
import { createHash } from 'node:crypto';
import { Fault } from '../../fault.js';
import type { AppliedTransition, Machine } from '../../fsm/machine.js';
import type { Change, FsmStore, MachineFilter, NewMachine, Page } from '../../fsm/store.js';
import type { Batch } from './batch.js';
import { entriesIn, keysIn, read } from './environment.js';
import type { FsmContext } from './fsm-context.js';
import { abandonHistory, type FsmHistory } from './fsm-history.js';
import {
  decodeMachine,
  encodeMachine,
  type MachineRecord,
  type MachineTuple,
  machineOf,
} from './fsm-records.js';
import {
  countKey,
  type ListedPlace,
  listedKey,
  listedPlaceIn,
  listedPrefix,
  machineKey,
  type Range,
  rangeOf,
} from './keys.js';

/** Versions of one state whose counts are read at most: one a configuration version in use. */
const MAX_COUNTS = 100_000;

export type Creation = Awaited<ReturnType<FsmStore['createMachine']>>;
export type Deletion = Awaited<ReturnType<FsmStore['deleteMachine']>>;

export class FsmMachines {
  readonly #context: FsmContext;
  readonly #history: FsmHistory;

  constructor(context: FsmContext, history: FsmHistory) {
    this.#context = context;
    this.#history = history;
  }

  create(wanted: NewMachine, signal: AbortSignal): Promise<Creation> {
    return this.#context.writer.write(signal, (batch) => this.#createIn(batch, wanted));
  }

  #createIn(batch: Batch, wanted: NewMachine): Creation {
    const { configurationName: name, id } = wanted;
    const no = this.#context.nameInBatch(batch, name)?.no;
    if (no === undefined)
      throw new Fault('CONFIGURATION_NOT_FOUND', `there is no configuration ${name}`, { facts: { name } });
    const there = batch.get<MachineTuple>(machineKey(no, id));
    if (there) return meet(wanted, decodeMachine(there));
    const ledger = this.#context.ledger(batch);
    const record = firstRecord(wanted, ledger.nextSerial(), batch.nowMs);
    batch.put(machineKey(no, id), encodeMachine(record));
    batch.put(listedKey(no, { id, ...record }), 0);
    ledger.count(no, record.state, record.configurationVersion, 1);
    ledger.append(no, name, { ...changeOf(id, record, batch.nowMs), kind: 'created', to: record.state });
    return { kind: 'created', machine: machineOf(name, id, record) };
  }

  delete(name: string, id: string, uid: string | undefined, signal: AbortSignal): Promise<Deletion> {
    const run = (batch: Batch) => this.#deleteIn(batch, name, id, uid);
    return this.#context.writer.write(signal, run, { grows: false });
  }

  #deleteIn(batch: Batch, name: string, id: string, uid: string | undefined): Deletion {
    const no = this.#context.nameInBatch(batch, name)?.no;
    const tuple = no === undefined ? undefined : batch.get<MachineTuple>(machineKey(no, id));
    if (no === undefined || tuple === undefined) return { kind: 'absent' };
    const record = decodeMachine(tuple);
    if (uid !== undefined && uid !== record.uid) return { kind: 'uid_mismatch', uid: record.uid };
    const ledger = this.#context.ledger(batch);
    batch.remove(machineKey(no, id));
    batch.remove(listedKey(no, { id, ...record }));
    abandonHistory(batch, record);
    ledger.count(no, record.state, record.configurationVersion, -1);
    ledger.append(no, name, { ...changeOf(id, record, batch.nowMs), kind: 'deleted', from: record.state });
    return { kind: 'deleted' };
  }

  get(
    name: string,
    id: string,
    historySize: number,
    signal: AbortSignal,
  ): Promise<{ machine: Machine; history: readonly AppliedTransition[] } | undefined> {
    return read(signal, () => {
      const no = this.#context.name(name)?.no;
      const record = no === undefined ? undefined : this.#context.machine(no, id);
      if (!record) return undefined;
      const first = Math.max(record.historyFrom, record.version - Math.max(historySize, 1) + 1);
      const history = this.#history.between(record.serial, first, record.version);
      return { machine: machineOf(name, id, record), history };
    });
  }

  list(
    name: string,
    filter: MachineFilter,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Machine>> {
    return read(signal, () => {
      const no = this.#context.name(name)?.no;
      if (no === undefined) return { items: [], next: undefined };
      const place = after === undefined ? undefined : decodeToken(no, after, filter);
      const places = this.#placesAfter(no, filter, place, limit + 1);
      const items = places.slice(0, limit).flatMap(({ id }) => {
        const record = this.#context.machine(no, id);
        return record ? [machineOf(name, id, record)] : [];
      });
      const last = places[limit - 1];
      return { items, next: places.length > limit && last ? encodeToken(no, last, filter) : undefined };
    });
  }

  #placesAfter(
    no: number,
    filter: MachineFilter,
    after: ListedPlace | undefined,
    limit: number,
  ): ListedPlace[] {
    const places: ListedPlace[] = [];
    for (const range of rangesAfter(no, filter, after)) {
      const keys = keysIn(this.#context.db, range, limit - places.length);
      for (const key of keys) places.push(listedPlaceIn(key));
      if (places.length >= limit) break;
    }
    return places;
  }

  count(
    name: string,
    states: readonly string[],
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<number[]> {
    return read(signal, () => {
      const no = this.#context.name(name)?.no;
      if (no === undefined) return states.map(() => 0);
      return states.map((state) =>
        version === undefined ? this.#countAll(no, state) : this.#countOf(no, state, version),
      );
    });
  }

  #countOf(no: number, state: string, version: string): number {
    return (this.#context.db.get(countKey(no, state, version)) as number | undefined) ?? 0;
  }

  #countAll(no: number, state: string): number {
    const counts = entriesIn<number>(this.#context.db, rangeOf(countKey(no, state)), { limit: MAX_COUNTS });
    return counts.reduce((sum, { value }) => sum + value, 0);
  }
}

/** A creator that comes again is shown the machine as it was created; any other is told of this one. */
function meet(wanted: NewMachine, there: MachineRecord): Creation {
  const { configurationName: name, id, requestId, requestHash } = wanted;
  const same = requestId !== '' && requestId === there.requestId && requestHash === there.requestHash;
  if (!same) return { kind: 'exists', machine: machineOf(name, id, there) };
  const { firstState, createTimeMs } = there;
  const first = { ...there, state: firstState, version: 0, updateTimeMs: createTimeMs };
  return { kind: 'replayed', machine: machineOf(name, id, first) };
}

function firstRecord(wanted: NewMachine, serial: number, nowMs: number): MachineRecord {
  const { uid, state, configurationVersion, requestId, requestHash } = wanted;
  return {
    uid,
    state,
    version: 0,
    configurationVersion,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
    serial,
    historyFrom: 1,
    firstState: state,
    requestId,
    requestHash,
  };
}

/** The part of a change that all kinds share. */
export function changeOf(id: string, record: MachineRecord, timeMs: number): Omit<Change, 'kind'> {
  const { uid, version, configurationVersion } = record;
  return { id, uid, version, configurationVersion, from: '', to: '', eventName: '', eventId: '', timeMs };
}

function rangesAfter(no: number, filter: MachineFilter, after: ListedPlace | undefined): Range[] {
  const prefixes = filter.states
    ? filter.states.map((state) => listedPrefix(no, state, filter.configurationVersion))
    : [listedPrefix(no)];
  const first = after && filter.states ? filter.states.indexOf(after.state) : 0;
  return prefixes.slice(first).map((prefix, i) => {
    const range = rangeOf(prefix);
    return i === 0 && after ? { start: justAfter(listedKey(no, after)), end: range.end } : range;
  });
}

function justAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}

/** A token is good for the name and filter it was made with; this says which they were. */
function filterMark(no: number, { states, configurationVersion }: MachineFilter): string {
  const text = JSON.stringify([no, states ?? null, configurationVersion ?? null]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 8);
}

function encodeToken(
  no: number,
  { state, configurationVersion, id }: ListedPlace,
  filter: MachineFilter,
): string {
  const parts = [filterMark(no, filter), state, configurationVersion, id];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

function decodeToken(no: number, token: string, filter: MachineFilter): ListedPlace {
  const parts = parseToken(token);
  const [mark, state, configurationVersion, id] = parts;
  const known = state !== undefined && (!filter.states || filter.states.includes(state));
  if (mark !== filterMark(no, filter) || !known || configurationVersion === undefined || id === undefined)
    throw Fault.invalidField('page_token', 'is not from a page with the same filter');
  return { state, configurationVersion, id };
}

function parseToken(token: string): string[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(parts) && parts.every((part) => typeof part === 'string') ? parts : [];
  } catch {
    return [];
  }
}
