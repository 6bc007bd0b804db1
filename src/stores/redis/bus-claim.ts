/**
 * Claims, and what a consumer says of them: accepted, given back. The rules are in bus_claim-17.lua.
 */
import type { LeasedEvent } from '../../bus/event.js';
import type { BusStoreObserver } from '../../bus/store.js';
import type { ClaimAnswer, ClaimRequest } from '../../bus/verbs.js';
import { defaultSettings } from './bus-default-group.js';
import type { BusKeys } from './bus-keys.js';
import { eventFrom, pairsFrom, tellTrimmed } from './bus-records.js';
import { loadBusScript } from './bus-scripts.js';
import type { Streams } from './bus-streams.js';
import { encodeToken } from './tokens.js';

// Redis works on the next claim while this process writes out the frame before it; held back until then, an
// eighth fewer events were delivered and marked.
const CLAIM = loadBusScript('bus_claim-17', { isBinary: true, isUrgent: true });
const EXTEND = loadBusScript('bus_extend-17');
const RELEASE = loadBusScript('bus_release-17');

export class Claim {
  readonly #streams: Streams;
  readonly #keys: BusKeys;
  readonly #observer: BusStoreObserver;

  constructor(streams: Streams, keys: BusKeys, observer: BusStoreObserver) {
    this.#streams = streams;
    this.#keys = keys;
    this.#observer = observer;
  }

  async claim(number: number, request: ClaimRequest, signal: AbortSignal): Promise<ClaimAnswer> {
    const { group, consumer, claimId, maxEvents, maxBytes, credit, ackDeadlineMs, retry } = request;
    const args = [
      this.#keys.wakeChannel,
      encodeToken(group),
      defaultSettings(group),
      encodeToken(consumer),
      encodeToken(claimId),
      ...[maxEvents, maxBytes, credit.messages, credit.bytes].map(String),
      String(ackDeadlineMs ?? ''),
      String(retry?.afterSeq ?? ''),
      String(retry?.beganMs ?? ''),
    ];
    const keys = this.#keys.group(number, group);
    const reply = await this.#streams.runOn<Buffer>(CLAIM, number, keys, args, signal);
    if (!reply) return { kind: 'gone' };
    const [kind, trimmed, more, creditSpent, nextDue, now] = reply.slice(0, 6).map(String);
    if (kind === 'NO_GROUP') return { kind: 'group_not_found' };
    tellTrimmed(this.#observer, trimmed);
    if (kind === 'TOO_MANY_CONSUMERS') return { kind: 'too_many_consumers' };
    return {
      kind: 'claimed',
      events: [...pairsFrom(reply, 6)].map(leasedFrom),
      more: more === '1',
      creditSpent: creditSpent === '1',
      nextDueMs: nextDue === '' ? undefined : Number(nextDue),
      nowMs: Number(now),
    };
  }

  async accept(
    number: number,
    group: string,
    {
      consumer,
      lease,
      ackDeadlineMs,
    }: { consumer: string; lease: number; ackDeadlineMs: number | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    const args = [...this.#head(group), String(ackDeadlineMs ?? ''), encodeToken(consumer), String(lease)];
    await this.#streams.runOn(EXTEND, number, this.#keys.group(number, group), args, signal);
  }

  async release(
    number: number,
    group: string,
    consumer: string,
    claimId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const args = [...this.#head(group), encodeToken(consumer), encodeToken(claimId)];
    await this.#streams.runOn(RELEASE, number, this.#keys.group(number, group), args, signal);
  }

  #head(group: string): [string, string, string] {
    return [this.#keys.wakeChannel, encodeToken(group), ''];
  }
}

function leasedFrom([[seq, attempt, lease, deadline, ...header], body]: [string[], Buffer]): LeasedEvent {
  return {
    event: eventFrom(seq, header, body),
    attempt: Number(attempt),
    lease: Number(lease),
    deadlineMs: Number(deadline),
  };
}
