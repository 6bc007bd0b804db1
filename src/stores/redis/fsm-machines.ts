/**
 * Machines one at a time: creating, reading, deleting, and the pages of their history. Each is one
 * script on the keys of one machine, and one round trip.
 */
import { Fault } from '../../fault.js';
import type { AppliedTransition, Machine } from '../../fsm/machine.js';
import type { HistoryPage, HistoryPosition, NewMachine } from '../../fsm/store.js';
import type { Client } from './client.js';
import { machineFrom, machineOfRequest, requestText, transitionFrom } from './fsm-records.js';
import type { FsmKeys } from './keys.js';
import { loadScript } from './scripts.js';
import { decodeToken, encodeToken } from './tokens.js';

const CREATE = loadScript('fsm_create-4');
const READ = loadScript('fsm_machine-2');
const HISTORY = loadScript('fsm_history-2');
const DELETE = loadScript('fsm_delete-5');

export class Machines {
  readonly #client: Client;
  readonly #keys: FsmKeys;

  constructor(client: Client, keys: FsmKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async create(
    asked: NewMachine,
    signal: AbortSignal,
  ): Promise<{ kind: 'created' | 'replayed' | 'exists'; machine: Machine }> {
    const { configurationName, configurationVersion, id, uid, state, requestId, requestHash } = asked;
    const shard = this.#keys.shardOf(configurationName, id);
    const token = encodeToken(id);
    const request = requestText(state, requestId, requestHash);
    const keys = [shard.machinePrefix + token, shard.index, shard.feed, shard.flag];
    const args = [
      token,
      ...[configurationVersion, uid, state].map(encodeToken),
      request,
      this.#keys.wakeChannel,
    ];
    const reply = await this.#client.run(CREATE, shard.slot, keys, args, signal);
    const [kind, record] = reply as ['created' | 'exists', string];
    const machine = machineFrom(configurationName, id, record);
    const first = kind === 'exists' ? machineOfRequest(machine, record, request) : undefined;
    return first ? { kind: 'replayed', machine: first } : { kind, machine };
  }

  async get(
    name: string,
    id: string,
    historySize: number,
    signal: AbortSignal,
  ): Promise<{ machine: Machine; history: readonly AppliedTransition[] } | undefined> {
    const { slot, keys } = this.#machineKeys(name, id);
    const args = [String(Math.max(1, historySize))];
    const [record, ...entries] = (await this.#client.run(READ, slot, keys, args, signal)) as string[];
    if (record === undefined) return undefined;
    const machine = machineFrom(name, id, record);
    const first = machine.version - entries.length + 1;
    return { machine, history: entries.map((entry, i) => transitionFrom(entry, first + i)) };
  }

  async history(
    name: string,
    id: string,
    from: HistoryPosition | undefined,
    newestFirst: boolean,
    limit: number,
    signal: AbortSignal,
  ): Promise<HistoryPage> {
    const { slot, keys } = this.#machineKeys(name, id);
    const position = from ? [encodeToken(from.uid), String(from.version)] : ['', '0'];
    const args = [...position, newestFirst ? '1' : '0', String(limit)];
    const reply = (await this.#client.run(HISTORY, slot, keys, args, signal)) as string[];
    const [kind, uidToken = '', firstVersion, hasMore, ...entries] = reply;
    if (kind === 'fsm_not_found' || kind === 'expired') return { kind };
    const uid = decodeToken(uidToken);
    const step = newestFirst ? -1 : 1;
    const versionAt = (i: number) => Number(firstVersion) + i * step;
    const items = entries.map((entry, i) => transitionFrom(entry, versionAt(i)));
    return {
      kind: 'page',
      uid,
      items,
      next: hasMore === '1' ? { uid, version: versionAt(entries.length) } : undefined,
    };
  }

  async delete(
    name: string,
    id: string,
    uid: string | undefined,
    signal: AbortSignal,
  ): Promise<{ kind: 'deleted' | 'absent' } | { kind: 'uid_mismatch'; uid: string }> {
    const { slot, keys, shard } = this.#machineKeys(name, id);
    const all = [...keys, shard.index, shard.feed, shard.flag];
    const args = [encodeToken(id), encodeToken(uid ?? ''), this.#keys.wakeChannel];
    const [kind, actual = ''] = (await this.#client.run(DELETE, slot, all, args, signal)) as string[];
    if (kind === 'deleted' || kind === 'absent') return { kind };
    if (kind === 'uid_mismatch') return { kind, uid: decodeToken(actual) };
    throw new Fault('INTERNAL', `the delete script answered ${kind}`);
  }

  #machineKeys(name: string, id: string) {
    const shard = this.#keys.shardOf(name, id);
    const token = encodeToken(id);
    return { shard, slot: shard.slot, keys: [shard.machinePrefix + token, shard.historyPrefix + token] };
  }
}
