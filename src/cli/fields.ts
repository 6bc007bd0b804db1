/**
 * Reads the fields of a document that people wrote. The idea to hold: a key counts by its letters alone
 * (`startingState`, `starting_state` and `startingstate` are one), a scalar is text however it was
 * typed, and a key that nobody reads is an error that names the one that was meant.
 */
import { InputError } from './exit.js';
import { nearest, printable } from './text.js';

export class Fields {
  readonly #values = new Map<string, unknown>();
  readonly #keys = new Map<string, string>();
  readonly #path: string;
  readonly #asked = new Set<string>();

  /** `path` is where the fields stand in words, for messages: `orders.yaml, document 2: spec`. */
  constructor(value: unknown, path: string) {
    this.#path = path;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new InputError(`${path} must be a map of fields`);
    for (const [key, field] of Object.entries(value)) {
      if (this.#values.has(plain(key))) throw this.#complaint(key, 'is given twice');
      this.#values.set(plain(key), field);
      this.#keys.set(plain(key), key);
    }
  }

  has(name: string): boolean {
    this.#asked.add(name);
    return this.#values.has(plain(name));
  }

  /** The text of a scalar under the first of `names` that is there; empty when none is. */
  text(...names: readonly string[]): string {
    const [name, value] = this.#take(names);
    if (value === undefined || value === null) return '';
    if (['string', 'number', 'boolean', 'bigint'].includes(typeof value)) return String(value);
    throw this.#complaint(name, 'must be text');
  }

  required(...names: readonly string[]): string {
    const text = this.text(...names);
    if (text === '') throw new InputError(`${this.#path} lacks ${names[0]}`);
    return text;
  }

  wholeNumber(name: string): bigint | undefined {
    const text = this.text(name);
    if (text === '') return undefined;
    if (!/^\d{1,18}$/.test(text)) throw this.#complaint(name, 'must be a whole number');
    return BigInt(text);
  }

  /** The fields of a map; undefined when it is not there. */
  map(...names: readonly string[]): Fields | undefined {
    const [name, value] = this.#take(names);
    return value === undefined ? undefined : new Fields(value, `${this.#path}.${name}`);
  }

  /** A list, each item read by `read`; empty when it is not there. */
  list<T>(name: string, read: (item: unknown, path: string) => T): T[] {
    const [, value] = this.#take([name]);
    if (value === undefined || value === null || value === '') return [];
    if (!Array.isArray(value)) throw this.#complaint(name, 'must be a list');
    return value.map((item, i) => read(item, `${this.#path}.${name}[${i}]`));
  }

  /** Whatever stands there, read by others. */
  raw(name: string): unknown {
    return this.#take([name])[1];
  }

  /** Says that these keys may be there and mean nothing here. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#asked.add(name);
  }

  /** To be called when all is read. @throws InputError when a key is left that nobody asked for */
  end(): void {
    const known = [...this.#asked];
    const unread = [...this.#keys].find(([key]) => !known.some((name) => plain(name) === key));
    if (!unread) return;
    const meant = nearest(unread[1], known);
    throw this.#complaint(unread[1], `is not known here${meant ? `; did you mean ${meant}?` : ''}`);
  }

  #take(names: readonly string[]): [name: string, value: unknown] {
    for (const name of names) this.#asked.add(name);
    const found = names.find((name) => this.#values.has(plain(name))) ?? names[0] ?? '';
    return [found, this.#values.get(plain(found))];
  }

  #complaint(name: string, what: string): InputError {
    return new InputError(`${this.#path}.${printable(name)} ${what}`);
  }
}

function plain(key: string): string {
  return key.toLowerCase().replace(/[_-]/g, '');
}

/** One scalar of a list. */
export function scalar(item: unknown, path: string): string {
  if (['string', 'number', 'boolean'].includes(typeof item)) return String(item);
  throw new InputError(`${path} must be text`);
}
