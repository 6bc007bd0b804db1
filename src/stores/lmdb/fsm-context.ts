/**
 * What the parts of the state machine store share: the database, the writer, and what is remembered of
 * configurations. Two memories, because they answer different questions: readers remember only what is
 * committed; jobs remember what their transaction sees, and forget it all when a commit fails.
 */
import { BoundedMap } from '../../bounded-map.js';
import type { Clock } from '../../clock.js';
import type { Configuration } from '../../fsm/configuration.js';
import type { Batch } from './batch.js';
import type { Database } from './environment.js';
import { FeedBell } from './fsm-bell.js';
import { FsmLedger } from './fsm-ledger.js';
import {
  type ConfigurationRecord,
  type ConfigurationTuple,
  decodeConfiguration,
  decodeMachine,
  decodeName,
  type MachineRecord,
  type MachineTuple,
  type NameRecord,
  type NameTuple,
} from './fsm-records.js';
import { configurationKey, machineKey, nameKey } from './keys.js';
import type { Writer } from './writer.js';

/** Configurations and names kept in memory, by each of the two sides. */
const MAX_REMEMBERED = 1_000;

export interface FsmContextOptions {
  readonly db: Database;
  readonly writer: Writer;
  readonly clock: Clock;
  /** Names this data in cursors. */
  readonly dataId: string;
  readonly outcomeRetentionMs: number;
}

export class FsmContext {
  readonly db: Database;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly dataId: string;
  readonly outcomeRetentionMs: number;
  readonly bell = new FeedBell();
  readonly #committed = new BoundedMap<string, Configuration>(MAX_REMEMBERED);
  readonly #seenByJobs = new BoundedMap<string, Configuration>(MAX_REMEMBERED);
  readonly #namesSeenByJobs = new BoundedMap<string, NameRecord>(MAX_REMEMBERED);

  constructor({ db, writer, clock, dataId, outcomeRetentionMs }: FsmContextOptions) {
    this.db = db;
    this.writer = writer;
    this.clock = clock;
    this.dataId = dataId;
    this.outcomeRetentionMs = outcomeRetentionMs;
  }

  /** The sums of a batch. */
  ledger(batch: Batch): FsmLedger {
    return batch.part(
      this,
      () =>
        new FsmLedger(
          batch,
          (names) => this.bell.ring(names),
          () => this.#forgetUncommitted(),
        ),
    );
  }

  #forgetUncommitted(): void {
    this.#seenByJobs.clear();
    this.#namesSeenByJobs.clear();
  }

  /** For readers. */
  name(name: string): NameRecord | undefined {
    const tuple = this.db.get(nameKey(name)) as NameTuple | undefined;
    return tuple && decodeName(tuple);
  }

  /** For readers. */
  machine(no: number, id: string): MachineRecord | undefined {
    const tuple = this.db.get(machineKey(no, id)) as MachineTuple | undefined;
    return tuple && decodeMachine(tuple);
  }

  /** For readers. */
  configuration(name: string, no: number, version: string): Configuration | undefined {
    return this.#remembered(this.#committed, name, no, version);
  }

  /** For jobs. Readers do not learn from it what is not committed. */
  nameInBatch(batch: Batch, name: string): NameRecord | undefined {
    const known = this.#namesSeenByJobs.get(name);
    if (known) return known;
    this.ledger(batch);
    const record = this.name(name);
    if (record) this.#namesSeenByJobs.set(name, record);
    return record;
  }

  /** For jobs that are about to change it. */
  forgetName(name: string): void {
    this.#namesSeenByJobs.delete(name);
  }

  /** For jobs. */
  configurationInBatch(batch: Batch, name: string, no: number, version: string): Configuration | undefined {
    this.ledger(batch);
    return this.#remembered(this.#seenByJobs, name, no, version);
  }

  /** Of a configuration that nobody remembers. */
  configurationRecord(name: string, no: number, version: string): ConfigurationRecord | undefined {
    const tuple = this.db.get(configurationKey(no, version)) as ConfigurationTuple | undefined;
    return tuple && decodeConfiguration(name, version, tuple);
  }

  #remembered(
    memory: BoundedMap<string, Configuration>,
    name: string,
    no: number,
    version: string,
  ): Configuration | undefined {
    const key = `${no}:${version}`;
    const known = memory.get(key);
    if (known) return known;
    const found = this.configurationRecord(name, no, version)?.configuration;
    if (found) memory.set(key, found);
    return found;
  }
}
