/**
 * The state machine store on LMDB: the port's verbs, each handed to the file that keeps its law. Verbs
 * that change something are one job of the writer; verbs that look are one synchronous read.
 */
import type { Configuration, ConfigurationContent } from '../../fsm/configuration.js';
import type { Chunk } from '../../fsm/import.js';
import type { Answer, AppliedTransition, Command, Machine, StoredOutcome } from '../../fsm/machine.js';
import type {
  AuditProgress,
  ChangeBatch,
  FsmStore,
  HistoryPage,
  HistoryPosition,
  ImportAnswer,
  MachineFilter,
  NewMachine,
  Page,
  Retention,
} from '../../fsm/store.js';
import { read } from './environment.js';
import { advance } from './fsm-advance.js';
import { auditIndex } from './fsm-audit.js';
import {
  type Creation as ConfigurationCreation,
  FsmConfigurations,
  type RetentionChange,
} from './fsm-configurations.js';
import { FsmContext, type FsmContextOptions } from './fsm-context.js';
import { FsmFeed } from './fsm-feed.js';
import { FsmHistory } from './fsm-history.js';
import { importMachine } from './fsm-import.js';
import { type Creation, type Deletion, FsmMachines } from './fsm-machines.js';
import { type FoundOutcome, FsmOutcomes } from './fsm-outcomes.js';
import { FsmSweeper } from './fsm-sweep.js';
import { FORMAT_KEY } from './keys.js';

export class LmdbFsmStore implements FsmStore {
  readonly #context: FsmContext;
  readonly #configurations: FsmConfigurations;
  readonly #history: FsmHistory;
  readonly #machines: FsmMachines;
  readonly #outcomes: FsmOutcomes;
  readonly #feed: FsmFeed;
  readonly #sweeper: FsmSweeper;

  constructor(options: FsmContextOptions) {
    this.#context = new FsmContext(options);
    this.#configurations = new FsmConfigurations(this.#context);
    this.#history = new FsmHistory(this.#context);
    this.#machines = new FsmMachines(this.#context, this.#history);
    this.#outcomes = new FsmOutcomes(this.#context);
    this.#feed = new FsmFeed(this.#context);
    this.#sweeper = new FsmSweeper(this.#context);
  }

  /** Ends watches and background work; the engine closes the rest. */
  close(): void {
    this.#sweeper.close();
    this.#context.bell.close();
  }

  createConfiguration(content: ConfigurationContent, signal: AbortSignal): Promise<ConfigurationCreation> {
    return this.#configurations.create(content, signal);
  }

  getConfiguration(
    name: string,
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<Configuration | undefined> {
    return this.#configurations.get(name, version, signal);
  }

  listConfigurationNames(
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<string>> {
    return this.#configurations.listNames(after, limit, signal);
  }

  listConfigurationVersions(
    name: string,
    after: number | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Configuration, number> | undefined> {
    return this.#configurations.listVersions(name, after, limit, signal);
  }

  setRetention(
    name: string,
    historyMaxCount: number,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<RetentionChange> {
    return this.#configurations.setRetention(name, historyMaxCount, expectedRevision, signal);
  }

  getRetention(name: string, signal: AbortSignal): Promise<Retention | undefined> {
    return this.#configurations.getRetention(name, signal);
  }

  createMachine(machine: NewMachine, signal: AbortSignal): Promise<Creation> {
    return this.#machines.create(machine, signal);
  }

  importMachine(chunk: Chunk, signal: AbortSignal): Promise<ImportAnswer> {
    return importMachine(this.#context, chunk, signal);
  }

  getMachine(
    name: string,
    id: string,
    historySize: number,
    signal: AbortSignal,
  ): Promise<{ machine: Machine; history: readonly AppliedTransition[] } | undefined> {
    return this.#machines.get(name, id, historySize, signal);
  }

  listMachines(
    name: string,
    filter: MachineFilter,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Machine>> {
    return this.#machines.list(name, filter, after, limit, signal);
  }

  countByState(
    name: string,
    states: readonly string[],
    configurationVersion: string | undefined,
    signal: AbortSignal,
  ): Promise<number[]> {
    return this.#machines.count(name, states, configurationVersion, signal);
  }

  listTransitions(
    name: string,
    id: string,
    from: HistoryPosition | undefined,
    newestFirst: boolean,
    limit: number,
    signal: AbortSignal,
  ): Promise<HistoryPage> {
    return this.#history.list(name, id, from, newestFirst, limit, signal);
  }

  deleteMachine(name: string, id: string, uid: string | undefined, signal: AbortSignal): Promise<Deletion> {
    return this.#machines.delete(name, id, uid, signal);
  }

  advance(name: string, id: string, commands: readonly Command[], signal: AbortSignal): Promise<Answer[]> {
    return advance(this.#context, name, id, commands, signal);
  }

  getOutcome(
    name: string,
    id: string | undefined,
    eventId: string,
    signal: AbortSignal,
  ): Promise<FoundOutcome | undefined> {
    return this.#outcomes.get(name, id, eventId, signal);
  }

  async getEvent(
    name: string,
    id: string | undefined,
    eventId: string,
    signal: AbortSignal,
  ): Promise<{ id: string; transition: AppliedTransition } | undefined> {
    const applied = ({ outcome }: StoredOutcome) => outcome.kind === 'applied';
    const found = await this.#outcomes.get(name, id, eventId, signal, applied);
    return found && read(signal, () => this.#appliedBy(name, found));
  }

  #appliedBy(
    name: string,
    { id, stored }: FoundOutcome,
  ): { id: string; transition: AppliedTransition } | undefined {
    const { outcome, uid } = stored;
    const no = this.#context.name(name)?.no;
    const machine = no === undefined ? undefined : this.#context.machine(no, id);
    if (outcome.kind !== 'applied' || machine?.uid !== uid || outcome.version < machine.historyFrom)
      return undefined;
    const [transition] = this.#history.between(machine.serial, outcome.version, outcome.version);
    return transition && { id, transition };
  }

  tail(name: string, signal: AbortSignal): Promise<string> {
    return this.#feed.tail(name, signal);
  }

  watch(name: string, cursor: string, signal: AbortSignal): AsyncIterable<ChangeBatch> {
    return this.#feed.watch(name, cursor, signal);
  }

  auditIndex(name: string, signal: AbortSignal): AsyncIterable<AuditProgress> {
    return auditIndex(this.#context, name, signal);
  }

  ping(signal: AbortSignal): Promise<void> {
    return read(signal, () => void this.#context.db.get(FORMAT_KEY));
  }
}
