/**
 * A map that never outgrows its bound: when what it holds weighs more than allowed, entries that were not
 * used lately go first (the second chance of CLOCK: the oldest goes, unless it was used since it was last
 * looked at, then it counts as new). It holds only what can be read again.
 *
 * A look-up marks its entry and moves nothing. Moving it to the end of the Map, the usual way, makes the
 * engine lay the Map's table out anew every few look-ups, and outgrown tables that have grown old keep
 * alive what came after them: scavenges copied 1 MB of them at a time.
 */

interface Entry<V> {
  readonly value: V;
  isUsed: boolean;
}

export class BoundedMap<K, V> {
  readonly #entries = new Map<K, Entry<V>>();
  readonly #maxWeight: number;
  readonly #weightOf: (value: V) => number;
  #weight = 0;

  /** @param weightOf what a value counts for; by default 1, so that `maxWeight` is a number of entries */
  constructor(maxWeight: number, weightOf: (value: V) => number = () => 1) {
    this.#maxWeight = maxWeight;
    this.#weightOf = weightOf;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.isUsed = true;
    return entry.value;
  }

  set(key: K, value: V): void {
    this.delete(key);
    this.#entries.set(key, { value, isUsed: false });
    this.#weight += this.#weightOf(value);
    // Each entry is passed over once at most, since being passed over unmarks it.
    for (const [oldest, entry] of this.#entries) {
      if (this.#weight <= this.#maxWeight || this.#entries.size === 1) return;
      if (entry.isUsed && oldest !== key) this.#renew(oldest, entry);
      else if (oldest !== key) this.delete(oldest);
    }
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= this.#weightOf(entry.value);
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  #renew(key: K, entry: Entry<V>): void {
    entry.isUsed = false;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }
}
