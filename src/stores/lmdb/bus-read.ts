/**
 * Looking at a stream. Events are read from the database in one snapshot with the stream's state; how
 * groups stand is told by what is in memory, which is loaded by a job if it is not.
 */
import {
  attemptsOf,
  DeliveryGroup,
  factsOf,
  type LogView,
  nextWithStatus,
  statusOf,
} from '../../bus/delivery.js';
import { DEFAULT_GROUP_OF_STREAM, type EventStatus, eventBytes, type StoredEvent } from '../../bus/event.js';
import type { BusStore } from '../../bus/store.js';
import type { EventsRead, Gone, ListedEvent } from '../../bus/verbs.js';
import { MAX_PAGE_BYTES } from '../../page.js';
import { type BusContext, GONE, GROUP_NOT_FOUND } from './bus-context.js';
import { byName } from './bus-groups.js';
import { eventKey, seqIn } from './bus-keys.js';
import { LoadedGroup, type LoadedStream } from './bus-loaded.js';
import { decodeEvent, type EventTuple, type StreamState } from './bus-records.js';
import { type Database, entriesIn, read } from './environment.js';

/** Entries that a filtered page looks at beyond its limit. */
const LOOKED_AT_BESIDE = 1_000;
/** Events that are read at once while it is not known how large they are. */
const CHUNK = 64;

export class BusReads {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  read(
    number: number,
    fromSeq: number,
    { limit, maxBytes }: { readonly limit: number; readonly maxBytes: number },
    signal: AbortSignal,
  ): Promise<EventsRead | Gone> {
    return read(signal, () => {
      const { db } = this.#context;
      if (!this.#context.record(number)) return GONE;
      const { firstSeq, lastSeq } = this.#context.state(number);
      const from = Math.max(fromSeq, firstSeq);
      const events = eventsFrom(db, number, from, Math.min(lastSeq, from + limit - 1), maxBytes);
      return { kind: 'events' as const, firstSeq, lastSeq, events };
    });
  }

  seqAt(number: number, timeMs: number, signal: AbortSignal): Promise<number | Gone> {
    return read(signal, () => {
      if (!this.#context.record(number)) return GONE;
      return seqAt(this.#context.db, number, this.#context.state(number), timeMs);
    });
  }

  facts(number: number, signal: AbortSignal): ReturnType<BusStore['getStreamFacts']> {
    return this.#context.look(number, signal, ({ state, record, groups }, nowMs) => ({
      kind: 'facts' as const,
      stream: record.stream,
      firstSeq: state.firstSeq,
      lastSeq: state.lastSeq,
      bytes: state.bytes,
      groups: byName(groups.values()).map((loaded) =>
        factsOf(loaded.delivery as DeliveryGroup, loaded.record.group, loaded, nowMs),
      ),
    }));
  }

  list(
    number: number,
    name: string,
    status: EventStatus | undefined,
    fromSeq: number,
    limit: number,
    signal: AbortSignal,
  ): ReturnType<BusStore['listEvents']> {
    return this.#context.look(number, signal, (stream, nowMs) => {
      const loaded =
        stream.groups.get(name) ??
        (this.#context.isDefault(name) ? unborn(this.#context.db, stream) : undefined);
      if (!loaded) return GROUP_NOT_FOUND;
      const page = new ListedPage(loaded, loaded.delivery as DeliveryGroup, nowMs);
      return page.fill(status, fromSeq, limit);
    });
  }
}

/** The default group as it would be. */
function unborn(db: Database, stream: LoadedStream): LoadedGroup {
  const group = {
    name: '',
    settings: DEFAULT_GROUP_OF_STREAM,
    filter: undefined,
    revision: 0,
    generation: 0,
    createTimeMs: 0,
  };
  const loaded = new LoadedGroup(db, stream, { no: 0, group, requestId: '', requestHash: '' });
  const head = { cursor: stream.state.firstSeq, trimmedUnprocessed: 0, droppedDead: 0, lastDeath: 0 };
  loaded.delivery = new DeliveryGroup(group.settings, undefined, head);
  return loaded;
}

/** One page of events with their status. */
class ListedPage {
  readonly #log: LogView;
  readonly #group: DeliveryGroup;
  readonly #nowMs: number;
  readonly #items: ListedEvent[] = [];
  #bytes = 0;

  constructor(log: LogView, group: DeliveryGroup, nowMs: number) {
    this.#log = log;
    this.#group = group;
    this.#nowMs = nowMs;
  }

  fill(status: EventStatus | undefined, fromSeq: number, limit: number) {
    let looked = 0;
    let seq = this.#next(status, fromSeq);
    while (seq !== undefined && this.#items.length < limit && this.#bytes < MAX_PAGE_BYTES) {
      if (looked++ >= limit + LOOKED_AT_BESIDE) break;
      this.#look(seq, status);
      seq = this.#next(status, seq + 1);
    }
    return { kind: 'page' as const, items: this.#items, nextSeq: seq };
  }

  /** The next sequence to look at. */
  #next(status: EventStatus | undefined, from: number): number | undefined {
    if (status !== undefined) return nextWithStatus(this.#group, this.#log, status, from);
    const seq = Math.max(from, this.#log.firstSeq);
    return seq <= this.#log.lastSeq ? seq : undefined;
  }

  #look(seq: number, wanted: EventStatus | undefined): void {
    const status = statusOf(this.#group, seq, this.#nowMs);
    if (wanted !== undefined && status !== wanted) return;
    const event = this.#log.event(seq);
    if (!event) return;
    this.#items.push({ event, status, attempts: attemptsOf(this.#group, seq) });
    this.#bytes += eventBytes(event);
  }
}

/** From one sequence to another, at most about `maxBytes` but at least one. */
function eventsFrom(db: Database, number: number, from: number, to: number, maxBytes: number): StoredEvent[] {
  const events: StoredEvent[] = [];
  let bytes = 0;
  for (let start = from; start <= to; start += CHUNK) {
    const range = { start: eventKey(number, start), end: eventKey(number, Math.min(to + 1, start + CHUNK)) };
    for (const { key, value } of entriesIn<EventTuple>(db, range, { limit: CHUNK })) {
      const event = decodeEvent(seqIn(key), value);
      bytes += eventBytes(event);
      if (events.length > 0 && bytes > maxBytes) return events;
      events.push(event);
    }
  }
  return events;
}

/** The first sequence kept that was written at or after a time, by halving: times never go back. */
export function seqAt(
  db: Database,
  number: number,
  { firstSeq, lastSeq }: Pick<StreamState, 'firstSeq' | 'lastSeq'>,
  timeMs: number,
): number {
  let low = firstSeq;
  let high = lastSeq + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const tuple = db.get(eventKey(number, middle)) as EventTuple | undefined;
    if (tuple !== undefined && tuple[0] < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
