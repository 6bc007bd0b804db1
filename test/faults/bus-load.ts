/**
 * Producers and workers of one group that go on through whatever a test does to servers and engines: a
 * write is repeated under its id until it is answered, a stream that broke is opened anew. In the end
 * bus-log.ts says whether the delivery contract was kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { EventStatus, type LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import {
  BusService,
  type MarkAnswer,
  MarkAnswer_Result,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { breaches, type Fact, type HandOut, type Mark, type MarkResult } from '../support/bus-log.js';
import { eventually } from '../support/waiting.js';

export type Bus = Client<typeof BusService>;

export function busAt(grpcAddress: string): Bus {
  return createClient(BusService, createGrpcTransport({ baseUrl: `http://${grpcAddress}` }));
}

export interface BusLoadOptions {
  /** Where servers listen now; callers are spread over them, and ask again whenever a call failed. */
  addresses(): readonly string[];
  readonly producers?: number;
  readonly workers?: number;
  /** 0 = unlimited. Events labelled `poison-...` are always marked RETRY, and die of it. */
  readonly maxAttempts?: number;
}

const STREAM = 'orders';
const GROUP = 'workers';
const BATCH_EVENTS = 5;
/** Short, so that a test can wait for the leases of what it killed. */
const ACK_DEADLINE = { seconds: 1n };
const BACKOFF = { nanos: 10_000_000 };
/** Producers wait for workers at this distance, so that a test is not spent on working off. */
const MAX_BACKLOG = 200;
/** How soon one tries again what failed. */
const AGAIN_MS = 20;

export class BusLoad {
  readonly facts: Fact[] = [];
  readonly #options: Required<BusLoadOptions>;
  readonly #buses = new Map<string, Bus>();
  readonly #over = new AbortController();
  #calls = 0;
  #written = 0;
  #marked = 0;
  #isWriting = true;
  #producers: Promise<unknown> = Promise.resolve();
  #workers: Promise<unknown> = Promise.resolve();

  private constructor(options: BusLoadOptions) {
    this.#options = { producers: 6, workers: 6, maxAttempts: 0, ...options };
  }

  static async start(options: BusLoadOptions): Promise<BusLoad> {
    const load = new BusLoad(options);
    const bus = load.#bus();
    await bus.createStream({ name: STREAM });
    const { maxAttempts, producers, workers } = load.#options;
    const settings = { ackDeadline: ACK_DEADLINE, maxAttempts, minBackoff: BACKOFF, maxBackoff: BACKOFF };
    await bus.createGroup({ stream: STREAM, group: GROUP, settings });
    load.#producers = Promise.all(Array.from({ length: producers }, (_, i) => load.#produce(i)));
    load.#workers = Promise.all(Array.from({ length: workers }, (_, i) => load.#work(i)));
    // A failure is told by whoever waits for the end; until then it is nobody's.
    for (const all of [load.#producers, load.#workers]) all.catch(() => {});
    return load;
  }

  /** Resolves once so many more events were answered OK and so many more marked OK. */
  async underWay(count: number): Promise<void> {
    const [written, marked] = [this.#written + count, this.#marked + count];
    const isSo = () => this.#written >= written && this.#marked >= marked;
    await eventually(isSo, `${count} more events are written and marked`, 20_000);
  }

  /** Lets producers finish, waits until nothing is left to hand out, ends the workers; the breaches found. */
  async finish(): Promise<string[]> {
    this.#isWriting = false;
    await this.#producers;
    await eventually(() => this.#isWorkedOff(), 'everything is worked off', 20_000);
    this.#over.abort();
    await this.#workers;
    const { maxAttempts } = this.#options;
    return breaches(this.facts, { events: await this.#everything(), dead: await this.#dead(), maxAttempts });
  }

  /** Ends it where it stands: for a test that failed. */
  stop(): void {
    this.#isWriting = false;
    this.#over.abort();
  }

  /** How often events of the log were handed out anew. */
  get redeliveries(): number {
    return this.facts.filter((fact) => fact.kind === 'delivered' && fact.attempt > 1).length;
  }

  /** One server after the other: what failed at one is tried at the next. */
  #bus(): Bus {
    const all = this.#options.addresses();
    this.#calls += 1;
    const address = all[this.#calls % all.length] as string;
    const bus = this.#buses.get(address) ?? busAt(address);
    this.#buses.set(address, bus);
    return bus;
  }

  /** One key, and no key for every other batch. */
  async #produce(number: number): Promise<void> {
    for (let i = 0; this.#isWriting; i++) {
      while (this.#isWriting && this.#written - this.#marked > MAX_BACKLOG) await sleep(AGAIN_MS);
      const key = i % 2 === 0 ? `key-${number}` : '';
      const isPoison = this.#options.maxAttempts > 0 && i % 7 === 3;
      const label = `${isPoison ? 'poison' : 'event'}-${number}-${i}`;
      if (i % 3 === 0) await this.#writeOne(key, label);
      else await this.#writeBatch(key, label);
    }
  }

  async #writeOne(key: string, label: string): Promise<void> {
    const event = { ...eventOf(key, label), dedupeId: label };
    const answer = await again(() => this.#bus().writeEvent({ stream: STREAM, event }));
    this.#note(key, [label], [answer.event]);
  }

  async #writeBatch(key: string, label: string): Promise<void> {
    const labels = Array.from({ length: BATCH_EVENTS }, (_, n) => `${label}-${n}`);
    const events = labels.map((each) => eventOf(key, each));
    const request = { stream: STREAM, events, requestId: label };
    const answer = await again(() => this.#bus().writeEvents(request));
    this.#note(key, labels, answer.events);
  }

  #note(
    key: string,
    labels: readonly string[],
    written: readonly ({ eventId: string; seq: bigint } | undefined)[],
  ): void {
    for (const [n, label] of labels.entries()) {
      const { eventId = '', seq = 0n } = written[n] ?? {};
      this.facts.push({ kind: 'written', label, key, eventId, seq: Number(seq) });
      this.#written += 1;
    }
  }

  async #work(number: number): Promise<void> {
    const { signal } = this.#over;
    const request = {
      stream: STREAM,
      group: GROUP,
      follow: true,
      maxFrameEvents: 20,
      maxOutstandingMessages: 60,
    };
    const marks: Promise<void>[] = [];
    for (let turn = 0; !signal.aborted; turn++)
      try {
        for await (const { events } of this.#bus().processEvents(request, { signal })) {
          for (const event of events) this.#receive(event, `worker ${number}, stream ${turn}`);
          marks.push(this.#markAll(events));
        }
      } catch (error) {
        if (signal.aborted) break;
        expectOutage(error);
        await sleep(AGAIN_MS);
      }
    await Promise.all(marks);
  }

  #receive({ event, leaseToken, attempt, deadline }: LeasedEvent, worker: string): void {
    this.facts.push({
      kind: 'delivered',
      eventId: event?.eventId ?? '',
      label: labelOf(event),
      key: event?.orderingKey ?? '',
      seq: Number(event?.seq),
      attempt,
      token: leaseToken,
      worker,
      deadlineMs: Number(deadline?.seconds) * 1_000 + Math.floor((deadline?.nanos ?? 0) / 1e6),
      atMs: Date.now(),
    });
  }

  /** Marks each until it is answered; only the first time is an answer the whole truth. */
  async #markAll(events: readonly LeasedEvent[]): Promise<void> {
    const handOuts = events.map(({ event, leaseToken }): Open => {
      const as: Mark = labelOf(event).startsWith('poison') ? 'RETRY' : 'PROCESSED';
      return { eventId: event?.eventId ?? '', token: leaseToken, as };
    });
    for (const handOut of handOuts) this.facts.push({ kind: 'mark_begun', ...handOut });
    let open: readonly Open[] = handOuts;
    for (let tries = 1; open.length > 0; tries++) {
      const marks = open.map(requestOf);
      const unanswered = () => ({ answers: [] as MarkAnswer[] });
      const { answers } = await orElse(() => this.#bus().markEvents({ marks }), unanswered);
      for (const [n, handOut] of open.entries()) this.#noteMark(handOut, answers[n], tries > 1);
      open = open.filter((_, n) => !isAnswered(answers[n]));
      if (open.length > 0) await sleep(AGAIN_MS);
    }
  }

  #noteMark(handOut: Open, answer: MarkAnswer | undefined, isRepeated: boolean): void {
    if (!isAnswered(answer)) return;
    const result = resultOf(answer, isRepeated);
    this.facts.push({ kind: 'marked', ...handOut, result });
    if (result === 'OK') this.#marked += 1;
  }

  async #isWorkedOff(): Promise<boolean> {
    const { groups } = await again(() => this.#bus().getStreamInfo({ stream: STREAM }));
    const info = groups.find(({ group }) => group?.name === GROUP);
    if (!info) throw new Error('the group is gone');
    return info.unprocessed === 0n && info.leased + info.retrying + info.waiting === 0n;
  }

  async #everything(): Promise<{ label: string; eventId: string; seq: number }[]> {
    const all = [];
    let pageToken = '';
    do {
      const page = await this.#bus().getStreamEvents({
        stream: STREAM,
        group: GROUP,
        pageSize: 1_000,
        pageToken,
      });
      for (const event of page.events)
        all.push({ label: labelOf(event), eventId: event.eventId, seq: Number(event.seq) });
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return all;
  }

  async #dead(): Promise<string[]> {
    const ids: string[] = [];
    let pageToken = '';
    do {
      const page = await this.#bus().listDeadLetters({
        stream: STREAM,
        group: GROUP,
        pageSize: 1_000,
        pageToken,
      });
      ids.push(...page.deadLetters.map(({ event }) => event?.eventId ?? ''));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return ids;
  }
}

function eventOf(orderingKey: string, label: string) {
  return { type: 'order', orderingKey, body: { case: 'data' as const, value: Buffer.from(label) } };
}

function labelOf(event: LeasedEvent['event']): string {
  return event?.body.case === 'data' ? Buffer.from(event.body.value).toString() : '';
}

/** A mark under way. */
interface Open extends HandOut {
  readonly as: Mark;
}

function requestOf({ eventId, token, as }: Open) {
  const status = as === 'RETRY' ? EventStatus.RETRY : EventStatus.PROCESSED;
  return { eventId, leaseToken: token, status };
}

/** An item that an outage befell has an error in the place of its answer. */
function isAnswered(answer: MarkAnswer | undefined): answer is MarkAnswer {
  const code = answer?.error?.code;
  return answer !== undefined && code !== Code.Unavailable && code !== Code.ResourceExhausted;
}

/** A mark that took effect and is repeated finds its lease ended: it cannot know. */
function resultOf(answer: MarkAnswer, isRepeated: boolean): MarkResult {
  if (answer.result === MarkAnswer_Result.OK) return 'OK';
  if (answer.result !== MarkAnswer_Result.STALE)
    throw new Error(`a mark was answered ${answer.result}: ${answer.error?.message}`);
  return isRepeated ? 'UNKNOWN' : 'STALE';
}

/** Calls until there is an answer. */
export async function again<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    const answer = await orElse(call, () => undefined);
    if (answer !== undefined) return answer;
    await sleep(AGAIN_MS);
  }
}

/** What the call answers; the other if there was an outage. */
async function orElse<T, U>(call: () => Promise<T>, other: () => U): Promise<T | U> {
  try {
    return await call();
  } catch (error) {
    expectOutage(error);
    return other();
  }
}

/** The reason in an error's ErrorInfo; empty where no server gave one. */
export function reasonOf(error: unknown): string {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? '';
}

/** What a server says when it, or its store, cannot for now. */
const OUTAGES = ['STORE_UNAVAILABLE', 'EFFECT_UNKNOWN', 'DRAINING', 'STORE_FULL'];
/** What a client makes of a server that is not there, or no longer. */
const BREAKS = [Code.Unavailable, Code.Canceled, Code.Aborted];

/** Throws what is neither an outage nor a store that is full for now. */
function expectOutage(error: unknown): void {
  const reason = reasonOf(error);
  const isOutage = reason === '' ? BREAKS.includes(ConnectError.from(error).code) : OUTAGES.includes(reason);
  if (!isOutage) throw error;
}
