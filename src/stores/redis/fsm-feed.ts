/**
 * Watching changes. The idea to hold: a watcher reads each shard to its end, and the read that
 * reaches it leaves a flag in the same step; the next change takes the flag down and wakes all
 * who wait. Watchers at the same place of the same shard, the usual case, share one read.
 */
import { Fault } from '../../fault.js';
import type { ChangeBatch } from '../../fsm/store.js';
import { unlessAborted } from './abort.js';
import type { Client } from './client.js';
import { cursorFrom, type FeedPosition, positionsFrom } from './fsm-cursor.js';
import { changeFrom } from './fsm-records.js';
import { type ShardRead, Watcher } from './fsm-watcher.js';
import type { FsmKeys, Shard } from './keys.js';
import { loadScript } from './scripts.js';
import type { Wakes } from './wakes.js';

const TAIL = loadScript('fsm_tail-1');
const READ = loadScript('fsm_feed-2');

/** Of one shard in one read. */
const MAX_READ_CHANGES = 500;

/** Longer than the time between two heartbeats of a watcher, each of which sets it anew. */
const FLAG_MS = 60_000;

export class Feed {
  readonly #client: Client;
  readonly #keys: FsmKeys;
  readonly #wakes: Wakes;
  readonly #scopeOf: (name: string) => string;
  /** Reads under way; no more than there are watchers and shards. */
  readonly #reads = new Map<string, Promise<ShardRead>>();

  /** @param scopeOf names the feed of a configuration name, see fsm-cursor.ts */
  constructor(client: Client, keys: FsmKeys, wakes: Wakes, scopeOf: (name: string) => string) {
    this.#client = client;
    this.#keys = keys;
    this.#wakes = wakes;
    this.#scopeOf = scopeOf;
  }

  async tail(name: string, signal: AbortSignal): Promise<string> {
    const ends = await Promise.all(
      this.#keys.shards(name).map((shard) => this.#client.run(TAIL, shard.slot, [shard.feed], [], signal)),
    );
    const positions = (ends as [string, number][]).map(([id, count]) => ({ id, count }));
    return cursorFrom(this.#scopeOf(name), positions);
  }

  async *watch(name: string, cursor: string, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    signal.throwIfAborted();
    const scope = this.#scopeOf(name);
    const shards = this.#keys.shards(name);
    const positions = positionsFrom(cursor, scope, shards.length);
    const watcher = new Watcher(this.#wakes, scope, shards, positions);
    try {
      for (;;) {
        const round = await watcher.nextRound(signal);
        const reads = round.shards.map((shard) => this.#read(shard, watcher.positionIn(shard)));
        yield* watcher.batches(
          round.shards,
          await unlessAborted(Promise.all(reads), signal, () => signal.reason),
        );
        if (round.isHeartbeat) yield watcher.heartbeat();
        signal.throwIfAborted();
      }
    } finally {
      watcher.close();
    }
  }

  /** Reads a shard after a position, or joins a read of the same that nothing has happened since. */
  #read(shard: Shard, position: FeedPosition): Promise<ShardRead> {
    const key = `${this.#wakes.heard} ${shard.feed} ${position.id} ${position.count}`;
    const underWay = this.#reads.get(key);
    if (underWay) return underWay;
    const read = this.#ask(shard, position).finally(() => this.#reads.delete(key));
    this.#reads.set(key, read);
    return read;
  }

  async #ask(shard: Shard, { id, count }: FeedPosition): Promise<ShardRead> {
    const args = [id, String(count), String(MAX_READ_CHANGES), String(FLAG_MS)];
    const reply = await this.#client.run(READ, shard.slot, [shard.feed, shard.flag], args);
    const [kind, nextId = '', nextCount, ...texts] = reply as string[];
    if (kind === 'expired')
      throw new Fault('CURSOR_EXPIRED', 'changes after this cursor are gone; start with a snapshot');
    const position = { id: nextId, count: Number(nextCount) };
    return { changes: texts.map(changeFrom), position, isFull: texts.length === MAX_READ_CHANGES };
  }
}
