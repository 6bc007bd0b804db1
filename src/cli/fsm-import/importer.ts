/**
 * The import itself: configurations, then machines with their history, then refusals, since each needs
 * the one before it. Keys stream by and are forgotten; what is held is the configurations and a bounded
 * number of outlines. One that cannot be brought is reported and the rest goes on.
 */
import { setMaxListeners } from 'node:events';
import { Outlines } from './outlines.js';
import {
  byVersion,
  chunksOf,
  configurationFrom,
  eventFrom,
  outcomeFrom,
  pastFrom,
  refusalInit,
  type SourceConfiguration,
  type SourceOutcome,
} from './records.js';
import { LeftOut, type Report } from './report.js';
import { type Source, shown, textOf } from './source.js';
import type { Target } from './target.js';

/** Machines that are read and sent at a time. */
const WIDTH = 32;

export interface ImportOptions {
  readonly source: Source;
  readonly target: Target;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** Called after every key. */
  readonly onProgress: () => void;
}

export class Importer {
  readonly #options: ImportOptions;
  /** By `NAME:VERSION`; undefined = left out. */
  readonly #configurations = new Map<string, SourceConfiguration | undefined>();
  readonly #names = new Set<string>();
  readonly #outlines: Outlines;

  constructor(options: ImportOptions) {
    this.#options = options;
    this.#outlines = new Outlines(options.source, this.#configurations);
    // Every call under way listens to it, more than once; Node would take so many for a leak.
    setMaxListeners(WIDTH * 4, options.signal);
  }

  /** Resolves when everything was brought or reported; rejects when source or target fails. */
  async run(): Promise<void> {
    const { source } = this.#options;
    for (const name of await source.members('configs')) this.#names.add(shown(name));
    await this.#bringConfigurations(await this.#readConfigurations());
    await this.#forEach('fsm:*', (key, bytes) => this.#bringMachine(key, bytes));
    await this.#forEach('events:*:outcome#*', (key, bytes) => this.#bringOutcome(key, bytes));
  }

  async #readConfigurations(): Promise<SourceConfiguration[]> {
    const found: SourceConfiguration[] = [];
    const listed = new Set<string>();
    const readList = async (key: string) => {
      for (const id of await this.#options.source.members(key)) listed.add(shown(id));
    };
    await this.#forEach(
      'configs#*',
      async (key, bytes) => {
        const id = key.slice('configs#'.length);
        // Known to be there, though perhaps not readable: machines that follow it are told so.
        this.#configurations.set(id, undefined);
        const configuration = configurationFrom(key, bytes);
        found.push(configuration);
        this.#names.add(configuration.name);
      },
      readList,
    );
    for (const id of listed)
      if (!this.#configurations.has(id))
        this.#options.report.leaveOut(`configs#${id}`, 'is in the list of its name, and is not stored');
    return found;
  }

  /** One after another: the order of creation decides which is the newest of its name. */
  async #bringConfigurations(found: readonly SourceConfiguration[]): Promise<void> {
    const { target, report, onProgress } = this.#options;
    for (const each of [...found].sort(byVersion))
      await this.#attempt(`configs#${each.id}`, async () => {
        report.add('configurations', await target.putConfiguration(each.content));
        for (const amendment of each.amendments) report.note(`configs#${each.id}`, amendment);
        this.#configurations.set(each.id, each);
        onProgress();
      });
  }

  async #bringMachine(key: string, bytes: Buffer): Promise<void> {
    const { target, report } = this.#options;
    const past = pastFrom(key, bytes, this.#configurations);
    let isNew = false;
    for (const chunk of chunksOf(past)) {
      const written = await target.putChunk(chunk).catch((error: unknown) => {
        if (!(error instanceof LeftOut) || chunk.firstVersion === 1n) throw error;
        throw new LeftOut(`${error.message} (from its transition ${chunk.firstVersion} on)`);
      });
      report.add('transitions', written, chunk.history.length);
      isNew ||= written;
    }
    report.add('machines', isNew);
    if (past.renamed > 0)
      report.note(
        key,
        `${past.renamed} of its events had no id or one used before, and were given their own`,
      );
  }

  async #bringOutcome(key: string, bytes: Buffer): Promise<void> {
    const { report } = this.#options;
    const outcome = this.#outcomeOf(key, bytes);
    if (!outcome) return;
    if (outcome.verdict === 'not_final')
      return report.note(key, 'says that the event was not evaluated; no outcome of that kind is kept');
    const outline = await this.#outlines.of(outcome.name, outcome.machineId);
    const isInHistory = outline.eventIds.has(outcome.eventId);
    if (outcome.verdict === 'refused' && !isInHistory) return this.#bringRefusal(outcome, outline);
    // The outcome of what is in the history came with it.
    if (outcome.verdict === 'refused')
      report.note(key, 'is of an event that was refused once and applied once; it counts as applied');
    else if (!isInHistory)
      throw new LeftOut('says that the event was applied, and the history of its machine does not have it');
  }

  async #bringRefusal(
    { name, eventId }: SourceOutcome,
    outline: Parameters<typeof refusalInit>[0],
  ): Promise<void> {
    const { source, target, report } = this.#options;
    const bytes = await source.value(`events:${name}#${eventId}`);
    if (!Buffer.isBuffer(bytes)) throw new LeftOut('is of a refused event that is not stored itself');
    report.add('refusals', await target.putChunk(refusalInit(outline, eventId, eventFrom(bytes))));
  }

  /** Undefined for an event whose own id looks like this: events come with what became of them. */
  #outcomeOf(key: string, bytes: Buffer): SourceOutcome | undefined {
    const isEvent = this.#isOfName(key, 'events:', '#');
    try {
      const outcome = outcomeFrom(key, bytes);
      if (outcome) return outcome;
    } catch (error) {
      if (!isEvent) throw error;
    }
    if (isEvent) return undefined;
    throw new LeftOut('is the outcome of another configuration than its key names');
  }

  /** Whether `key` is `prefix`, a name of the source, `separator` and more; names may hold separators. */
  #isOfName(key: string, prefix: string, separator: string): boolean {
    for (let at = key.indexOf(separator, prefix.length); at >= 0; at = key.indexOf(separator, at + 1))
      if (this.#names.has(key.slice(prefix.length, at))) return true;
    return false;
  }

  /** Runs `work` for every value whose key matches `pattern`, a bounded number at a time, and `onSet` for what is a set. */
  async #forEach(
    pattern: string,
    work: (key: string, bytes: Buffer) => Promise<void>,
    onSet: (key: string) => Promise<void> = async () => {},
  ): Promise<void> {
    const { source, report, signal, onProgress } = this.#options;
    await inParallel(source.keys(pattern, signal), WIDTH, async (bytes) => {
      const key = textOf(bytes);
      if (key === undefined)
        return report.leaveOut(shown(bytes), 'is not text: no name or id of Switchgear can be');
      const value = await source.value(key);
      if (value === 'not_a_string') await this.#attempt(key, () => this.#skipSet(key, onSet));
      else if (value !== 'gone') await this.#attempt(key, () => work(key, value));
      onProgress();
    });
  }

  async #skipSet(key: string, onSet: (key: string) => Promise<void>): Promise<void> {
    const isIndex = this.#isOfName(key, 'fsm:', ':state#');
    if (!isIndex && !key.startsWith('configs#'))
      throw new LeftOut('is not of a kind that go-statemachine writes');
    await onSet(key);
  }

  async #attempt(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      this.#options.report.leaveOut(key, error.message);
    }
  }
}

/** Runs `work` for every item, `width` at a time. After a failure nothing new is begun. */
async function inParallel<T>(
  items: AsyncGenerator<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    for await (const item of { [Symbol.asyncIterator]: () => ({ next: () => items.next() }) }) {
      if (failure) return;
      await work(item);
    }
  };
  const workers = Array.from({ length: width }, () =>
    worker().catch((error: unknown) => {
      failure ??= { error };
    }),
  );
  await Promise.all(workers);
  if (failure) throw failure.error;
}
