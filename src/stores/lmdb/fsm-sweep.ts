/**
 * What is no longer kept goes in the background, in steps of bounded size: outcomes that have lapsed and
 * histories that were let go. All that is to do is written in the database, so a restart loses none of
 * it, and a step that fails is simply taken again.
 */
import { Rounds } from '../rounds.js';
import { keysIn } from './environment.js';
import type { FsmContext } from './fsm-context.js';
import { sweepHistory } from './fsm-history.js';
import { sweepOutcomes } from './fsm-outcomes.js';
import { expiriesDue, SWEEPS } from './keys.js';

/** What one step removes of each kind at most; events wait for it no longer than for each other. */
const STEP = 200;

export class FsmSweeper {
  readonly #context: FsmContext;
  readonly #rounds = new Rounds(() => this.#round());

  constructor(context: FsmContext) {
    this.#context = context;
  }

  close(): void {
    this.#rounds.close();
  }

  async #round(): Promise<void> {
    while (!this.#rounds.isClosed && this.#hasWork()) await this.step();
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
