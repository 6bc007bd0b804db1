/**
 * What is no longer kept goes in the background, in steps of bounded size: outcomes that have lapsed and
 * histories that were let go. All that is to do is written in the database, so a restart loses none of
 * it, and a step that fails is simply taken again.
 */

import { keysIn } from './environment.js';
import type { FsmContext } from './fsm-context.js';
import { sweepHistory } from './fsm-history.js';
import { sweepOutcomes } from './fsm-outcomes.js';
import { expiriesDue, SWEEPS } from './keys.js';

/** How long what could go may lie: the pause between looks, one read each. */
const PAUSE_MS = 1_000;
/** What one step removes of each kind at most; events wait for it no longer than for each other. */
const STEP = 200;

export class FsmSweeper {
  readonly #context: FsmContext;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(context: FsmContext) {
    this.#context = context;
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#look(), PAUSE_MS);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      while (!this.#closed && this.#hasWork()) await this.step();
    } catch {
      // A full or failing store says so to those who ask something of it; the work stays noted.
    }
    this.#schedule();
  }

  #hasWork(): boolean {
    const { db, clock } = this.#context;
    return keysIn(db, SWEEPS, 1).length > 0 || keysIn(db, expiriesDue(clock.nowMs()), 1).length > 0;
  }

  /** Removes a bounded number of things that are due. */
  step(): Promise<void> {
    return this.#context.writer.write(
      undefined,
      (batch) => {
        sweepOutcomes(batch, STEP);
        sweepHistory(batch, STEP);
      },
      { weight: STEP, grows: false },
    );
  }
}
