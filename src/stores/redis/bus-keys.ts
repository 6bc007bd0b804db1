/**
 * Every key of the bus on Redis, format version 1. The idea to hold: names live in one registry, which is
 * the truth for what exists; all keys of one stream share the tag of its number, so each script runs on one
 * node of a Cluster. Names are tokens (tokens.ts); ids are sequences of 16 digits, so that they sort.
 *
 * | key                     | type   | holds                                                                    |
 * |-------------------------|--------|--------------------------------------------------------------------------|
 * | `{ns:bus}:names`        | zset   | names of streams that exist, all scores 0                                |
 * | `{ns:bus}:streams`      | hash   | NAME -> record (bus-records.ts), also while it is being deleted          |
 * | `{ns:bus}:numbers`      | hash   | number -> NAME; field `!` is the last number given                       |
 * | `{ns:bus:N}:facts`      | hash   | uid, revision, settings; first, last, bytes, lease: the last number of   |
 * |                         |        | a claim; lastMs, firstMs: create times. Or the tombstone: gone           |
 * | `{ns:bus:N}:log`        | stream | an entry `SEQ-0` an event: h header (bus-records.ts), b body             |
 * | `{ns:bus:N}:ids`        | hash   | `dID` or `rID` of dedupe or request -> `ms!hash!sequence or answer`      |
 * | `{ns:bus:N}:idtimes`    | zset   | the same ids by ms                                                       |
 * | `{ns:bus:N}:flag`       | string | there while somebody waits: `e` for events, `c` also for credit; expires |
 * | `{ns:bus:N}:groups`     | zset   | names of groups, all scores 0                                            |
 * | `{ns:bus:N}:g:GROUP`    | hash   | settings, filter, revision, generation, created, request; cursor, place: |
 * |                         |        | places given in lines; trimmed, dropped, deaths: counts; blocked: a key  |
 * | `{ns:bus:N}:rows:GROUP` | hash   | id -> row `state!attempts!bytes!key!due!more` (include/bus_group.lua)    |
 * | `...:order:GROUP`       | zset   | state and id of every row, and `X` and id of every exception, scores 0   |
 * | `...:deadlines:GROUP`   | zset   | ids of leased rows by deadline                                           |
 * | `...:due:GROUP`         | zset   | ids of retry and ready rows by due time                                  |
 * | `...:lines:GROUP`       | zset   | `KEY!place!id` of waiting rows, scores 0                                 |
 * | `...:busy:GROUP`        | hash   | KEY -> id of the row that it is busy with                                |
 * | `...:consumers:GROUP`   | hash   | consumer -> `count!bytes!claimId!lease`, while it has something leased   |
 * | `...:leases:GROUP`      | hash   | lease -> `rows left!consumer!first:count,...`                            |
 * | `...:copies:GROUP`      | hash   | id -> header, `b`id -> body, of rows that were dead letters              |
 * | `...:deaths:GROUP`      | zset   | `number of the death!id!ms` of dead letters, scores 0                    |
 * | `...:dead:GROUP`        | zset   | ids of dead letters, scores 0                                            |
 * | `...:letters:GROUP`     | hash   | id -> `attempts!ms!number!header`, `b`id -> body                         |
 *
 * `ns:bus:wake` is a channel: a message names a `:flag` key whose stream has something new.
 */
import { BoundedMap } from '../../bounded-map.js';
import type { Slotted } from './keys.js';
import { slotOf } from './slot.js';
import { encodeToken } from './tokens.js';

export interface BusRegistry extends Slotted {
  readonly names: string;
  readonly streams: string;
  readonly numbers: string;
}

export interface StreamKeys extends Slotted {
  readonly tag: string;
  readonly facts: string;
  readonly log: string;
  readonly flag: string;
  readonly groups: string;
  readonly ids: string;
  readonly idTimes: string;
}

/** What a group's script is told, in the order of its KEYS: the stream's four first. */
export type GroupKeys = readonly string[];

/** After the stream's facts, log, flag and groups, and the group itself. */
const PARTS = [
  'rows',
  'order',
  'deadlines',
  'due',
  'lines',
  'busy',
  'consumers',
  'leases',
  'copies',
  'deaths',
  'dead',
  'letters',
] as const;

const MAX_CACHED = 10_000;

export class BusKeys {
  readonly registry: BusRegistry;
  readonly wakeChannel: string;
  readonly #namespace: string;
  readonly #streams = new BoundedMap<number, StreamKeys>(MAX_CACHED);
  readonly #groups = new BoundedMap<string, GroupKeys>(MAX_CACHED);

  constructor(namespace: string) {
    this.#namespace = encodeToken(namespace);
    const tag = `{${this.#namespace}:bus}`;
    this.registry = {
      slot: slotOf(tag),
      names: `${tag}:names`,
      streams: `${tag}:streams`,
      numbers: `${tag}:numbers`,
    };
    this.wakeChannel = `${this.#namespace}:bus:wake`;
  }

  stream(number: number): StreamKeys {
    const known = this.#streams.get(number);
    if (known) return known;
    const tag = `{${this.#namespace}:bus:${number}}`;
    const keys = {
      slot: slotOf(tag),
      tag,
      facts: `${tag}:facts`,
      log: `${tag}:log`,
      flag: `${tag}:flag`,
      groups: `${tag}:groups`,
      ids: `${tag}:ids`,
      idTimes: `${tag}:idtimes`,
    };
    this.#streams.set(number, keys);
    return keys;
  }

  group(number: number, name: string): GroupKeys {
    const cacheKey = `${number} ${name}`;
    const known = this.#groups.get(cacheKey);
    if (known) return known;
    const { tag, facts, log, flag, groups } = this.stream(number);
    const token = encodeToken(name);
    const own = ['g', ...PARTS].map((part) => `${tag}:${part}:${token}`);
    const keys = [facts, log, flag, groups, ...own];
    this.#groups.set(cacheKey, keys);
    return keys;
  }

  /** Of a group, what `bus_groups` is told. */
  groupCounts(number: number, name: string): readonly string[] {
    const { tag } = this.stream(number);
    const token = encodeToken(name);
    const parts = ['g', 'order', 'deadlines', 'lines', 'deaths', 'dead', 'rows', 'busy'];
    return parts.map((part) => `${tag}:${part}:${token}`);
  }

  /** Everything of a stream but its tombstone. */
  contentOf(number: number, groupNames: readonly string[]): string[] {
    const { log, flag, groups, ids, idTimes } = this.stream(number);
    const ofGroups = groupNames.flatMap((name) => this.group(number, name).slice(4));
    // The groups' names last: whoever finds them knows what is left to do.
    return [log, flag, ids, idTimes, ...ofGroups, groups];
  }
}
