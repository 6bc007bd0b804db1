/**
 * Marks and lease extensions, up to 1,000 in one step. The rules are in bus_settle-17.lua.
 */
import type { BusStoreObserver } from '../../bus/store.js';
import type { Gone, GroupNotFound, SettleAnswer, Settlement } from '../../bus/verbs.js';
import { defaultSettings } from './bus-default-group.js';
import type { BusKeys } from './bus-keys.js';
import { rowId, tellTrimmed } from './bus-records.js';
import { loadBusScript } from './bus-scripts.js';
import type { Streams } from './bus-streams.js';
import { encodeToken, SEPARATOR } from './tokens.js';

const SETTLE = loadBusScript('bus_settle-17');
const EXTEND = loadBusScript('bus_extend-17');

const MARKS = { processed: 'P', retry: 'R', unprocessed: 'U' } as const;

const ANSWERS: Readonly<Record<string, SettleAnswer>> = {
  O: 'ok',
  S: 'stale',
  N: 'not_found',
  E: 'expired',
  F: 'full',
};

export class Settle {
  readonly #streams: Streams;
  readonly #keys: BusKeys;
  readonly #observer: BusStoreObserver;

  constructor(streams: Streams, keys: BusKeys, observer: BusStoreObserver) {
    this.#streams = streams;
    this.#keys = keys;
    this.#observer = observer;
  }

  async settle(
    number: number,
    group: string,
    marks: readonly Settlement[],
    signal: AbortSignal,
  ): Promise<{ kind: 'settled'; answers: readonly SettleAnswer[] } | GroupNotFound | Gone> {
    const args = [this.#keys.wakeChannel, encodeToken(group), defaultSettings(group)];
    for (const { seq, lease, mark, delayMs } of marks)
      args.push(rowId(seq), String(lease ?? ''), `${MARKS[mark]}${delayMs ?? ''}`);
    const keys = this.#keys.group(number, group);
    const reply = await this.#streams.runOn<string>(SETTLE, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, trimmed, ...letters] = reply;
    if (kind === 'NO_GROUP') return { kind: 'group_not_found' };
    tellTrimmed(this.#observer, trimmed);
    return { kind: 'settled', answers: letters.map((letter) => ANSWERS[letter] ?? 'not_found') };
  }

  async extend(
    number: number,
    group: string,
    leases: readonly { readonly seq: number; readonly lease: number }[],
    ackDeadlineMs: number | undefined,
    signal: AbortSignal,
  ): Promise<
    { kind: 'extended'; answers: readonly ('ok' | 'stale')[]; deadlineMs: number } | GroupNotFound | Gone
  > {
    const args = [this.#keys.wakeChannel, encodeToken(group), '', String(ackDeadlineMs ?? ''), ''];
    for (const { seq, lease } of leases) args.push(`${seq}${SEPARATOR}${lease}`);
    const keys = this.#keys.group(number, group);
    const reply = await this.#streams.runOn<string>(EXTEND, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, deadline, ...letters] = reply;
    if (kind === 'NO_GROUP') return { kind: 'group_not_found' };
    const answers = letters.map((letter) => (letter === 'O' ? 'ok' : 'stale'));
    return { kind: 'extended', answers, deadlineMs: Number(deadline) };
  }
}
