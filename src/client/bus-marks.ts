/**
 * Marks on their way: those of one turn travel together, and what comes while a call is under way goes
 * with the next one, so that batches grow with the load and a lone mark does not wait. At most one call is
 * under way; a call that finds nobody is made again for as long as the leases may live.
 */
import type { MarkInit, MarkResult } from './bus-marking.js';
import { toSwitchgearError } from './failure.js';
import { backOff, isLost } from './retry.js';
import { present } from './sending.js';

/** The most that the service takes at once. */
const BATCH_MARKS = 1_000;

interface Waiting {
  readonly mark: MarkInit;
  readonly sinceMs: number;
  settle(result: MarkResult): void;
}

export class Marks {
  readonly #queue: Waiting[] = [];
  readonly #send: (marks: readonly MarkInit[]) => Promise<MarkResult[]>;
  #underWay: Promise<void> | undefined;
  #isHeld = false;

  /** How long a mark is worth sending, in milliseconds from when it was made. */
  lifetimeMs = 30_000;

  constructor(send: (marks: readonly MarkInit[]) => Promise<MarkResult[]>) {
    this.#send = send;
  }

  /** Marks an event soon; resolves with what became of it and never rejects. */
  add(mark: MarkInit): Promise<MarkResult> {
    return new Promise((settle) => {
      this.#queue.push({ mark, settle, sinceMs: performance.now() });
      this.#wake();
    });
  }

  /** Sends nothing more until `release`; resolves when nothing is under way. */
  async hold(): Promise<void> {
    this.#isHeld = true;
    await this.#underWay;
  }

  /** Sends again, and resolves when everything has its answer. */
  async release(): Promise<void> {
    this.#isHeld = false;
    this.#wake();
    await this.#underWay;
  }

  /** Gives up what nobody takes at the next try. */
  stop(): void {
    this.lifetimeMs = 0;
  }

  #wake(): void {
    if (this.#isHeld || this.#queue.length === 0) return;
    this.#underWay ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0 && !this.#isHeld) {
      const batch = this.#queue.splice(0, BATCH_MARKS);
      const results = await this.#answered(batch);
      for (const [i, { settle }] of batch.entries()) settle(present(results[i]));
    }
    // In the same turn as the check above, so that no mark is left without one who sends it.
    this.#underWay = undefined;
  }

  async #answered(batch: readonly Waiting[]): Promise<readonly MarkResult[]> {
    const sinceMs = batch[0]?.sinceMs ?? 0;
    for (let attempt = 1; ; attempt += 1)
      try {
        return await this.#send(batch.map(({ mark }) => mark));
      } catch (error) {
        const failure = toSwitchgearError(error);
        if (!isLost(error) || performance.now() - sinceMs >= this.lifetimeMs)
          return batch.map(() => ({ error: failure }));
        await backOff(attempt);
      }
  }
}
