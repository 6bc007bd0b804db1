/**
 * A store in memory that is too simple to be wrong: plain maps, one command after another, each decided
 * by `decide`. What it answers is what every store must answer; times are 0 wherever they occur.
 */
import { type ConfigurationContent, edgesOf } from '../../src/fsm/configuration.js';
import { type Chunk, decideImport, IMPORT_MARK } from '../../src/fsm/import.js';
import {
  type Answer,
  type AppliedTransition,
  type Command,
  decide,
  type Machine,
  type StoredOutcome,
} from '../../src/fsm/machine.js';
import type { Change, ImportAnswer, NewMachine } from '../../src/fsm/store.js';

interface Kept {
  made: Machine;
  now: Machine;
  request: Pick<NewMachine, 'requestId' | 'requestHash'>;
  history: AppliedTransition[];
}

export class ModelStore {
  readonly machines = new Map<string, Kept>();
  /** By machine id, then by event id. */
  readonly outcomes = new Map<string, Map<string, StoredOutcome>>();
  readonly changes: Change[] = [];
  historyMaxCount = 0;
  readonly #configurations: ReadonlyMap<string, ConfigurationContent>;

  constructor(configurations: readonly ConfigurationContent[]) {
    this.#configurations = new Map(configurations.map((each) => [each.version, each]));
  }

  create(asked: NewMachine): { kind: string; machine: Machine } {
    const there = this.machines.get(asked.id);
    if (there) {
      const { requestId, requestHash } = there.request;
      const isRepeat = requestId !== '' && requestId === asked.requestId && requestHash === asked.requestHash;
      return isRepeat ? { kind: 'replayed', machine: there.made } : { kind: 'exists', machine: there.now };
    }
    const { requestId, requestHash, ...rest } = asked;
    const machine = { ...rest, version: 0, createTimeMs: 0, updateTimeMs: 0 };
    this.machines.set(asked.id, {
      made: machine,
      now: machine,
      request: { requestId, requestHash },
      history: [],
    });
    this.#announce('created', machine, { from: '', to: machine.state });
    return { kind: 'created', machine };
  }

  import(chunk: Chunk): ImportAnswer {
    const { id, importId, configurationName, configurationVersion, uid } = chunk;
    const there = this.machines.get(id);
    const known = this.outcomes.get(id) ?? new Map<string, StoredOutcome>();
    const decision = decideImport(there && { ...there.now, ...there.request }, chunk, {
      eventIdAt: (version) => there?.history.find((entry) => entry.version === version)?.event.eventId,
      outcomeOf: (eventId) => known.get(eventId),
    });
    if (decision.kind === 'exists' || decision.kind === 'broken')
      return { ...decision, machine: there?.now as Machine };
    if (decision.kind !== 'import') return decision;
    if (!there) {
      const { startState: state } = decision;
      const request = { requestId: importId, requestHash: IMPORT_MARK };
      this.create({ configurationName, configurationVersion, id, uid, state, ...request });
    }
    const kept = this.machines.get(id) as Kept;
    this.outcomes.set(id, known);
    for (const { from, to, event, bodyHash } of decision.history) {
      const version = kept.now.version + 1;
      this.#move(kept, { ...event, bodyHash }, { state: to, version });
      const outcome = { kind: 'applied', from, to, version, timeMs: 0 } as const;
      known.set(event.eventId, { outcome, bodyHash, uid: kept.now.uid });
    }
    for (const { event, bodyHash, state, version } of decision.refused) {
      const outcome = { kind: 'not_allowed', state, version, configurationVersion, timeMs: 0 } as const;
      known.set(event.eventId, { outcome, bodyHash, uid: kept.now.uid });
    }
    const written = !there || decision.history.length + decision.refused.length > 0;
    return { kind: 'imported', machine: kept.now, written };
  }

  delete(id: string, uid: string | undefined): { kind: string; uid?: string } {
    const there = this.machines.get(id);
    if (!there) return { kind: 'absent' };
    if (uid !== undefined && uid !== there.now.uid) return { kind: 'uid_mismatch', uid: there.now.uid };
    this.machines.delete(id);
    this.#announce('deleted', there.now, { from: there.now.state, to: '' });
    return { kind: 'deleted' };
  }

  advance(id: string, commands: readonly Command[]): Answer[] {
    return commands.map((command) => this.#decide(id, command));
  }

  #decide(id: string, command: Command): Answer {
    const kept = this.machines.get(id);
    const configuration = kept && this.#configurations.get(kept.now.configurationVersion);
    const known = this.outcomes.get(id) ?? new Map<string, StoredOutcome>();
    this.outcomes.set(id, known);
    const edges = configuration && edgesOf(configuration);
    const { answer, store, move } = decide(kept?.now, edges, command, known.get(command.eventId), 0);
    if (store) known.set(command.eventId, store);
    if (kept && move) this.#move(kept, command, move);
    return answer;
  }

  #move(
    kept: Kept,
    { eventId, name, originator, details, timestampUs }: Command,
    move: { state: string; version: number },
  ) {
    const from = kept.now.state;
    const event = { eventId, name, originator, details, timestampUs };
    kept.now = { ...kept.now, ...move };
    kept.history.push({ version: move.version, from, to: move.state, event, applyTimeMs: 0 });
    if (this.historyMaxCount > 0) kept.history = kept.history.slice(-this.historyMaxCount);
    this.#announce('transition', kept.now, { from, to: move.state, eventName: name, eventId });
  }

  #announce(kind: Change['kind'], machine: Machine, what: Partial<Change>): void {
    const { id, uid, version, configurationVersion } = machine;
    const blank = { from: '', to: '', eventName: '', eventId: '', timeMs: 0 };
    this.changes.push({ ...blank, kind, id, uid, version, configurationVersion, ...what });
  }
}

/** The same value with every time in it 0, so that a store's answer can be compared with the model's. */
export function timeless<T>(value: T): T {
  const isTime = (key: string) => ['timeMs', 'createTimeMs', 'updateTimeMs', 'applyTimeMs'].includes(key);
  if (Array.isArray(value)) return value.map(timeless) as T;
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, part]) => [key, isTime(key) ? 0 : timeless(part)]);
  return Object.fromEntries(entries) as T;
}
