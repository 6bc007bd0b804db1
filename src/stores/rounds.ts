/**
 * Work in the background: a round, a pause, a round. What there is to do can be told from the store, so a
 * round that fails is simply taken again, and one that a stop cuts short is finished after the next start.
 */

/** How long what could go may lie: the pause between rounds, which cost a few reads when there is nothing. */
const PAUSE_MS = 1_000;

export class Rounds {
  readonly #round: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param round does what there is to do, in steps of bounded size, and looks at `isClosed` between them */
  constructor(round: () => Promise<void>) {
    this.#round = round;
    this.#schedule();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#run(), PAUSE_MS);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    try {
      await this.#round();
    } catch {
      // A full or failing store says so to those who ask something of it.
    }
    this.#schedule();
  }
}
