/**
 * How much history the machines of a name keep. The idea to hold: every event needs the number and it
 * hardly ever changes, so it is kept in memory, and one counter for all names tells when that is old.
 * While events come the counter is read in the background twice a second; after a pause the next event
 * waits for one look. So what a change sets holds everywhere within a second, and an idle process asks
 * nothing.
 */
import { BoundedMap } from '../../bounded-map.js';
import type { Retention } from '../../fsm/store.js';
import { unlessAborted } from './abort.js';
import type { Client } from './client.js';
import { unavailable } from './errors.js';
import type { FsmKeys } from './keys.js';
import { loadScript } from './scripts.js';
import { encodeToken } from './tokens.js';

const SET = loadScript('fsm_retention_set-2');
const GET = loadScript('fsm_retention_get-2');

const MAX_CACHED_NAMES = 10_000;
const LOOK_AFTER_MS = 500;
/** Less than a second, so that an event decided just within it is still answered within one. */
const MAX_AGE_MS = 900;

export type SetRetentionAnswer =
  | { kind: 'set'; retention: Retention }
  | { kind: 'revision_mismatch'; retention: Retention }
  | { kind: 'configuration_not_found' };

export class Retentions {
  readonly #client: Client;
  readonly #keys: FsmKeys;
  readonly #counts = new BoundedMap<string, string>(MAX_CACHED_NAMES);
  #changes = '';
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(client: Client, keys: FsmKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async set(
    name: string,
    historyMaxCount: number,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<SetRetentionAnswer> {
    const { slot, names, retention } = this.#keys.registry;
    const args = [encodeToken(name), String(historyMaxCount), String(expectedRevision ?? '')];
    const forget = () => this.#counts.delete(name);
    // Forgotten whatever comes: a lost answer may have been a change.
    const reply = await this.#client.run(SET, slot, [names, retention], args, signal).finally(forget);
    const [kind, text] = reply as ['set' | 'revision_mismatch' | 'configuration_not_found', string];
    return kind === 'configuration_not_found' ? { kind } : { kind, retention: retentionFrom(text) };
  }

  async get(name: string, signal: AbortSignal): Promise<Retention | undefined> {
    const { slot, names, retention } = this.#keys.registry;
    const reply = await this.#client.run(GET, slot, [names, retention], [encodeToken(name)], signal);
    const [text] = reply as [string?];
    return text === undefined ? undefined : retentionFrom(text);
  }

  /** How many entries to keep, as text, if that is known without waiting. */
  known(name: string): string | undefined {
    const ageMs = performance.now() - this.#lookedAtMs;
    if (ageMs > MAX_AGE_MS) return undefined;
    if (ageMs > LOOK_AFTER_MS) this.#look().catch(() => {});
    return this.#counts.get(name);
  }

  /** How many entries to keep, as text, asking the store where it must. */
  async current(name: string, signal: AbortSignal): Promise<string> {
    // The look is shared by all callers, so it is this caller's wait that ends with its signal.
    if (performance.now() - this.#lookedAtMs > MAX_AGE_MS)
      await unlessAborted(this.#look(), signal, () => unavailable(signal.reason));
    const known = this.#counts.get(name);
    if (known !== undefined) return known;
    const changes = this.#changes;
    const count = String((await this.get(name, signal))?.historyMaxCount ?? 0);
    // A look that saw a change meanwhile has cleared the map: then this may be the old number.
    if (changes === this.#changes) this.#counts.set(name, count);
    return count;
  }

  /** Reads the counter of changes; one look serves all who ask while it is under way. */
  #look(): Promise<void> {
    this.#looking ??= this.#readChanges().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #readChanges(): Promise<void> {
    const { slot, retention } = this.#keys.registry;
    const askedAtMs = performance.now();
    const changes = String(await this.#client.read(slot, 'hget', [retention, '!']));
    if (changes !== this.#changes) this.#counts.clear();
    this.#changes = changes;
    this.#lookedAtMs = askedAtMs;
  }
}

function retentionFrom(text: string): Retention {
  const [revision, historyMaxCount] = text.split('!');
  return { revision: Number(revision), historyMaxCount: Number(historyMaxCount) };
}
