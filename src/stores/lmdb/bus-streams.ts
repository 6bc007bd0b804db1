/**
 * Streams come, change and go. A name is the key to a number and is free the moment the stream goes, since
 * all that the stream holds lies under the number; the sweeper takes it away.
 */
import type { Stream, StreamSettings } from '../../bus/event.js';
import type { BusStore } from '../../bus/store.js';
import type { NewStream, Page } from '../../bus/verbs.js';
import type { Batch } from './batch.js';
import type { BusContext } from './bus-context.js';
import { heldByStream, STREAM_NAMES, streamKey, streamNameKey } from './bus-keys.js';
import {
  decodeStream,
  encodeStream,
  isSameRequest,
  type StreamRecord,
  type StreamTuple,
} from './bus-records.js';
import { entriesIn, read } from './environment.js';

type Answer<M extends keyof BusStore> = BusStore[M] extends (...args: never[]) => Promise<infer A>
  ? A
  : never;

export class BusStreams {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  create(wanted: NewStream, signal: AbortSignal): Promise<Answer<'createStream'>> {
    return this.#context.writer.write(signal, (batch) => this.#createIn(batch, wanted));
  }

  #createIn(batch: Batch, wanted: NewStream): Answer<'createStream'> {
    const { name, uid, settings, requestId, requestHash } = wanted;
    const there = recordNamed(batch, name);
    if (there) return { kind: isSameRequest(there, wanted) ? 'replayed' : 'exists', stream: there.stream };
    const number = this.#context.ledger(batch).nextNumber();
    const stream: Stream = { number, name, uid, settings, revision: 1, createTimeMs: batch.nowMs };
    batch.put(streamNameKey(name), number);
    batch.put(streamKey(number), encodeStream({ stream, requestId, requestHash }));
    return { kind: 'created', stream };
  }

  get(name: string, signal: AbortSignal): Promise<Stream | undefined> {
    return read(signal, () => {
      const number = this.#context.db.get(streamNameKey(name)) as number | undefined;
      return number === undefined ? undefined : this.#context.record(number)?.stream;
    });
  }

  getByNumber(number: number, signal: AbortSignal): Promise<Stream | undefined> {
    return read(signal, () => (isNumber(number) ? this.#context.record(number)?.stream : undefined));
  }

  update(
    name: string,
    settings: StreamSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<Answer<'updateStream'>> {
    return this.#context.writer.write(
      signal,
      (batch): Answer<'updateStream'> => {
        const there = recordNamed(batch, name);
        if (!there) return { kind: 'stream_not_found' };
        const { revision, number } = there.stream;
        if (expectedRevision !== undefined && expectedRevision !== revision)
          return { kind: 'revision_mismatch', stream: there.stream };
        const record = { ...there, stream: { ...there.stream, settings, revision: revision + 1 } };
        batch.put(streamKey(number), encodeStream(record));
        this.#context.ledger(batch).touched.add(number);
        const loaded = this.#context.inMemory(number);
        if (loaded) loaded.record = record;
        return { kind: 'updated', stream: record.stream };
      },
      // Lower caps are a way to make room.
      { grows: false },
    );
  }

  delete(name: string, uid: string | undefined, signal: AbortSignal): Promise<Answer<'deleteStream'>> {
    return this.#context.writer.write(
      signal,
      (batch): Answer<'deleteStream'> => {
        const there = recordNamed(batch, name)?.stream;
        if (!there) return { kind: 'absent' };
        if (uid !== undefined && uid !== there.uid) return { kind: 'uid_mismatch', uid: there.uid };
        const ledger = this.#context.ledger(batch);
        batch.remove(streamNameKey(name));
        batch.remove(streamKey(there.number));
        ledger.sweep(heldByStream(there.number));
        ledger.touched.add(there.number);
        ledger.wakes.add(there.number);
        this.#context.forget(there.number);
        return { kind: 'deleted' };
      },
      { grows: false },
    );
  }

  list(after: string | undefined, limit: number, signal: AbortSignal): Promise<Page<Stream>> {
    return read(signal, () => {
      // The least key above `after` is that key with a zero byte.
      const start =
        after === undefined ? STREAM_NAMES.start : Buffer.concat([streamNameKey(after), Buffer.alloc(1)]);
      const range = { start, end: STREAM_NAMES.end };
      const entries = entriesIn<number>(this.#context.db, range, { limit: limit + 1 });
      const items = entries.slice(0, limit).flatMap(({ value }) => this.#context.record(value)?.stream ?? []);
      return { items, next: entries.length > limit ? items.at(-1)?.name : undefined };
    });
  }
}

/** What a stream's number can be: it comes out of ids that anybody may write. */
export function isNumber(number: number): boolean {
  return Number.isInteger(number) && number > 0 && number < 2 ** 32;
}

function recordNamed(batch: Batch, name: string): StreamRecord | undefined {
  const number = batch.get<number>(streamNameKey(name));
  const tuple = number === undefined ? undefined : batch.get<StreamTuple>(streamKey(number));
  return number !== undefined && tuple ? decodeStream(number, tuple) : undefined;
}
