/**
 * Subscribe: every event of a stream to everybody who asks, from a place on. Nothing is buffered for a
 * reader: its place in the stream is its cursor, and what retention takes meanwhile is told as a gap. The
 * first frame comes at once, so that a reader knows from where on it misses nothing.
 */
import { create } from '@bufbuild/protobuf';
import {
  type SubscribeRequest,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { Fault, withCursor } from '../fault.js';
import { type EventFilter, matches, type Position, type StoredEvent, type Stream } from './event.js';
import { eventId, parseEventId } from './event-id.js';
import { cutFrame, frameBytes } from './frames.js';
import { eventMessage } from './messages.js';
import { found, mustGetStream, seqOutOfRange } from './missing.js';
import { filterFrom, positionFrom } from './settings.js';
import type { BusStore } from './store.js';

/** How many events a frame holds. */
const FRAME_EVENTS = 500;

/** How often a filter that lets nothing through still moves the reader's cursor on. */
const CURSOR_EVERY_MS = 1_000;

/** A reader that took this long for a frame, and has more than another one to read, is too slow. */
const STALLED_MS = 30_000;

export async function* subscribe(
  store: BusStore,
  request: SubscribeRequest,
  signal: AbortSignal,
): AsyncGenerator<SubscribeResponse> {
  if (request.cursor !== '' && request.from)
    throw Fault.invalidField('from', 'cannot be combined with a cursor; leave one out');
  const from = request.from ? positionFrom(request.from, 'from') : ({ kind: 'end' } as const);
  const stream = await mustGetStream(store, request.stream, signal);
  const seq =
    request.cursor === ''
      ? await seqFrom(store, stream, from, signal)
      : await seqAfter(store, stream, request.cursor, signal);
  const tail = new Tail(store, stream, seq, signal);
  try {
    yield* tail.frames(filterFrom(request.filter));
  } catch (error) {
    throw withCursor(signal.aborted ? signal.reason : error, tail.cursor);
  } finally {
    tail.close();
  }
}

/** One reader's way along a stream. */
class Tail {
  readonly #store: BusStore;
  readonly #stream: Stream;
  readonly #signal: AbortSignal;
  readonly #stopListening: () => void;
  /** The sequence that is read next. */
  #seq: number;
  #sentMs = Number.NEGATIVE_INFINITY;
  #looks = 0;
  #wake: () => void = () => {};

  constructor(store: BusStore, stream: Stream, seq: number, signal: AbortSignal) {
    this.#store = store;
    this.#stream = stream;
    this.#seq = seq;
    this.#signal = signal;
    this.#stopListening = store.listen(stream.number, this.#look);
    signal.addEventListener('abort', this.#look);
  }

  get cursor(): string {
    return eventId({ number: this.#stream.number, seq: this.#seq });
  }

  close(): void {
    this.#stopListening();
    this.#signal.removeEventListener('abort', this.#look);
  }

  /** Ends by throwing. */
  async *frames(filter: EventFilter | undefined): AsyncGenerator<SubscribeResponse> {
    for (let isStalled = false; ; ) {
      const looks = this.#looks;
      const { events, gap, isEnd } = await this.#read();
      if (isStalled && !isEnd) throw tooSlow(this.cursor);
      this.#seq = (events.at(-1)?.seq ?? gap?.toSeq ?? this.#seq - 1) + 1;
      const frame = this.#frame(events, gap, filter);
      if (frame) {
        yield frame;
        isStalled = performance.now() - this.#sentMs > STALLED_MS;
      }
      if (isEnd) await this.#change(looks);
      if (this.#signal.aborted) throw this.#signal.reason;
    }
  }

  async #read(): Promise<{ events: readonly StoredEvent[]; gap: Gap | undefined; isEnd: boolean }> {
    const { number, name } = this.#stream;
    const nameBytes = Buffer.byteLength(name);
    const limits = { limit: FRAME_EVENTS, maxBytes: frameBytes(FRAME_EVENTS, nameBytes), wake: true };
    const read = found(await this.#store.read(number, this.#seq, limits, this.#signal), name);
    const events = cutFrame(read.events, (event) => event, nameBytes);
    const gap = read.firstSeq > this.#seq ? { fromSeq: this.#seq, toSeq: read.firstSeq - 1 } : undefined;
    return { events, gap, isEnd: (events.at(-1)?.seq ?? read.lastSeq) >= read.lastSeq };
  }

  /** Undefined = there is nothing to say. */
  #frame(
    events: readonly StoredEvent[],
    gap: Gap | undefined,
    filter: EventFilter | undefined,
  ): SubscribeResponse | undefined {
    const shown = events.filter((event) => matches(filter, event));
    const nowMs = performance.now();
    const isCursorOld = events.length > 0 && nowMs - this.#sentMs >= CURSOR_EVERY_MS;
    const isFirst = this.#sentMs === Number.NEGATIVE_INFINITY;
    if (shown.length === 0 && !gap && !isCursorOld && !isFirst) return undefined;
    this.#sentMs = nowMs;
    return create(SubscribeResponseSchema, {
      events: shown.map((event) => eventMessage(event, this.#stream)),
      ...(gap && { gap: { fromSeq: BigInt(gap.fromSeq), toSeq: BigInt(gap.toSeq) } }),
      cursor: this.cursor,
    });
  }

  readonly #look = (): void => {
    this.#looks += 1;
    this.#wake();
  };

  /** Resolves once something may have changed since so many looks. */
  async #change(looks: number): Promise<void> {
    if (looks === this.#looks && !this.#signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}

interface Gap {
  readonly fromSeq: number;
  readonly toSeq: number;
}

async function seqFrom(
  store: BusStore,
  { number, name }: Stream,
  from: Position,
  signal: AbortSignal,
): Promise<number> {
  if (from.kind === 'time') {
    const seq = await store.seqAt(number, from.timeMs, signal);
    return typeof seq === 'number' ? seq : found(seq, name);
  }
  const ends = await endsOf(store, number, name, signal);
  if (from.kind === 'beginning') return ends.firstSeq;
  if (from.kind === 'end') return ends.lastSeq + 1;
  if (from.seq > ends.lastSeq + 1) throw seqOutOfRange(ends);
  return from.seq;
}

/** Where a cursor goes on. */
async function seqAfter(
  store: BusStore,
  { number, name }: Stream,
  cursor: string,
  signal: AbortSignal,
): Promise<number> {
  const place = parseEventId(cursor);
  if (place?.number !== number) throw Fault.invalidField('cursor', `is not a cursor of stream ${name}`);
  const { lastSeq } = await endsOf(store, number, name, signal);
  if (place.seq > lastSeq + 1)
    throw new Fault(
      'CURSOR_EXPIRED',
      'the stream ends before the cursor: the store has lost what was between',
    );
  return place.seq;
}

async function endsOf(store: BusStore, number: number, name: string, signal: AbortSignal) {
  const limits = { limit: 1, maxBytes: 1, wake: false };
  return found(await store.read(number, 1, limits, signal), name);
}

function tooSlow(cursor: string): Fault {
  return new Fault('SLOW_CONSUMER', 'the reader is too slow for the stream; go on from the cursor', {
    facts: { cursor },
  });
}
