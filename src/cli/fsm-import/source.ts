/**
 * The Redis that go-statemachine wrote to, read and never written: SCAN, GET, SMEMBERS and nothing else
 * is sent. Values are bytes; keys are bytes too, since what is not text must be told and not mended.
 */
import { Redis, type RedisOptions } from 'ioredis';
import { InputError } from '../exit.js';

/** Keys that one SCAN looks at. */
const SCAN_COUNT = 500;
const CONNECT_TIMEOUT_MS = 5_000;
/** Reads are safe to repeat; a Redis that is gone longer than this ends the import. */
const MAX_TRIES = 5;

const LOCATION = /^rediss?:\/\/(?:([^@/]*)@)?[^@/?#,]+(?:\/\d{1,3})?$/;

/** The source cannot be read. */
export class SourceError extends Error {}

/** Bytes, or why there are none: no such key (any more), or one that is no string. */
export type Value = Buffer | 'gone' | 'not_a_string';

/**
 * Where to read from. A URL with a password comes from the environment alone, since other users of the
 * machine can see options.
 */
export function sourceUrl(option: string | undefined, fromEnvironment: string | undefined): string {
  const url = option ?? fromEnvironment;
  if (!url)
    throw new InputError('--from redis://host:port/1 or SWITCHGEAR_IMPORT_FROM must say where to read');
  const [matched, credentials] = LOCATION.exec(url) ?? [];
  const name = option === undefined ? 'SWITCHGEAR_IMPORT_FROM' : '--from';
  if (option !== undefined && (credentials !== undefined || (matched === undefined && option.includes('@'))))
    throw new InputError(
      '--from holds a secret, which other users could see: set SWITCHGEAR_IMPORT_FROM instead',
    );
  if (matched === undefined)
    throw new InputError(`${name}: must look like redis://host:6379/1 (or rediss://)`);
  return url;
}

export class Source {
  readonly #redis: Redis;
  #lastError: Error | undefined;

  constructor(url: string) {
    const options: RedisOptions = {
      lazyConnect: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      maxRetriesPerRequest: MAX_TRIES,
      retryStrategy: (attempt) => (attempt > MAX_TRIES ? null : 100 * attempt),
      enableReadyCheck: false,
      disableClientInfo: true,
    };
    this.#redis = new Redis(url, options);
    this.#redis.on('error', (error) => {
      this.#lastError = error;
    });
  }

  async connect(): Promise<void> {
    await this.#reading(this.#redis.connect());
    // A wrong database number or missing rights show at the first read, and not in the middle.
    await this.#reading(this.#redis.exists('configs'));
  }

  close(): void {
    this.#redis.disconnect();
  }

  /** All keys that match `pattern`; one may come more than once. */
  async *keys(pattern: string, signal: AbortSignal): AsyncGenerator<Buffer> {
    let cursor = '0';
    do {
      signal.throwIfAborted();
      const scan = this.#redis.scanBuffer(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
      const [next, page] = await this.#reading(scan);
      yield* page;
      cursor = next.toString();
    } while (cursor !== '0');
  }

  async value(key: Buffer | string): Promise<Value> {
    try {
      return (await this.#redis.getBuffer(key)) ?? 'gone';
    } catch (error) {
      if ((error as Error).message.startsWith('WRONGTYPE')) return 'not_a_string';
      throw this.#failure(error);
    }
  }

  /** The members of a set; none if there is no such key. */
  async members(key: Buffer | string): Promise<Buffer[]> {
    return this.#reading(this.#redis.smembersBuffer(key));
  }

  async #reading<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): SourceError {
    const { host, port } = this.#redis.options;
    const reason = this.#lastError?.message ?? (error as Error).message;
    return new SourceError(`cannot read from the Redis at ${host}:${port}: ${reason}`, { cause: error });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a key or name; undefined if it is none. */
export function textOf(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A key as it is shown to people. */
export function shown(key: Buffer): string {
  return textOf(key) ?? key.toString('latin1');
}
