/**
 * The registry: configurations and retention, in one hash slot. The idea to hold: a configuration never
 * changes, so a copy in memory is as good as the store's; retention does, so its copy is at most a
 * second old.
 */
import { BoundedMap } from '../../bounded-map.js';
import { Fault } from '../../fault.js';
import { type Configuration, type ConfigurationContent, contentHash } from '../../fsm/configuration.js';
import type { Page } from '../../fsm/store.js';
import type { Client } from './client.js';
import type { FsmKeys } from './keys.js';
import { loadScript } from './scripts.js';
import { decodeToken, encodeToken, TOKEN_PATTERN } from './tokens.js';

const CREATE = loadScript('fsm_configuration_create-3');
const NEWEST = loadScript('fsm_configuration_newest-2');
const VERSIONS = loadScript('fsm_configuration_versions-2');

/** Configurations in memory, by what they weigh: one for each, and one for each transition. */
const MAX_CACHED_WEIGHT = 200_000;
const MAX_RECENT_NAMES = 10_000;

/** How many versions of a name are sent along with an event; a machine of another costs a second trip. */
const MAX_RECENT_VERSIONS = 4;

const NAME_TOKEN = new RegExp(`^${TOKEN_PATTERN}$`);

export class Configurations {
  readonly #client: Client;
  readonly #keys: FsmKeys;
  readonly #cached = new BoundedMap<string, Configuration>(
    MAX_CACHED_WEIGHT,
    ({ transitions }) => 1 + transitions.length,
  );
  /** The versions that machines of a name were last seen to follow, newest use first. */
  readonly #recent = new BoundedMap<string, readonly Configuration[]>(MAX_RECENT_NAMES);

  constructor(client: Client, keys: FsmKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async create(content: ConfigurationContent, signal: AbortSignal) {
    const { registry } = this.#keys;
    const name = encodeToken(content.name);
    const keys = [registry.names, registry.configurationsPrefix + name, registry.versionsPrefix + name];
    const args = [name, encodeToken(content.version), contentHash(content), contentText(content)];
    const reply = await this.#client.run(CREATE, registry.slot, keys, args, signal);
    const [kind, text] = reply as ['created' | 'same' | 'differs', string];
    return { kind, configuration: this.#remember(text) };
  }

  async get(
    name: string,
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<Configuration | undefined> {
    if (version === undefined) return this.#newest(name, signal);
    const known = this.#cached.get(cacheKey(name, version));
    if (known) return known;
    const { registry } = this.#keys;
    const key = registry.configurationsPrefix + encodeToken(name);
    const text = await this.#client.read(registry.slot, 'hget', [key, encodeToken(version)], signal);
    return text === null ? undefined : this.#remember(text as string);
  }

  async names(after: string | undefined, limit: number, signal: AbortSignal): Promise<Page<string>> {
    if (after !== undefined && !NAME_TOKEN.test(after))
      throw Fault.invalidField('page_token', 'is not of this list');
    const { registry } = this.#keys;
    const from = after === undefined ? '-' : `(${after}`;
    const args = [registry.names, from, '+', 'LIMIT', '0', String(limit)];
    const tokens = (await this.#client.read(registry.slot, 'zrangebylex', args, signal)) as string[];
    return { items: tokens.map(decodeToken), next: tokens.length < limit ? undefined : tokens.at(-1) };
  }

  async versions(
    name: string,
    after: number | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Configuration, number> | undefined> {
    const { registry } = this.#keys;
    const token = encodeToken(name);
    const start = after ?? 0;
    const keys = [registry.configurationsPrefix + token, registry.versionsPrefix + token];
    const args = [String(start), String(limit)];
    const reply = await this.#client.run(VERSIONS, registry.slot, keys, args, signal);
    const [total, ...texts] = reply as [number, ...string[]];
    if (total === 0) return undefined;
    const end = start + texts.length;
    return { items: texts.map((text) => this.#remember(text)), next: end < total ? end : undefined };
  }

  /** The versions that machines of a name probably follow, or undefined if there is no such name. */
  async recent(name: string, signal: AbortSignal): Promise<readonly Configuration[] | undefined> {
    const known = this.#recent.get(name);
    if (known) return known;
    const newest = await this.#newest(name, signal);
    return newest && this.#use(newest);
  }

  /** Puts a version that a machine turned out to follow among the recent ones. */
  async useVersion(name: string, version: string, signal: AbortSignal): Promise<readonly Configuration[]> {
    const configuration = await this.get(name, version, signal);
    if (!configuration)
      throw new Fault('INTERNAL', 'a machine follows a configuration version that does not exist', {
        facts: { configuration_name: name, configuration_version: version },
      });
    return this.#use(configuration);
  }

  #use(configuration: Configuration): readonly Configuration[] {
    const { name, version } = configuration;
    const others = (this.#recent.get(name) ?? []).filter((each) => each.version !== version);
    const recent = [configuration, ...others].slice(0, MAX_RECENT_VERSIONS);
    this.#recent.set(name, recent);
    return recent;
  }

  async #newest(name: string, signal: AbortSignal): Promise<Configuration | undefined> {
    const { registry } = this.#keys;
    const token = encodeToken(name);
    const keys = [registry.configurationsPrefix + token, registry.versionsPrefix + token];
    const text = await this.#client.run(NEWEST, registry.slot, keys, [], signal);
    return text === null ? undefined : this.#remember(text as string);
  }

  /** One object for each configuration, so that what is compiled from it is compiled once. */
  #remember(text: string): Configuration {
    const read = configurationFrom(text);
    const key = cacheKey(read.name, read.version);
    const known = this.#cached.get(key);
    if (known) return known;
    this.#cached.set(key, read);
    return read;
  }
}

function cacheKey(name: string, version: string): string {
  return `${encodeToken(name)}:${encodeToken(version)}`;
}

function contentText({
  name,
  version,
  states,
  transitions,
  startingState,
  finalStates,
}: ConfigurationContent) {
  const edges = transitions.map(({ from, to, event }) => [from, to, event]);
  return JSON.stringify([name, version, states, edges, startingState, finalStates]);
}

type Content = [string, string, string[], [string, string, string][], string, string[]];

function configurationFrom(text: string): Configuration {
  const hashAt = text.indexOf('!') + 1;
  const contentAt = text.indexOf('!', hashAt) + 1;
  const [name, version, states, edges, startingState, finalStates] = JSON.parse(
    text.slice(contentAt),
  ) as Content;
  const transitions = edges.map(([from, to, event]) => ({ from, to, event }));
  const createTimeMs = Number(text.slice(0, hashAt - 1));
  return { name, version, states, transitions, startingState, finalStates, createTimeMs };
}
