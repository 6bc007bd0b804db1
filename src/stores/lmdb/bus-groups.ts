/**
 * Groups come, change, seek and go. A group's number is of the stream's own counter and never given
 * again, and what it has in flight lies under its generation; so a seek is a new generation, a deletion
 * the end of a number, and what lay under either is left to the sweeper as one range.
 */
import { MAX_GROUPS } from '../../bus/bounds.js';
import type { GroupSettings, Position } from '../../bus/event.js';
import type { BusStore } from '../../bus/store.js';
import type { NewGroup } from '../../bus/verbs.js';
import { addGroup, type BusContext, type BusJob, GROUP_NOT_FOUND } from './bus-context.js';
import { droppedBySeek, groupKey, heldByGroup } from './bus-keys.js';
import type { LoadedGroup } from './bus-loaded.js';
import { seqAt } from './bus-read.js';
import { encodeGroup, isSameRequest } from './bus-records.js';

type Answer<M extends keyof BusStore> = BusStore[M] extends (...args: never[]) => Promise<infer A>
  ? A
  : never;

export class BusGroups {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  create(number: number, wanted: NewGroup, signal: AbortSignal): Promise<Answer<'createGroup'>> {
    return this.#context.job(number, signal, {}, (job): Answer<'createGroup'> => {
      const { groups } = job.stream;
      const known = groups.get(wanted.name)?.record;
      if (known) return { kind: isSameRequest(known, wanted) ? 'replayed' : 'exists', group: known.group };
      if (groups.size >= MAX_GROUPS) return { kind: 'too_many_groups' };
      const cursor = this.#seqOf(job, wanted.start);
      if (cursor === undefined) return outOfRange(job);
      const { group } = addGroup(this.#context.db, job, wanted, cursor, wanted).record;
      return { kind: 'created', group };
    });
  }

  update(
    number: number,
    name: string,
    settings: GroupSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<Answer<'updateGroup'>> {
    return this.#context.job(number, signal, { grows: false }, (job): Answer<'updateGroup'> => {
      const loaded = job.stream.groups.get(name);
      if (!loaded) return GROUP_NOT_FOUND;
      const { group } = loaded.record;
      if (expectedRevision !== undefined && expectedRevision !== group.revision)
        return { kind: 'revision_mismatch', group };
      const changed = { ...group, settings, revision: group.revision + 1 };
      put(job, loaded, changed);
      if (loaded.delivery) loaded.delivery.settings = settings;
      return { kind: 'updated', group: changed };
    });
  }

  delete(number: number, name: string, signal: AbortSignal): Promise<Answer<'deleteGroup'>> {
    return this.#context.job(number, signal, { grows: false }, (job): Answer<'deleteGroup'> => {
      const { batch, ledger, stream } = job;
      const loaded = stream.groups.get(name);
      if (!loaded) return { kind: 'absent' };
      stream.groups.delete(name);
      batch.remove(groupKey(number, name));
      ledger.sweep(heldByGroup(loaded.place));
      ledger.wakes.add(number);
      return { kind: 'deleted' };
    });
  }

  list(number: number, signal: AbortSignal): Promise<Answer<'listGroups'>> {
    return this.#context.look(number, signal, ({ groups }) => ({
      kind: 'groups' as const,
      groups: byName(groups.values()).map(({ record }) => record.group),
    }));
  }

  seek(number: number, name: string, to: Position, signal: AbortSignal): Promise<Answer<'seekGroup'>> {
    return this.#context.job(number, signal, { grows: false }, (job): Answer<'seekGroup'> => {
      const loaded = job.stream.groups.get(name);
      if (!loaded) return GROUP_NOT_FOUND;
      const cursor = this.#seqOf(job, to);
      if (cursor === undefined) return outOfRange(job);
      const { delivery } = this.#context.use(job, loaded);
      job.ledger.sweep(droppedBySeek(loaded.place));
      const { group } = loaded.record;
      put(job, loaded, { ...group, generation: group.generation + 1 });
      delivery.reset(cursor, loaded);
      return { kind: 'sought', group: loaded.record.group, cursor };
    });
  }

  #seqOf({ stream }: BusJob, position: Position): number | undefined {
    const { firstSeq, lastSeq } = stream.state;
    if (position.kind === 'beginning') return firstSeq;
    if (position.kind === 'end') return lastSeq + 1;
    if (position.kind === 'time')
      return seqAt(this.#context.db, stream.number, stream.state, position.timeMs);
    return position.seq >= firstSeq && position.seq <= lastSeq + 1 ? position.seq : undefined;
  }
}

export function byName(groups: Iterable<LoadedGroup>): LoadedGroup[] {
  return [...groups].sort((a, b) => (a.record.group.name < b.record.group.name ? -1 : 1));
}

function put({ batch, stream }: BusJob, loaded: LoadedGroup, group: LoadedGroup['record']['group']): void {
  loaded.record = { ...loaded.record, group };
  batch.put(groupKey(stream.number, group.name), encodeGroup(loaded.record));
}

function outOfRange({ stream }: BusJob) {
  const { firstSeq, lastSeq } = stream.state;
  return { kind: 'out_of_range' as const, firstSeq, lastSeq };
}
