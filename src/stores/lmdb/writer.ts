/**
 * The one place that writes. Calls queue as jobs; while one commit is on its way to the disk the next
 * batch gathers, and all jobs of a batch share one transaction and one fdatasync. A job decides first:
 * it reads, may throw, and stages what it would write; only when it has returned is that applied, so a
 * job that throws has written nothing. Answers go out after the commit, and if the commit fails every
 * job in it fails. Only one transaction is ever under way, so nothing is read from a doomed one.
 */
import type { Clock } from '../../clock.js';
import type { Fault } from '../../fault.js';
import { Batch } from './batch.js';
import type { Database } from './environment.js';
import { commitCause, effectUnknown, storeFull, storeUnavailable } from './errors.js';
import { OWNER_KEY } from './keys.js';
import type { Space } from './space.js';

/** Calls that may wait; beyond it a call is refused at once. */
const MAX_QUEUED = 20_000;
/** Weight of one commit: bounds the memory and the event loop time that a batch takes. */
const MAX_BATCH_WEIGHT = 1_000;
/** How often the signals of calls that wait long are looked at; the fast path listens to none. */
const SLOW_CHECK_MS = 100;

export interface JobOptions {
  /** Share of a batch that the job takes, about 1 an event. */
  readonly weight?: number;
  /** False for jobs that make room: they run when the store is full too. */
  readonly grows?: boolean;
}

interface Job {
  readonly run: (batch: Batch) => unknown;
  readonly weight: number;
  readonly grows: boolean;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Ends the job with what `run` made of it; undefined while it has not run. */
  settle: (() => void) | undefined;
}

export interface WriterOptions {
  readonly clock: Clock;
  /** Looked at first in every transaction: does the data still belong to this process? */
  readonly isOwner: () => boolean;
  readonly space: Space;
}

export class Writer {
  readonly #db: Database;
  readonly #options: WriterOptions;
  #queue: Job[] = [];
  #flying: Job[] = [];
  #loop: Promise<void> | undefined;
  #slowCheck: NodeJS.Timeout | undefined;
  /** The transaction that is under way, once it has begun. */
  #transaction: number | undefined;
  /** Why nothing is written any more. */
  #stopped: Fault | undefined;
  #broken = false;

  constructor(db: Database, options: WriterOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** False after a failure that leaves it open what LMDB would do with another transaction. */
  get isUsable(): boolean {
    return !this.#broken;
  }

  /** Runs `job` in the next transaction and answers when that is committed. */
  write<T>(signal: AbortSignal | undefined, run: (batch: Batch) => T, options: JobOptions = {}): Promise<T> {
    const { weight = 1, grows = true } = options;
    return new Promise<T>((resolve, reject) => {
      const refusal = this.#refusal(signal);
      if (refusal) return reject(refusal);
      const answer = resolve as (value: unknown) => void;
      this.#queue.push({ run, weight, grows, signal, resolve: answer, reject, settle: undefined });
      this.#loop ??= this.#drain();
    });
  }

  #refusal(signal: AbortSignal | undefined): Fault | undefined {
    if (this.#stopped) return this.#stopped;
    if (signal?.aborted) return storeUnavailable('was not asked: the call had ended');
    if (this.#queue.length >= MAX_QUEUED) return storeUnavailable('has too many calls waiting');
    return undefined;
  }

  /** Refuses new calls and waits for those that were taken. */
  async close(): Promise<void> {
    this.#stopped ??= storeUnavailable('is closed');
    while (this.#loop) await this.#loop;
  }

  async #drain(): Promise<void> {
    this.#slowCheck = setInterval(() => this.#abandonAborted(), SLOW_CHECK_MS);
    try {
      while (this.#queue.length > 0) await this.#commit();
    } finally {
      clearInterval(this.#slowCheck);
      this.#loop = undefined;
    }
  }

  async #commit(): Promise<void> {
    let batch: Batch | undefined;
    let broken: unknown;
    this.#transaction = undefined;
    try {
      await this.#db.transaction(() => {
        this.#transaction = this.#db.getWriteTxnId();
        batch = new Batch(this.#db, this.#options.clock.nowMs());
        try {
          this.#fill(batch);
        } catch (error) {
          broken = error;
        }
      });
    } catch (error) {
      return this.#fail(batch, broken ?? (await commitCause(error)));
    }
    // Half a batch that was committed all the same is no full disk, whatever the write complained of.
    if (broken !== undefined) return this.#fail(batch, new Error('a batch was cut short', { cause: broken }));
    this.#succeed(batch);
  }

  /** Runs inside the transaction: takes what is queued by now. */
  #fill(batch: Batch): void {
    this.#flying = this.#take();
    if (!this.#options.isOwner()) {
      this.#stopped = storeUnavailable('was taken over by another process');
      for (const job of this.#flying) refuse(job, this.#stopped);
      return;
    }
    const full = this.#options.space.isFull();
    for (const job of this.#flying) {
      if (job.signal?.aborted) refuse(job, storeUnavailable('was not asked: the call had ended'));
      else if (full && job.grows) refuse(job, storeFull());
      else run(job, batch);
    }
    for (const part of batch.parts) part.finish(batch);
    batch.apply();
  }

  #take(): Job[] {
    let weight = 0;
    let count = 0;
    for (const job of this.#queue) {
      weight += job.weight;
      if (count > 0 && weight > MAX_BATCH_WEIGHT) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #succeed(batch: Batch | undefined): void {
    for (const part of batch?.parts ?? []) part.committed();
    const done = this.#flying;
    this.#flying = [];
    for (const job of done) job.settle?.();
  }

  /**
   * A commit that fails before the one write that makes it count has changed nothing, and LMDB goes on
   * from where it was: that is how a full disk shows. If it cannot be known that this is so, the only
   * safe thing is to write no more until the data is opened again.
   */
  #fail(batch: Batch | undefined, cause: unknown): void {
    for (const part of batch?.parts ?? []) part.failed();
    const unchanged = this.#isUnchanged();
    const full = unchanged && this.#options.space.ranOut(cause);
    this.#broken ||= !full;
    if (!full) this.#stopped ??= storeUnavailable('failed to write and was stopped', cause);
    const lost = this.#flying.length > 0 ? this.#flying : this.#take();
    this.#flying = [];
    for (const job of lost)
      job.reject(full ? storeFull(cause) : unchanged ? this.#stopped : effectUnknown(cause));
    if (!full) for (const job of this.#queue.splice(0)) job.reject(this.#stopped);
  }

  #isUnchanged(): boolean {
    if (this.#transaction === undefined) return true;
    try {
      this.#db.resetReadTxn();
      this.#db.get(OWNER_KEY);
      return lastTransaction(this.#db) < this.#transaction;
    } catch {
      return false;
    }
  }

  /** Ends calls whose signal fired while the disk is slow. */
  #abandonAborted(): void {
    for (const job of this.#flying) if (job.signal?.aborted) job.reject(effectUnknown());
    const waiting = this.#queue.filter((job) => !job.signal?.aborted);
    if (waiting.length === this.#queue.length) return;
    for (const job of this.#queue)
      if (job.signal?.aborted) job.reject(storeUnavailable('was too slow: the call ended before its turn'));
    this.#queue = waiting;
  }
}

function run(job: Job, batch: Batch): void {
  try {
    const answer = job.run(batch);
    job.settle = () => job.resolve(answer);
  } catch (error) {
    batch.discard();
    refuse(job, error);
    return;
  }
  batch.apply();
}

function refuse(job: Job, error: unknown): void {
  job.settle = () => job.reject(error);
}

function lastTransaction(db: Database): number {
  return (db.getStats() as { lastTxnId: number }).lastTxnId;
}
