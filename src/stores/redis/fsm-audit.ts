/**
 * Proof that the index and the machines say the same. The idea to hold: the two are read in pages, but
 * each machine is compared with its entry in one script, so a machine that moves meanwhile is never
 * taken for a difference. First every entry is checked against its machine, then every machine, found
 * by its key, against the index.
 */
import type { AuditProgress, IndexDifference } from '../../fsm/store.js';
import type { Client } from './client.js';
import type { FsmKeys, Shard } from './keys.js';
import { loadScript } from './scripts.js';
import { decodeToken, SEPARATOR } from './tokens.js';

const LIST = loadScript('fsm_list-1');
const AUDIT = loadScript('fsm_audit');

const PAGE_SIZE = 500;

export class Audit {
  readonly #client: Client;
  readonly #keys: FsmKeys;

  constructor(client: Client, keys: FsmKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async *run(name: string, signal: AbortSignal): AsyncGenerator<AuditProgress> {
    let entriesScanned = 0;
    let machinesScanned = 0;
    for (const shard of this.#keys.shards(name))
      for await (const members of this.#entries(shard, signal)) {
        entriesScanned += members.length;
        const differences = await this.#compare(shard, members.map(idOf), members, signal);
        yield { machinesScanned, entriesScanned, differences };
      }
    for await (const keys of this.#machineKeys(name, signal)) {
      machinesScanned += keys.length;
      yield { machinesScanned, entriesScanned, differences: await this.#compareKeys(name, keys, signal) };
    }
  }

  async *#entries(shard: Shard, signal: AbortSignal): AsyncGenerator<string[]> {
    let min = '-';
    for (;;) {
      const args = [String(PAGE_SIZE), min, '+'];
      const members = (await this.#client.run(LIST, shard.slot, [shard.index], args, signal)) as string[];
      if (members.length > 0) yield members;
      if (members.length < PAGE_SIZE) return;
      min = `(${members.at(-1)}`;
    }
  }

  /** The keys of all machines of a name, on every server; Redis may show one twice. */
  async *#machineKeys(name: string, signal: AbortSignal): AsyncGenerator<string[]> {
    const pattern = this.#keys.machinePattern(name);
    for (const slot of this.#client.router.slotOfEachServer()) {
      let cursor = '0';
      do {
        const args = [cursor, 'MATCH', pattern, 'COUNT', String(PAGE_SIZE)];
        const reply = await this.#client.read(slot, 'scan', args, signal);
        const [next, keys] = reply as [string, string[]];
        if (keys.length > 0) yield keys;
        cursor = next;
      } while (cursor !== '0');
    }
  }

  async #compareKeys(name: string, keys: readonly string[], signal: AbortSignal): Promise<IndexDifference[]> {
    const found = await Promise.all(
      this.#keys.shards(name).map((shard) => {
        const ids = keys
          .filter((key) => key.startsWith(shard.machinePrefix))
          .map((key) => key.slice(shard.machinePrefix.length));
        return ids.length === 0 ? [] : this.#compare(shard, ids, undefined, signal);
      }),
    );
    return found.flat();
  }

  async #compare(
    shard: Shard,
    ids: readonly string[],
    members: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<IndexDifference[]> {
    const keys = [shard.index, ...ids.map((id) => shard.machinePrefix + id)];
    const args = ids.flatMap((id, i) => [id, members?.[i] ?? '']);
    const reply = await this.#client.run(AUDIT, shard.slot, keys, args, signal);
    const flat = reply as (number | string)[];
    const differences: IndexDifference[] = [];
    for (let i = 0; i < flat.length; i += 3)
      differences.push({
        id: decodeToken(ids[Number(flat[i]) - 1] ?? ''),
        recordedState: stateFrom(flat[i + 1]),
        listedState: stateFrom(flat[i + 2]),
      });
    return differences;
  }
}

function idOf(member: string): string {
  return member.slice(member.lastIndexOf(SEPARATOR) + 1);
}

function stateFrom(token: number | string | undefined): string | undefined {
  return token === '' || token === undefined ? undefined : decodeToken(String(token));
}
