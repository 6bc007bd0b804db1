/**
 * What a command prints, in the three formats. `table` is for people: a record as lines of label and
 * value, many as aligned columns. `json` is one document a line and `yaml` one document each, both in
 * the names of the API, so that what is printed can be read by a program or given back to `create -f`.
 */
import { once } from 'node:events';
import type { JsonValue } from '@bufbuild/protobuf';
import { stringify } from 'yaml';
import { OutputClosed } from './exit.js';
import { printable } from './text.js';

export const FORMATS = ['table', 'json', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];

/** How items of a kind are shown: as JSON, and as the cells of a row. */
export interface View<T> {
  readonly columns: readonly string[];
  /** How wide the columns are at least; for rows that come one by one. */
  readonly widths?: readonly number[];
  cells(item: T): readonly string[];
  json(item: T): JsonValue;
}

/** Rows that are read before the first is written, so that columns fit; later ones may be wider. */
const ALIGNED_ROWS = 200;
/** A column of a table is at most this wide; what is longer sticks out and is not cut. */
const WIDEST_COLUMN = 60;

export class Output {
  readonly format: Format;
  readonly #stdout: NodeJS.WritableStream;
  readonly #beforeWrite: () => void;
  #isClosed = false;
  #documents = 0;

  /** `beforeWrite` takes whatever stands on the terminal's last line away. */
  constructor(format: Format, stdout: NodeJS.WritableStream, beforeWrite: () => void) {
    this.format = format;
    this.#stdout = stdout;
    this.#beforeWrite = beforeWrite;
    stdout.on('error', () => {
      this.#isClosed = true;
    });
  }

  /** One thing: its JSON, or in a table `fields` as lines. */
  async record(json: JsonValue, fields: readonly (readonly [label: string, value: string])[]): Promise<void> {
    if (this.format !== 'table') return this.#document(json);
    const width = Math.max(...fields.map(([label]) => label.length)) + 2;
    const lines = fields.map(([label, value]) => `${label.padEnd(width)}${printable(value)}`.trimEnd());
    await this.#write(`${lines.join('\n')}\n`);
  }

  /** One thing that is text of its own in a table. */
  async text(json: JsonValue, text: string): Promise<void> {
    if (this.format !== 'table') return this.#document(json);
    await this.#write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** Many things. `isLive`: each is written when it comes. Returns how many there were. */
  async rows<T>(
    items: Iterable<T> | AsyncIterable<T>,
    view: View<T>,
    { isLive = false }: { isLive?: boolean } = {},
  ): Promise<number> {
    const table = new Table(view, isLive ? 0 : ALIGNED_ROWS);
    let count = 0;
    for await (const item of items) {
      count += 1;
      if (this.format !== 'table') await this.#document(view.json(item));
      else await this.#write(table.take(view.cells(item)));
    }
    if (this.format === 'table') await this.#write(table.rest());
    return count;
  }

  async #document(json: JsonValue): Promise<void> {
    if (this.format === 'json') return this.#write(`${JSON.stringify(json)}\n`);
    this.#documents += 1;
    await this.#write(`${this.#documents > 1 ? '---\n' : ''}${stringify(json, { lineWidth: 0 })}`);
  }

  async #write(text: string): Promise<void> {
    if (this.#isClosed) throw new OutputClosed();
    if (text === '') return;
    this.#beforeWrite();
    if (this.#stdout.write(text)) return;
    await once(this.#stdout, 'drain').catch(() => {
      throw new OutputClosed();
    });
  }
}

/** Turns rows into lines; holds back the first `heldRows` to learn how wide the columns are. */
class Table {
  readonly #held: (readonly string[])[];
  readonly #heldRows: number;
  readonly #widths: number[];
  #isStarted = false;

  constructor({ columns, widths = [] }: Pick<View<never>, 'columns' | 'widths'>, heldRows: number) {
    this.#held = [columns];
    this.#heldRows = heldRows;
    this.#widths = columns.map((_, i) => widths[i] ?? 0);
  }

  take(cells: readonly string[]): string {
    this.#held.push(cells.map(printable));
    if (!this.#isStarted && this.#held.length <= this.#heldRows) return '';
    return this.rest();
  }

  rest(): string {
    this.#isStarted = true;
    const rows = this.#held.splice(0);
    for (const row of rows)
      for (const [i, cell] of row.entries())
        this.#widths[i] = Math.min(WIDEST_COLUMN, Math.max(this.#widths[i] ?? 0, cell.length));
    return rows.map((row) => this.#line(row)).join('');
  }

  #line(row: readonly string[]): string {
    const cells = row.map((cell, i) => cell.padEnd(this.#widths[i] ?? 0));
    return `${cells.join('  ').trimEnd()}\n`;
  }
}
