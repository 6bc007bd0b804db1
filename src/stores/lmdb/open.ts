/**
 * The embedded engine: one environment in one data directory, owned by one process. Everything that is
 * kept embedded shares its one writer, and so its group commits.
 */
import * as lmdb from 'lmdb';
import type { BusStore, BusStoreObserver } from '../../bus/store.js';
import { type Clock, systemClock } from '../../clock.js';
import type { FsmStore } from '../../fsm/store.js';
import type { EngineDescription, PlacementStore } from '../../placement.js';
import { LmdbBusStore } from './bus.js';
import { checkFormat, claimFormat, type Database, type Durability, openEnvironment } from './environment.js';
import { LmdbFsmStore } from './fsm.js';
import { type Ownership, refuseHeld, takeOwnership } from './owner.js';
import { LmdbPlacementStore } from './placement.js';
import { Space } from './space.js';
import { Writer } from './writer.js';

export { peekDeployment } from './placement.js';

const RELAXED = 'relaxed: survives the death of this process; a power cut may undo the last writes';
const DEFAULT_MAX_BYTES = 64 * 2 ** 30;

export interface LmdbOptions {
  readonly dataDir: string;
  readonly durability: Durability;
  readonly clock?: Clock;
  /** Data beyond this size is refused with STORE_FULL. */
  readonly maxBytes?: number;
}

/** Opens a data directory and takes it over; throws an Error with one line for the operator. */
export async function openLmdb(options: LmdbOptions): Promise<LmdbEngine> {
  const { dataDir, durability, clock = systemClock, maxBytes = DEFAULT_MAX_BYTES } = options;
  await refuseHeld(dataDir);
  const db = openEnvironment({ dataDir, durability, maxBytes });
  try {
    checkFormat(db, dataDir);
    const ownership = await takeOwnership(db, dataDir);
    const dataId = claimFormat(db);
    return new LmdbEngine({ db, ownership, dataId, dataDir, durability, clock, maxBytes });
  } catch (error) {
    await db.close();
    throw error;
  }
}

interface Parts {
  readonly db: Database;
  readonly ownership: Ownership;
  readonly dataId: string;
  readonly dataDir: string;
  readonly durability: Durability;
  readonly clock: Clock;
  readonly maxBytes: number;
}

export class LmdbEngine {
  readonly placement: PlacementStore;
  readonly #parts: Parts;
  readonly #writer: Writer;
  readonly #stores: { close(): void }[] = [];

  constructor(parts: Parts) {
    const { db, ownership } = parts;
    const space = new Space(db, parts);
    this.#parts = parts;
    this.#writer = new Writer(db, { clock: parts.clock, isOwner: ownership.isHeld, space });
    this.placement = new LmdbPlacementStore(db, this.#writer);
  }

  /** @param outcomeRetentionMs how long final outcomes are kept */
  fsmStore({ outcomeRetentionMs }: { outcomeRetentionMs: number }): FsmStore {
    const { db, dataId, clock } = this.#parts;
    const store = new LmdbFsmStore({ db, writer: this.#writer, dataId, clock, outcomeRetentionMs });
    this.#stores.push(store);
    return store;
  }

  busStore(observer?: BusStoreObserver): BusStore {
    const { db, clock } = this.#parts;
    const store = new LmdbBusStore({ db, writer: this.#writer, clock, observer });
    this.#stores.push(store);
    return store;
  }

  describe(): EngineDescription {
    const { dataDir, durability } = this.#parts;
    // Exported, if not declared. Never by `require`: that loads the driver a second time, and both write
    // what they read into the one buffer of the native part, so that reads get each other's bytes.
    const { version } = lmdb as unknown as { version: LmdbVersion };
    return {
      engine: 'lmdb',
      version: `${version.major}.${version.minor}.${version.patch}`,
      durability: durability === 'fsync' ? 'fsync: on disk when answered' : RELAXED,
      warnings: durability === 'fsync' ? [] : ['durability is relaxed: a power cut may undo the last writes'],
      location: dataDir,
    };
  }

  /** Waits for what is in flight, gives the directory up and closes it. */
  async close(): Promise<void> {
    for (const store of this.#stores) store.close();
    await this.#writer.close();
    // A broken LMDB might wait for ever in another transaction; the next owner finds this one dead.
    await this.#parts.ownership.release({ leaveRecord: !this.#writer.isUsable });
    await this.#parts.db.close();
  }
}

interface LmdbVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}
