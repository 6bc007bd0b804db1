/**
 * Many writes as few calls: events that are written close to each other travel as one batch, in the order
 * of the writes, one batch at a time. Every batch has a request id, so that a repeat after a lost answer has
 * one effect. When a batch fails, what is queued behind it fails with it: nothing is written before what
 * was to be in front of it.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@connectrpc/connect';
import type { NewEvent, WrittenEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import type { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { type NewEventInit, newEventOf, sentBytes } from './bus-bodies.js';
import type { SwitchgearError } from './errors.js';
import { toSwitchgearError } from './failure.js';
import { type CallControl, callOptions, present } from './sending.js';

export interface WriterOptions extends CallControl {
  /** How many events a batch holds at most; 1,000 unless given, which is the most. */
  readonly maxBatchEvents?: number;
  /** How many bytes a batch holds at most; 1 MiB unless given. A larger event travels alone. */
  readonly maxBatchBytes?: number;
  /** How long a lone event waits for others, in milliseconds; 2 unless given. */
  readonly lingerMs?: number;
  /** How many events wait at most before `ready` does; 10,000 unless given. */
  readonly maxWaitingEvents?: number;
  /** How many bytes wait at most before `ready` does; 16 MiB unless given. */
  readonly maxWaitingBytes?: number;
}

const MIB = 1024 * 1024;

interface Waiting {
  readonly event: NewEvent;
  readonly bytes: number;
  settle(written: WrittenEvent): void;
  fail(error: unknown): void;
}

export class BusWriter implements AsyncDisposable {
  readonly #rpc: Client<typeof BusService>;
  readonly #stream: string;
  readonly #options: WriterOptions;
  #queue: Waiting[] = [];
  #waitingEvents = 0;
  #waitingBytes = 0;
  #sending: Promise<void> | undefined;
  #isUrgent = false;
  #isClosed = false;
  #failure: unknown;
  #wake: () => void = () => {};
  #roomWatchers: (() => void)[] = [];

  /** @internal use `bus.writer` */
  constructor(rpc: Client<typeof BusService>, stream: string, options: WriterOptions) {
    this.#rpc = rpc;
    this.#stream = stream;
    this.#options = options;
  }

  /**
   * Resolves when there is room for another event. Await it before each write: the writer takes what it is
   * given, and this is what bounds its memory.
   */
  get ready(): Promise<void> {
    return this.#hasRoom() ? Promise.resolve() : this.#room();
  }

  /**
   * Writes an event with the next batch; resolves with its id and sequence once it is durable. Events are
   * written in the order of these calls.
   * @throws as `writeEvents`; an event that is refused for itself does not fail the others of its batch
   */
  write(init: NewEventInit): Promise<WrittenEvent> {
    if (this.#isClosed) return Promise.reject(new TypeError('the writer is closed'));
    const written = new Promise<WrittenEvent>((settle, fail) => {
      const event = newEventOf(init);
      const bytes = sentBytes(event);
      this.#queue.push({ event, bytes, settle, fail });
      this.#waitingEvents += 1;
      this.#waitingBytes += bytes;
      if (this.#isFullBatch()) this.#wake();
      this.#sending ??= this.#sendAll();
    });
    // Whoever looks at it late must not end the process; `flush` tells those who never look.
    written.catch((error) => {
      this.#failure ??= error;
    });
    return written;
  }

  /** Resolves when everything so far is written. @throws the first failure since the flush before */
  async flush(): Promise<void> {
    this.#isUrgent = true;
    this.#wake();
    await this.#sending;
    this.#isUrgent = false;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  /** Takes nothing more, and flushes. @throws as `flush` */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #sendAll(): Promise<void> {
    await this.#linger();
    while (this.#queue.length > 0) {
      const batch = this.#nextBatch();
      try {
        await this.#send(batch);
      } catch (error) {
        const behind = this.#queue;
        this.#queue = [];
        for (const each of [...batch, ...behind]) this.#end(each, () => each.fail(error));
      }
    }
    // In the same turn as the check above, so that no write is left without one who sends it.
    this.#sending = undefined;
  }

  async #linger(): Promise<void> {
    const { lingerMs = 2 } = this.#options;
    if (this.#isUrgent || this.#isFullBatch()) return;
    const timer = new AbortController();
    this.#wake = () => timer.abort();
    await sleep(lingerMs, undefined, { signal: timer.signal }).catch(() => {});
    this.#wake = () => {};
  }

  #isFullBatch(): boolean {
    const { maxBatchEvents = 1_000, maxBatchBytes = MIB } = this.#options;
    return this.#queue.length >= maxBatchEvents || this.#waitingBytes >= maxBatchBytes;
  }

  #nextBatch(): Waiting[] {
    const { maxBatchEvents = 1_000, maxBatchBytes = MIB } = this.#options;
    let [count, bytes] = [0, 0];
    for (const each of this.#queue) {
      if (count >= maxBatchEvents || (count > 0 && bytes + each.bytes > maxBatchBytes)) break;
      count += 1;
      bytes += each.bytes;
    }
    return this.#queue.splice(0, count);
  }

  /** Writes a batch; an item that is refused for itself is taken out, and the others are sent again. */
  async #send(batch: Waiting[]): Promise<void> {
    while (batch.length > 0) {
      const request = {
        stream: this.#stream,
        events: batch.map(({ event }) => event),
        requestId: randomUUID(),
      };
      try {
        const { events } = await this.#rpc.writeEvents(request, callOptions(this.#options));
        const items = batch.splice(0);
        for (const [i, each] of items.entries()) this.#end(each, () => each.settle(present(events[i])));
      } catch (thrown) {
        const error = toSwitchgearError(thrown);
        const at = batch.length > 1 ? refusedItem(error) : undefined;
        const [refused] = at === undefined ? [] : batch.splice(at, 1);
        if (!refused) throw error;
        this.#end(refused, () => refused.fail(error));
      }
    }
  }

  #end(each: Waiting, tell: () => void): void {
    this.#waitingEvents -= 1;
    this.#waitingBytes -= each.bytes;
    tell();
    if (this.#hasRoom()) for (const wake of this.#roomWatchers.splice(0)) wake();
  }

  #hasRoom(): boolean {
    const { maxWaitingEvents = 10_000, maxWaitingBytes = 16 * MIB } = this.#options;
    return this.#waitingEvents < maxWaitingEvents && this.#waitingBytes < maxWaitingBytes;
  }

  async #room(): Promise<void> {
    while (!this.#hasRoom())
      await new Promise<void>((resolve) => {
        this.#roomWatchers.push(resolve);
      });
  }
}

/** The item that a batch was refused for; undefined = the batch as a whole. */
function refusedItem({ code, violations, metadata }: SwitchgearError): number | undefined {
  if (code !== 'INVALID_ARGUMENT' && code !== 'ALREADY_EXISTS') return undefined;
  const [, index = metadata.index] = /^events\[(\d+)\]/.exec(violations[0]?.field ?? '') ?? [];
  return index === undefined ? undefined : Number(index);
}
