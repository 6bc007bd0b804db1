/**
 * Dead letters: listed from the database in the order of death, and replayed or forgotten in steps, each a
 * job. A position is the serial of a death, so what dies meanwhile comes behind it.
 */
import { type Death, deathsOf, dropOldDead, purge, replay } from '../../bus/delivery.js';
import type { BusStore } from '../../bus/store.js';
import type { DeadLetter, DeadSelection, DeadStep } from '../../bus/verbs.js';
import { type BusContext, type BusJob, GONE, GROUP_NOT_FOUND, type UsedGroup } from './bus-context.js';
import { deadBodyKey, deadIn, deadKey, deadSerialIn, type GroupPlace, groupKey } from './bus-keys.js';
import { type DeadTuple, decodeEvent, decodeGroup, type EventTuple, type GroupTuple } from './bus-records.js';
import { type Database, type Entry, entriesIn, read } from './environment.js';
import type { Range } from './keys.js';

/** Dead letters that one step takes. */
const STEP = 256;
const FIRST = 0;

export class BusDead {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  list(
    number: number,
    name: string,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): ReturnType<BusStore['listDead']> {
    return read(signal, (): Awaited<ReturnType<BusStore['listDead']>> => {
      const { db } = this.#context;
      if (!this.#context.record(number)) return GONE;
      const tuple = db.get(groupKey(number, name)) as GroupTuple | undefined;
      if (!tuple)
        return this.#context.isDefault(name) ? { kind: 'page', items: [], next: undefined } : GROUP_NOT_FOUND;
      const { no, group } = decodeGroup(name, tuple);
      const place = { stream: number, no, generation: group.generation };
      const entries = entriesIn<DeadTuple>(db, deadAfter(place, after), { limit: limit + 1 });
      const items = entries.slice(0, limit).flatMap(({ value: [seq, attempts, deadTimeMs] }) => {
        const body = db.get(deadBodyKey(place, seq)) as EventTuple | undefined;
        const letter = { attempts, deadTimeMs, reason: 'attempts_exhausted' as const };
        return body ? [{ event: decodeEvent(seq, body), ...letter } satisfies DeadLetter] : [];
      });
      return {
        kind: 'page',
        items,
        next: entries.length > limit ? positionOf(entries[limit - 1]) : undefined,
      };
    });
  }

  replay(
    number: number,
    group: string,
    which: DeadSelection,
    signal: AbortSignal,
  ): ReturnType<BusStore['replayDead']> {
    return this.#step(number, group, which, signal, ({ delivery, log }, { nowMs }, deaths) =>
      replay(delivery, log, deaths, nowMs),
    );
  }

  purge(
    number: number,
    group: string,
    which: DeadSelection,
    signal: AbortSignal,
  ): ReturnType<BusStore['purgeDead']> {
    return this.#step(number, group, which, signal, ({ delivery }, _, deaths) => purge(delivery, deaths));
  }

  #step(
    number: number,
    name: string,
    which: DeadSelection,
    signal: AbortSignal,
    act: (group: UsedGroup, job: BusJob, deaths: readonly Death[]) => void,
  ): ReturnType<BusStore['purgeDead']> {
    const options = { weight: STEP, grows: false };
    return this.#context.groupJob(number, name, signal, options, (group, job): DeadStep => {
      const { deaths, next } = chosen(group, job, which);
      act(group, job, deaths);
      return { kind: 'step', count: deaths.length, next };
    });
  }
}

function chosen(
  { loaded, delivery }: UsedGroup,
  { batch }: BusJob,
  which: DeadSelection,
): { deaths: readonly Death[]; next: string | undefined } {
  if (which.kind === 'some') return { deaths: deathsOf(delivery, which.seqs), next: undefined };
  const entries = entriesIn<DeadTuple>(batch.db, deadAfter(loaded.place, which.after), { limit: STEP + 1 });
  const seqs = entries.slice(0, STEP).map(({ value: [seq] }) => seq);
  return {
    deaths: deathsOf(delivery, seqs),
    next: entries.length > STEP ? positionOf(entries[STEP - 1]) : undefined,
  };
}

function deadAfter(place: GroupPlace, after: string | undefined): Range {
  const serial = after === undefined ? FIRST : Number(after);
  const from = Number.isSafeInteger(serial) && serial >= FIRST && serial < 2 ** 48 - 1 ? serial + 1 : FIRST;
  return { start: deadKey(place, from), end: deadIn(place).end };
}

function positionOf(entry: Entry<unknown> | undefined): string | undefined {
  return entry && String(deadSerialIn(entry.key));
}

/** Drops dead letters of the stream's groups that died too long ago, at most `limit` of each group. */
export function dropOld(context: BusContext, job: BusJob, limit: number): number {
  const beforeMs = job.nowMs - job.stream.record.stream.settings.maxAgeMs;
  let count = 0;
  for (const loaded of job.stream.groups.values())
    if (hasOldDead(job.batch.db, loaded.place, beforeMs))
      count += dropOldDead(context.use(job, loaded).delivery, beforeMs, limit);
  return count;
}

/** Whether the group's first dead letter died too long ago. */
export function hasOldDead(db: Database, place: GroupPlace, beforeMs: number): boolean {
  const [oldest] = entriesIn<DeadTuple>(db, deadIn(place), { limit: 1 });
  return oldest !== undefined && oldest.value[2] < beforeMs;
}
