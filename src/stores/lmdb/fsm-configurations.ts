/**
 * Configurations and what is set by configuration name. A name's record is the registry: its number,
 * its newest version and its retention, so that one read tells whether a name exists.
 */
import { type Configuration, type ConfigurationContent, contentHash } from '../../fsm/configuration.js';
import type { FsmStore, Page, Retention } from '../../fsm/store.js';
import type { Batch } from './batch.js';
import { entriesIn, read } from './environment.js';
import type { FsmContext } from './fsm-context.js';
import { encodeConfiguration, encodeName, type NameRecord, type NameTuple } from './fsm-records.js';
import { configurationKey, creationKey, NAMES, nameIn, nameKey, rangeOf } from './keys.js';

const NEVER_SET: Retention = { historyMaxCount: 0, revision: 0 };

export type Creation = Awaited<ReturnType<FsmStore['createConfiguration']>>;
export type RetentionChange = Awaited<ReturnType<FsmStore['setRetention']>>;

export class FsmConfigurations {
  readonly #context: FsmContext;

  constructor(context: FsmContext) {
    this.#context = context;
  }

  create(content: ConfigurationContent, signal: AbortSignal): Promise<Creation> {
    const hash = contentHash(content);
    return this.#context.writer.write(signal, (batch) => this.#createIn(batch, content, hash));
  }

  #createIn(batch: Batch, content: ConfigurationContent, hash: string): Creation {
    const { name, version } = content;
    const known = this.#context.nameInBatch(batch, name);
    const there = known && this.#context.configurationRecord(name, known.no, version);
    if (there) return { kind: there.hash === hash ? 'same' : 'differs', configuration: there.configuration };
    const no = known?.no ?? this.#context.ledger(batch).nextNo();
    const versionCount = (known?.versionCount ?? 0) + 1;
    const retention = known?.retention ?? NEVER_SET;
    const configuration: Configuration = { ...content, createTimeMs: batch.nowMs };
    batch.put(configurationKey(no, version), encodeConfiguration({ hash, configuration }));
    batch.put(creationKey(no, versionCount), version);
    this.#putName(batch, name, { no, versionCount, newestVersion: version, retention });
    return { kind: 'created', configuration };
  }

  #putName(batch: Batch, name: string, record: NameRecord): void {
    batch.put(nameKey(name), encodeName(record));
    this.#context.forgetName(name);
  }

  get(name: string, version: string | undefined, signal: AbortSignal): Promise<Configuration | undefined> {
    return read(signal, () => {
      const known = this.#context.name(name);
      return known && this.#context.configuration(name, known.no, version ?? known.newestVersion);
    });
  }

  listNames(after: string | undefined, limit: number, signal: AbortSignal): Promise<Page<string>> {
    return read(signal, () => {
      // The least key above `after` is that key with a zero byte.
      const start = after === undefined ? NAMES.start : Buffer.concat([nameKey(after), Buffer.alloc(1)]);
      const entries = entriesIn<NameTuple>(this.#context.db, { start, end: NAMES.end }, { limit: limit + 1 });
      const items = entries.slice(0, limit).map(({ key }) => nameIn(key));
      return { items, next: entries.length > limit ? items.at(-1) : undefined };
    });
  }

  listVersions(
    name: string,
    after: number | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Configuration, number> | undefined> {
    return read(signal, () => {
      const known = this.#context.name(name);
      return known && this.#versionsOf(name, known, after ?? 0, limit);
    });
  }

  #versionsOf(
    name: string,
    { no, versionCount }: NameRecord,
    after: number,
    limit: number,
  ): Page<Configuration, number> {
    const range = { start: creationKey(no, after + 1), end: rangeOf(creationKey(no)).end };
    const items = entriesIn<string>(this.#context.db, range, { limit }).flatMap(({ value: version }) => {
      const configuration = this.#context.configuration(name, no, version);
      return configuration ? [configuration] : [];
    });
    const last = after + items.length;
    return { items, next: last < versionCount && items.length > 0 ? last : undefined };
  }

  setRetention(
    name: string,
    historyMaxCount: number,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<RetentionChange> {
    return this.#context.writer.write(signal, (batch): RetentionChange => {
      const known = this.#context.nameInBatch(batch, name);
      if (!known) return { kind: 'configuration_not_found' };
      const { revision } = known.retention;
      if (expectedRevision !== undefined && expectedRevision !== revision)
        return { kind: 'revision_mismatch', retention: known.retention };
      const retention = { historyMaxCount, revision: revision + 1 };
      this.#putName(batch, name, { ...known, retention });
      return { kind: 'set', retention };
    });
  }

  getRetention(name: string, signal: AbortSignal): Promise<Retention | undefined> {
    return read(signal, () => this.#context.name(name)?.retention);
  }
}
