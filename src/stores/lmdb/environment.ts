/**
 * The LMDB environment in a data directory: opening it, knowing that its data is ours, reading from it.
 * The idea to hold: a read is synchronous from its first byte to its last, so everything one read
 * function sees is one snapshot, newer than every write acknowledged before it. No snapshot outlives
 * the function, and so none ever keeps LMDB from reusing pages.
 */
import { randomUUID } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { FORMAT_VERSION } from '../../placement.js';
import { checkDataFile } from './data-file.js';
import { openError, readFault, storeUnavailable } from './errors.js';
import { EVERYTHING, FORMAT_KEY, OWNER_KEY, type Range } from './keys.js';

export type Database = RootDatabase<unknown, Buffer>;

export type Durability = 'fsync' | 'relaxed';

/** [format version, id of this data] */
type FormatRecord = [number, string];

export const DATA_FILE = 'data.mdb';

export interface EnvironmentOptions {
  readonly dataDir: string;
  readonly durability: Durability;
  readonly maxBytes: number;
}

/** Opens the database of a directory, made if absent; throws one line for the operator. */
export function openEnvironment({ dataDir, durability, maxBytes }: EnvironmentOptions): Database {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    checkDataFile(join(dataDir, DATA_FILE));
    return open({
      path: dataDir,
      noSubdir: false,
      encoding: 'msgpack',
      keyEncoding: 'binary',
      // Records are tuples, drawn beside their codecs; shared structures would be one more thing to lose.
      useRecords: false,
      // fsync: pages and commit mark are on disk before the promise resolves. relaxed: the pages are, the
      // mark follows with the next commit, so a power cut undoes the last commit and damages nothing. It
      // halves what a lone caller waits (1.1 to 1.4 ms against 2.5 to 4.9). lmdb-js's overlappingSync, its
      // default, waits for the disk all the same in this version.
      overlappingSync: false,
      noMetaSync: durability === 'relaxed',
      // Address space only. lmdb-js maps anew when it runs out of it, which is best never needed.
      mapSize: Math.ceil((maxBytes * 9) / 8) + 2 ** 26,
      maxDbs: 1,
      // Each batch is one transaction already; the grouping that lmdb-js adds makes a promise of its own,
      // which nobody can reach and which would end the process when a commit fails.
      eventTurnBatching: false,
    } as Parameters<typeof open>[0]) as Database;
  } catch (error) {
    throw openError(dataDir, error);
  }
}

/** Refuses data that this release cannot read, before anything is written to it. */
export function checkFormat(db: Database, dataDir: string): void {
  const known = db.get(FORMAT_KEY) as FormatRecord | undefined;
  if (known === undefined) {
    // An owner may have died between its first record and the format.
    const foreign = keysIn(db, EVERYTHING, 2).filter((key) => !key.equals(OWNER_KEY));
    if (foreign.length > 0) throw openError(dataDir, new Error('MDB_INVALID'));
  } else if (!Array.isArray(known)) throw openError(dataDir, new Error('MDB_INVALID'));
  else if (known[0] > FORMAT_VERSION) throw openError(dataDir, newerFormat(known[0]));
}

function newerFormat(version: number): Error {
  return new Error(
    `its data has format ${version}, this release reads up to ${FORMAT_VERSION}; start a newer release`,
  );
}

/** The id that this data was given when it was new; gives it one if it is. */
export function claimFormat(db: Database): string {
  const known = db.get(FORMAT_KEY) as FormatRecord | undefined;
  if (known !== undefined) return known[1];
  const record: FormatRecord = [FORMAT_VERSION, randomUUID()];
  db.transactionSync(() => db.putSync(FORMAT_KEY, record));
  return record[1];
}

/** Opens an existing database for reading beside its owner; undefined if there is none. */
export function openForReading(dataDir: string): Database | undefined {
  if (!existsSync(join(dataDir, DATA_FILE))) return undefined;
  try {
    checkDataFile(join(dataDir, DATA_FILE));
    return open({
      path: dataDir,
      noSubdir: false,
      encoding: 'msgpack',
      keyEncoding: 'binary',
      useRecords: false,
      readOnly: true,
    } as Parameters<typeof open>[0]) as Database;
  } catch (error) {
    throw openError(dataDir, error);
  }
}

export interface Entry<T> {
  readonly key: Buffer;
  readonly value: T;
}

export interface Selection {
  readonly limit: number;
  readonly reverse?: boolean;
}

/** At most `limit` entries of a range, read at once; from the end of it when `reverse`. */
export function entriesIn<T>(db: Database, { start, end }: Range, { limit, reverse }: Selection): Entry<T>[] {
  const entries: Entry<T>[] = [];
  // lmdb walks backwards from an inclusive start to an exclusive end.
  const bounds = reverse
    ? { start: end, end: start, reverse: true, inclusiveEnd: true, exclusiveStart: true }
    : { start, end };
  for (const { key, value } of db.getRange({ ...bounds, limit })) entries.push({ key, value: value as T });
  return entries;
}

/** All entries of a range, one after the other; to be read to the end within one step. */
export function allIn<T>(db: Database, { start, end }: Range): Iterable<Entry<T>> {
  return db.getRange({ start, end }) as unknown as Iterable<Entry<T>>;
}

/** The keys alone. */
export function keysIn(db: Database, { start, end }: Range, limit: number): Buffer[] {
  const keys: Buffer[] = [];
  for (const key of db.getKeys({ start, end, limit })) keys.push(key);
  return keys;
}

/** Runs a read as a promise, so that every failure is a rejection and a Fault. */
export async function read<T>(signal: AbortSignal, look: () => T): Promise<T> {
  if (signal.aborted) throw storeUnavailable('was not asked: the call had ended');
  try {
    return look();
  } catch (error) {
    throw readFault(error);
  }
}
