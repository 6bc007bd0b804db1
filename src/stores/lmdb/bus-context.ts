/**
 * What the parts of the bus share: the database, the writer, the streams in memory, and how a verb becomes
 * a job. The idea to hold: a job decides on objects in memory and what it changed is written as the last
 * thing of the job, so that memory and database say the same at the end of every job or the memory goes.
 */
import type { DeliveryGroup, LogView } from '../../bus/delivery.js';
import { DEFAULT_GROUP, DEFAULT_GROUP_OF_STREAM, type Group } from '../../bus/event.js';
import { type BusStoreObserver, NO_OBSERVER } from '../../bus/store.js';
import type { Gone, GroupNotFound } from '../../bus/verbs.js';
import type { Clock } from '../../clock.js';
import type { Batch } from './batch.js';
import { BusBell } from './bus-bell.js';
import { journal } from './bus-journal.js';
import { groupKey, headKey, stateKey, streamKey } from './bus-keys.js';
import { BusLedger } from './bus-ledger.js';
import { LoadedGroup, type LoadedStream, loadDelivery, loadStream } from './bus-loaded.js';
import {
  type Creation,
  decodeState,
  decodeStream,
  encodeGroup,
  encodeHead,
  encodeState,
  newState,
  type StateTuple,
  type StreamRecord,
  type StreamState,
  type StreamTuple,
} from './bus-records.js';
import { type Database, read } from './environment.js';
import type { JobOptions, Writer } from './writer.js';

export const GONE: Gone = { kind: 'gone' };
export const GROUP_NOT_FOUND: GroupNotFound = { kind: 'group_not_found' };

/** Beyond either, streams that were not used for the longest time are dropped from memory. */
const MAX_LOADED_STREAMS = 2_000;
const MAX_LOADED_ROWS = 500_000;

const NOBODY: Creation = { requestId: '', requestHash: '' };

export interface BusContextOptions {
  readonly db: Database;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly observer?: BusStoreObserver | undefined;
}

/** One verb on one stream, within a transaction. */
export interface BusJob {
  readonly batch: Batch;
  readonly ledger: BusLedger;
  readonly stream: LoadedStream;
  readonly nowMs: number;
}

/** A group that a job works on. */
export interface UsedGroup {
  readonly loaded: LoadedGroup;
  readonly delivery: DeliveryGroup;
  readonly log: LogView;
}

export class BusContext {
  readonly db: Database;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly bell = new BusBell();
  readonly #observer: BusStoreObserver;
  readonly #streams = new Map<number, LoadedStream>();
  #uses = 0;
  #hasLoaded = false;

  constructor({ db, writer, clock, observer = NO_OBSERVER }: BusContextOptions) {
    this.#observer = observer;
    this.db = db;
    this.writer = writer;
    this.clock = clock;
  }

  ledger(batch: Batch): BusLedger {
    return batch.part(this, () => new BusLedger(batch, this));
  }

  /** The stream as jobs see it, if it is in memory: for answers that need no job. */
  inMemory(number: number): LoadedStream | undefined {
    return this.#streams.get(number);
  }

  forget(number: number): void {
    this.#streams.delete(number);
  }

  /** Runs a verb on a stream as one job; `gone` if there is none of that number. */
  job<T>(
    number: number,
    signal: AbortSignal | undefined,
    options: JobOptions,
    run: (job: BusJob) => T,
  ): Promise<T | Gone> {
    return this.writer.write(signal, (batch) => this.#run(batch, number, run), options);
  }

  /** As `job`, on a group; the default group comes to exist. */
  groupJob<T>(
    number: number,
    name: string,
    signal: AbortSignal | undefined,
    options: JobOptions,
    run: (group: UsedGroup, job: BusJob) => T,
  ): Promise<T | Gone | GroupNotFound> {
    return this.job(number, signal, options, (job) => {
      const loaded =
        job.stream.groups.get(name) ?? (name === DEFAULT_GROUP ? addDefault(this.db, job) : undefined);
      return loaded ? run(this.use(job, loaded), job) : GROUP_NOT_FOUND;
    });
  }

  /**
   * Runs a look at a stream and its groups: at once if all are in memory, else by a job that loads them.
   * It may see what is not on the disk yet, and sees all that was answered.
   */
  async look<T>(
    number: number,
    signal: AbortSignal,
    look: (stream: LoadedStream, nowMs: number) => T,
  ): Promise<T | Gone> {
    const stream = this.#streams.get(number);
    if (stream && [...stream.groups.values()].every(({ delivery }) => delivery))
      return read(signal, () => look(stream, this.clock.nowMs()));
    return this.job(number, signal, { grows: false }, (job) => {
      for (const loaded of job.stream.groups.values()) this.use(job, loaded);
      return look(job.stream, job.nowMs);
    });
  }

  isDefault(name: string): boolean {
    return name === DEFAULT_GROUP;
  }

  #run<T>(batch: Batch, number: number, run: (job: BusJob) => T): T | Gone {
    const ledger = this.ledger(batch);
    ledger.touched.add(number);
    const stream = this.#streams.get(number) ?? this.#load(batch, ledger, number);
    if (!stream) return GONE;
    stream.lastUse = ++this.#uses;
    try {
      const answer = run({ batch, ledger, stream, nowMs: batch.nowMs });
      finish(batch, ledger, stream);
      return answer;
    } catch (error) {
      this.forget(number);
      throw error;
    }
  }

  #load(batch: Batch, ledger: BusLedger, number: number): LoadedStream | undefined {
    const stream = loadStream(this.db, batch, ledger, number);
    if (!stream) return undefined;
    this.#streams.set(number, stream);
    this.#hasLoaded = true;
    return stream;
  }

  use({ ledger, stream }: BusJob, loaded: LoadedGroup): UsedGroup {
    stream.used.add(loaded);
    if (!loaded.delivery) {
      loaded.delivery = loadDelivery(this.db, ledger, loaded);
      this.#hasLoaded = true;
    }
    return { loaded, delivery: loaded.delivery, log: loaded };
  }

  committed({ wakes, trimmedUnprocessed }: BusLedger): void {
    if (trimmedUnprocessed > 0) this.#observer.onTrimmedUnprocessed(trimmedUnprocessed);
    if (this.#hasLoaded) this.#makeRoom();
    this.bell.ring(wakes);
  }

  /** What was decided in memory is not so; whoever has looked at it meanwhile is to look again. */
  failed({ touched }: BusLedger): void {
    for (const number of touched) this.forget(number);
    this.bell.ring(touched);
  }

  #makeRoom(): void {
    this.#hasLoaded = false;
    let rows = 0;
    for (const stream of this.#streams.values()) rows += rowsOf(stream);
    if (this.#streams.size <= MAX_LOADED_STREAMS && rows <= MAX_LOADED_ROWS) return;
    const oldestFirst = [...this.#streams.values()].sort((a, b) => a.lastUse - b.lastUse);
    // The last one stays whatever it holds, or it would be read again for each of its jobs.
    for (const stream of oldestFirst.slice(0, -1)) {
      if (this.#streams.size <= (MAX_LOADED_STREAMS * 3) / 4 && rows <= (MAX_LOADED_ROWS * 3) / 4) return;
      rows -= rowsOf(stream);
      this.forget(stream.number);
    }
  }

  /** For readers. */
  record(number: number): StreamRecord | undefined {
    const tuple = this.db.get(streamKey(number)) as StreamTuple | undefined;
    return tuple && decodeStream(number, tuple);
  }

  /** For readers, of a stream that exists. */
  state(number: number): StreamState {
    const tuple = this.db.get(stateKey(number)) as StateTuple | undefined;
    return tuple ? decodeState(tuple) : newState();
  }
}

function finish(batch: Batch, ledger: BusLedger, stream: LoadedStream): void {
  for (const group of stream.used) if (journal(batch, ledger, group)) ledger.wakes.add(stream.number);
  stream.used.clear();
  if (stream.isChanged) ledger.putLate(stateKey(stream.number), encodeState(stream.state));
  stream.isChanged = false;
}

function rowsOf({ groups }: LoadedStream): number {
  let rows = 0;
  for (const { delivery } of groups.values())
    if (delivery) rows += delivery.rows.size + delivery.dead.size + delivery.exceptions.size / 8;
  return rows;
}

function addDefault(db: Database, job: BusJob): LoadedGroup {
  const group = { name: DEFAULT_GROUP, settings: DEFAULT_GROUP_OF_STREAM, filter: undefined };
  return addGroup(db, job, group, job.stream.state.firstSeq, NOBODY);
}

/** Makes a group whose name is free. */
export function addGroup(
  db: Database,
  { batch, ledger, stream, nowMs }: BusJob,
  wanted: Pick<Group, 'name' | 'settings' | 'filter'>,
  cursor: number,
  { requestId, requestHash }: Creation,
): LoadedGroup {
  const { name, settings, filter } = wanted;
  const group = { name, settings, filter, revision: 1, generation: 1, createTimeMs: nowMs };
  stream.isChanged = true;
  const record = { no: ++stream.state.lastGroup, group, requestId, requestHash };
  const loaded = new LoadedGroup(db, stream, record);
  stream.groups.set(name, loaded);
  batch.put(groupKey(stream.number, name), encodeGroup(record));
  const head = { cursor, trimmedUnprocessed: 0, droppedDead: 0, lastDeath: 0 };
  ledger.putLate(headKey(loaded.place), encodeHead(head));
  return loaded;
}
