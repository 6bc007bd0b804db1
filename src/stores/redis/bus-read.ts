/**
 * Reading the log: from a sequence on, the sequence of a time, and a page with what a group makes of each
 * event. None of these changes anything but the flag of those who wait.
 */
import type { EventStatus } from '../../bus/event.js';
import type { EventsRead, Gone, GroupNotFound, ListedEvent } from '../../bus/verbs.js';
import { defaultSettings } from './bus-default-group.js';
import type { BusKeys } from './bus-keys.js';
import { eventFrom, pairsFrom, statusFrom, statusText } from './bus-records.js';
import { loadBusScript } from './bus-scripts.js';
import type { Streams } from './bus-streams.js';
import { encodeToken } from './tokens.js';

// Its one write is a flag: a reader whose answer is lost reads again.
const READ = loadBusScript('bus_read-3', { effect: 'read', isBinary: true });
const SEQ_AT = loadBusScript('bus_seq_at-3');
const LIST = loadBusScript('bus_list-17', { isBinary: true });

export class Read {
  readonly #streams: Streams;
  readonly #keys: BusKeys;

  constructor(streams: Streams, keys: BusKeys) {
    this.#streams = streams;
    this.#keys = keys;
  }

  async read(
    number: number,
    fromSeq: number,
    { limit, maxBytes, wake }: { limit: number; maxBytes: number; wake: boolean },
    signal: AbortSignal,
  ): Promise<EventsRead | Gone> {
    const args = [this.#keys.wakeChannel, ...[fromSeq, limit, maxBytes].map(String), wake ? '1' : ''];
    const reply = await this.#streams.runOn<Buffer>(READ, number, this.#streamKeys(number), args, signal);
    if (!reply) return { kind: 'gone' };
    const events = [...pairsFrom(reply, 3)].map(([[seq, ...header], body]) => eventFrom(seq, header, body));
    return { kind: 'events', firstSeq: Number(reply[1]), lastSeq: Number(reply[2]), events };
  }

  async seqAt(number: number, timeMs: number, signal: AbortSignal): Promise<number | Gone> {
    const args = [this.#keys.wakeChannel, String(timeMs)];
    const reply = await this.#streams.runOn(SEQ_AT, number, this.#streamKeys(number), args, signal);
    return reply ? Number(reply[1]) : { kind: 'gone' };
  }

  async list(
    number: number,
    group: string,
    status: EventStatus | undefined,
    fromSeq: number,
    limit: number,
    signal: AbortSignal,
  ): Promise<
    { kind: 'page'; items: readonly ListedEvent[]; nextSeq: number | undefined } | GroupNotFound | Gone
  > {
    const args = [
      this.#keys.wakeChannel,
      encodeToken(group),
      defaultSettings(group),
      statusText(status),
      String(fromSeq),
      String(limit),
    ];
    const keys = this.#keys.group(number, group);
    const reply = await this.#streams.runOn<Buffer>(LIST, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    if (String(reply[0]) === 'NO_GROUP') return { kind: 'group_not_found' };
    const items = [...pairsFrom(reply, 2)].map(([[letter, attempts, seq, ...header], body]) => ({
      event: eventFrom(seq, header, body),
      status: statusFrom(letter),
      attempts: Number(attempts),
    }));
    const next = String(reply[1]);
    return { kind: 'page', items, nextSeq: next === '' ? undefined : Number(next) };
  }

  #streamKeys(number: number): string[] {
    const { facts, log, flag } = this.#keys.stream(number);
    return [facts, log, flag];
  }
}
