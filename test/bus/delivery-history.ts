/**
 * Random histories of one group, run by the rules and by the plain model of the conformance suite, every
 * answer compared. The world around the group is a log that grows and is trimmed, and a clock.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import {
  accept,
  attemptsOf,
  claim,
  DeliveryGroup,
  deathsOf,
  extend,
  factsOf,
  idleClaim,
  type LogView,
  nextWithStatus,
  purge,
  release,
  replay,
  settle,
  statusOf,
} from '../../src/bus/delivery.js';
import type { EventFilter, Group, GroupSettings, StoredEvent } from '../../src/bus/event.js';
import type { ClaimRequest, Settlement } from '../../src/bus/verbs.js';
import { ModelGroup } from '../conformance/bus/model-group.js';

const KEYS = ['', '', 'a', 'b'];
const CONSUMERS = ['c1', 'c2', 'c3'];

const count = (max: number) => fc.integer({ min: 1, max });
/** Events are picked by a share of all there are, since a history knows no sequences beforehand. */
const pick = fc.double({ min: 0, max: 1, noNaN: true });
const consumer = fc.constantFrom(...CONSUMERS);

export const acts = fc.array(
  fc.oneof(
    fc.record({
      act: fc.constant('write' as const),
      keys: fc.array(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 6 }),
    }),
    fc.record({
      act: fc.constant('claim' as const),
      consumer,
      maxEvents: count(5),
      messages: count(6),
      bytes: fc.constantFrom(100, 250, 10_000),
      isRepeat: fc.boolean(),
      retriesAfter: fc.option(pick, { nil: undefined, freq: 3 }),
    }),
    fc.record({
      act: fc.constant('settle' as const),
      pick,
      isFenced: fc.boolean(),
      mark: fc.constantFrom('processed' as const, 'retry' as const, 'unprocessed' as const),
      delayMs: fc.constantFrom(undefined, 0, 30),
    }),
    fc.record({ act: fc.constant('accept' as const), pick }),
    fc.record({ act: fc.constant('extend' as const), pick }),
    fc.record({ act: fc.constant('release' as const), consumer }),
    fc.record({ act: fc.constant('pass' as const), ms: fc.constantFrom(1, 20, 60, 1_100, 3_000) }),
    fc.record({ act: fc.constant('trim' as const), pick }),
    fc.record({ act: fc.constant('seek' as const), pick }),
    fc.record({ act: fc.constant('replay' as const), picks: fc.array(pick, { maxLength: 3 }) }),
    fc.record({ act: fc.constant('purge' as const), picks: fc.array(pick, { maxLength: 3 }) }),
  ),
  { minLength: 5, maxLength: 60 },
);

export type Act = typeof acts extends fc.Arbitrary<readonly (infer A)[]> ? A : never;

class World implements LogView {
  readonly events: StoredEvent[] = [];
  firstSeq = 1;
  nowMs = 1_000_000;
  leases = 0;

  get lastSeq(): number {
    return this.events.length;
  }

  event(seq: number): StoredEvent | undefined {
    return seq < this.firstSeq ? undefined : this.events[seq - 1];
  }

  dead(seq: number): StoredEvent | undefined {
    return this.events[seq - 1];
  }

  replayed(seq: number): StoredEvent | undefined {
    return this.events[seq - 1];
  }

  write(orderingKey: string): void {
    this.events.push({
      seq: this.lastSeq + 1,
      createTimeMs: this.nowMs,
      type: this.lastSeq % 3 === 0 ? 'odd' : 'even',
      attributes: {},
      orderingKey,
      contentType: '',
      form: 'data',
      body: Buffer.alloc(10),
    });
  }
}

export class History {
  readonly #world = new World();
  readonly #group: Group;
  readonly #rules: DeliveryGroup;
  readonly #model: ModelGroup;
  readonly #lastClaims = new Map<string, string>();
  readonly #given: { seq: number; lease: number; consumer: string }[] = [];
  #claims = 0;
  #modelLeases = 0;

  constructor(settings: GroupSettings, filter: EventFilter | undefined) {
    this.#group = { name: 'g', settings, filter, revision: 1, generation: 1, createTimeMs: 0 };
    const head = { cursor: 1, trimmedUnprocessed: 0, droppedDead: 0, lastDeath: 0 };
    const world = this.#world;
    this.#rules = new DeliveryGroup(settings, filter, head);
    this.#model = new ModelGroup(this.#group, 1, {
      get firstSeq() {
        return world.firstSeq;
      },
      get lastSeq() {
        return world.lastSeq;
      },
      event: (seq) => world.event(seq),
      nextLease: () => ++this.#modelLeases,
    });
  }

  run(history: readonly Act[]): void {
    for (const act of history) {
      this.#run(act);
      this.#compare();
    }
    // The cursor, and what it counts, is brought up to date by a claim.
    this.#claim({
      act: 'claim',
      consumer: 'last',
      maxEvents: 5,
      messages: 5,
      bytes: 10_000,
      isRepeat: false,
      retriesAfter: undefined,
    });
    const facts = factsOf(this.#rules, this.#group, this.#world, this.#world.nowMs);
    const { cursor, lag, trimmedUnprocessed } = this.#model.facts(this.#world.nowMs);
    expect(facts).toMatchObject({ cursor, lag, trimmedUnprocessed });
  }

  #run(act: Act): void {
    const world = this.#world;
    const { nowMs } = world;
    switch (act.act) {
      case 'write':
        for (const key of act.keys) world.write(key);
        return;
      case 'claim':
        this.#claim(act);
        return;
      case 'settle':
        this.#settle(act);
        return;
      case 'accept':
      case 'extend':
        this.#move(act.act, act.pick);
        return;
      case 'release': {
        const claimId = this.#lastClaims.get(act.consumer) ?? 'none';
        release(this.#rules, act.consumer, claimId, nowMs);
        this.#model.release(act.consumer, claimId, nowMs);
        return;
      }
      case 'pass':
        world.nowMs += act.ms;
        return;
      case 'trim':
        world.firstSeq = Math.max(world.firstSeq, Math.floor((act.pick * world.lastSeq) / 2) + 1);
        return;
      case 'seek': {
        const cursor = world.firstSeq + Math.floor(act.pick * (world.lastSeq + 1 - world.firstSeq));
        this.#rules.reset(cursor, world);
        this.#model.seek(cursor);
        return;
      }
      default:
        this.#raise(act.act, act.picks);
    }
  }

  /** The deadline of a lease, or of one event of it. */
  #move(act: 'accept' | 'extend', share: number): void {
    const given = this.#given[Math.floor(share * this.#given.length)];
    if (!given) return;
    const { nowMs } = this.#world;
    const { seq, lease, consumer } = given;
    if (act === 'accept') {
      accept(this.#rules, { consumer, lease, ackDeadlineMs: 2_000 }, nowMs);
      this.#model.accept(consumer, lease, 2_000, nowMs);
    } else {
      const answers = extend(this.#rules, [given], nowMs + 5_000, nowMs);
      expect(answers).toEqual([this.#model.extend(seq, lease, nowMs + 5_000, nowMs)]);
    }
  }

  #raise(act: 'replay' | 'purge', picks: readonly number[]): void {
    const seqs = picks.map((share) => this.#seqAt(share));
    const deaths = deathsOf(this.#rules, seqs);
    if (act === 'replay') replay(this.#rules, this.#world, deaths, this.#world.nowMs);
    else purge(this.#rules, deaths);
    const expected =
      act === 'replay'
        ? this.#model.replay({ kind: 'some', seqs }, this.#world.nowMs)
        : this.#model.purge({ kind: 'some', seqs });
    expect(deaths.length).toBe(expected);
  }

  #seqAt(share: number): number {
    return Math.floor(share * (this.#world.lastSeq + 2));
  }

  #settle({ pick: share, isFenced, mark, delayMs }: Extract<Act, { act: 'settle' }>): void {
    const given = this.#given[Math.floor(share * this.#given.length)];
    const seq = isFenced && given ? given.seq : this.#seqAt(share);
    const settlement: Settlement = { seq, lease: isFenced ? (given?.lease ?? 1) : undefined, mark, delayMs };
    const { nowMs } = this.#world;
    expect(settle(this.#rules, this.#world, settlement, nowMs)).toBe(this.#model.settle(settlement, nowMs));
  }

  #claim({
    consumer: name,
    maxEvents,
    messages,
    bytes,
    isRepeat,
    retriesAfter,
  }: Extract<Act, { act: 'claim' }>): void {
    const world = this.#world;
    const claimId = (isRepeat && this.#canRepeat(name)) || `claim-${++this.#claims}`;
    const request: ClaimRequest = {
      group: 'g',
      consumer: name,
      claimId,
      maxEvents,
      maxBytes: 10_000,
      credit: { messages, bytes },
      ackDeadlineMs: undefined,
      retry:
        retriesAfter === undefined
          ? undefined
          : { afterSeq: this.#seqAt(retriesAfter), beganMs: world.nowMs },
    };
    const idle = idleClaim(this.#rules, world, request, world.nowMs);
    const outcome = claim(this.#rules, world, request, {
      nowMs: world.nowMs,
      nextLease: () => ++world.leases,
    });
    if (outcome.kind !== 'claimed') throw new Error(outcome.kind);
    if (idle) expect(outcome).toEqual(idle);
    const expected = this.#model.claim(request, world.nowMs);
    const { kind: _, more, ...answer } = outcome;
    const { more: expectedMore, ...expectedAnswer } = expected;
    if (isRepeat) expect(sortedBySeq(answer)).toEqual(sortedBySeq(expectedAnswer));
    else expect(answer).toEqual(expectedAnswer);
    if (!request.retry) expect(more).toBe(expectedMore);
    if (answer.events.length === 0) return;
    this.#lastClaims.set(name, claimId);
    for (const { event, lease } of answer.events) this.#given.push({ seq: event.seq, lease, consumer: name });
  }

  /** The consumer's last claim id; what retention took of a lease, only the model still has. */
  #canRepeat(name: string): string | undefined {
    const lease = this.#given.findLast(({ consumer }) => consumer === name)?.lease;
    const seqs = this.#given.filter((each) => each.lease === lease).map(({ seq }) => seq);
    return seqs.every((seq) => seq >= this.#world.firstSeq) ? this.#lastClaims.get(name) : undefined;
  }

  /** Every event that can be seen reads the same, and every count is that of what reads so. */
  #compare(): void {
    const world = this.#world;
    const { nowMs } = world;
    for (let seq = 1; seq <= world.lastSeq; seq++) {
      if (seq < world.firstSeq && !this.#rules.rows.has(seq) && !this.#rules.dead.has(seq)) continue;
      const read = { seq, status: statusOf(this.#rules, seq, nowMs), attempts: attemptsOf(this.#rules, seq) };
      expect(read).toEqual({
        seq,
        status: this.#model.status(seq, nowMs),
        attempts: this.#model.attempts(seq),
      });
    }
    const { trimmedUnprocessed: _, ...facts } = factsOf(this.#rules, this.#group, world, nowMs);
    const { trimmedUnprocessed: __, ...expected } = this.#model.facts(nowMs);
    expect({ ...facts, group: expected.group }).toEqual(expected);
    this.#compareLists();
  }

  /** A walk by status meets every event that reads so. */
  #compareLists(): void {
    const world = this.#world;
    for (const status of ['unprocessed', 'retry', 'leased', 'waiting', 'dead'] as const) {
      const met: number[] = [];
      for (let seq = nextWithStatus(this.#rules, world, status, 1); seq !== undefined; ) {
        if (statusOf(this.#rules, seq, world.nowMs) === status) met.push(seq);
        seq = nextWithStatus(this.#rules, world, status, seq + 1);
      }
      const kept = Array.from({ length: world.lastSeq }, (_, i) => i + 1).slice(world.firstSeq - 1);
      const known = kept.filter((seq) => this.#model.status(seq, world.nowMs) === status);
      expect({ status, met }).toEqual({ status, met: known });
    }
  }
}

/** A repeated claim has its events in one order here and in another there. */
function sortedBySeq<T extends { readonly events: readonly { readonly event: StoredEvent }[] }>(
  answer: T,
): T {
  const events = [...answer.events].sort((a, b) => a.event.seq - b.event.seq);
  return { ...answer, events };
}
