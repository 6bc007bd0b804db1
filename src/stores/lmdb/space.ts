/**
 * How much room there is: under the limit on the data's size, and on the disk. A file of LMDB never
 * shrinks, it reuses the pages that were freed; so the limit is on the pages that hold something, which
 * deleting gives back. A disk that was full is tried again only now and then.
 */
import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../clock.js';
import { DATA_FILE, type Database } from './environment.js';
import { isFull } from './errors.js';

/** What must fit on the disk for it not to be full. */
const PROBE_BYTES = 2 ** 20;
/** Free pages that let writes go on while the disk is full; some are spoken for by the last commits. */
const MIN_FREE_WITHIN_BYTES = 2 ** 20;
const PROBE_FILE = 'room.probe';
const PROBE_PAUSE_MS = 1_000;

interface Stats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly lastPageNumber: number;
}

export interface SpaceOptions {
  readonly dataDir: string;
  readonly maxBytes: number;
  readonly clock: Clock;
}

export class Space {
  readonly #db: Database;
  readonly #options: SpaceOptions;
  #diskWasFull = false;
  #nextProbeMs = 0;

  constructor(db: Database, options: SpaceOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Whether what grows is to be refused. On a full disk the file may still have room within. */
  isFull(): boolean {
    const { usedBytes, fileBytes } = this.#measure();
    if (usedBytes >= this.#options.maxBytes) return true;
    return this.#diskIsFull() && fileBytes - usedBytes < MIN_FREE_WITHIN_BYTES;
  }

  /** Whether a commit that failed with `error` failed for want of room. Remembers it. */
  ranOut(error: unknown): boolean {
    // LMDB says "Input/output error" of a write that was cut short, as the last one on a full disk is.
    this.#diskWasFull ||= isFull(error) || !this.#diskHasRoom();
    return this.#diskWasFull;
  }

  #measure(): { usedBytes: number; fileBytes: number } {
    const stats = this.#db.getStats() as Stats;
    const used = stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
    return { usedBytes: used * stats.pageSize, fileBytes: stats.lastPageNumber * stats.pageSize };
  }

  #diskIsFull(): boolean {
    const nowMs = this.#options.clock.nowMs();
    if (!this.#diskWasFull || nowMs < this.#nextProbeMs) return this.#diskWasFull;
    this.#nextProbeMs = nowMs + PROBE_PAUSE_MS;
    this.#diskWasFull = !this.#diskHasRoom();
    return this.#diskWasFull;
  }

  /** Writes where the data file would grow to: disk, quota and file size limit are all asked. */
  #diskHasRoom(): boolean {
    const { dataDir } = this.#options;
    const path = join(dataDir, PROBE_FILE);
    try {
      const end = statSync(join(dataDir, DATA_FILE)).size;
      return writeAt(path, end) === PROBE_BYTES;
    } catch (error) {
      return !isFull(error);
    } finally {
      rmSync(path, { force: true });
    }
  }
}

function writeAt(path: string, position: number): number {
  const file = openSync(path, 'w', 0o600);
  try {
    const written = writeSync(file, Buffer.alloc(PROBE_BYTES, 1), 0, PROBE_BYTES, position);
    fsyncSync(file);
    return written;
  } finally {
    closeSync(file);
  }
}
