/**
 * The law of laws: over random histories every answer of the store is the model's, and so is how every
 * group stands after each step. The alphabet is tiny on purpose, so that busy keys, spent credit, stale
 * tokens, ids used again and events that retention took are the rule. Times are never compared: a step is
 * at least a millisecond after the one before, delays are none or longer than any history, and a lease
 * runs out when a step makes it. A failure prints its seed and the shortest history that shows it; run it
 * again with SWITCHGEAR_TEST_SEED.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_GROUP_SETTINGS, DEFAULT_STREAM_SETTINGS, type Mark } from '../../../src/bus/event.js';
import type { BusStore } from '../../../src/bus/store.js';
import { FakeClock } from '../../support/fake-clock.js';
import { ModelBusStore } from './model-store.js';
import {
  type BusLaws,
  type BusSubject,
  busHandles,
  never,
  newEvent,
  newStreamName,
  pass,
  useBus,
} from './subject.js';

const RUNS = 100;
const MAX_STEPS = 80;
/** Runs and shrinking together; the shortest history found by then is the one that is printed. */
const MAX_TOTAL_MS = 60_000;
const MAX_EVENTS = 14;
const FAR_MS = 3_600_000;
const GROUPS = ['default', 'strict', 'filtered'] as const;
const CONSUMERS = ['c1', 'c2'];
const SETTINGS = {
  ...DEFAULT_GROUP_SETTINGS,
  ackDeadlineMs: FAR_MS,
  minBackoffMs: FAR_MS,
  maxBackoffMs: FAR_MS,
};

type Step =
  | {
      kind: 'write';
      events: readonly { type: string; key: string; dedupeId: string; body: string }[];
      requestId: string;
      requestHash: string;
      expects: 'nothing' | 'last' | 'zero';
    }
  | {
      kind: 'claim';
      group: string;
      consumer: string;
      /** The one before again, by its consumer. */
      isRepeated: boolean;
      maxEvents: number;
      messages: number;
      retryAfter: number | undefined;
    }
  | {
      kind: 'mark';
      group: string;
      marks: { seq: number; token: number | undefined; mark: Mark; isSoon: boolean }[];
    }
  | { kind: 'expire'; token: number }
  | { kind: 'extend'; group: string; token: number; seq: number | undefined }
  | { kind: 'release'; group: string; consumer: string }
  | { kind: 'seek'; group: string; to: number | 'beginning' | 'end' }
  | { kind: 'update'; group: string; maxAttempts: number }
  | { kind: 'remake'; group: string; start: 'beginning' | 'end' }
  | { kind: 'replay' | 'purge'; group: string; seqs: number[] | undefined };

const one = <const T>(...values: readonly T[]) => fc.constantFrom(...values);
const kind = <K extends string>(name: K) => fc.constant(name);
const groups = one<string>('strict', 'strict', 'strict', 'default', 'default', 'filtered');
const seqs = fc.integer({ min: 1, max: 24 });
/** Which hand-out, counted back from the last. */
const tokens = fc.nat(3);

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: kind('write'),
      events: fc.array(
        fc.record({
          type: one('a', 'b'),
          key: one('', 'k', 'k', 'l'),
          dedupeId: one('', '', '', '', '', '', 'd1', 'd2'),
          body: one('1', '1', '2'),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      requestId: one('', '', '', 'r'),
      requestHash: one('h', 'i'),
      expects: one('nothing', 'nothing', 'nothing', 'last', 'zero'),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: kind('claim'),
      group: groups,
      consumer: one(...CONSUMERS),
      isRepeated: one(true, false, false, false),
      maxEvents: fc.integer({ min: 1, max: 4 }),
      messages: one(2, 5, 100, 100),
      retryAfter: one(undefined, undefined, undefined, 0, 3),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: kind('mark'),
      group: groups,
      marks: fc.array(
        fc.record({
          seq: seqs,
          token: fc.option(tokens, { nil: undefined, freq: 3 }),
          mark: one<Mark>('processed', 'processed', 'retry', 'unprocessed'),
          isSoon: fc.boolean(),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: kind('expire'), token: tokens }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('extend'),
      group: groups,
      token: tokens,
      seq: fc.option(seqs, { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('release'),
      group: groups,
      consumer: one(...CONSUMERS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('seek'),
      group: groups,
      to: fc.oneof(seqs, one('beginning' as const, 'end' as const)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('update'), group: groups, maxAttempts: fc.nat(2) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('remake'),
      group: groups,
      start: one('beginning' as const, 'end' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one('replay' as const, 'replay' as const, 'purge' as const),
      group: groups,
      seqs: fc.option(fc.array(seqs, { minLength: 1, maxLength: 3 }), { nil: undefined }),
    }),
  },
);

/** What every history begins with, so that the first claims are not in vain. */
const FIRST = {
  kind: 'write',
  events: ['k', '', 'k', 'l', 'k', '', 'l', ''].map((key, i) => ({
    type: i % 3 === 0 ? 'a' : 'b',
    key,
    dedupeId: '',
    body: '1',
  })),
  requestId: '',
  requestHash: '',
  expects: 'nothing',
} as const;

export const describeModel: BusLaws = (open, profile) => {
  describe('any history of calls', () => {
    const subject = useBus(open);

    it('has the answers that the model has', { timeout: 120_000 }, async () => {
      const property = fc.asyncProperty(
        fc.array(steps, { minLength: 1, maxLength: MAX_STEPS, size: 'max' }),
        fc.boolean(),
        async (history, isCapped) => {
          await new Trial(subject, busHandles(subject, profile), isCapped).run(history);
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

/** An event in a worker's hands, in the store and in the model, whose lease numbers may differ. */
interface Held {
  readonly group: string;
  readonly consumer: string;
  readonly seq: number;
  readonly leases: readonly [store: number, model: number];
}

/** A number that a side knows nothing of. */
const NO_LEASE = 999_999_999;

/** One side of a trial: the store, or the model. */
interface Side {
  readonly index: 0 | 1;
  readonly store: BusStore;
  readonly number: number;
}

/**
 * One history run against handles (in turn) and model. With a cap, retention takes events that are in
 * flight; when exactly such a row is dropped is nobody's promise, so then there are no keys, which it would
 * free sooner or later, and no counts are compared.
 */
class Trial {
  readonly #subject: BusSubject;
  readonly #handles: readonly BusStore[];
  readonly #isCapped: boolean;
  readonly #clock = new FakeClock();
  readonly #model = new ModelBusStore(this.#clock);
  readonly #held: Held[] = [];
  readonly #claims = new Map<string, number>();
  /** What time it was when a sequence was written, by side. */
  readonly #times: [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  #numbers: readonly [number, number] = [0, 0];
  #lastSeq = 0;

  constructor(subject: BusSubject, handles: readonly BusStore[], isCapped: boolean) {
    this.#subject = subject;
    this.#handles = handles;
    this.#isCapped = isCapped;
  }

  async run(history: readonly Step[]): Promise<void> {
    await this.#begin();
    for (const [i, step] of history.entries()) {
      const store = this.#handles[i % this.#handles.length] as BusStore;
      await this.#pass(1);
      const [real, expected] = await this.#both(store, (side) => this.#take(side, step));
      expect(real, `step ${i}, ${JSON.stringify(step)}`).toEqual(expected);
      const [stands, shouldStand] = await this.#both(store, (side) => this.#standing(side));
      expect(stands, `after step ${i}, ${JSON.stringify(step)}`).toEqual(shouldStand);
    }
    await this.#expectSameLists();
  }

  async #begin(): Promise<void> {
    const cap = { maxEvents: MAX_EVENTS, overflow: 'drop_oldest' as const };
    const settings = { ...DEFAULT_STREAM_SETTINGS, ...(this.#isCapped && cap) };
    const stream = { name: newStreamName('model'), uid: 'uid', settings, requestId: '', requestHash: '' };
    const made = [this.#handles[0] as BusStore, this.#model].map((each) => each.createStream(stream, never));
    const [real, model] = await Promise.all(made);
    this.#numbers = [real?.stream.number ?? 0, model?.stream.number ?? 0];
    for (const group of GROUPS)
      await this.#both(this.#handles[0] as BusStore, (side) => this.#createGroup(side, group, 'beginning'));
    await this.#both(this.#handles[0] as BusStore, (side) => this.#write(side, FIRST));
  }

  async #pass(ms: number): Promise<void> {
    await pass(this.#subject, ms);
    this.#clock.advance(ms);
  }

  async #both<T>(store: BusStore, act: (side: Side) => Promise<T>): Promise<[T, T]> {
    const [real, model] = this.#numbers;
    return [
      await act({ index: 0, store, number: real }),
      await act({ index: 1, store: this.#model, number: model }),
    ];
  }

  async #createGroup({ store, number }: Side, name: string, start: 'beginning' | 'end'): Promise<unknown> {
    const filter = name === 'filtered' ? { types: ['a'], attributes: {} } : undefined;
    const settings = { ...SETTINGS, maxAttempts: name === 'strict' ? 1 : 2 };
    const group = { name, settings, filter, start: { kind: start }, requestId: '', requestHash: '' };
    const { kind } = await store.createGroup(number, group, never);
    return kind;
  }

  async #take(side: Side, step: Step): Promise<unknown> {
    const { store, number } = side;
    switch (step.kind) {
      case 'write':
        return this.#write(side, step);
      case 'claim':
        return this.#claim(side, step);
      case 'mark':
        return store.settle(number, this.#groupOf(step), this.#settlements(side, step), never);
      case 'expire':
        return this.#expire(side, step.token);
      case 'extend': {
        const held = this.#held.at(-1 - step.token);
        const lease = held?.leases[side.index] ?? NO_LEASE;
        const answer = await store.extend(
          number,
          step.group,
          [{ seq: step.seq ?? held?.seq ?? 1, lease }],
          FAR_MS,
          never,
        );
        return { ...answer, deadlineMs: 0 };
      }
      case 'release':
        return store.release(number, step.group, step.consumer, this.#claimId(side, step, false), never);
      case 'seek': {
        const to =
          typeof step.to === 'number'
            ? ({ kind: 'seq', seq: step.to } as const)
            : ({ kind: step.to } as const);
        const answer = await store.seekGroup(number, step.group, to, never);
        return 'group' in answer ? { ...answer, group: answer.group.name } : answer;
      }
      case 'update': {
        const settings = { ...SETTINGS, maxAttempts: step.maxAttempts };
        const { kind } = await store.updateGroup(number, step.group, settings, undefined, never);
        return kind;
      }
      case 'remake':
        return [
          await store.deleteGroup(number, step.group, never),
          await this.#createGroup(side, step.group, step.start),
        ];
      case 'replay':
      case 'purge': {
        const which = step.seqs
          ? ({ kind: 'some', seqs: step.seqs } as const)
          : ({ kind: 'all', after: undefined } as const);
        return step.kind === 'replay'
          ? store.replayDead(number, step.group, which, never)
          : store.purgeDead(number, step.group, which, never);
      }
    }
  }

  async #write({ index, store, number }: Side, step: Extract<Step, { kind: 'write' }>): Promise<unknown> {
    const { requestId, requestHash } = step;
    // With a request id, whether a batch of duplicates is remembered by it shows only when both are used.
    const events = step.events.map(({ type, key, dedupeId, body }) =>
      newEvent({
        type,
        orderingKey: this.#isCapped ? '' : key,
        body: Buffer.from(body),
        dedupeId: requestId === '' ? dedupeId : '',
      }),
    );
    const expectedSeq = { nothing: undefined, last: this.#lastSeq, zero: 0 }[step.expects];
    const answer = await store.write(number, events, { requestId, requestHash, expectedSeq }, never);
    if (answer.kind !== 'written') return answer;
    for (const { seq, createTimeMs, duplicate } of answer.events)
      if (!duplicate && !this.#times[index].has(seq)) this.#times[index].set(seq, createTimeMs);
    // The model answers last, and by then both have written.
    if (index === 1) this.#lastSeq = Math.max(this.#lastSeq, ...answer.events.map(({ seq }) => seq));
    return answer.events.map(({ seq, duplicate }) => ({ seq, duplicate }));
  }

  async #claim(side: Side, step: Extract<Step, { kind: 'claim' }>): Promise<unknown> {
    const { index, store, number } = side;
    const { kind: _, messages, retryAfter, isRepeated, ...rest } = step;
    const answer = await store.claim(
      number,
      {
        ...rest,
        claimId: this.#claimId(side, step, !isRepeated),
        maxBytes: 2 ** 24,
        credit: { messages, bytes: 2 ** 24 },
        ackDeadlineMs: undefined,
        retry:
          retryAfter === undefined ? undefined : { afterSeq: retryAfter, beganMs: Number.MAX_SAFE_INTEGER },
      },
      never,
    );
    if (answer.kind !== 'claimed') return answer;
    // A claim that is repeated has the same events; their order is nobody's promise.
    const events = isRepeated ? [...answer.events].sort((a, b) => a.event.seq - b.event.seq) : answer.events;
    const { group, consumer } = step;
    if (index === 0)
      for (const { event, lease } of events)
        this.#held.push({ group, consumer, seq: event.seq, leases: [lease, NO_LEASE] });
    // The model answers last, and what the store handed out just before is the end of the list.
    const mine = index === 1 && events.length > 0 ? this.#held.splice(-events.length) : [];
    for (const [i, held] of mine.entries())
      this.#held.push({ ...held, leases: [held.leases[0], events[i]?.lease ?? NO_LEASE] });
    return {
      events: events.map(({ event, attempt }) => ({ seq: event.seq, type: event.type, attempt })),
      creditSpent: answer.creditSpent,
      hasNext: this.#isCapped || answer.nextDueMs !== undefined,
    };
  }

  /** A mark with a token is of the group that it was given by. */
  #groupOf({ group, marks }: Extract<Step, { kind: 'mark' }>): string {
    const token = marks[0]?.token;
    return (token === undefined ? undefined : this.#held.at(-1 - token)?.group) ?? group;
  }

  #settlements({ index }: Side, { marks }: Extract<Step, { kind: 'mark' }>) {
    return marks.map(({ seq, token, mark, isSoon }) => {
      const held = token === undefined ? undefined : this.#held.at(-1 - token);
      return {
        seq: held?.seq ?? seq,
        lease: token === undefined ? undefined : (held?.leases[index] ?? NO_LEASE),
        mark,
        delayMs: isSoon ? 0 : undefined,
      };
    });
  }

  /** A consumer's last claim id, or its next; the same on both sides. */
  #claimId(
    { index }: Side,
    { group, consumer }: { group: string; consumer: string },
    isNew: boolean,
  ): string {
    const name = `${index} ${group} ${consumer}`;
    const count = (this.#claims.get(name) ?? 0) + (isNew ? 1 : 0);
    this.#claims.set(name, count);
    return `claim-${count}`;
  }

  async #expire(side: Side, token: number): Promise<unknown> {
    const held = this.#held.at(-1 - token);
    if (!held) return undefined;
    const { group, consumer, leases } = held;
    const accepted = { consumer, lease: leases[side.index], ackDeadlineMs: 1 };
    await side.store.accept(side.number, group, accepted, never);
    if (side.index === 0) await pass(this.#subject, 3);
    else this.#clock.advance(3);
    return undefined;
  }

  /** How every group stands, without times. */
  async #standing({ index, store, number }: Side): Promise<unknown> {
    const facts = await store.getStreamFacts(number, never);
    if (facts.kind !== 'facts') return facts;
    const { firstSeq, lastSeq, bytes } = facts;
    const seqAt = (timeMs: number | undefined) =>
      [...this.#times[index]].find(([, written]) => written === timeMs)?.[0];
    const groups = [];
    for (const each of facts.groups) {
      const { group, oldestUnprocessedTimeMs, ...counts } = each;
      const page = await store.listEvents(number, group.name, undefined, 1, 1_000, never);
      if (page.kind !== 'page') throw new Error(page.kind);
      const statuses = page.items.map(({ event, status, attempts }) => `${event.seq} ${status} ${attempts}`);
      const oldest = seqAt(oldestUnprocessedTimeMs);
      groups.push({ name: group.name, statuses, ...(!this.#isCapped && { ...counts, oldest }) });
    }
    return { firstSeq, lastSeq, bytes, groups };
  }

  /** Lists by status and dead letters, at the end. */
  async #expectSameLists(): Promise<void> {
    for (const group of GROUPS) {
      const [real, expected] = await this.#both(this.#handles[0] as BusStore, async ({ store, number }) => {
        const dead = await store.listDead(number, group, undefined, 1_000, never);
        const lists = [];
        for (const status of ['unprocessed', 'processed', 'retry', 'leased', 'waiting', 'dead'] as const) {
          const page = await store.listEvents(number, group, status, 1, 1_000, never);
          if (page.kind !== 'page') throw new Error(page.kind);
          lists.push(page.items.map(({ event }) => event.seq));
        }
        return {
          dead: dead.kind === 'page' && dead.items.map(({ event, attempts }) => [event.seq, attempts]),
          lists,
        };
      });
      expect(real, `lists of ${group}`).toEqual(expected);
    }
  }
}
