/** A reader of a change feed: collects what it sees, and lets a test wait for a fact about it. */
import type { Change, ChangeBatch, FsmStore } from '../../src/fsm/store.js';
import { deferred } from '../support/waiting.js';

export class Watcher {
  readonly batches: ChangeBatch[] = [];
  readonly changes: Change[] = [];
  /** What the feed threw at its end. */
  readonly ended: Promise<unknown>;
  readonly #abort = new AbortController();
  readonly #looks = new Set<() => void>();
  #end: { reason: unknown } | undefined;

  constructor(store: FsmStore, name: string, cursor: string) {
    this.ended = this.#read(store, name, cursor);
  }

  /** The cursor after what was seen so far, or undefined before the first batch. */
  get cursor(): string | undefined {
    return this.batches.at(-1)?.cursor;
  }

  /** Resolves once `count` changes were seen. */
  async seen(count: number): Promise<readonly Change[]> {
    await this.until(() => this.changes.length >= count, `${count} changes`);
    return this.changes;
  }

  /** Resolves once `holds`, looked at after every batch. */
  async until(holds: () => boolean, what: string, deadlineMs = 15_000): Promise<void> {
    const { promise, resolve, reject } = deferred<void>();
    const look = () => {
      if (holds()) resolve();
      else if (this.#end) reject(this.#end.reason);
    };
    const late = () =>
      reject(
        new Error(
          `the feed did not show ${what} in ${deadlineMs} ms; it showed ${this.changes.length} changes`,
        ),
      );
    const timer = setTimeout(late, deadlineMs);
    this.#looks.add(look);
    look();
    await promise.finally(() => {
      clearTimeout(timer);
      this.#looks.delete(look);
    });
  }

  /** Ends the watch by its signal and resolves with what the feed threw. */
  async stop(reason: unknown = new Error('the test has seen enough')): Promise<unknown> {
    this.#abort.abort(reason);
    return this.ended;
  }

  /** What the feed throws by itself; ends it with `reason` when it has not after `patienceMs`. */
  async stopAfter(patienceMs: number, reason: unknown): Promise<unknown> {
    const timer = setTimeout(() => this.#abort.abort(reason), patienceMs);
    return this.ended.finally(() => clearTimeout(timer));
  }

  async #read(store: FsmStore, name: string, cursor: string): Promise<unknown> {
    let reason: unknown = new Error('the feed ended without throwing');
    try {
      for await (const batch of store.watch(name, cursor, this.#abort.signal)) {
        this.batches.push(batch);
        this.changes.push(...batch.changes);
        for (const look of this.#looks) look();
      }
    } catch (error) {
      reason = error;
    }
    this.#end = { reason };
    for (const look of this.#looks) look();
    return reason;
  }
}

/** The changes of each machine, in the order seen. */
export function byMachine(changes: readonly Change[]): Map<string, Change[]> {
  const groups = new Map<string, Change[]>();
  for (const change of changes) {
    const group = groups.get(change.id) ?? [];
    group.push(change);
    groups.set(change.id, group);
  }
  return groups;
}
