/**
 * Who wants to know that something on a stream may have become deliverable. A ring says only that it is
 * worth a look, so rings of one commit are one, and a look that finds nothing costs no more than itself.
 */
export class BusBell {
  readonly #listeners = new Map<number, Set<() => void>>();

  /** Returns what ends it. */
  listen(number: number, look: () => void): () => void {
    const looks = this.#listeners.get(number) ?? new Set();
    this.#listeners.set(number, looks);
    const entry = () => look();
    looks.add(entry);
    return () => {
      looks.delete(entry);
      if (looks.size === 0 && this.#listeners.get(number) === looks) this.#listeners.delete(number);
    };
  }

  /** Calls them a little later: what a look does, and throws, is not to fall on the commit that rings. */
  ring(numbers: Iterable<number>): void {
    for (const number of numbers) {
      const looks = this.#listeners.get(number);
      if (looks) queueMicrotask(() => callAll(looks));
    }
  }
}

function callAll(looks: Set<() => void>): void {
  // One look may end another.
  for (const look of [...looks]) if (looks.has(look)) look();
}
