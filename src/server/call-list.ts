/**
 * The calls under way, in no order. An array that a call knows its place in, and not a Set: a Set that
 * calls come and go in is rehashed every few of them, each outgrown table keeps the next one and the calls
 * that were in it reachable, and once such a table has grown old every later call outlives it too. Each
 * scavenge then copied a third of all that had been allocated (pauses of 10-20 ms) for calls long gone.
 */

/** Something that can be listed in one CallList. */
export interface Listed {
  /** Its place in the list, which alone writes it; -1 = it is in none. */
  place: number;
}

export class CallList<T extends Listed> {
  readonly #calls: T[] = [];

  get size(): number {
    return this.#calls.length;
  }

  add(call: T): void {
    call.place = this.#calls.length;
    this.#calls.push(call);
  }

  /** Takes a call out; does nothing if it is not in. */
  remove(call: T): void {
    if (call.place < 0) return;
    const last = this.#calls.pop() as T;
    if (last !== call) {
      this.#calls[call.place] = last;
      last.place = call.place;
    }
    call.place = -1;
  }

  /** Those that are in now, whatever comes and goes while they are looked at. */
  all(): T[] {
    return [...this.#calls];
  }
}
