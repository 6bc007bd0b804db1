/**
 * The deployment record of the embedded engine: one text under one key, replaced by compare-and-set in
 * a write transaction.
 */
import type { DeploymentRecord, PlacementStore } from '../../placement.js';
import { type Database, openForReading, read } from './environment.js';
import { DEPLOYMENT_KEY } from './keys.js';
import type { Writer } from './writer.js';

export class LmdbPlacementStore implements PlacementStore {
  readonly #db: Database;
  readonly #writer: Writer;

  constructor(db: Database, writer: Writer) {
    this.#db = db;
    this.#writer = writer;
  }

  load(): Promise<string | undefined> {
    return read(new AbortController().signal, () => this.#db.get(DEPLOYMENT_KEY) as string | undefined);
  }

  replace(expected: string | undefined, next: string): Promise<boolean> {
    return this.#writer.write(undefined, (batch) => {
      if (batch.get<string>(DEPLOYMENT_KEY) !== expected) return false;
      batch.put(DEPLOYMENT_KEY, next);
      return true;
    });
  }
}

/** The deployment recorded in a data directory, read beside its owner; undefined if there is none. */
export async function peekDeployment(dataDir: string): Promise<DeploymentRecord | undefined> {
  const db = openForReading(dataDir);
  if (!db) return undefined;
  try {
    const text = db.get(DEPLOYMENT_KEY) as string | undefined;
    return text === undefined ? undefined : (JSON.parse(text) as DeploymentRecord);
  } finally {
    await db.close();
  }
}
