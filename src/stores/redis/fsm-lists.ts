/**
 * Machines by the index: pages and counts. The idea to hold: the index of a shard is one sorted list of
 * `state!configuration!id`, so every filter is a range of it and a position is an entry; a page reads
 * entries first and then the machines they name, and drops those that have moved between the two.
 */
import { crc32 } from 'node:zlib';
import { Fault } from '../../fault.js';
import type { Machine } from '../../fsm/machine.js';
import type { MachineFilter, Page } from '../../fsm/store.js';
import type { Client } from './client.js';
import { machineFrom, memberOf } from './fsm-records.js';
import { type FsmKeys, MAX_SHARDS, type Shard } from './keys.js';
import { loadScript } from './scripts.js';
import { decodeToken, encodeToken, SEPARATOR, TOKEN_PATTERN } from './tokens.js';

const LIST = loadScript('fsm_list-1');
const COUNT = loadScript('fsm_count-1');

/** The character after the separator: the end of all entries that begin with a prefix. */
const AFTER_SEPARATOR = '"';

/** `scope:shard:entry`; the scope says of which list. */
const POSITION = new RegExp(
  `^([0-9a-z]{1,7}):(\\d{1,3}):((${TOKEN_PATTERN})!(${TOKEN_PATTERN})!${TOKEN_PATTERN})$`,
);

/** Three times the longest state, version and id, and what stands between them. */
const MAX_POSITION_CHARS = 3 * (128 + 128 + 256) + 16;

/** A part of an index, in the terms of ZRANGEBYLEX. */
type Range = readonly [min: string, max: string];

interface Position {
  readonly shard: number;
  readonly member: string;
  readonly stateToken: string;
}

interface Entry {
  readonly shard: Shard;
  readonly member: string;
}

export class Lists {
  readonly #client: Client;
  readonly #keys: FsmKeys;

  constructor(client: Client, keys: FsmKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async list(
    name: string,
    filter: MachineFilter,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Machine>> {
    const position = after === undefined ? undefined : positionFrom(after, scopeOf(name, filter));
    const entries = await this.#entries(name, filter, position, limit, signal);
    const page = entries.slice(0, limit);
    const last = page.at(-1);
    return {
      items: await this.#machines(name, page, signal),
      next:
        entries.length < limit || !last
          ? undefined
          : `${scopeOf(name, filter)}:${last.shard.number}:${last.member}`,
    };
  }

  async count(
    name: string,
    states: readonly string[],
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<number[]> {
    const args = states.flatMap((state) => rangeOf(state, version));
    const counts = await Promise.all(
      this.#keys
        .shards(name)
        .map(({ slot, index }) => this.#client.run(COUNT, slot, [index], args, signal) as Promise<number[]>),
    );
    return states.map((_, i) => counts.reduce((sum, shard) => sum + (shard[i] ?? 0), 0));
  }

  /** At least `limit` entries if there are as many: one shard is asked, then two, then four. */
  async #entries(
    name: string,
    filter: MachineFilter,
    position: Position | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Entry[]> {
    const shards = this.#keys.shards(name).slice(position?.shard ?? 0);
    const entries: Entry[] = [];
    for (
      let start = 0, width = 1;
      start < shards.length && entries.length < limit;
      start += width, width *= 2
    ) {
      const asked = shards.slice(start, start + width);
      const found = await Promise.all(
        asked.map((shard) => {
          const ranges = rangesOf(filter, shard.number === position?.shard ? position : undefined);
          const args = [String(limit - entries.length), ...ranges.flat()];
          return this.#client.run(LIST, shard.slot, [shard.index], args, signal) as Promise<string[]>;
        }),
      );
      asked.forEach((shard, i) => {
        for (const member of found[i] ?? []) entries.push({ shard, member });
      });
    }
    return entries;
  }

  /** The machines that entries name, in one trip; without those that are no longer where the entry says. */
  async #machines(name: string, entries: readonly Entry[], signal: AbortSignal): Promise<Machine[]> {
    const groups = new Map<Shard, string[]>();
    for (const { shard, member } of entries) {
      const group = groups.get(shard);
      if (group) group.push(member);
      else groups.set(shard, [member]);
    }
    const machines = await Promise.all(
      Array.from(groups, ([shard, members]) => this.#machinesOfShard(name, shard, members, signal)),
    );
    return machines.flat();
  }

  async #machinesOfShard(
    name: string,
    shard: Shard,
    members: readonly string[],
    signal: AbortSignal,
  ): Promise<Machine[]> {
    const ids = members.map((member) => member.slice(member.lastIndexOf(SEPARATOR) + 1));
    const keys = ids.map((id) => shard.machinePrefix + id);
    const records = (await this.#client.read(shard.slot, 'mget', keys, signal)) as (string | null)[];
    return ids.flatMap((id, i) => {
      const record = records[i];
      if (record == null || memberOf(record, id) !== members[i]) return [];
      return [machineFrom(name, decodeToken(id), record)];
    });
  }
}

/** The ranges of a filter, from a position on. */
function rangesOf({ states, configurationVersion }: MachineFilter, position: Position | undefined): Range[] {
  if (!states) return [[position ? `(${position.member}` : '-', '+']];
  const at = position ? states.findIndex((state) => encodeToken(state) === position.stateToken) : 0;
  if (at === -1) throw Fault.invalidField('page_token', 'is damaged; start over');
  return states.slice(at).map((state, i) => {
    const [min, max] = rangeOf(state, configurationVersion);
    return position && i === 0 ? [`(${position.member}`, max] : [min, max];
  });
}

function rangeOf(state: string, version: string | undefined): Range {
  const prefix = [state, ...(version === undefined ? [] : [version])].map(encodeToken).join(SEPARATOR);
  return [`[${prefix}${SEPARATOR}`, `(${prefix}${AFTER_SEPARATOR}`];
}

/** Names a list: a position of another name or filter does not fit it. */
function scopeOf(name: string, { states, configurationVersion }: MachineFilter): string {
  return crc32(JSON.stringify([name, states, configurationVersion])).toString(36);
}

function positionFrom(text: string, scope: string): Position {
  const match = text.length <= MAX_POSITION_CHARS ? POSITION.exec(text) : null;
  const [, foundScope, shard, member = '', state = ''] = match ?? [];
  if (foundScope !== scope || Number(shard) >= MAX_SHARDS)
    throw Fault.invalidField('page_token', 'is not a token of this list with these filters; start over');
  return { shard: Number(shard), member, stateToken: state };
}
