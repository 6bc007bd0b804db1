/**
 * Who came first is first, and anybody may leave at any time. A list whose members know their neighbours, and
 * not a Set: a Set that members come and go in is laid out anew every few of them, and outgrown tables that
 * have grown old keep alive what came after them. Here whoever has left knows nobody.
 */

/** Something that can stand in one queue at a time, which alone writes this; undefined = it is in none. */
export interface Queued<T> {
  queue: unknown;
  before: T | undefined;
  after: T | undefined;
}

export class Queue<T extends Queued<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Puts one who is in no queue at the end. */
  add(member: T): void {
    member.queue = this;
    member.before = this.#last;
    if (this.#last) this.#last.after = member;
    else this.#first = member;
    this.#last = member;
    this.#size++;
  }

  /** Takes one out; false if it is not in this queue. */
  remove(member: T): boolean {
    if (member.queue !== this) return false;
    const { before, after } = member;
    if (before) before.after = after;
    else this.#first = after;
    if (after) after.before = before;
    else this.#last = before;
    member.queue = undefined;
    member.before = undefined;
    member.after = undefined;
    this.#size--;
    return true;
  }

  /** Takes the first out. */
  shift(): T | undefined {
    const first = this.#first;
    if (first) this.remove(first);
    return first;
  }
}
