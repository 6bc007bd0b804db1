/**
 * The state machine store on Redis: the port, with each verb handed to the part that does it. Reads top
 * down as a table of contents; the rules of an event are in scripts/fsm_advance.lua.
 */
import type { ConfigurationContent } from '../../fsm/configuration.js';
import type { Chunk } from '../../fsm/import.js';
import { type Command, DEFAULT_OUTCOME_RETENTION_MS } from '../../fsm/machine.js';
import type { FsmStore, HistoryPosition, MachineFilter, NewMachine } from '../../fsm/store.js';
import type { Client } from './client.js';
import { Advance } from './fsm-advance.js';
import { Audit } from './fsm-audit.js';
import { Configurations } from './fsm-configurations.js';
import { feedScope } from './fsm-cursor.js';
import { Feed } from './fsm-feed.js';
import { Import } from './fsm-import.js';
import { Lists } from './fsm-lists.js';
import { Machines } from './fsm-machines.js';
import { Outcomes } from './fsm-outcomes.js';
import { Retentions } from './fsm-retention.js';
import { FsmKeys } from './keys.js';
import type { Wakes } from './wakes.js';

export interface FsmStoreOptions {
  /** From the deployment record; the same for ever. */
  readonly shardCount: number;
  /** How long a final outcome is kept; by default 24 hours. */
  readonly outcomeRetentionMs?: number;
  /** From the deployment record: cursors of another deployment are refused. */
  readonly deploymentId?: string;
}

export class RedisFsmStore implements FsmStore {
  readonly #client: Client;
  readonly #configurations: Configurations;
  readonly #retentions: Retentions;
  readonly #machines: Machines;
  readonly #lists: Lists;
  readonly #advance: Advance;
  readonly #import: Import;
  readonly #outcomes: Outcomes;
  readonly #feed: Feed;
  readonly #audit: Audit;

  constructor(
    client: Client,
    wakesOf: (channel: string) => Wakes,
    namespace: string,
    { shardCount, outcomeRetentionMs = DEFAULT_OUTCOME_RETENTION_MS, deploymentId = '' }: FsmStoreOptions,
  ) {
    const keys = new FsmKeys(namespace, shardCount);
    const scopeOf = (name: string) => feedScope(namespace, deploymentId, shardCount, name);
    this.#client = client;
    this.#configurations = new Configurations(client, keys);
    this.#retentions = new Retentions(client, keys);
    this.#machines = new Machines(client, keys);
    this.#lists = new Lists(client, keys);
    this.#advance = new Advance(client, keys, this.#configurations, this.#retentions, outcomeRetentionMs);
    this.#import = new Import(client, keys, this.#retentions, outcomeRetentionMs);
    this.#outcomes = new Outcomes(client, keys);
    this.#feed = new Feed(client, keys, wakesOf(keys.wakeChannel), scopeOf);
    this.#audit = new Audit(client, keys);
  }

  createConfiguration(content: ConfigurationContent, signal: AbortSignal) {
    return this.#configurations.create(content, signal);
  }

  getConfiguration(name: string, version: string | undefined, signal: AbortSignal) {
    return this.#configurations.get(name, version, signal);
  }

  listConfigurationNames(after: string | undefined, limit: number, signal: AbortSignal) {
    return this.#configurations.names(after, limit, signal);
  }

  listConfigurationVersions(name: string, after: number | undefined, limit: number, signal: AbortSignal) {
    return this.#configurations.versions(name, after, limit, signal);
  }

  setRetention(
    name: string,
    historyMaxCount: number,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ) {
    return this.#retentions.set(name, historyMaxCount, expectedRevision, signal);
  }

  getRetention(name: string, signal: AbortSignal) {
    return this.#retentions.get(name, signal);
  }

  createMachine(machine: NewMachine, signal: AbortSignal) {
    return this.#machines.create(machine, signal);
  }

  importMachine(chunk: Chunk, signal: AbortSignal) {
    return this.#import.import(chunk, signal);
  }

  getMachine(name: string, id: string, historySize: number, signal: AbortSignal) {
    return this.#machines.get(name, id, historySize, signal);
  }

  listMachines(
    name: string,
    filter: MachineFilter,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ) {
    return this.#lists.list(name, filter, after, limit, signal);
  }

  countByState(name: string, states: readonly string[], version: string | undefined, signal: AbortSignal) {
    return this.#lists.count(name, states, version, signal);
  }

  listTransitions(
    name: string,
    id: string,
    from: HistoryPosition | undefined,
    newestFirst: boolean,
    limit: number,
    signal: AbortSignal,
  ) {
    return this.#machines.history(name, id, from, newestFirst, limit, signal);
  }

  deleteMachine(name: string, id: string, uid: string | undefined, signal: AbortSignal) {
    return this.#machines.delete(name, id, uid, signal);
  }

  advance(name: string, id: string, commands: readonly Command[], signal: AbortSignal) {
    return this.#advance.advance(name, id, commands, signal);
  }

  getOutcome(name: string, id: string | undefined, eventId: string, signal: AbortSignal) {
    return this.#outcomes.get(name, id, eventId, signal);
  }

  getEvent(name: string, id: string | undefined, eventId: string, signal: AbortSignal) {
    return this.#outcomes.event(name, id, eventId, signal);
  }

  tail(name: string, signal: AbortSignal) {
    return this.#feed.tail(name, signal);
  }

  watch(name: string, cursor: string, signal: AbortSignal) {
    return this.#feed.watch(name, cursor, signal);
  }

  auditIndex(name: string, signal: AbortSignal) {
    return this.#audit.run(name, signal);
  }

  ping(signal: AbortSignal): Promise<void> {
    return this.#client.ping(signal);
  }
}
