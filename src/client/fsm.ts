/**
 * State machines: one method for each rpc, with what a caller would have to write around it. Ids that
 * make a write safe to repeat are made here before the first try, lists are async iterables over all
 * pages, refusals are values unless an error is asked for. Requests and answers are the messages of
 * switchgear.fsm.v1, whose comments are the contract; versions and counts are bigint.
 */
import { randomUUID } from 'node:crypto';
import { isMessage, type MessageInitShape } from '@bufbuild/protobuf';
import type { CallOptions, Client } from '@connectrpc/connect';
import type {
  AppliedTransition,
  Configuration,
  ConfigurationSchema,
  EventOutcome,
  FiniteStateMachine,
  Retention,
} from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import * as pb from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { type SwitchgearError, statusError, toSwitchgearError } from './errors.js';
import { EventStream } from './event-stream.js';
import { EventRefusedError } from './refusals.js';
import { backOff } from './retry.js';
import { type WatchEvent, type WatchRequest, watch } from './watch.js';

/** For every call. */
export interface CallControl {
  /** Ends the call and every repeat of it. */
  readonly signal?: AbortSignal;
  /** In milliseconds, repeats included; the connection's unless given. */
  readonly timeoutMs?: number;
}

/** An event to send: its name, or all of it. */
export type EventInit = string | NonNullable<MessageInitShape<typeof pb.SendEventRequestSchema>['event']>;

export interface SendInit {
  readonly configurationName: string;
  readonly fsmId: string;
  readonly event: EventInit;
  /** Apply it only while this is the machine's version. */
  readonly expectedVersion?: bigint;
  /** Apply it only while this is the machine's state. */
  readonly expectedState?: string;
}

/** What became of one event of a batch. */
export type SendResult = { readonly outcome: EventOutcome } | { readonly error: SwitchgearError };

/** True if a request holds the id that lets it be repeated with one effect. */
export function carriesId(message: object): boolean {
  if (isMessage(message, pb.SendEventRequestSchema)) return Boolean(message.event?.eventId);
  if (isMessage(message, pb.SendEventsRequestSchema)) return message.events.every(carriesId);
  if (isMessage(message, pb.CreateFiniteStateMachineRequestSchema)) return message.requestId !== '';
  return false;
}

export class FsmClient {
  readonly #rpc: Client<typeof pb.FsmService>;

  /** @internal use `connect` */
  constructor(rpc: Client<typeof pb.FsmService>) {
    this.#rpc = rpc;
  }

  /**
   * Creates a configuration, or finds it there with the same content.
   * @throws InvalidFieldError when it contradicts itself; ConfigurationExistsError when other content is there
   */
  createConfiguration(
    configuration: MessageInitShape<typeof ConfigurationSchema>,
    control: CallControl = {},
  ): Promise<pb.CreateConfigurationResponse> {
    return failing(this.#rpc.createConfiguration({ configuration }, options(control)));
  }

  /** One version of a configuration, or the newest. @throws ConfigurationNotFoundError */
  async getConfiguration(name: string, version = '', control: CallControl = {}): Promise<Configuration> {
    const { configuration } = await failing(this.#rpc.getConfiguration({ name, version }, options(control)));
    return present(configuration);
  }

  /** The names of all configurations. */
  listConfigurations(control: CallControl = {}): AsyncIterable<string> {
    return pages(async (pageToken) => {
      const page = await this.#rpc.listConfigurations({ pageSize: 1_000, pageToken }, options(control));
      return [page.names, page.nextPageToken];
    });
  }

  /** The versions of a configuration, oldest first. @throws ConfigurationNotFoundError */
  listConfigurationVersions(name: string, control: CallControl = {}): AsyncIterable<Configuration> {
    return pages(async (pageToken) => {
      const page = await this.#rpc.listConfigurationVersions({ name, pageToken }, options(control));
      return [page.configurations, page.nextPageToken];
    });
  }

  /** A configuration as Mermaid text, with the state of a machine marked if one is named. */
  async renderConfiguration(
    request: MessageInitShape<typeof pb.RenderConfigurationRequestSchema>,
    control: CallControl = {},
  ): Promise<string> {
    return (await failing(this.#rpc.renderConfiguration(request, options(control)))).mermaid;
  }

  /**
   * Sets how many transitions each machine of a configuration keeps; 0 = all.
   * @throws RevisionMismatchError when `expectedRevision` no longer holds
   */
  async setRetention(
    request: MessageInitShape<typeof pb.SetRetentionRequestSchema>,
    control: CallControl = {},
  ): Promise<Retention> {
    return present((await failing(this.#rpc.setRetention(request, options(control)))).retention);
  }

  /** How many transitions each machine of a configuration keeps. @throws ConfigurationNotFoundError */
  async getRetention(configurationName: string, control: CallControl = {}): Promise<Retention> {
    return present(
      (await failing(this.#rpc.getRetention({ configurationName }, options(control)))).retention,
    );
  }

  /**
   * Creates a machine. Safe to repeat: a request id is made if none is given.
   * @throws FsmExistsError when another request made a machine with this id
   */
  async createFiniteStateMachine(
    request: MessageInitShape<typeof pb.CreateFiniteStateMachineRequestSchema>,
    control: CallControl = {},
  ): Promise<FiniteStateMachine> {
    const sent = { ...request, requestId: request.requestId || randomUUID() };
    return present((await failing(this.#rpc.createFiniteStateMachine(sent, options(control)))).fsm);
  }

  /** A machine as it is now, with up to `historySize` of its newest transitions. @throws FsmNotFoundError */
  async getFiniteStateMachine(
    request: MessageInitShape<typeof pb.GetFiniteStateMachineRequestSchema>,
    control: CallControl = {},
  ): Promise<FiniteStateMachine> {
    return present((await failing(this.#rpc.getFiniteStateMachine(request, options(control)))).fsm);
  }

  /** All machines of a configuration name, or those of a version or in a state. */
  listFiniteStateMachines(
    filter: { configurationName: string; configurationVersion?: string; state?: string },
    control: CallControl = {},
  ): AsyncIterable<FiniteStateMachine> {
    return pages(async (pageToken) => {
      const request = { ...filter, pageSize: 1_000, pageToken };
      const page = await this.#rpc.listFiniteStateMachines(request, options(control));
      return [page.fsms, page.nextPageToken];
    });
  }

  /** How many machines are in each state. @throws ConfigurationNotFoundError */
  async countByState(
    request: MessageInitShape<typeof pb.CountByStateRequestSchema>,
    control: CallControl = {},
  ): Promise<pb.CountByStateResponse> {
    return failing(this.#rpc.countByState(request, options(control)));
  }

  /** The kept history of a machine, oldest first unless `newestFirst`. @throws FsmNotFoundError */
  listTransitions(
    machine: { configurationName: string; fsmId: string; newestFirst?: boolean },
    control: CallControl = {},
  ): AsyncIterable<AppliedTransition> {
    return pages(async (pageToken) => {
      const request = { ...machine, pageSize: 1_000, pageToken };
      const page = await this.#rpc.listTransitions(request, options(control));
      return [page.transitions, page.nextPageToken];
    });
  }

  /** Deletes a machine; false if there was none. @throws UidMismatchError when `uid` is another machine's */
  async deleteFiniteStateMachine(
    request: MessageInitShape<typeof pb.DeleteFiniteStateMachineRequestSchema>,
    control: CallControl = {},
  ): Promise<boolean> {
    return (await failing(this.#rpc.deleteFiniteStateMachine(request, options(control)))).existed;
  }

  /** What a machine would accept now. @throws FsmNotFoundError */
  listAllowedEvents(
    configurationName: string,
    fsmId: string,
    control: CallControl = {},
  ): Promise<pb.ListAllowedEventsResponse> {
    return failing(this.#rpc.listAllowedEvents({ configurationName, fsmId }, options(control)));
  }

  /**
   * Sends one event and returns what became of it; a refusal is a returned outcome too.
   * An event without an id gets one, so that repeats have one effect.
   * @throws EventIdReusedError when its id was used for another event of this machine
   */
  async sendEvent(request: SendInit, control: CallControl = {}): Promise<EventOutcome> {
    const { outcome } = await failing(this.#rpc.sendEvent(withEventId(request), options(control)));
    return present(outcome);
  }

  /** `sendEvent`, but a refusal is thrown. @throws EventRefusedError with the outcome */
  async apply(request: SendInit, control: CallControl = {}): Promise<EventOutcome> {
    const outcome = await this.sendEvent(request, control);
    if (outcome.result.case !== 'applied') throw new EventRefusedError(outcome);
    return outcome;
  }

  /**
   * Sends up to 1,000 events to any machines; the answers come in their order and each is an outcome or
   * an error of its own. Items that answered UNAVAILABLE are sent again until the deadline, those of one
   * machine from the first such item on, so that their order holds.
   */
  async sendEvents(requests: readonly SendInit[], control: CallControl = {}): Promise<SendResult[]> {
    const events = requests.map(withEventId);
    const deadline = AbortSignal.timeout(control.timeoutMs ?? 10_000);
    const signal = control.signal ? AbortSignal.any([control.signal, deadline]) : deadline;
    const results: SendResult[] = [];
    let open = events.map((_, i) => i);
    for (let attempt = 1; open.length > 0; attempt += 1) {
      const answer = await failing(
        this.#rpc.sendEvents({ events: open.map((i) => events[i]!) }, { ...options(control), signal }),
      );
      for (const [at, i] of open.entries()) results[i] = resultOf(answer.results[at]!);
      open = open.filter((i) => isUnavailableResult(results[i]!));
      if (open.length === 0 || signal.aborted) break;
      await backOff(attempt, signal).catch(() => {});
    }
    return results;
  }

  /**
   * A stream for throughput: many events under way on one call, answered as they are applied. Events of
   * one machine are applied in the order sent. Close it, or let `await using` do that.
   */
  openEventStream(control: CallControl = {}): EventStream {
    return new EventStream(this.#rpc, control);
  }

  /** The stored outcome of an event. @throws OutcomeNotFoundError */
  async getEventOutcome(
    request: MessageInitShape<typeof pb.GetEventOutcomeRequestSchema>,
    control: CallControl = {},
  ): Promise<EventOutcome> {
    return present((await failing(this.#rpc.getEventOutcome(request, options(control)))).outcome);
  }

  /** An applied event with its transition. @throws EventNotFoundError */
  getEvent(
    request: MessageInitShape<typeof pb.GetEventRequestSchema>,
    control: CallControl = {},
  ): Promise<pb.GetEventResponse> {
    return failing(this.#rpc.getEvent(request, options(control)));
  }

  /**
   * Watches machines of one configuration name. Goes on by itself from its cursor when the connection or
   * the server is lost; leave the loop, or abort `signal`, to end it.
   * @throws CursorExpiredError when what comes next is no longer kept and no snapshot was asked for
   */
  watchTransitions(
    request: WatchRequest,
    control: { signal?: AbortSignal } = {},
  ): AsyncGenerator<WatchEvent> {
    return watch(this.#rpc, request, control.signal);
  }

  /** Compares lists and machines; yields progress, the last one with `done`. */
  async *auditIndex(
    configurationName: string,
    control: { signal?: AbortSignal } = {},
  ): AsyncGenerator<pb.AuditIndexResponse> {
    try {
      yield* this.#rpc.auditIndex({ configurationName }, { ...control, timeoutMs: 0 });
    } catch (error) {
      throw toSwitchgearError(error);
    }
  }
}

function options({ signal, timeoutMs }: CallControl): CallOptions {
  return { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
}

/** Resolves as the call does; what it throws is an error of ours. */
async function failing<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw toSwitchgearError(error);
  }
}

async function* pages<T>(read: (pageToken: string) => Promise<[readonly T[], string]>): AsyncGenerator<T> {
  let pageToken = '';
  do {
    const [items, next] = await failing(read(pageToken));
    yield* items;
    pageToken = next;
  } while (pageToken !== '');
}

/** The request as a message init with an event id. */
export function withEventId({ event, ...request }: SendInit) {
  const full = typeof event === 'string' ? { name: event } : event;
  return { ...request, event: { ...full, eventId: full.eventId || randomUUID() } };
}

export function resultOf({ result }: pb.EventResult): SendResult {
  if (result.case === 'outcome') return { outcome: result.value };
  return { error: statusError(present(result.value)) };
}

function isUnavailableResult(result: SendResult): boolean {
  return 'error' in result && result.error.code === 'UNAVAILABLE';
}

/** A field that the service always sets. */
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('the answer lacks a field that this client knows');
  return value;
}
