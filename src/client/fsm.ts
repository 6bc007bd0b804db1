/**
 * State machines: one method for each rpc, with what a caller would have to write around it. Ids that
 * make a write safe to repeat are made here before the first try, lists are async iterables over all
 * pages, refusals are values unless an error is asked for. Requests and answers are the messages of
 * switchgear.fsm.v1, whose comments are the contract; versions and counts are bigint.
 */
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import type {
  AppliedTransition,
  Configuration,
  ConfigurationSchema,
  EventOutcome,
  FiniteStateMachine,
  Retention,
} from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import type * as pb from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { EventStream } from './event-stream.js';
import { failing, toSwitchgearError } from './failure.js';
import { pages } from './pages.js';
import { EventRefusedError } from './refusals.js';
import { type SentEvent, sendAll } from './send-all.js';
import { sendBatch } from './send-batch.js';
import {
  type CallControl,
  callOptions,
  present,
  type SendInit,
  type SendResult,
  withEventId,
} from './sending.js';
import { type WatchEvent, type WatchRequest, watch } from './watch.js';

/** The most that the service gives. */
const PAGE_SIZE = 1_000;

export class FsmClient {
  readonly #rpc: Client<typeof pb.FsmService>;
  readonly #timeoutMs: number;

  /** @internal use `connect` */
  constructor(rpc: Client<typeof pb.FsmService>, timeoutMs: number) {
    this.#rpc = rpc;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Creates a configuration, or finds it there with the same content.
   * @throws InvalidFieldError when it contradicts itself; ConfigurationExistsError when other content is there
   */
  createConfiguration(
    configuration: MessageInitShape<typeof ConfigurationSchema>,
    control: CallControl = {},
  ): Promise<pb.CreateConfigurationResponse> {
    return failing(this.#rpc.createConfiguration({ configuration }, callOptions(control)));
  }

  /** One version of a configuration, or the newest. @throws ConfigurationNotFoundError */
  async getConfiguration(name: string, version = '', control: CallControl = {}): Promise<Configuration> {
    const { configuration } = await failing(
      this.#rpc.getConfiguration({ name, version }, callOptions(control)),
    );
    return present(configuration);
  }

  /** The names of all configurations, read in pages of `pageSize` (at most 1,000, which it is unless given). */
  listConfigurations(control: CallControl & { pageSize?: number } = {}): AsyncIterable<string> {
    const { pageSize = PAGE_SIZE } = control;
    return pages(async (pageToken) => {
      const page = await this.#rpc.listConfigurations({ pageSize, pageToken }, callOptions(control));
      return [page.names, page.nextPageToken];
    });
  }

  /** The versions of a configuration, oldest first. @throws ConfigurationNotFoundError */
  listConfigurationVersions(name: string, control: CallControl = {}): AsyncIterable<Configuration> {
    return pages(async (pageToken) => {
      const page = await this.#rpc.listConfigurationVersions({ name, pageToken }, callOptions(control));
      return [page.configurations, page.nextPageToken];
    });
  }

  /** A configuration as Mermaid text, with the state of a machine marked if one is named. */
  async renderConfiguration(
    request: MessageInitShape<typeof pb.RenderConfigurationRequestSchema>,
    control: CallControl = {},
  ): Promise<string> {
    return (await failing(this.#rpc.renderConfiguration(request, callOptions(control)))).mermaid;
  }

  /**
   * Sets how many transitions each machine of a configuration keeps; 0 = all.
   * @throws RevisionMismatchError when `expectedRevision` no longer holds
   */
  async setRetention(
    request: MessageInitShape<typeof pb.SetRetentionRequestSchema>,
    control: CallControl = {},
  ): Promise<Retention> {
    return present((await failing(this.#rpc.setRetention(request, callOptions(control)))).retention);
  }

  /** How many transitions each machine of a configuration keeps. @throws ConfigurationNotFoundError */
  async getRetention(configurationName: string, control: CallControl = {}): Promise<Retention> {
    return present(
      (await failing(this.#rpc.getRetention({ configurationName }, callOptions(control)))).retention,
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
    return present((await failing(this.#rpc.createFiniteStateMachine(sent, callOptions(control)))).fsm);
  }

  /**
   * Brings a machine with its past from another store, in chunks of at most 1,000 transitions and 3 MiB.
   * Safe to repeat with the same `importId`: what is there already is left alone.
   * @throws FsmExistsError when the machine was not made by this import, or has another past
   */
  importFiniteStateMachine(
    request: MessageInitShape<typeof pb.ImportFiniteStateMachineRequestSchema>,
    control: CallControl = {},
  ): Promise<pb.ImportFiniteStateMachineResponse> {
    return failing(this.#rpc.importFiniteStateMachine(request, callOptions(control)));
  }

  /** A machine as it is now, with up to `historySize` of its newest transitions. @throws FsmNotFoundError */
  async getFiniteStateMachine(
    request: MessageInitShape<typeof pb.GetFiniteStateMachineRequestSchema>,
    control: CallControl = {},
  ): Promise<FiniteStateMachine> {
    return present((await failing(this.#rpc.getFiniteStateMachine(request, callOptions(control)))).fsm);
  }

  /**
   * All machines of a configuration name, or those of a version or in a state, read in pages of
   * `pageSize` (at most 1,000, which it is unless given).
   */
  listFiniteStateMachines(
    filter: { configurationName: string; configurationVersion?: string; state?: string; pageSize?: number },
    control: CallControl = {},
  ): AsyncIterable<FiniteStateMachine> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, ...filter, pageToken };
      const page = await this.#rpc.listFiniteStateMachines(request, callOptions(control));
      return [page.fsms, page.nextPageToken];
    });
  }

  /** How many machines are in each state. @throws ConfigurationNotFoundError */
  async countByState(
    request: MessageInitShape<typeof pb.CountByStateRequestSchema>,
    control: CallControl = {},
  ): Promise<pb.CountByStateResponse> {
    return failing(this.#rpc.countByState(request, callOptions(control)));
  }

  /**
   * The kept history of a machine, oldest first unless `newestFirst`, read in pages of `pageSize`.
   * @throws FsmNotFoundError
   */
  listTransitions(
    machine: { configurationName: string; fsmId: string; newestFirst?: boolean; pageSize?: number },
    control: CallControl = {},
  ): AsyncIterable<AppliedTransition> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, ...machine, pageToken };
      const page = await this.#rpc.listTransitions(request, callOptions(control));
      return [page.transitions, page.nextPageToken];
    });
  }

  /** Deletes a machine; false if there was none. @throws UidMismatchError when `uid` is another machine's */
  async deleteFiniteStateMachine(
    request: MessageInitShape<typeof pb.DeleteFiniteStateMachineRequestSchema>,
    control: CallControl = {},
  ): Promise<boolean> {
    return (await failing(this.#rpc.deleteFiniteStateMachine(request, callOptions(control)))).existed;
  }

  /** What a machine would accept now. @throws FsmNotFoundError */
  listAllowedEvents(
    configurationName: string,
    fsmId: string,
    control: CallControl = {},
  ): Promise<pb.ListAllowedEventsResponse> {
    return failing(this.#rpc.listAllowedEvents({ configurationName, fsmId }, callOptions(control)));
  }

  /**
   * Sends one event and returns what became of it; a refusal is a returned outcome too.
   * An event without an id gets one, so that repeats have one effect.
   * @throws EventIdReusedError when its id was used for another event of this machine
   */
  async sendEvent(request: SendInit, control: CallControl = {}): Promise<EventOutcome> {
    const { outcome } = await failing(this.#rpc.sendEvent(withEventId(request), callOptions(control)));
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
  sendEvents(requests: readonly SendInit[], control: CallControl = {}): Promise<SendResult[]> {
    return failing(sendBatch(this.#rpc, requests, { timeoutMs: this.#timeoutMs, ...control }));
  }

  /**
   * Sends any number of events over event streams and yields each with its answer, in their order. A
   * stream that breaks is opened again and what it left in doubt is sent again with the same ids, until
   * nothing was answered for `timeoutMs`. Reads ahead by at most 5,000 events.
   * @throws the SwitchgearError that ended the last stream, when it was given up
   */
  sendAll(
    requests: Iterable<SendInit> | AsyncIterable<SendInit>,
    control: CallControl = {},
  ): AsyncGenerator<SentEvent> {
    const open = () => this.openEventStream(control);
    return sendAll(open, requests, { timeoutMs: this.#timeoutMs, ...control });
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
    return present((await failing(this.#rpc.getEventOutcome(request, callOptions(control)))).outcome);
  }

  /** An applied event with its transition. @throws EventNotFoundError */
  getEvent(
    request: MessageInitShape<typeof pb.GetEventRequestSchema>,
    control: CallControl = {},
  ): Promise<pb.GetEventResponse> {
    return failing(this.#rpc.getEvent(request, callOptions(control)));
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
