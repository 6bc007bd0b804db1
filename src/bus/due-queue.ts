/**
 * Rows in the order in which they are due (ties by seq): a binary heap in which every row knows its place,
 * so that one that is marked early leaves at once instead of lying there until its time.
 */
import type { Row } from './delivery-row.js';

export class DueQueue {
  readonly #heap: Row[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get first(): Row | undefined {
    return this.#heap[0];
  }

  /** Whether the first is due. */
  isDue(nowMs: number): boolean {
    const { first } = this;
    return first !== undefined && first.dueMs <= nowMs;
  }

  add(row: Row): void {
    this.#heap.push(row);
    this.#rise(row, this.#heap.length - 1);
  }

  remove(row: Row): void {
    const last = this.#heap.pop() as Row;
    if (last !== row) this.#settle(last, row.at);
    row.at = -1;
  }

  /** After the row's time has changed. */
  moved(row: Row): void {
    this.#settle(row, row.at);
  }

  clear(): void {
    this.#heap.length = 0;
  }

  /** Calls with every row that is due, in no order; costs what it finds. */
  eachDue(nowMs: number, call: (row: Row) => void, at = 0): void {
    const row = this.#heap[at];
    if (row === undefined || row.dueMs > nowMs) return;
    call(row);
    this.eachDue(nowMs, call, 2 * at + 1);
    this.eachDue(nowMs, call, 2 * at + 2);
  }

  #settle(row: Row, at: number): void {
    const parent = this.#heap[(at - 1) >> 1];
    if (at > 0 && parent && isBefore(row, parent)) this.#rise(row, at);
    else this.#sink(row, at);
  }

  #rise(row: Row, from: number): void {
    let at = from;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = this.#heap[up] as Row;
      if (!isBefore(row, parent)) break;
      this.#put(parent, at);
      at = up;
    }
    this.#put(row, at);
  }

  #sink(row: Row, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let down = 2 * at + 1;
      const left = heap[down];
      if (left === undefined) break;
      const right = heap[down + 1];
      let child = left;
      if (right !== undefined && isBefore(right, left)) {
        child = right;
        down++;
      }
      if (!isBefore(child, row)) break;
      this.#put(child, at);
      at = down;
    }
    this.#put(row, at);
  }

  #put(row: Row, at: number): void {
    this.#heap[at] = row;
    row.at = at;
  }
}

function isBefore(a: Row, b: Row): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.seq < b.seq);
}
