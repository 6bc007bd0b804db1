/**
 * Every key that the Redis adapter makes, format version 1. The idea to hold: what one script touches
 * shares one hash tag, so each script runs on one node of a Cluster; names are tokens (tokens.ts), so
 * no name reaches another's key. `!` joins tokens inside values.
 *
 * | key                                   | type   | holds                                                          |
 * |---------------------------------------|--------|----------------------------------------------------------------|
 * | `{ns}:deployment`                     | string | the deployment record (src/placement.ts)                       |
 * | `{ns:fsm}:names`                      | zset   | configuration names, all scores 0                              |
 * | `{ns:fsm}:configurations:NAME`        | hash   | version -> `createMs!contentHash!json`                         |
 * | `{ns:fsm}:versions:NAME`              | list   | versions, in order of creation                                 |
 * | `{ns:fsm}:retention`                  | hash   | NAME -> `revision!count`; field `!` counts every change of any |
 * | `{ns:fsm:NAME:SHARD}:m:ID`            | string | a machine: `version!state!updateMs!configuration!uid!createMs`, |
 * |                                       |        | then `!initialState!requestId!requestHash` if it had a request |
 * | `{ns:fsm:NAME:SHARD}:h:ID`            | list   | its history, oldest first: `from!to!ms!eventId!name!originator!timestampUs!details` |
 * | `{ns:fsm:NAME:SHARD}:i`               | zset   | `state!configuration!ID` of every machine, all scores 0        |
 * | `{ns:fsm:NAME:SHARD}:o:EVENT`         | hash   | ID -> outcome (fsm-records.ts); expires                        |
 * | `{ns:fsm:NAME:SHARD}:f`               | stream | the change feed, one field `c` an entry (fsm-records.ts)       |
 * | `{ns:fsm:NAME:SHARD}:w`               | string | there while a watcher waits for the next change; expires       |
 *
 * `ns:fsm:wake` is a channel: a message names a `:w` key whose shard has changed.
 *
 * A machine is a string rather than a hash: it is read and written whole, takes a third less memory,
 * and a page of them is one MGET. Versions in a history are implied: its last entry has the machine's.
 */
import { crc32 } from 'node:zlib';
import { BoundedMap } from '../../bounded-map.js';
import { slotOf } from './slot.js';
import { encodeToken } from './tokens.js';

export const MAX_SHARDS = 128;

/** Keys that share a hash tag. */
export interface Slotted {
  readonly slot: number;
}

export interface Registry extends Slotted {
  readonly names: string;
  readonly retention: string;
  readonly configurationsPrefix: string;
  readonly versionsPrefix: string;
}

export interface Shard extends Slotted {
  readonly number: number;
  readonly index: string;
  readonly feed: string;
  readonly flag: string;
  readonly machinePrefix: string;
  readonly historyPrefix: string;
  readonly outcomePrefix: string;
}

/** The keys of the state machine store under one namespace. */
export class FsmKeys {
  readonly registry: Registry;
  readonly wakeChannel: string;
  readonly #namespace: string;
  readonly #shardCount: number;
  readonly #shards = new BoundedMap<string, readonly Shard[]>(1_000);

  constructor(namespace: string, shardCount: number) {
    if (!Number.isInteger(shardCount) || shardCount < 1 || shardCount > MAX_SHARDS)
      throw new RangeError(`the shard count must be 1 to ${MAX_SHARDS}, not ${shardCount}`);
    this.#namespace = encodeToken(namespace);
    this.#shardCount = shardCount;
    this.registry = registryKeys(this.#namespace);
    this.wakeChannel = `${this.#namespace}:fsm:wake`;
  }

  /** The shards of a configuration name, by number. */
  shards(name: string): readonly Shard[] {
    const known = this.#shards.get(name);
    if (known) return known;
    const prefix = `${this.#namespace}:fsm:${encodeToken(name)}`;
    const shards = Array.from({ length: this.#shardCount }, (_, number) =>
      shardKeys(`{${prefix}:${number}}`, number),
    );
    this.#shards.set(name, shards);
    return shards;
  }

  /** The shard of a machine: by its id alone, so it never changes. */
  shardOf(name: string, machineId: string): Shard {
    return this.shards(name)[crc32(machineId) % this.#shardCount] as Shard;
  }

  /** A pattern for the machines of a name in all shards; a token holds no pattern character. */
  machinePattern(name: string): string {
    return `{${this.#namespace}:fsm:${encodeToken(name)}:*}:m:*`;
  }
}

function registryKeys(namespace: string): Registry {
  const tag = `{${namespace}:fsm}`;
  return {
    slot: slotOf(tag),
    names: `${tag}:names`,
    retention: `${tag}:retention`,
    configurationsPrefix: `${tag}:configurations:`,
    versionsPrefix: `${tag}:versions:`,
  };
}

function shardKeys(tag: string, number: number): Shard {
  return {
    slot: slotOf(tag),
    number,
    index: `${tag}:i`,
    feed: `${tag}:f`,
    flag: `${tag}:w`,
    machinePrefix: `${tag}:m:`,
    historyPrefix: `${tag}:h:`,
    outcomePrefix: `${tag}:o:`,
  };
}

/** The key of the deployment record. */
export function placementKeys(namespace: string) {
  const tag = `{${encodeToken(namespace)}}`;
  return { slot: slotOf(tag), deployment: `${tag}:deployment` };
}
