/**
 * One line on the terminal that tells how far long work has come. Only a terminal gets it: what is
 * redirected holds results and errors and nothing else.
 */

const EVERY_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

export class Progress {
  readonly #stderr: NodeJS.WritableStream & { isTTY?: boolean };
  #isShown = false;
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(stderr: NodeJS.WritableStream & { isTTY?: boolean }) {
    this.#stderr = stderr;
  }

  /** Shows `text` in place of what is there; at most ten times a second. */
  show(text: string): void {
    if (!this.#stderr.isTTY || performance.now() - this.#shownMs < EVERY_MS) return;
    this.#stderr.write(`${CLEAR_LINE}${text}`);
    this.#isShown = true;
    this.#shownMs = performance.now();
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#isShown) this.#stderr.write(CLEAR_LINE);
    this.#isShown = false;
  }
}
