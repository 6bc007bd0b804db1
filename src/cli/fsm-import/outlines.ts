/**
 * Machines of the source as outcomes need them. There are as many outcomes as events, so a machine that
 * was read is remembered, the latest ones up to a weight: then one with a long history is not read again
 * for each of its events.
 */
import { type Outline, outlineOf, pastFrom, type SourceConfiguration } from './records.js';
import { LeftOut } from './report.js';
import type { Source } from './source.js';

/** One for each machine, and one for each transition: about 50 MB. */
const MAX_WEIGHT = 200_000;

interface Remembered {
  readonly outline: Promise<Outline>;
  weight: number;
}

export class Outlines {
  readonly #source: Source;
  readonly #configurations: ReadonlyMap<string, SourceConfiguration | undefined>;
  /** Oldest use first. */
  readonly #remembered = new Map<string, Remembered>();
  #weight = 0;

  constructor(source: Source, configurations: ReadonlyMap<string, SourceConfiguration | undefined>) {
    this.#source = source;
    this.#configurations = configurations;
  }

  /** A machine that can be brought; rejects with LeftOut for any other. */
  of(name: string, id: string): Promise<Outline> {
    const key = `fsm:${name}#${id}`;
    const known = this.#remembered.get(key) ?? this.#read(key);
    this.#remembered.delete(key);
    this.#remembered.set(key, known);
    return known.outline;
  }

  #read(key: string): Remembered {
    const entry: Remembered = { outline: this.#outline(key), weight: 1 };
    this.#weight += 1;
    const weigh = ({ steps }: Outline) => {
      entry.weight += steps.length;
      if (this.#remembered.get(key) === entry) this.#weight += steps.length;
      this.#forgetOldest();
    };
    // Whoever asked is told of a failure.
    entry.outline.then(weigh, () => {});
    return entry;
  }

  async #outline(key: string): Promise<Outline> {
    const bytes = await this.#source.value(key);
    if (!Buffer.isBuffer(bytes)) throw new LeftOut(`its machine is not there (${key})`);
    try {
      return outlineOf(pastFrom(key, bytes, this.#configurations));
    } catch (error) {
      if (error instanceof LeftOut) throw new LeftOut(`its machine was left out (${key})`);
      throw error;
    }
  }

  #forgetOldest(): void {
    for (const [key, { weight }] of this.#remembered) {
      if (this.#weight <= MAX_WEIGHT) return;
      this.#remembered.delete(key);
      this.#weight -= weight;
    }
  }
}
