/**
 * The change feed of a configuration name, as watchers see it. Sequences have no gaps, and the feed's
 * ends say what was trimmed, so a cursor tells exactly whether anything after it is gone. A watcher
 * reads until there is nothing more and then sleeps until the bell rings; it holds no snapshot while it
 * sleeps and no buffer while its reader is slow.
 */
import { createHash } from 'node:crypto';
import { Fault } from '../../fault.js';
import type { ChangeBatch } from '../../fsm/store.js';
import { entriesIn, read } from './environment.js';
import { storeUnavailable } from './errors.js';
import type { FsmContext } from './fsm-context.js';
import { type ChangeTuple, decodeChange, type FeedEndsTuple } from './fsm-records.js';
import { feedEndsKey, feedKey } from './keys.js';

/** Changes in one batch. */
const MAX_CHANGES = 1_000;
/** A cursor that does not move on grows old; a batch without changes moves it. */
const QUIET_MS = 30_000;
const CURSOR = /^1\.([\w-]{16})\.([\w-]{36})\.(\d{1,15})$/;

export class FsmFeed {
  readonly #context: FsmContext;

  constructor(context: FsmContext) {
    this.#context = context;
  }

  tail(name: string, signal: AbortSignal): Promise<string> {
    return read(signal, () => this.#cursor(name, this.#ends(name)[0]));
  }

  async *watch(name: string, cursor: string, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    let position = this.#parse(name, cursor);
    for (;;) {
      signal.throwIfAborted();
      const changes = await read(signal, () => this.#after(name, position));
      if (changes.length === 0 && (await this.#slept(name, position, signal))) continue;
      position += changes.length;
      yield { changes: changes.map(decodeChange), cursor: this.#cursor(name, position) };
    }
  }

  /** Waits for something to read; false when nothing came for so long that the cursor should be sent. */
  async #slept(name: string, position: number, signal: AbortSignal): Promise<boolean> {
    await this.#context.bell.wait(name, QUIET_MS, signal);
    signal.throwIfAborted();
    if (this.#context.bell.closed) throw storeUnavailable('is closed');
    return read(signal, () => this.#ends(name)[0] > position);
  }

  #after(name: string, position: number): ChangeTuple[] {
    const no = this.#context.name(name)?.no;
    if (no === undefined) return [];
    const [last, trimmed] = this.#ends(name);
    if (position < trimmed || position > last) throw expired();
    const range = { start: feedKey(no, position + 1), end: feedKey(no, last + 1) };
    const entries = entriesIn<ChangeTuple>(this.#context.db, range, { limit: MAX_CHANGES });
    return entries.map(({ value }) => value);
  }

  #ends(name: string): FeedEndsTuple {
    const no = this.#context.name(name)?.no;
    const ends =
      no === undefined ? undefined : (this.#context.db.get(feedEndsKey(no)) as FeedEndsTuple | undefined);
    return ends ?? [0, 0];
  }

  #cursor(name: string, sequence: number): string {
    return `1.${nameMark(name)}.${this.#context.dataId}.${sequence}`;
  }

  #parse(name: string, cursor: string): number {
    const [, mark, dataId, sequence] = CURSOR.exec(cursor) ?? [];
    if (mark !== nameMark(name) || dataId !== this.#context.dataId)
      throw Fault.invalidField('cursor', 'is not a cursor of this configuration and this store');
    return Number(sequence);
  }
}

function nameMark(name: string): string {
  return createHash('sha256').update(name).digest('base64url').slice(0, 16);
}

function expired(): Fault {
  return new Fault(
    'CURSOR_EXPIRED',
    'changes after this cursor are no longer kept; list again and watch from there',
  );
}
