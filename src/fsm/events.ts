/**
 * From requests to answers for single events, batches and streams of frames. One idea: the events of
 * one machine form a line, lines run side by side, and an error is that of the items it befell.
 */
import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import type { Status } from '../../gen/google/rpc/status_pb.js';
import type { EventOutcome } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import {
  type EventResult,
  EventResultSchema,
  type SendEventRequest,
  SendEventRequestSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Call, Validate } from '../call.js';
import type { Clock } from '../clock.js';
import { Fault } from '../fault.js';
import { type Answer, type Command, type Event, MAX_EVENTS_PER_STEP } from './machine.js';
import { type Addressee, commandFrom, eventFrom, type OutcomeAnswer, outcomeMessage } from './messages.js';
import type { FsmStore } from './store.js';

/** How many events a batch or a frame may hold. */
export const MAX_BATCH_EVENTS = 1_000;

export interface EventsOptions {
  store: FsmStore;
  clock: Clock;
  validate: Validate;
  /** An error as a message, for the item that it befell. */
  statusOf: (error: unknown) => Status;
  /** Told the kind of every outcome, for metrics. */
  onOutcome?: (kind: string) => void;
}

/** An event on its way to its machine. */
interface Item {
  readonly index: number;
  readonly addressee: Addressee;
  readonly command: Command;
}

/** What a batch needs of its call. */
export type BatchCall = Pick<Call, 'signal' | 'access'>;

/** Runs `step` after whatever was queued for the same machine before it. */
export type Queue = (machineKey: string, step: () => Promise<void>) => Promise<void>;

const atOnce: Queue = (_machineKey, step) => step();

export class Events {
  readonly #options: EventsOptions;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** Applies one event; rejects with a Fault where a batch would answer an error. */
  async send(request: SendEventRequest, signal: AbortSignal): Promise<EventOutcome> {
    const { addressee, command } = this.#item(request, 0);
    const { configurationName, fsmId } = addressee;
    const [answer] = await this.#options.store.advance(configurationName, fsmId, [command], signal);
    return this.outcome(addressee, answer as Answer, signal);
  }

  /**
   * Applies a batch; resolves to one result for each event, in order, and never rejects. Nothing of an
   * event that the caller may not send reaches the store.
   */
  async sendAll(
    requests: readonly SendEventRequest[],
    { signal, access }: BatchCall,
    queue: Queue = atOnce,
  ): Promise<EventResult[]> {
    const results: EventResult[] = new Array(requests.length);
    const lines = new Map<string, Item[]>();
    requests.forEach((request, index) => {
      const violations = this.#options.validate(SendEventRequestSchema, request);
      if (violations.length > 0) {
        results[index] = this.#errorResult(invalid(violations));
        return;
      }
      if (!access.allows(request.configurationName)) {
        results[index] = this.#errorResult(access.denial());
        return;
      }
      const key = JSON.stringify([request.configurationName, request.fsmId]);
      const line = lines.get(key);
      if (line) line.push(this.#item(request, index));
      else lines.set(key, [this.#item(request, index)]);
    });
    await Promise.all(
      Array.from(lines, ([key, line]) => queue(key, () => this.#advanceLine(line, results, signal))),
    );
    return results;
  }

  /** The outcome message for an answer; EVENT_ID_REUSED is a Fault. */
  async outcome(addressee: Addressee, answer: Answer, signal: AbortSignal): Promise<EventOutcome> {
    if (answer.kind === 'event_id_reused') throw eventIdReused(addressee);
    return this.#describe(addressee, answer, signal);
  }

  /**
   * The events of one machine, in order, in as few steps as the store allows. After a step that failed
   * the rest is not tried: a caller that sends the failed ones again keeps their order.
   */
  async #advanceLine(line: readonly Item[], results: EventResult[], signal: AbortSignal): Promise<void> {
    for (let start = 0; start < line.length; start += MAX_EVENTS_PER_STEP) {
      const end = start + MAX_EVENTS_PER_STEP;
      if (await this.#advanceStep(line.slice(start, end), results, signal)) continue;
      for (const { index } of line.slice(end)) results[index] = this.#errorResult(notTried());
      return;
    }
  }

  /** True if the step was taken, whatever it answered. */
  async #advanceStep(items: readonly Item[], results: EventResult[], signal: AbortSignal): Promise<boolean> {
    const { configurationName, fsmId } = (items[0] as Item).addressee;
    try {
      const commands = items.map(({ command }) => command);
      const answers = await this.#options.store.advance(configurationName, fsmId, commands, signal);
      for (const [i, item] of items.entries())
        results[item.index] = await this.#result(item.addressee, answers[i] as Answer, signal);
      return true;
    } catch (error) {
      for (const { index } of items) results[index] = this.#errorResult(error);
      return false;
    }
  }

  /** Never rejects: what goes wrong after the step was taken is this item's alone. */
  async #result(addressee: Addressee, answer: Answer, signal: AbortSignal): Promise<EventResult> {
    try {
      const value = await this.outcome(addressee, answer, signal);
      return create(EventResultSchema, { result: { case: 'outcome', value } });
    } catch (error) {
      return this.#errorResult(error);
    }
  }

  async #describe(addressee: Addressee, answer: OutcomeAnswer, signal: AbortSignal): Promise<EventOutcome> {
    const outcome = answer.kind === 'outcome' ? answer.outcome : undefined;
    this.#options.onOutcome?.(outcome?.kind ?? answer.kind);
    const configuration =
      outcome?.kind === 'not_allowed'
        ? await this.#options.store.getConfiguration(
            addressee.configurationName,
            outcome.configurationVersion,
            signal,
          )
        : undefined;
    return outcomeMessage(addressee, answer, configuration);
  }

  #errorResult(error: unknown): EventResult {
    const value = this.#options.statusOf(error);
    return create(EventResultSchema, { result: { case: 'error', value } });
  }

  #item(request: SendEventRequest, index: number): Item {
    const { configurationName, fsmId, event: message } = request;
    if (!message) throw Fault.invalidField('event', 'is required');
    const eventId = message.eventId === '' ? randomUUID() : message.eventId;
    const event: Event = eventFrom(message, eventId, this.#options.clock.nowMs());
    return { index, addressee: { configurationName, fsmId, eventId }, command: commandFrom(request, event) };
  }
}

function invalid(violations: Fault['violations']): Fault {
  const [first] = violations;
  return new Fault('INVALID_FIELD', `${first?.field}: ${first?.description}`, { violations });
}

function notTried(): Fault {
  return new Fault('STORE_UNAVAILABLE', 'not tried, since an earlier event of this machine failed');
}

export function eventIdReused({ configurationName, fsmId, eventId }: Addressee): Fault {
  return new Fault(
    'EVENT_ID_REUSED',
    'this event_id was used for another event of this machine; a new event needs a new id',
    { facts: { configuration_name: configurationName, fsm_id: fsmId, event_id: eventId } },
  );
}
