/**
 * Dead letters: listed, replayed, purged. A position is the number of a death, so that a letter that dies
 * again behind it is not met twice.
 */
import type { DeadLetter, DeadSelection, DeadStep, Gone, GroupNotFound, Page } from '../../bus/verbs.js';
import { Fault } from '../../fault.js';
import { defaultSettings } from './bus-default-group.js';
import type { BusKeys } from './bus-keys.js';
import { eventFrom, pairsFrom } from './bus-records.js';
import { loadBusScript } from './bus-scripts.js';
import type { Streams } from './bus-streams.js';
import { encodeToken } from './tokens.js';

const LIST = loadBusScript('bus_letters-17', { isBinary: true });
const STEP = loadBusScript('bus_dead-17');

const POSITION = /^\d{16}$/;

export class Dead {
  readonly #streams: Streams;
  readonly #keys: BusKeys;

  constructor(streams: Streams, keys: BusKeys) {
    this.#streams = streams;
    this.#keys = keys;
  }

  async list(
    number: number,
    group: string,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<(Page<DeadLetter> & { kind: 'page' }) | GroupNotFound | Gone> {
    const args = [
      this.#keys.wakeChannel,
      encodeToken(group),
      defaultSettings(group),
      positionFrom(after),
      String(limit),
    ];
    const keys = this.#keys.group(number, group);
    const reply = await this.#streams.runOn<Buffer>(LIST, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, next] = reply.slice(0, 2).map(String);
    if (kind === 'NO_GROUP') return { kind: 'group_not_found' };
    const items = [...pairsFrom(reply, 2)].map(letterFrom);
    return { kind: 'page', items, next: next === '' ? undefined : next };
  }

  /** One step of replaying or purging. */
  async step(
    what: 'replay' | 'purge',
    number: number,
    group: string,
    which: DeadSelection,
    signal: AbortSignal,
  ): Promise<DeadStep | GroupNotFound | Gone> {
    const args = [this.#keys.wakeChannel, encodeToken(group), '', what, which.kind];
    if (which.kind === 'all') args.push(positionFrom(which.after));
    else args.push(...which.seqs.map(String));
    const keys = this.#keys.group(number, group);
    const reply = await this.#streams.runOn<string>(STEP, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, count, next = ''] = reply;
    if (kind === 'NO_GROUP') return { kind: 'group_not_found' };
    return { kind: 'step', count: Number(count), next: next === '' ? undefined : next };
  }
}

function positionFrom(after: string | undefined): string {
  if (after !== undefined && !POSITION.test(after))
    throw Fault.invalidField('page_token', 'is not of this list');
  return after ?? '';
}

function letterFrom([[seq, attempts, deadMs, ...header], body]: [string[], Buffer]): DeadLetter {
  return {
    event: eventFrom(seq, header, body),
    attempts: Number(attempts),
    deadTimeMs: Number(deadMs),
    reason: 'attempts_exhausted',
  };
}
