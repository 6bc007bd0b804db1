/**
 * The law of laws: over random histories every answer of the store is the model's, and so is all that is
 * there at the end. The alphabet is tiny on purpose, so that duplicates, conflicting bodies and ids used
 * again are the rule. A failure prints its seed and the shortest history that shows it; run it again with
 * SWITCHGEAR_TEST_SEED.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConfigurationContent } from '../../src/fsm/configuration.js';
import type { Chunk } from '../../src/fsm/import.js';
import type { Command } from '../../src/fsm/machine.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { ModelStore, timeless } from './model-store.js';
import {
  audit,
  command,
  content,
  edge,
  handles,
  historyOf,
  type Laws,
  listAll,
  never,
  newMachine,
  newName,
  sorted,
  useSubject,
} from './subject.js';
import { byMachine, Watcher } from './watcher.js';

const RUNS = 60;
const MAX_STEPS = 40;
/** Runs and shrinking together; the shortest history found by then is the one that is printed. */
const MAX_TOTAL_MS = 90_000;
/** After the last answer everything has happened, so a feed that is silent this long has lost something. */
const FEED_DEADLINE_MS = 3_000;
const IDS = ['m', 'n', 'o'];
const EVENT_IDS = ['e1', 'e2', 'e3', 'e4', 'e5', 'e6'];
const STATES = ['closed', 'open', 'locked'];
const EVENTS = ['open', 'close', 'lock', 'unlock', 'knock', 'none'];

interface ImportStep {
  id: string;
  version: string;
  importId: string;
  firstVersion: number;
  start: string;
  /** Each leads to a state by an event; the ids of refused ones follow. */
  walk: { eventId: string; to: string }[];
  refusedCount: number;
  originator: string;
}

type Step =
  | { kind: 'create'; id: string; version: string; state: string; requestId: string; requestHash: string }
  | ({ kind: 'import' } & ImportStep)
  | { kind: 'delete'; id: string; whose: 'any' | 'its' | 'another' }
  | { kind: 'advance'; id: string; commands: Command[] }
  | { kind: 'retain'; count: number };

const one = <T>(values: readonly T[]) => fc.constantFrom(...values);

const commands = fc
  .record(
    {
      eventId: one(EVENT_IDS),
      name: one(EVENTS),
      originator: one(['a', 'b']),
      expectedVersion: fc.nat(4),
      expectedState: one(STATES),
    },
    { requiredKeys: ['eventId', 'name', 'originator'] },
  )
  // An expectation on every event would leave few that are applied.
  .chain(({ expectedVersion, expectedState, ...rest }) =>
    fc.nat(5).map((dice) => ({
      ...rest,
      ...(dice === 0 && { expectedVersion }),
      ...(dice === 1 && { expectedState }),
    })),
  )
  .map(({ name, eventId, ...changes }) => command(name, eventId, changes));

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      id: one(IDS),
      commands: fc.array(commands, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      id: one(IDS),
      version: one(['v1', 'v2']),
      state: one(STATES),
      requestId: one(['', 'r1', 'r2']),
      requestHash: one(['h1', 'h2']),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('import' as const),
      id: one(IDS),
      version: one(['v1', 'v2']),
      importId: one(['r1', 'i1']),
      firstVersion: fc.constantFrom(1, 1, 1, 2, 3),
      start: one(STATES),
      walk: fc.uniqueArray(fc.record({ eventId: one(EVENT_IDS), to: one(STATES) }), {
        selector: ({ eventId }) => eventId,
        maxLength: 4,
      }),
      refusedCount: fc.nat(2),
      originator: one(['a', 'a', 'a', 'b']),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      id: one(IDS),
      whose: one(['any', 'its', 'another'] as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('retain' as const), count: fc.nat(3) }) },
);

export const describeModel: Laws = (open, profile) => {
  describe('any history of commands', () => {
    const subject = useSubject(open);

    it('has the answers and the end that the model has', { timeout: 180_000 }, async () => {
      const stores = handles(subject, profile);
      const property = fc.asyncProperty(
        fc.array(steps, { minLength: 1, maxLength: MAX_STEPS }),
        async (history) => {
          const configurations = doors(newName('model'));
          const model = new ModelStore(configurations);
          const trial = new Trial(stores, configurations, model);
          await trial.run(history);
        },
      );
      const seed = process.env.SWITCHGEAR_TEST_SEED;
      await fc.assert(property, {
        numRuns: RUNS,
        interruptAfterTimeLimit: MAX_TOTAL_MS,
        ...(seed && { seed: Number(seed) }),
      });
    });
  });
};

/** Two versions that differ in where `knock` leads. */
function doors(name: string): ConfigurationContent[] {
  const other = content().transitions.map((each) =>
    each.event === 'knock' ? edge('open', 'knock', 'locked') : each,
  );
  return [content({ name }), content({ name, version: 'v2', transitions: other })];
}

function chunkFrom(name: string, uid: string, step: ImportStep): Chunk {
  const { id, version, importId, firstVersion, start, walk, refusedCount, originator } = step;
  const past = walk.slice(refusedCount);
  const history = past.map(({ eventId, to }, i) => {
    const { bodyHash, ...event } = command('knock', eventId, { originator });
    return { from: past[i - 1]?.to ?? start, to, event, bodyHash };
  });
  const refused = walk.slice(0, refusedCount).map(({ eventId, to }, i) => {
    const { bodyHash, ...event } = command('none', eventId, { originator });
    return { event, bodyHash, state: to, version: i };
  });
  const state = past.at(-1)?.to ?? start;
  const configuration = { configurationName: name, configurationVersion: version };
  return { ...configuration, id, uid, importId, firstVersion, history, state, refused };
}

/** One history run against stores (in turn) and model. */
class Trial {
  readonly #stores: readonly FsmStore[];
  readonly #store: FsmStore;
  readonly #configurations: readonly ConfigurationContent[];
  readonly #name: string;
  readonly #model: ModelStore;
  #uids = 0;

  constructor(
    stores: readonly FsmStore[],
    configurations: readonly ConfigurationContent[],
    model: ModelStore,
  ) {
    this.#stores = stores;
    this.#store = stores[0] as FsmStore;
    this.#configurations = configurations;
    this.#name = configurations[0]?.name ?? '';
    this.#model = model;
  }

  async run(history: readonly Step[]): Promise<void> {
    for (const each of this.#configurations) await this.#store.createConfiguration(each, never);
    const cursor = await this.#store.tail(this.#name, never);
    for (const [i, step] of history.entries())
      await this.#take(step, this.#stores[i % this.#stores.length] ?? this.#store);
    await this.#expectSameMachines();
    await this.#expectSameOutcomes();
    await this.#expectSameFeed(cursor);
  }

  async #take(step: Step, store: FsmStore): Promise<void> {
    const [real, expected] = await this.#answers(step, store);
    expect(timeless(real), JSON.stringify(step)).toEqual(expected);
  }

  async #answers(step: Step, store: FsmStore): Promise<[unknown, unknown]> {
    const model = this.#model;
    switch (step.kind) {
      case 'create': {
        const { kind: _, id, version, ...rest } = step;
        const asked = newMachine(this.#name, id, {
          configurationVersion: version,
          uid: `uid-${this.#uids++}`,
          ...rest,
        });
        return [await store.createMachine(asked, never), model.create(asked)];
      }
      case 'import': {
        const asked = chunkFrom(this.#name, `uid-${this.#uids++}`, step);
        return [await store.importMachine(asked, never), model.import(asked)];
      }
      case 'delete': {
        const uids = { any: undefined, another: 'another', its: model.machines.get(step.id)?.now.uid };
        const uid = uids[step.whose];
        return [await store.deleteMachine(this.#name, step.id, uid, never), model.delete(step.id, uid)];
      }
      case 'advance':
        return [
          await store.advance(this.#name, step.id, step.commands, never),
          model.advance(step.id, step.commands),
        ];
      case 'retain': {
        model.historyMaxCount = step.count;
        // Through the first handle and all others: they may follow a second later otherwise.
        const answers = [];
        for (const each of this.#stores)
          answers.push(await each.setRetention(this.#name, step.count, undefined, never));
        return [answers.map(({ kind }) => kind), this.#stores.map(() => 'set')];
      }
    }
  }

  async #expectSameMachines(): Promise<void> {
    const kept = [...this.#model.machines.values()];
    const listed = timeless(await listAll(this.#store, this.#name, {}, 2));
    expect(sorted(listed.map((each) => JSON.stringify(each)))).toHaveLength(kept.length);
    expect(listed).toEqual(expect.arrayContaining(kept.map(({ now }) => now)));
    for (const version of [undefined, 'v1', 'v2'])
      expect(await this.#store.countByState(this.#name, STATES, version, never)).toEqual(
        STATES.map(
          (state) =>
            kept.filter(
              ({ now }) =>
                now.state === state && (version ?? now.configurationVersion) === now.configurationVersion,
            ).length,
        ),
      );
    expect(await audit(this.#store, this.#name)).toMatchObject({
      machinesScanned: kept.length,
      differences: [],
    });
    for (const id of IDS) await this.#expectSameHistory(id);
  }

  async #expectSameHistory(id: string): Promise<void> {
    const kept = this.#model.machines.get(id);
    const found = timeless(await this.#store.getMachine(this.#name, id, 2, never));
    expect(found).toEqual(kept && { machine: kept.now, history: kept.history.slice(-2) });
    if (!kept) return;
    expect(timeless(await historyOf(this.#store, this.#name, id, { limit: 3 }))).toEqual(kept.history);
    const newestFirst = await historyOf(this.#store, this.#name, id, { newestFirst: true, limit: 3 });
    expect(timeless(newestFirst)).toEqual([...kept.history].reverse());
  }

  async #expectSameOutcomes(): Promise<void> {
    for (const eventId of EVENT_IDS) {
      const times: number[] = [];
      for (const id of IDS) {
        const stored = this.#model.outcomes.get(id)?.get(eventId);
        const found = await this.#store.getOutcome(this.#name, id, eventId, never);
        expect(timeless(found), `outcome of ${eventId} on ${id}`).toEqual(stored && { id, stored });
        if (found) times.push(found.stored.outcome.timeMs);
        const transition = this.#transitionOf(id, eventId);
        const event = await this.#store.getEvent(this.#name, id, eventId, never);
        expect(timeless(event), `event ${eventId} on ${id}`).toEqual(transition && { id, transition });
      }
      const newest = await this.#store.getOutcome(this.#name, undefined, eventId, never);
      expect(newest?.stored.outcome.timeMs).toBe(times.length === 0 ? undefined : Math.max(...times));
    }
  }

  /** The history entry that an outcome points at, if the machine is the same and the entry is kept. */
  #transitionOf(id: string, eventId: string) {
    const stored = this.#model.outcomes.get(id)?.get(eventId);
    const kept = this.#model.machines.get(id);
    if (stored?.outcome.kind !== 'applied' || stored.uid !== kept?.now.uid) return undefined;
    const { version } = stored.outcome;
    return kept.history.find((entry) => entry.version === version);
  }

  async #expectSameFeed(cursor: string): Promise<void> {
    const watcher = new Watcher(this.#store, this.#name, cursor);
    const count = this.#model.changes.length;
    await watcher.until(() => watcher.changes.length >= count, `${count} changes`, FEED_DEADLINE_MS);
    await watcher.stop();
    expect(byMachine(timeless(watcher.changes))).toEqual(byMachine(this.#model.changes));
  }
}
