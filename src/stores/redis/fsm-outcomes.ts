/**
 * Looking up what became of an event. With the machine's id it is one key; without it every shard is
 * asked, in one script where one server has them all and in one pipelined trip on a Cluster. There is
 * no memory of where an event went: the newest outcome counts, and another process may have made it.
 */
import type { AppliedTransition, StoredOutcome } from '../../fsm/machine.js';
import type { Client } from './client.js';
import { storedOutcomeFrom, transitionFrom } from './fsm-records.js';
import type { FsmKeys, Shard } from './keys.js';
import { loadScript } from './scripts.js';
import { decodeToken, encodeToken } from './tokens.js';

const OUTCOME = loadScript('fsm_outcome');
const EVENT = loadScript('fsm_event-3');

export interface Found {
  readonly id: string;
  readonly stored: StoredOutcome;
}

export class Outcomes {
  readonly #client: Client;
  readonly #keys: FsmKeys;

  constructor(client: Client, keys: FsmKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  get(
    name: string,
    id: string | undefined,
    eventId: string,
    signal: AbortSignal,
  ): Promise<Found | undefined> {
    if (id === undefined) return this.#newest(name, eventId, false, signal);
    return this.#ask([this.#keys.shardOf(name, id)], encodeToken(id), eventId, false, signal);
  }

  /** Without an id it is the newest event that was applied: a later refusal elsewhere hides nothing. */
  async event(
    name: string,
    id: string | undefined,
    eventId: string,
    signal: AbortSignal,
  ): Promise<{ id: string; transition: AppliedTransition } | undefined> {
    const machineId = id ?? (await this.#newest(name, eventId, true, signal))?.id;
    if (machineId === undefined) return undefined;
    const shard = this.#keys.shardOf(name, machineId);
    const token = encodeToken(machineId);
    const keys = [shard.machinePrefix + token, shard.historyPrefix + token, outcomeKey(shard, eventId)];
    const reply = await this.#client.run(EVENT, shard.slot, keys, [token], signal);
    const [version, entry] = reply as [string?, string?];
    if (entry === undefined) return undefined;
    return { id: machineId, transition: transitionFrom(entry, Number(version)) };
  }

  async #newest(name: string, eventId: string, appliedOnly: boolean, signal: AbortSignal) {
    const shards = this.#keys.shards(name);
    const groups = this.#client.router.isCluster ? shards.map((shard) => [shard]) : [shards];
    const found = await Promise.all(
      groups.map((group) => this.#ask(group, '', eventId, appliedOnly, signal)),
    );
    return found.reduce((newest, each) => (isNewer(each, newest) ? each : newest), undefined);
  }

  async #ask(
    shards: readonly Shard[],
    idToken: string,
    eventId: string,
    appliedOnly: boolean,
    signal: AbortSignal,
  ): Promise<Found | undefined> {
    const keys = shards.map((shard) => outcomeKey(shard, eventId));
    const args = [idToken, appliedOnly ? '1' : '0'];
    const reply = await this.#client.run(OUTCOME, shards[0]?.slot ?? 0, keys, args, signal);
    const [foundId, text] = reply as [string?, string?];
    if (foundId === undefined || text === undefined) return undefined;
    return { id: decodeToken(foundId), stored: storedOutcomeFrom(text) };
  }
}

function outcomeKey(shard: Shard, eventId: string): string {
  return shard.outcomePrefix + encodeToken(eventId);
}

function isNewer(each: Found | undefined, than: Found | undefined): boolean {
  if (!each || !than) return each !== undefined;
  return each.stored.outcome.timeMs > than.stored.outcome.timeMs;
}
