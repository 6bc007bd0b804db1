/**
 * Where each service of a deployment lives. Every engine holds one record of it, written by the first
 * process and compared by every later one, so that two processes can never keep two separate truths of
 * one service. Pure rules; the record is kept by adapters through PlacementStore. Beside it, what an engine
 * says of itself to operators.
 */
import { randomUUID } from 'node:crypto';

/** The version of everything the stores write. A newer one is refused, an older one is migrated. */
export const FORMAT_VERSION = 1;

/** Where a service's state is: in a shared engine, or in one process's data directory. */
export type Home = 'redis' | 'etcd' | 'mongo' | 'embedded';

export interface DeploymentRecord {
  readonly deploymentId: string;
  readonly formatVersion: number;
  /** By service; fixed when the service is first placed. */
  readonly shardCounts: Readonly<Record<string, number>>;
  /** By service. */
  readonly homes: Readonly<Record<string, Home>>;
}

/** What a starting process is about to serve. */
export interface Placement {
  readonly homes: Readonly<Record<string, Home>>;
  /** For services not yet placed. */
  readonly shardCounts: Readonly<Record<string, number>>;
}

/** How an engine keeps the record: as text, replaced by compare-and-set. */
export interface PlacementStore {
  load(): Promise<string | undefined>;
  /** Writes `next` if what is there is exactly `expected`; false = it is not. */
  replace(expected: string | undefined, next: string): Promise<boolean>;
}

/** What an engine says of itself. */
export interface EngineDescription {
  readonly engine: string;
  readonly version: string;
  /** What a write that was answered OK survives. */
  readonly durability: string;
  /** Settings of the engine that an operator should know about. */
  readonly warnings: readonly string[];
  /** Where the data is, without secrets. */
  readonly location: string;
}

/** A start that must not go on, as one line for the operator. */
export class PlacementRefusal extends Error {
  override readonly name = 'PlacementRefusal';
}

/** The record after a process with this placement has joined; throws PlacementRefusal if it must not. */
export function admit(record: DeploymentRecord | undefined, placement: Placement): DeploymentRecord {
  const known = record ?? {
    deploymentId: randomUUID(),
    formatVersion: FORMAT_VERSION,
    shardCounts: {},
    homes: {},
  };
  if (known.formatVersion > FORMAT_VERSION)
    throw new PlacementRefusal(
      `the store's data has format ${known.formatVersion}, this release reads up to ${FORMAT_VERSION}; start a newer release`,
    );
  for (const [service, home] of Object.entries(placement.homes)) {
    const recorded = known.homes[service];
    if (recorded !== undefined && recorded !== home)
      throw new PlacementRefusal(
        `service ${service} of this deployment lives ${where(recorded)}, this start would put it ${where(home)}; ` +
          `start it as recorded, leave it out with --services, or use another --namespace or --data`,
      );
  }
  return {
    ...known,
    homes: { ...known.homes, ...placement.homes },
    shardCounts: { ...placement.shardCounts, ...known.shardCounts },
  };
}

function where(home: Home): string {
  return home === 'embedded' ? "embedded in one process's data directory" : `on ${home}`;
}

/** Joins the deployment recorded in `store`, adding what is new. */
export async function join(store: PlacementStore, placement: Placement): Promise<DeploymentRecord> {
  for (;;) {
    const text = await store.load();
    const record = text === undefined ? undefined : (JSON.parse(text) as DeploymentRecord);
    const next = admit(record, placement);
    const nextText = JSON.stringify(next);
    // Each lost race means that another process joined, and each joins once: the loop ends.
    if (nextText === text || (await store.replace(text, nextText))) return next;
  }
}
