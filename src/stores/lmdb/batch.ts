/**
 * One transaction, as the jobs in it see it. Reads go to the database and see what earlier jobs wrote;
 * writes are staged, and applied when the job that staged them has returned.
 */
import type { Database } from './environment.js';

/** What the jobs of one batch share, such as sums; staged as its last writes. */
export interface BatchPart {
  /** Stages the part's own writes, once, after all jobs. */
  finish(batch: Batch): void;
  /** Called after the commit. */
  committed(): void;
  /** Called instead when the commit failed. */
  failed(): void;
}

/** One transaction, as its jobs see it. */
export class Batch {
  readonly db: Database;
  readonly nowMs: number;
  readonly #parts = new Map<object, BatchPart>();
  #staged: { key: Buffer; value: unknown; remove: boolean }[] = [];

  constructor(db: Database, nowMs: number) {
    this.db = db;
    this.nowMs = nowMs;
  }

  get parts(): Iterable<BatchPart> {
    return this.#parts.values();
  }

  /** The part that `owner` has in this batch, made when first asked for. */
  part<T extends BatchPart>(owner: object, make: () => T): T {
    const known = this.#parts.get(owner);
    if (known) return known as T;
    const made = make();
    this.#parts.set(owner, made);
    return made;
  }

  /** Reads what is there, including what earlier jobs of the batch wrote. */
  get<T>(key: Buffer): T | undefined {
    return this.db.get(key) as T | undefined;
  }

  put(key: Buffer, value: unknown): void {
    this.#staged.push({ key, value, remove: false });
  }

  remove(key: Buffer): void {
    this.#staged.push({ key, value: undefined, remove: true });
  }

  discard(): void {
    this.#staged = [];
  }

  apply(): void {
    const staged = this.#staged;
    this.#staged = [];
    for (const { key, value, remove } of staged) {
      if (remove) this.db.remove(key);
      else this.db.put(key, value);
    }
  }
}
