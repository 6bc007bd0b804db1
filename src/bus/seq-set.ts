/**
 * A sorted set of sequences, kept in short sorted runs: adding, removing and finding cost a search and the
 * move of one run, and sequences that come in ascending order, as they mostly do, cost an append. Eight
 * bytes a sequence, so 100,000 of them are nothing to worry about.
 */

const MAX_RUN = 512;

export class SeqSet {
  /** None is empty; each is sorted, and all of one is below all of the next. */
  #runs: number[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): number | undefined {
    return this.#runs[0]?.[0];
  }

  has(seq: number): boolean {
    const run = this.#runs[this.#runAt(seq)];
    return run !== undefined && run[indexIn(run, seq)] === seq;
  }

  /** True if it was not there. */
  add(seq: number): boolean {
    const at = this.#runAt(seq);
    const run = this.#runs[at];
    if (run === undefined) this.#runs.push([seq]);
    else {
      const index = indexIn(run, seq);
      if (run[index] === seq) return false;
      if (index === run.length) run.push(seq);
      else run.splice(index, 0, seq);
      if (run.length > MAX_RUN) this.#split(at, run);
    }
    this.#size++;
    return true;
  }

  /** True if it was there. */
  delete(seq: number): boolean {
    const at = this.#runAt(seq);
    const run = this.#runs[at];
    if (run === undefined) return false;
    const index = indexIn(run, seq);
    if (run[index] !== seq) return false;
    if (run.length === 1) this.#runs.splice(at, 1);
    else if (index === 0) run.shift();
    else run.splice(index, 1);
    this.#size--;
    return true;
  }

  clear(): void {
    this.#runs = [];
    this.#size = 0;
  }

  /** The first that is `seq` or above. */
  next(seq: number): number | undefined {
    const at = this.#runAt(seq);
    const run = this.#runs[at];
    return run?.[indexIn(run, seq)] ?? this.#runs[at + 1]?.[0];
  }

  /** How many are from `from` to below `to`. */
  countIn(from: number, to: number): number {
    return from < to ? this.#countBelow(to) - this.#countBelow(from) : 0;
  }

  #countBelow(seq: number): number {
    let count = 0;
    for (const run of this.#runs) {
      if ((run.at(-1) ?? 0) < seq) count += run.length;
      else return count + indexIn(run, seq);
    }
    return count;
  }

  /** The first sequence from `seq` on that is not in the set. */
  nextAbsent(seq: number): number {
    let absent = seq;
    for (let at = this.#runAt(seq); at < this.#runs.length; at++) {
      const run = this.#runs[at] as number[];
      const index = indexIn(run, absent);
      if (run[index] !== absent) return absent;
      const last = run.at(-1) as number;
      if (last - absent === run.length - 1 - index) absent = last + 1;
      else {
        for (let i = index; run[i] === absent; i++) absent++;
        return absent;
      }
    }
    return absent;
  }

  /** Takes out all that are below `seq`. */
  takeBelow(seq: number): number[] {
    const taken: number[] = [];
    for (let first = this.first; first !== undefined && first < seq; first = this.first) {
      const run = this.#runs[0] as number[];
      const some = run.splice(0, indexIn(run, seq));
      if (run.length === 0) this.#runs.shift();
      this.#size -= some.length;
      for (const each of some) taken.push(each);
    }
    return taken;
  }

  #split(at: number, run: number[]): void {
    // A run that is appended to stays full behind, so that ascending sequences do not leave it half empty.
    const isLast = at === this.#runs.length - 1;
    const upper = run.splice(isLast ? MAX_RUN : MAX_RUN / 2);
    this.#runs.splice(at + 1, 0, upper);
  }

  /** The last run that begins at or below `seq`; the first if none does. */
  #runAt(seq: number): number {
    const runs = this.#runs;
    let low = 0;
    let high = runs.length - 1;
    if (high > 0 && (runs[high] as number[])[0]! <= seq) return high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((runs[middle] as number[])[0]! <= seq) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Where `seq` is, or would be. */
function indexIn(run: readonly number[], seq: number): number {
  let low = 0;
  let high = run.length;
  if (high > 0 && run[high - 1]! < seq) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (run[middle]! < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
