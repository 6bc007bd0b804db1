/**
 * What is no longer kept goes in the background, in steps of bounded size: ranges that were let go whole,
 * and, stream by stream, events that are too old, ids that have lapsed and dead letters past their time.
 * All that is to do can be told from the database, so a restart loses none of it.
 */
import { MAX_GROUPS, MAX_TRIM_EVENTS } from '../../bus/bounds.js';
import { Rounds } from '../rounds.js';
import type { BusContext } from './bus-context.js';
import { dropOld, hasOldDead } from './bus-dead.js';
import { dueLapses, forgetLapsed } from './bus-dedupe.js';
import {
  BUS_SWEEPS,
  eventKey,
  groupNameIn,
  groupsOf,
  lapsesDue,
  streamNumberIn,
  streamsAfter,
} from './bus-keys.js';
import {
  decodeGroup,
  decodeStream,
  type EventTuple,
  type GroupTuple,
  type StreamRecord,
  type StreamTuple,
} from './bus-records.js';
import { hasTrimmable, trim, trimmable } from './bus-trim.js';
import { entriesIn, keysIn } from './environment.js';

/** What one step removes of each kind at most; events wait for it no longer than for each other. */
const STEP = 200;
/** Streams that are looked at in one round, a few reads each. */
const STREAMS_A_ROUND = 100;

export class BusSweeper {
  readonly #context: BusContext;
  readonly #rounds = new Rounds(() => this.#round());
  /** The stream looked at last. */
  #last = 0;

  constructor(context: BusContext) {
    this.#context = context;
  }

  close(): void {
    this.#rounds.close();
  }

  async #round(): Promise<void> {
    const rounds = this.#rounds;
    while (!rounds.isClosed && keysIn(this.#context.db, BUS_SWEEPS, 1).length > 0) await this.#sweep();
    for (const record of this.#nextStreams())
      while (!rounds.isClosed && this.#hasWork(record)) if (!(await this.#tend(record.stream.number))) break;
  }

  #sweep(): Promise<void> {
    return this.#context.writer.write(
      undefined,
      (batch) => {
        const [task] = entriesIn<[Buffer, Buffer]>(batch.db, BUS_SWEEPS, { limit: 1 });
        if (!task) return;
        const [start, end] = task.value;
        const keys = keysIn(batch.db, { start, end }, STEP);
        for (const key of keys) batch.remove(key);
        if (keys.length < STEP) batch.remove(task.key);
      },
      { weight: STEP, grows: false },
    );
  }

  #nextStreams(): StreamRecord[] {
    const range = streamsAfter(this.#last);
    const entries = entriesIn<StreamTuple>(this.#context.db, range, { limit: STREAMS_A_ROUND });
    const records = entries.map(({ key, value }) => decodeStream(streamNumberIn(key), value));
    this.#last = records.length < STREAMS_A_ROUND ? 0 : (records.at(-1)?.stream.number ?? 0);
    return records;
  }

  #hasWork({ stream }: StreamRecord): boolean {
    const { db, clock } = this.#context;
    const { number, settings } = stream;
    const nowMs = clock.nowMs();
    if (!this.#context.record(number)) return false;
    const state = this.#context.state(number);
    const first = db.get(eventKey(number, state.firstSeq)) as EventTuple | undefined;
    if (hasTrimmable(settings, state, first?.[0], nowMs)) return true;
    if (keysIn(db, lapsesDue(number, nowMs), 1).length > 0) return true;
    return this.#hasOldDead(number, nowMs - settings.maxAgeMs);
  }

  #hasOldDead(number: number, beforeMs: number): boolean {
    const { db } = this.#context;
    return entriesIn<GroupTuple>(db, groupsOf(number), { limit: MAX_GROUPS + 1 }).some(({ key, value }) => {
      const { no, group } = decodeGroup(groupNameIn(key), value);
      return hasOldDead(db, { stream: number, no, generation: group.generation }, beforeMs);
    });
  }

  /** Removes a bounded number of things of one stream that are due; false = there was nothing. */
  async #tend(number: number): Promise<boolean> {
    const done = await this.#context.job(number, undefined, { weight: STEP, grows: false }, (job) => {
      const { stream } = job;
      const { firstSeq } = stream.state;
      trim(job, trimmable(job, MAX_TRIM_EVENTS, []));
      const lapses = dueLapses(job, STEP);
      stream.state.records -= forgetLapsed(job, lapses, () => false);
      stream.isChanged = true;
      const dropped = dropOld(this.#context, job, STEP);
      return stream.state.firstSeq > firstSeq || lapses.length > 0 || dropped > 0;
    });
    return done === true;
  }
}
