/**
 * A machine comes with its past: what the import script is told and what it answers. One script on the
 * keys of one machine and of the outcomes of the chunk's events, and one round trip.
 */
import { Fault } from '../../fault.js';
import { type Chunk, IMPORT_MARK } from '../../fsm/import.js';
import type { ImportAnswer } from '../../fsm/store.js';
import type { Client } from './client.js';
import { eventText, machineFrom } from './fsm-records.js';
import type { Retentions } from './fsm-retention.js';
import type { FsmKeys } from './keys.js';
import { loadScript } from './scripts.js';
import { encodeToken, SEPARATOR } from './tokens.js';

const IMPORT = loadScript('fsm_import');

export class Import {
  readonly #client: Client;
  readonly #keys: FsmKeys;
  readonly #retentions: Retentions;
  readonly #outcomeRetentionMs: string;

  constructor(client: Client, keys: FsmKeys, retentions: Retentions, outcomeRetentionMs: number) {
    this.#client = client;
    this.#keys = keys;
    this.#retentions = retentions;
    this.#outcomeRetentionMs = String(outcomeRetentionMs);
  }

  async import(chunk: Chunk, signal: AbortSignal): Promise<ImportAnswer> {
    const { configurationName: name, id } = chunk;
    const shard = this.#keys.shardOf(name, id);
    const token = encodeToken(id);
    const keys = [
      shard.machinePrefix + token,
      shard.historyPrefix + token,
      shard.index,
      shard.feed,
      shard.flag,
    ];
    const events = [...chunk.history, ...chunk.refused].map(({ event }) => event);
    for (const { eventId } of events) keys.push(shard.outcomePrefix + encodeToken(eventId));
    const keep = this.#retentions.known(name) ?? (await this.#retentions.current(name, signal));
    const args = scriptArgs(chunk, keep, this.#outcomeRetentionMs, this.#keys.wakeChannel);
    const reply = (await this.#client.run(IMPORT, shard.slot, keys, args, signal)) as string[];
    return answerFrom(reply, chunk);
  }
}

/** ARGV of the import script, as drawn in its header. */
function scriptArgs(chunk: Chunk, keep: string, outcomeRetentionMs: string, wakeChannel: string): string[] {
  const { id, configurationVersion, uid, importId, firstVersion, history, state, refused } = chunk;
  const request = [importId, IMPORT_MARK].map(encodeToken).join(SEPARATOR);
  return [
    ...[id, configurationVersion, uid].map(encodeToken),
    request,
    keep,
    outcomeRetentionMs,
    wakeChannel,
    String(firstVersion),
    String(history.length),
    encodeToken(state),
    ...history.flatMap(({ from, to, bodyHash, event }) => [
      ...[from, to, bodyHash].map(encodeToken),
      ...eventText(event),
    ]),
    ...refused.flatMap((each) => [
      encodeToken(each.bodyHash),
      `${each.version}${SEPARATOR}${encodeToken(each.state)}`,
    ]),
  ];
}

function answerFrom(
  reply: readonly string[],
  { configurationName: name, id, history, refused }: Chunk,
): ImportAnswer {
  const [kind, first = '', second = ''] = reply;
  switch (kind) {
    case 'imported':
      return { kind, written: first === '1', machine: machineFrom(name, id, second) };
    case 'exists':
      return { kind, machine: machineFrom(name, id, first) };
    case 'broken':
      return { kind, index: Number(first), machine: machineFrom(name, id, second) };
    case 'event_id_reused':
      return { kind, eventId: [...history, ...refused][Number(first)]?.event.eventId ?? '' };
    case 'fsm_not_found':
      return { kind };
    default:
      throw new Fault('INTERNAL', `the import script answered ${kind}`);
  }
}
