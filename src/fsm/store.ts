/**
 * The port of the state machine store: atomic verbs, each documented as a law that test/conformance
 * holds every adapter to. Everything that a verb reads, decides and writes is one atomic step, and the
 * hot ones are one round trip. A rejected promise is a Fault: STORE_UNAVAILABLE (nothing happened),
 * EFFECT_UNKNOWN (it may have), STORE_FULL (nothing happened).
 *
 * Names and ids are any text within the limits of the proto; adapters make them safe for their keys.
 * `signal` ends every wait: a verb still waiting for its engine then rejects with STORE_UNAVAILABLE,
 * or EFFECT_UNKNOWN if what it sent may have been executed.
 */
import type { Configuration, ConfigurationContent } from './configuration.js';
import type { Chunk, ImportRefusal } from './import.js';
import type { Answer, AppliedTransition, Command, Machine, StoredOutcome } from './machine.js';

/** A page of anything; `next` is the position to go on from, undefined at the end. */
export interface Page<T, P = string> {
  readonly items: readonly T[];
  readonly next: P | undefined;
}

export interface Retention {
  /** How many of its newest transitions each machine keeps; 0 = all. */
  readonly historyMaxCount: number;
  /** Raised by every change; 0 = never set. */
  readonly revision: number;
}

export interface NewMachine {
  readonly configurationName: string;
  readonly configurationVersion: string;
  readonly id: string;
  /** Made by the caller for this attempt; kept only if the machine is created. */
  readonly uid: string;
  readonly state: string;
  /** The creator's request id, or empty. */
  readonly requestId: string;
  /** Hash of what the creator asked for; tells a repeat from another request with the same id. */
  readonly requestHash: string;
}

export interface MachineFilter {
  /** Only machines in one of these states, given in the order to list them; undefined = all. */
  readonly states?: readonly string[] | undefined;
  /** Only machines that follow this version. Needs `states`. */
  readonly configurationVersion?: string | undefined;
}

/** Where in a machine's history a page goes on: the version of its first entry, of which machine. */
export interface HistoryPosition {
  readonly uid: string;
  readonly version: number;
}

export type HistoryPage =
  | { kind: 'page'; uid: string; items: readonly AppliedTransition[]; next: HistoryPosition | undefined }
  | { kind: 'fsm_not_found' }
  /** The position is below what is kept, or of an earlier machine with this id. */
  | { kind: 'expired' };

/** What became of a chunk; a refusal that is about a machine shows it as it is. */
export type ImportAnswer =
  | { kind: 'imported'; machine: Machine; written: boolean }
  | (Extract<ImportRefusal, { kind: 'exists' | 'broken' }> & { machine: Machine })
  | Extract<ImportRefusal, { kind: 'fsm_not_found' | 'event_id_reused' }>;

/** One change of one machine; what each field holds is said at `Change` in fsm.proto. */
export interface Change {
  readonly kind: 'created' | 'transition' | 'deleted';
  readonly id: string;
  readonly uid: string;
  readonly version: number;
  readonly configurationVersion: string;
  readonly from: string;
  readonly to: string;
  readonly eventName: string;
  readonly eventId: string;
  readonly timeMs: number;
}

/** Changes in order per machine, and the cursor that resumes after them. */
export interface ChangeBatch {
  readonly changes: readonly Change[];
  readonly cursor: string;
}

/** A machine whose record and index entry disagree; undefined = there is none. */
export interface IndexDifference {
  readonly id: string;
  readonly recordedState: string | undefined;
  readonly listedState: string | undefined;
}

export interface AuditProgress {
  readonly machinesScanned: number;
  readonly entriesScanned: number;
  /** Found since the progress before. */
  readonly differences: readonly IndexDifference[];
}

export interface FsmStore {
  /**
   * Makes `content` the configuration of its (name, version) if there is none, and the newest of its
   * name. `created` = it did; `same` = equal content was there; `differs` = other content was there.
   * The answer holds what is stored. Of concurrent creators one wins.
   */
  createConfiguration(
    content: ConfigurationContent,
    signal: AbortSignal,
  ): Promise<{ kind: 'created' | 'same' | 'differs'; configuration: Configuration }>;

  /** One version, or the newest created one. Adapters keep a bounded number in memory. */
  getConfiguration(
    name: string,
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<Configuration | undefined>;

  /** Names, each exactly once if it exists throughout. `after` is a `next` of an earlier page. */
  listConfigurationNames(
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<string>>;

  /** Versions of a name, in order of creation; undefined = no such name. */
  listConfigurationVersions(
    name: string,
    after: number | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Configuration, number> | undefined>;

  /**
   * Sets the retention of a name and raises its revision. Holds for this process when answered and for
   * every other within a second; history beyond it goes with each machine's next event.
   */
  setRetention(
    name: string,
    historyMaxCount: number,
    expectedRevision: number | undefined,
    signal: AbortSignal,
  ): Promise<
    | { kind: 'set'; retention: Retention }
    | { kind: 'revision_mismatch'; retention: Retention }
    | { kind: 'configuration_not_found' }
  >;

  /** The retention of a name; undefined = no such name. */
  getRetention(name: string, signal: AbortSignal): Promise<Retention | undefined>;

  /**
   * Creates a machine at version 0 with its index entry and its CREATED change, or none of them. The
   * configuration is known to exist. `replayed` = the machine there has the same non-empty request id
   * and hash; the answer is the machine as it was created. `exists` = any other machine is there.
   */
  createMachine(
    machine: NewMachine,
    signal: AbortSignal,
  ): Promise<{ kind: 'created' | 'replayed'; machine: Machine } | { kind: 'exists'; machine: Machine }>;

  /**
   * Makes a chunk of a machine's past true, as `decideImport` of import.ts says: what of it is new goes
   * on where the machine is, and creates it if there is none. State, version, history, index, change
   * feed and outcomes (APPLIED for each entry, NOT_ALLOWED for each refusal) change together, in one
   * atomic step, as if the events had been applied now; their retention counts from now. `written` =
   * something was new. The configuration version is known to exist and the chunk to agree with it.
   */
  importMachine(chunk: Chunk, signal: AbortSignal): Promise<ImportAnswer>;

  /** A machine with its newest transitions, oldest first: the last one and up to `historySize`. */
  getMachine(
    name: string,
    id: string,
    historySize: number,
    signal: AbortSignal,
  ): Promise<{ machine: Machine; history: readonly AppliedTransition[] } | undefined>;

  /**
   * A page of machines in the order (shard, state, configuration version, id). A machine that stays in
   * its state throughout the listing appears exactly once; none appears in a state it is not in when
   * read. A page may be short of `limit`; the cost is O(limit + states). `after` is a `next` of an
   * earlier page with the same filter, otherwise Fault INVALID_FIELD for `page_token`.
   */
  listMachines(
    name: string,
    filter: MachineFilter,
    after: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page<Machine>>;

  /** How many machines are in each of `states`, of one version or of all; O(states * log machines). */
  countByState(
    name: string,
    states: readonly string[],
    configurationVersion: string | undefined,
    signal: AbortSignal,
  ): Promise<number[]>;

  /** A page of a machine's history. Without `from` it starts at the oldest kept, or the newest. */
  listTransitions(
    name: string,
    id: string,
    from: HistoryPosition | undefined,
    newestFirst: boolean,
    limit: number,
    signal: AbortSignal,
  ): Promise<HistoryPage>;

  /**
   * Deletes a machine, its index entry and its history, with a DELETED change; O(1) for the caller.
   * Outcomes stay. A given `uid` must be the machine's.
   */
  deleteMachine(
    name: string,
    id: string,
    uid: string | undefined,
    signal: AbortSignal,
  ): Promise<{ kind: 'deleted' | 'absent' } | { kind: 'uid_mismatch'; uid: string }>;

  /**
   * Decides 1 to MAX_EVENTS_PER_STEP commands of one machine in order, each by `decide` of machine.ts,
   * and makes what follows true: state, version, history, index, outcome and change feed together, in
   * one atomic step. Cost does not grow with history or machines.
   */
  advance(name: string, id: string, commands: readonly Command[], signal: AbortSignal): Promise<Answer[]>;

  /** The outcome kept for an event; without an id that of any machine, the newest. */
  getOutcome(
    name: string,
    id: string | undefined,
    eventId: string,
    signal: AbortSignal,
  ): Promise<{ id: string; stored: StoredOutcome } | undefined>;

  /** The history entry of an applied event, while its outcome and the entry are kept. */
  getEvent(
    name: string,
    id: string | undefined,
    eventId: string,
    signal: AbortSignal,
  ): Promise<{ id: string; transition: AppliedTransition } | undefined>;

  /** The cursor after which only changes come that have not happened yet. */
  tail(name: string, signal: AbortSignal): Promise<string>;

  /**
   * Changes after `cursor` as they happen; waits by being woken. Yields at least one batch a minute, so
   * that the cursor moves on; batches hold at most 1,000 changes. Ends by throwing: the signal's reason,
   * or CURSOR_EXPIRED when something after the cursor is gone. A cursor that is not of this name and
   * store is Fault INVALID_FIELD for `cursor`.
   */
  watch(name: string, cursor: string, signal: AbortSignal): AsyncIterable<ChangeBatch>;

  /** Compares records and index entries, each pair atomically, both ways; yields as it goes. */
  auditIndex(name: string, signal: AbortSignal): AsyncIterable<AuditProgress>;

  /** Resolves when the engine answers. */
  ping(signal: AbortSignal): Promise<void>;
}
