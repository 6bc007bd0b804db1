/**
 * Ordering keys of one group: which event each busy key is busy with, and who stands in line behind it.
 * A row that leaves from the middle of a line is only passed over later, so leaving costs nothing; a line
 * that is mostly such gaps is closed up.
 */
import type { Row } from './delivery-row.js';

interface Place {
  readonly row: Row;
  readonly place: number;
}

interface Line {
  holder: Row;
  /** Who came to the front, the first of all at the end. */
  front: Place[];
  back: Place[];
  /** Where `back` begins. */
  head: number;
  waiting: number;
}

export class WaitingLines {
  readonly #lines = new Map<string, Line>();
  #firstPlace = 0;
  #lastPlace = 0;

  isBusy(key: string): boolean {
    return this.#lines.has(key);
  }

  /** The row that the key is busy with. */
  holderOf(key: string): Row | undefined {
    return this.#lines.get(key)?.holder;
  }

  /** The key, which is free, is busy with the row. */
  hold(row: Row): void {
    this.#lines.set(row.key, { holder: row, front: [], back: [], head: 0, waiting: 0 });
  }

  /** The row stands in the line of its key, which is busy. */
  join(row: Row, end: 'front' | 'back'): void {
    const line = this.#lines.get(row.key) as Line;
    row.place = end === 'front' ? --this.#firstPlace : ++this.#lastPlace;
    line[end].push({ row, place: row.place });
    line.waiting++;
  }

  /** As `join`, in the order of places that were given before. */
  rejoin(row: Row): void {
    const line = this.#lines.get(row.key) as Line;
    line.back.push({ row, place: row.place });
    line.waiting++;
    this.#firstPlace = Math.min(this.#firstPlace, row.place);
    this.#lastPlace = Math.max(this.#lastPlace, row.place);
  }

  /** A row that waits no longer. */
  leave(row: Row): void {
    const line = this.#lines.get(row.key) as Line;
    row.place = 0;
    line.waiting--;
    if (line.front.length + line.back.length - line.head > 2 * line.waiting + 64) closeUp(line);
  }

  /** Who the key is busy with goes; it is busy with the next in line, who is returned, or free. */
  pass(holder: Row): Row | undefined {
    const line = this.#lines.get(holder.key);
    if (line?.holder !== holder) return undefined;
    const next = takeFirst(line);
    if (next) line.holder = next;
    else this.#lines.delete(holder.key);
    return next;
  }

  clear(): void {
    this.#lines.clear();
    this.#firstPlace = 0;
    this.#lastPlace = 0;
  }
}

/** The first that still waits; it is out of the line when it is told so by `leave`. */
function takeFirst(line: Line): Row | undefined {
  for (let last = line.front.pop(); last !== undefined; last = line.front.pop())
    if (isIn(last)) return last.row;
  while (line.head < line.back.length) {
    const first = line.back[line.head++] as Place;
    if (line.head > 64 && line.head * 2 > line.back.length) {
      line.back.splice(0, line.head);
      line.head = 0;
    }
    if (isIn(first)) return first.row;
  }
  return undefined;
}

function closeUp(line: Line): void {
  line.front = line.front.filter(isIn);
  line.back = line.back.slice(line.head).filter(isIn);
  line.head = 0;
}

function isIn({ row, place }: Place): boolean {
  return row.state === 'waiting' && row.place === place;
}
