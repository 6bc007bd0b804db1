/**
 * One watcher: where it is in each shard, and which shards it has to look at. It holds no changes
 * beyond those of one round of reads, since it reads only when its reader asks for more.
 */
import type { Change, ChangeBatch } from '../../fsm/store.js';
import { cursorFrom, type FeedPosition } from './fsm-cursor.js';
import type { Shard } from './keys.js';
import type { Wakes } from './wakes.js';

const MAX_BATCH_CHANGES = 1_000;

/** A batch comes at least this often, if only to move the cursor on. */
const HEARTBEAT_MS = 30_000;

/** What one read of one shard gave. */
export interface ShardRead {
  readonly changes: readonly Change[];
  readonly position: FeedPosition;
  /** More is there already. */
  readonly isFull: boolean;
}

export class Watcher {
  readonly #scope: string;
  readonly #shards: readonly Shard[];
  readonly #positions: FeedPosition[];
  readonly #unlisten: (() => void)[];
  readonly #toRead: Set<Shard>;
  #wakeUp: () => void = () => {};

  constructor(wakes: Wakes, scope: string, shards: readonly Shard[], positions: readonly FeedPosition[]) {
    this.#scope = scope;
    this.#shards = shards;
    this.#positions = [...positions];
    this.#toRead = new Set(shards);
    this.#unlisten = shards.map((shard) => wakes.listen(shard.flag, () => this.#look(shard)));
  }

  positionIn(shard: Shard): FeedPosition {
    return this.#positions[shard.number] as FeedPosition;
  }

  /** Resolves with the shards to read next: those that may have changed, or all of them as a heartbeat. */
  async nextRound(signal: AbortSignal): Promise<{ shards: readonly Shard[]; isHeartbeat: boolean }> {
    if (this.#toRead.size === 0) await this.#woken(signal);
    const isHeartbeat = this.#toRead.size === 0;
    const shards = isHeartbeat ? this.#shards : [...this.#toRead];
    this.#toRead.clear();
    return { shards, isHeartbeat };
  }

  /** What a round of reads gave, as batches whose cursors follow it; an empty round makes none. */
  *batches(round: readonly Shard[], reads: readonly ShardRead[]): Generator<ChangeBatch> {
    let changes: Change[] = [];
    for (const [i, shard] of round.entries()) {
      const read = reads[i] as ShardRead;
      if (read.isFull) this.#toRead.add(shard);
      if (changes.length + read.changes.length > MAX_BATCH_CHANGES) {
        yield this.#batch(changes);
        changes = [];
      }
      changes.push(...read.changes);
      this.#positions[shard.number] = read.position;
    }
    if (changes.length > 0) yield this.#batch(changes);
  }

  /** A batch that only says where the watcher is. */
  heartbeat(): ChangeBatch {
    return this.#batch([]);
  }

  close(): void {
    for (const unlisten of this.#unlisten) unlisten();
  }

  #batch(changes: readonly Change[]): ChangeBatch {
    return { changes, cursor: cursorFrom(this.#scope, this.#positions) };
  }

  #look(shard: Shard): void {
    this.#toRead.add(shard);
    this.#wakeUp();
  }

  async #woken(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, HEARTBEAT_MS);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done, { once: true });
      this.#wakeUp = done;
    });
    signal.throwIfAborted();
  }
}
