/**
 * Streams: the registry of names, and the content that lies in another slot. The idea to hold: nothing is
 * atomic across the two, so the registry is the truth, content comes to be on first contact, and a deletion
 * goes mark -> tombstone -> unlink -> free, each step repeatable by any process that finds it unfinished.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BoundedMap } from '../../bounded-map.js';
import type { Stream, StreamSettings } from '../../bus/event.js';
import type { NewStream, Page } from '../../bus/verbs.js';
import { Fault } from '../../fault.js';
import type { BusKeys } from './bus-keys.js';
import { isOfRequest, requestText, streamFrom, streamSettingsTexts } from './bus-records.js';
import { loadBusScript } from './bus-scripts.js';
import type { Client } from './client.js';
import type { Argument } from './router.js';
import type { Script } from './scripts.js';
import { decodeToken, encodeToken, SEPARATOR, TOKEN_PATTERN } from './tokens.js';

const CREATE = loadBusScript('bus_create-3');
const UPDATE = loadBusScript('bus_update-1');
const DELETE = loadBusScript('bus_delete-2');
const FREE = loadBusScript('bus_free-2');
const BY_NUMBER = loadBusScript('bus_stream-2');
const LIST = loadBusScript('bus_streams-2');
const INTRODUCE = loadBusScript('bus_introduce-1');
const TOMBSTONE = loadBusScript('bus_tombstone-3');

/** Less than the second that the port allows, for what passes between reading and using. */
const MAX_AGE_MS = 900;
const MAX_CACHED_STREAMS = 10_000;
const MAX_UNLINKED_KEYS = 500;
/** Others finish a deletion too; each round of this loop means that one of them was faster. */
const MAX_CREATE_ROUNDS = 100;
/** One is the rule; an update on its way may ask for one more. */
const MAX_INTRODUCTIONS = 5;

const NAME_TOKEN = new RegExp(`^${TOKEN_PATTERN}$`);

interface Seen {
  readonly stream: Stream;
  readonly atMs: number;
}

export class Streams {
  readonly #client: Client;
  readonly #keys: BusKeys;
  readonly #byName = new BoundedMap<string, Seen>(MAX_CACHED_STREAMS);
  readonly #byNumber = new BoundedMap<number, Seen>(MAX_CACHED_STREAMS);

  constructor(client: Client, keys: BusKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async create(
    { name, uid, settings, requestId, requestHash }: NewStream,
    signal: AbortSignal,
  ): Promise<{ kind: 'created' | 'replayed' | 'exists'; stream: Stream }> {
    const { slot, names, streams, numbers } = this.#keys.registry;
    const token = encodeToken(name);
    const texts = streamSettingsTexts(settings).join(SEPARATOR);
    const args = [token, encodeToken(uid), texts, requestText(requestId, requestHash)];
    for (let round = 1; round <= MAX_CREATE_ROUNDS; round++) {
      const reply = await this.#client.run(CREATE, slot, [names, streams, numbers], args, signal);
      const [kind, record = ''] = reply as string[];
      const stream = this.#remember(streamFrom(token, record), performance.now());
      if (kind === 'created') await this.#introduce(stream, signal).catch(() => {});
      if (kind === 'created') return { kind, stream };
      if (kind === 'exists')
        return { kind: isOfRequest(record, requestId, requestHash) ? 'replayed' : kind, stream };
      await this.#finishDeleting(stream, signal);
      if (round > 1) await sleep(round);
    }
    throw new Fault('STORE_UNAVAILABLE', 'the stream is still being deleted', { retryAfterMs: 500 });
  }

  async get(name: string, signal: AbortSignal): Promise<Stream | undefined> {
    const seen = this.#byName.get(name);
    if (seen && performance.now() - seen.atMs < MAX_AGE_MS) return seen.stream;
    const askedAtMs = performance.now();
    const { slot, streams } = this.#keys.registry;
    const token = encodeToken(name);
    const record = (await this.#client.read(slot, 'hget', [streams, token], signal)) as string | null;
    if (record === null || isDeleting(record)) {
      this.#byName.delete(name);
      return undefined;
    }
    return this.#remember(streamFrom(token, record), askedAtMs);
  }

  async getByNumber(number: number, signal: AbortSignal): Promise<Stream | undefined> {
    const seen = this.#byNumber.get(number);
    if (seen && performance.now() - seen.atMs < MAX_AGE_MS) return seen.stream;
    return this.current(number, signal);
  }

  async update(
    name: string,
    settings: StreamSettings,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<{ kind: 'updated' | 'revision_mismatch'; stream: Stream } | { kind: 'stream_not_found' }> {
    const { slot, streams } = this.#keys.registry;
    const token = encodeToken(name);
    const texts = streamSettingsTexts(settings).join(SEPARATOR);
    const args = [token, texts, String(expectedRevision ?? '')];
    const [kind, record = ''] = (await this.#client.run(UPDATE, slot, [streams], args, signal)) as string[];
    if (kind === 'stream_not_found') return { kind };
    const stream = this.#remember(streamFrom(token, record), performance.now());
    if (kind !== 'updated') return { kind: 'revision_mismatch', stream };
    // Should this fail, the next write of whoever knows the new revision brings it.
    await this.#introduce(stream, signal).catch(() => {});
    return { kind, stream };
  }

  async delete(
    name: string,
    uid: string | undefined,
    signal: AbortSignal,
  ): Promise<{ kind: 'deleted' | 'absent' } | { kind: 'uid_mismatch'; uid: string }> {
    const { slot, names, streams } = this.#keys.registry;
    const token = encodeToken(name);
    const args = [token, encodeToken(uid ?? '')];
    const reply = (await this.#client.run(DELETE, slot, [names, streams], args, signal)) as string[];
    const [kind, text = ''] = reply;
    if (kind === 'absent') return { kind };
    if (kind === 'uid_mismatch') return { kind, uid: decodeToken(text) };
    await this.#finishDeleting(streamFrom(token, text), signal);
    return { kind: kind === 'marked' ? 'deleted' : 'absent' };
  }

  async list(after: string | undefined, limit: number, signal: AbortSignal): Promise<Page<Stream>> {
    if (after !== undefined && !NAME_TOKEN.test(after))
      throw Fault.invalidField('page_token', 'is not of this list');
    const { slot, names, streams } = this.#keys.registry;
    const args = [after === undefined ? '-' : `(${after}`, String(limit + 1)];
    const reply = (await this.#client.run(LIST, slot, [names, streams], args, signal)) as string[];
    const items: Stream[] = [];
    for (let i = 0; i < reply.length && items.length < limit; i += 2)
      items.push(streamFrom(reply[i] as string, reply[i + 1] as string));
    return { items, next: reply.length > 2 * limit ? reply[2 * limit - 2] : undefined };
  }

  /** The newest revision of a stream's settings that this process has seen. */
  knownRevision(number: number): number {
    return this.#byNumber.get(number)?.stream.revision ?? 0;
  }

  /** Runs a script on a stream, telling it of the stream if it must be told; undefined = it is gone. */
  async runOn<T extends string | Buffer>(
    script: Script,
    number: number,
    keys: readonly string[],
    args: readonly Argument[],
    signal: AbortSignal,
  ): Promise<T[] | undefined> {
    const { slot } = this.#keys.stream(number);
    for (let round = 1; round <= MAX_INTRODUCTIONS; round++) {
      const reply = (await this.#client.run(script, slot, keys, args, signal)) as T[];
      const kind = String(reply[0]);
      if (kind !== 'GONE' && kind !== 'UNKNOWN') return reply;
      const stream = kind === 'UNKNOWN' ? await this.current(number, signal) : undefined;
      if (!stream || !(await this.#introduce(stream, signal))) {
        this.#forget(number);
        return undefined;
      }
    }
    throw new Fault('INTERNAL', 'the content of a stream does not keep what it is told');
  }

  /** As the registry has it now. */
  async current(number: number, signal: AbortSignal): Promise<Stream | undefined> {
    const askedAtMs = performance.now();
    const { slot, streams, numbers } = this.#keys.registry;
    const args = [String(number)];
    const reply = await this.#client.run(BY_NUMBER, slot, [streams, numbers], args, signal);
    const [token, record] = reply as string[];
    if (token === undefined || record === undefined || isDeleting(record)) {
      this.#forget(number);
      return undefined;
    }
    return this.#remember(streamFrom(token, record), askedAtMs);
  }

  /** Brings the registry's word to the content's slot; false = there is a tombstone. */
  async #introduce({ number, uid, revision, settings }: Stream, signal: AbortSignal): Promise<boolean> {
    const { slot, facts } = this.#keys.stream(number);
    const args = [encodeToken(uid), String(revision), ...streamSettingsTexts(settings)];
    const [kind] = (await this.#client.run(INTRODUCE, slot, [facts], args, signal)) as string[];
    return kind !== 'GONE';
  }

  /** Takes a deletion that was marked to its end; whoever else does the same does no harm. */
  async #finishDeleting({ name, number }: Stream, signal: AbortSignal): Promise<void> {
    this.#forget(number);
    this.#byName.delete(name);
    const { slot, facts, groups, flag } = this.#keys.stream(number);
    const args = [this.#keys.wakeChannel];
    const reply = await this.#client.run(TOMBSTONE, slot, [facts, groups, flag], args, signal);
    const content = this.#keys.contentOf(number, (reply as string[]).map(decodeToken));
    for (let i = 0; i < content.length; i += MAX_UNLINKED_KEYS)
      await this.#client.write(slot, 'unlink', content.slice(i, i + MAX_UNLINKED_KEYS), signal);
    const { registry } = this.#keys;
    const freeArgs = [encodeToken(name), String(number)];
    await this.#client.run(FREE, registry.slot, [registry.streams, registry.numbers], freeArgs, signal);
  }

  #remember(stream: Stream, atMs: number): Stream {
    const known = this.#byNumber.get(stream.number);
    // An answer that was overtaken on its way must not bring back older settings.
    if (known && known.atMs > atMs) return stream;
    this.#byNumber.set(stream.number, { stream, atMs });
    this.#byName.set(stream.name, { stream, atMs });
    return stream;
  }

  #forget(number: number): void {
    const seen = this.#byNumber.get(number);
    this.#byNumber.delete(number);
    if (seen && this.#byName.get(seen.stream.name)?.stream.number === number)
      this.#byName.delete(seen.stream.name);
  }
}

function isDeleting(record: string): boolean {
  return record.endsWith(`${SEPARATOR}D`);
}
