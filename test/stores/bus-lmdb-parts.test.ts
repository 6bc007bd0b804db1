/**
 * What holds for the embedded bus beyond its law: streams are worked on in memory, and whatever becomes of
 * that memory (a restart, a job that throws, a commit that fails, no room for it), the answers are those
 * of the data.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { ABORT } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_STREAM_SETTINGS, type LeasedEvent, type Mark, type Stream } from '../../src/bus/event.js';
import type { BusStore } from '../../src/bus/store.js';
import type { ClaimRequest } from '../../src/bus/verbs.js';
import { LmdbBusStore } from '../../src/stores/lmdb/bus.js';
import { leasesIn, rowsIn } from '../../src/stores/lmdb/bus-keys.js';
import { type Database, keysIn, openEnvironment } from '../../src/stores/lmdb/environment.js';
import { type Range, rangeOf } from '../../src/stores/lmdb/keys.js';
import { Space } from '../../src/stores/lmdb/space.js';
import { Writer } from '../../src/stores/lmdb/writer.js';
import {
  addGroup,
  claim,
  claimOne,
  claimRequest,
  createStream,
  GROUP,
  givenGroup,
  givenStream,
  groupFacts,
  keyed,
  listDead,
  MARKS,
  makeDead,
  mark,
  markAll,
  never,
  newEvent,
  newEvents,
  newGroup,
  seqsClaimed,
  seqsOf,
  statuses,
  streamFacts,
  Told,
  write,
} from '../conformance/bus/subject.js';
import { FakeClock } from '../support/fake-clock.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { eventually } from '../support/waiting.js';

const MAX_BYTES = 2 ** 28;
const EVERYTHING_OF_STREAMS: Range = rangeOf(Buffer.from([0x58]));

/** A store whose database can be looked into, closed and opened again, and made to fail. */
class Bench {
  readonly clock: FakeClock;
  readonly told = new Told();
  readonly #dataDir = temporaryDirectory('bus-lmdb-parts');
  #opened: { db: Database; writer: Writer; store: LmdbBusStore };
  /** The next commit fails, and nothing of it is kept. */
  failsNext = false;
  /** So many writes to the database work, and then one throws. */
  putsLeft = Number.POSITIVE_INFINITY;
  /** Reads throw while it says so. */
  isUnreadable = (): boolean => false;

  constructor(clock = new FakeClock()) {
    this.clock = clock;
    this.#opened = this.#open();
  }

  get store(): BusStore {
    return this.#opened.store;
  }

  get db(): Database {
    return this.#opened.db;
  }

  #open() {
    const options = { dataDir: this.#dataDir, durability: 'relaxed' as const, maxBytes: MAX_BYTES };
    const db = openEnvironment(options);
    const breakable = this.#breakable(db);
    const space = new Space(db, { ...options, clock: this.clock });
    const writer = new Writer(breakable, { clock: this.clock, isOwner: () => true, space });
    const store = new LmdbBusStore({ db: breakable, writer, clock: this.clock, observer: this.told });
    return { db, writer, store };
  }

  #breakable(db: Database): Database {
    const get = (key: Buffer) => {
      if (this.isUnreadable()) throw new Error('cannot be read');
      return db.get(key);
    };
    const put = (key: Buffer, value: unknown) => {
      if (this.putsLeft-- <= 0) throw new Error('cannot be written');
      return db.put(key, value);
    };
    const transaction = (run: () => void) => {
      if (!this.failsNext) return db.transaction(run);
      this.failsNext = false;
      db.transactionSync(() => {
        run();
        return ABORT;
      });
      return Promise.reject(new Error('No space left on device'));
    };
    return new Proxy(db, {
      get: (target, name) => {
        if (name === 'get') return get;
        if (name === 'put') return put;
        if (name === 'transaction') return transaction;
        const value = Reflect.get(target, name) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  readonly keys = (range = EVERYTHING_OF_STREAMS): number => keysIn(this.db, range, 100_000).length;

  get transactions(): number {
    return (this.db.getStats() as { lastTxnId: number }).lastTxnId;
  }

  async reopen(): Promise<void> {
    await this.#close();
    this.#opened = this.#open();
  }

  async #close(): Promise<void> {
    this.#opened.store.close();
    await this.#opened.writer.close();
    await this.#opened.db.close();
  }

  async close(): Promise<void> {
    await this.#close();
    removeDirectory(this.#dataDir);
  }
}

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
});

afterEach(() => bench.close());

describe('an embedded bus that is opened again', () => {
  it('has leases, retries, lines, exceptions and dead letters as they were', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, keyed('a', 'a', 'a', '', '', '', ''));
    await makeDead(bench.store, number, 4);
    await markAll(bench.store, number, [7]);
    const before = await groupFacts(bench.store, number);
    const read = await statuses(bench.store, number);
    await bench.reopen();
    expect(await groupFacts(bench.store, number)).toEqual(before);
    expect(await statuses(bench.store, number)).toEqual(read);
  });

  it('takes the mark of a lease that was given before', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, newEvents(3));
    const [first, second] = await claim(bench.store, number);
    await bench.reopen();
    expect(await mark(bench.store, number, first as LeasedEvent)).toBe('ok');
    bench.clock.advance(60_000);
    expect(await mark(bench.store, number, second as LeasedEvent)).toBe('stale');
    expect(await seqsClaimed(bench.store, number)).toEqual([2, 3]);
  });

  it('repeats a claim that was made before, and gives it back by its id', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, newEvents(3));
    const leased = await claim(bench.store, number, { claimId: 'mine' });
    await bench.reopen();
    expect(await claim(bench.store, number, { claimId: 'mine' })).toEqual(leased);
    await bench.reopen();
    await bench.store.release(number, GROUP, 'c1', 'mine', never);
    expect(await statuses(bench.store, number)).toEqual(Array(3).fill('unprocessed'));
  });

  it('has each event of a large frame as it stands, whatever became of the others', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, newEvents(200));
    const leased = await claim(bench.store, number, { maxEvents: 200, claimId: 'mine' });
    const at = (seq: number) => leased[seq - 1] as LeasedEvent;
    await markAll(bench.store, number, leased.slice(0, 70));
    await mark(bench.store, number, at(80), 'retry', { delayMs: 5_000 });
    await mark(bench.store, number, at(199), 'unprocessed');
    await bench.reopen();
    const read = await statuses(bench.store, number);
    const wanted = (seq: number) =>
      seq <= 70 ? 'processed' : seq === 80 ? 'retry' : seq === 199 ? 'unprocessed' : 'leased';
    expect(read).toEqual(Array.from({ length: 200 }, (_, i) => wanted(i + 1)));
    const stillLeased = leased.filter((_, i) => read[i] === 'leased');
    expect(await claim(bench.store, number, { claimId: 'mine' })).toEqual(stillLeased);
    // And so once more, by what was read and not by what was written first.
    await bench.store.extend(number, GROUP, [{ seq: 129, lease: at(129).lease }], 3_600_000, never);
    await markAll(bench.store, number, [80, at(91)]);
    await bench.reopen();
    bench.clock.advance(120_000);
    const now = await statuses(bench.store, number);
    expect(now[79]).toBe('processed');
    const stillThere = seqsOf(stillLeased);
    expect(stillThere.map((seq) => now[seq - 1])).toEqual(
      stillThere.map((seq) => (seq === 91 ? 'processed' : seq === 129 ? 'leased' : 'retry')),
    );
  });

  it('goes on with what it had still to remove', async () => {
    const stream = await createStream(bench.store);
    await write(bench.store, stream.number, newEvents(500));
    await claim(bench.store, stream.number, { group: 'default' });
    await bench.store.deleteStream(stream.name, undefined, never);
    await bench.reopen();
    await eventually(() => bench.keys() === 0, 'nothing is left');
  });
});

describe('an embedded bus whose commit fails', () => {
  it('has not handed out what it said was handed out in it', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, newEvents(3));
    const [first] = await claim(bench.store, number, { maxEvents: 1 });
    bench.failsNext = true;
    await expect(claim(bench.store, number)).rejects.toMatchObject({ reason: 'STORE_FULL' });
    expect(await statuses(bench.store, number)).toEqual(['leased', 'unprocessed', 'unprocessed']);
    bench.failsNext = true;
    await expect(mark(bench.store, number, first as LeasedEvent)).rejects.toMatchObject({
      reason: 'STORE_FULL',
    });
    expect(await mark(bench.store, number, first as LeasedEvent)).toBe('ok');
    expect(await seqsClaimed(bench.store, number)).toEqual([2, 3]);
  });

  it('has the same sequences still to give, and says so to those who look', async () => {
    const number = await givenStream(bench.store);
    await write(bench.store, number, [newEvent()]);
    let looks = 0;
    const stop = bench.store.listen(number, () => looks++);
    bench.failsNext = true;
    await expect(write(bench.store, number, newEvents(5))).rejects.toMatchObject({ reason: 'STORE_FULL' });
    await eventually(() => looks === 1, 'a look');
    stop();
    expect((await streamFacts(bench.store, number)).lastSeq).toBe(1);
    expect((await write(bench.store, number, [newEvent()]))[0]?.seq).toBe(2);
  });

  it('has told nothing of what it would have counted', async () => {
    const number = await givenGroup(bench.store, { stream: { maxEvents: 2, overflow: 'drop_oldest' } });
    await write(bench.store, number, newEvents(2));
    await write(bench.store, number, newEvents(2));
    bench.failsNext = true;
    await expect(claim(bench.store, number)).rejects.toMatchObject({ reason: 'STORE_FULL' });
    expect(bench.told.trimmedUnprocessed).toBe(0);
    expect(await seqsClaimed(bench.store, number)).toEqual([3, 4]);
    expect(bench.told.trimmedUnprocessed).toBe(2);
  });

  it('has no group or stream that was made in it', async () => {
    const number = await givenStream(bench.store);
    bench.failsNext = true;
    await expect(addGroup(bench.store, number, newGroup())).rejects.toMatchObject({ reason: 'STORE_FULL' });
    expect(await bench.store.listGroups(number, never)).toEqual({ kind: 'groups', groups: [] });
    bench.failsNext = true;
    await expect(claim(bench.store, number, { group: 'default' })).rejects.toMatchObject({
      reason: 'STORE_FULL',
    });
    expect(await bench.store.listGroups(number, never)).toEqual({ kind: 'groups', groups: [] });
  });
});

describe('a batch that is cut short', () => {
  const written = async (putsLeft: number) => {
    const number = await givenGroup(bench.store);
    bench.putsLeft = putsLeft;
    return write(bench.store, number, newEvents(5));
  };

  it('leaves it open what has happened when half of it is committed all the same', async () => {
    await expect(written(2)).rejects.toMatchObject({ reason: 'EFFECT_UNKNOWN' });
  });

  it('has changed nothing when nothing of it was written', async () => {
    await expect(written(0)).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
  });
});

describe('a job that throws', () => {
  it('leaves what the jobs before it in the batch have done, and nothing of itself', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, newEvents(6));
    const some = claim(bench.store, number, { maxEvents: 2 });
    let reads = 0;
    const broken = claim(bench.store, number, { consumer: 'c2', maxEvents: 3 });
    // Two events for the first, and one for the second.
    bench.isUnreadable = () => ++reads > 3;
    await expect(broken).rejects.toThrow('cannot be read');
    bench.isUnreadable = () => false;
    expect(seqsOf(await some)).toEqual([1, 2]);
    expect(await statuses(bench.store, number)).toEqual([
      'leased',
      'leased',
      ...Array(4).fill('unprocessed'),
    ]);
    expect(await seqsClaimed(bench.store, number, { consumer: 'c2' })).toEqual([3, 4, 5, 6]);
  });
});

describe('a frame', () => {
  it('shares records no larger than half a page, however long the keys of its events are', async () => {
    const number = await givenGroup(bench.store);
    await write(
      bench.store,
      number,
      newEvents(100, (i) => ({ orderingKey: `${i}`.padEnd(120, 'k') })),
    );
    expect(await claim(bench.store, number)).toHaveLength(100);
    const leases = leasesIn({ stream: number, no: 1, generation: 1 });
    const sizes = keysIn(bench.db, leases, 100).map((key) => bench.db.getBinary(key)?.length ?? 0);
    expect(Math.max(...sizes)).toBeLessThan(2_000);
    expect(sizes.length).toBeLessThan(20);
  });

  it('takes a few records and not one for each event, and leaves none', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, newEvents(100));
    const before = bench.keys();
    const leased = await claim(bench.store, number);
    expect(leased).toHaveLength(100);
    // Two that the events share, and their consumer.
    expect(bench.keys() - before).toBe(3);
    await markAll(bench.store, number, leased.slice(0, 99));
    expect(bench.keys() - before).toBe(2);
    await markAll(bench.store, number, leased.slice(99));
    expect(bench.keys() - before).toBe(0);
  });
});

describe('a look that finds nothing', () => {
  it('costs no commit', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, newEvents(2));
    await claim(bench.store, number);
    const before = bench.transactions;
    for (let i = 0; i < 50; i++) expect(await claim(bench.store, number, { consumer: `c${i}` })).toEqual([]);
    await streamFacts(bench.store, number);
    expect(bench.transactions).toBe(before);
  });
});

describe('a write', () => {
  it('takes along a few ids whose time is over, and so do those after it', async () => {
    const number = await givenGroup(bench.store, { stream: { dedupeWindowMs: 60_000 } });
    for (let i = 0; i < 12; i++) await write(bench.store, number, [newEvent({ dedupeId: `d${i}` })]);
    bench.clock.advance(60_001);
    for (const _ of [1, 2]) {
      const before = bench.keys();
      await write(bench.store, number, [newEvent()]);
      // Five ids with the entries that said when they lapse went for the event that came; more if the sweeper was by.
      expect(bench.keys()).toBeLessThanOrEqual(before + 1 - 10);
    }
  });
});

describe('more streams than there is memory for', () => {
  it('are all worked on, each as it stands', async () => {
    const count = 2_300;
    const numbers = await Promise.all(Array.from({ length: count }, () => givenStream(bench.store)));
    await Promise.all(numbers.map((number) => write(bench.store, number, newEvents(2))));
    const request = { group: 'default', maxEvents: 1 };
    const leased = await Promise.all(numbers.map((number) => claimOne(bench.store, number, request)));
    const marks = numbers.map((number, i) =>
      mark(bench.store, number, leased[i] as LeasedEvent, 'processed', { group: 'default' }),
    );
    expect(new Set(await Promise.all(marks))).toEqual(new Set(['ok']));
    const rest = await Promise.all(numbers.map((number) => seqsClaimed(bench.store, number, request)));
    expect(rest.flat()).toEqual(Array(count).fill(2));
  }, 60_000);
});

describe('the sweeper of the embedded bus', () => {
  it('removes all that a stream held', async () => {
    const stream = await createStream(bench.store);
    const { number } = stream;
    await addGroup(bench.store, number, newGroup());
    await write(
      bench.store,
      number,
      newEvents(30, (i) => ({ dedupeId: `d${i}`, orderingKey: i % 2 ? 'a' : '' })),
    );
    await makeDead(bench.store, number, 1);
    await claim(bench.store, number);
    await bench.store.deleteStream(stream.name, undefined, never);
    await eventually(() => bench.keys() === 0, 'nothing is left');
  });

  it('removes what a seek and the deletion of a group leave', async () => {
    const number = await givenGroup(bench.store);
    await write(bench.store, number, keyed(...Array(40).fill('a')));
    const keys = bench.keys();
    await claim(bench.store, number);
    await bench.store.seekGroup(number, GROUP, { kind: 'beginning' }, never);
    await eventually(() => bench.keys() === keys, 'rows are gone');
    await claim(bench.store, number);
    await bench.store.deleteGroup(number, GROUP, never);
    // With its head and its name.
    await eventually(() => bench.keys() === keys - 2, 'the group is gone');
  });

  it('takes events, ids and dead letters whose time is over, though nobody writes', async () => {
    const settings = { maxAgeMs: 3_600_000, dedupeWindowMs: 60_000 };
    const number = await givenGroup(bench.store, { stream: settings });
    await write(
      bench.store,
      number,
      newEvents(700, (i) => ({ dedupeId: `d${i}` })),
    );
    await makeDead(bench.store, number, 1);
    const before = bench.keys();
    bench.clock.advance(60_001);
    // Seven hundred ids, and the one entry that says when they lapse.
    await eventually(() => bench.keys() === before - 701, 'ids are gone');
    bench.clock.advance(3_600_000);
    await eventually(async () => (await streamFacts(bench.store, number)).firstSeq === 701, 'events go');
    await eventually(async () => (await listDead(bench.store, number)).length === 0, 'dead letters go');
    expect((await streamFacts(bench.store, number)).bytes).toBe(0);
    expect((await groupFacts(bench.store, number)).droppedDead).toBe(1);
    expect((await write(bench.store, number, [newEvent({ dedupeId: 'd1' })]))[0]?.seq).toBe(701);
  });

  it('takes what is over a cap that was lowered', async () => {
    const stream: Stream = await createStream(bench.store);
    await write(bench.store, stream.number, newEvents(500));
    const lower = { ...DEFAULT_STREAM_SETTINGS, maxEvents: 7, overflow: 'drop_oldest' as const };
    await bench.store.updateStream(stream.name, lower, undefined, never);
    const first = async () => (await streamFacts(bench.store, stream.number)).firstSeq;
    await eventually(async () => (await first()) === 494, 'all but seven are gone');
  });
});

const pick = fc.double({ min: 0, max: 1, noNaN: true });
const histories = fc.array(
  fc.oneof(
    fc.record({
      act: fc.constant('write' as const),
      keys: fc.array(fc.constantFrom('', 'a', 'b'), { minLength: 1, maxLength: 5 }),
    }),
    fc.record({
      act: fc.constant('claim' as const),
      consumer: fc.constantFrom('c1', 'c2'),
      maxEvents: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({
      act: fc.constant('settle' as const),
      pick,
      isFenced: fc.boolean(),
      // Of one event in one step: what goes with the first comes anew with the next.
      marks: fc.array(fc.constantFrom(...MARKS), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ act: fc.constant('extend' as const), pick }),
    fc.record({ act: fc.constant('release' as const), consumer: fc.constantFrom('c1', 'c2') }),
    fc.record({ act: fc.constant('pass' as const), ms: fc.constantFrom(20, 31_500) }),
    fc.record({ act: fc.constant('seek' as const), pick }),
    fc.record({ act: fc.constant('replay' as const) }),
    fc.record({ act: fc.constant('purge' as const), pick }),
    fc.record({ act: fc.constant('reopen' as const) }),
  ),
  { minLength: 5, maxLength: 40 },
);
type Act = typeof histories extends fc.Arbitrary<readonly (infer A)[]> ? A : never;

/** The same acts on a store that is opened again now and then, and on one that is not. */
class Twins {
  readonly #benches: readonly [Bench, Bench];
  readonly #number: number;
  readonly #given: LeasedEvent[] = [];
  readonly #claimIds = new Map<string, string>();
  #claims = 0;
  #last = 0;

  constructor(benches: readonly [Bench, Bench], number: number) {
    this.#benches = benches;
    this.#number = number;
  }

  async run(history: readonly Act[]): Promise<void> {
    for (const act of history) {
      if (act.act === 'reopen') await this.#benches[0].reopen();
      else if (act.act === 'pass') for (const { clock } of this.#benches) clock.advance(act.ms);
      else await this.#both((store) => this.#act(store, act));
      await this.#both((store) => statuses(store, this.#number));
      await this.#both(async (store) => {
        const { group: _, ...facts } = await groupFacts(store, this.#number);
        return facts;
      });
    }
    await this.#both((store) => this.#settleAll(store));
    for (const { store, keys } of this.#benches) expect(await this.#records(store, keys)).toEqual([0, 0]);
  }

  async #settleAll(store: BusStore): Promise<void> {
    const { lastSeq } = await streamFacts(store, this.#number);
    await markAll(
      store,
      this.#number,
      Array.from({ length: lastSeq }, (_, i) => i + 1),
    );
  }

  /** How many records the rows of the group have: of their own, and shared. */
  async #records(store: BusStore, keys: Bench['keys']): Promise<[number, number]> {
    const { generation } = (await groupFacts(store, this.#number)).group;
    const place = { stream: this.#number, no: 1, generation };
    return [keys(rowsIn(place)), keys(leasesIn(place))];
  }

  async #both(ask: (store: BusStore) => Promise<unknown>): Promise<void> {
    const [again, once] = this.#benches;
    const claims = this.#claims;
    const given = this.#given.length;
    const expected = await ask(once.store);
    this.#claims = claims;
    this.#given.length = given;
    expect(await ask(again.store)).toEqual(expected);
  }

  async #act(store: BusStore, act: Exclude<Act, { act: 'reopen' | 'pass' }>): Promise<unknown> {
    const number = this.#number;
    switch (act.act) {
      case 'write':
        return write(store, number, keyed(...act.keys));
      case 'claim': {
        const claimId = `claim-${++this.#claims}`;
        const request: ClaimRequest = claimRequest({ ...act, claimId });
        const answer = await store.claim(number, request, never);
        if (answer.kind === 'claimed') {
          if (answer.events.length > 0) this.#claimIds.set(act.consumer, claimId);
          this.#given.push(...answer.events);
        }
        return answer;
      }
      case 'settle': {
        const given = this.#given[Math.floor(act.pick * this.#given.length)];
        const seq = await this.#seqAt(store, act.pick);
        const [first, ...others] = act.marks;
        const lease = act.isFenced && given ? given.lease : undefined;
        const marked = lease === undefined ? seq : given?.event.seq;
        const settlements = [
          { seq: marked as number, lease, mark: first as Mark, delayMs: 15 },
          ...others.map((each) => ({ seq: marked as number, lease: undefined, mark: each, delayMs: 15 })),
        ];
        return store.settle(number, GROUP, settlements, never);
      }
      case 'extend': {
        const given = this.#given[Math.floor(act.pick * this.#given.length)];
        const leases = given ? [{ seq: given.event.seq, lease: given.lease }] : [];
        return store.extend(number, GROUP, leases, 50_000, never);
      }
      case 'release':
        return store.release(number, GROUP, act.consumer, this.#claimIds.get(act.consumer) ?? 'none', never);
      case 'seek':
        return store
          .seekGroup(number, GROUP, { kind: 'seq', seq: await this.#seqAt(store, act.pick) }, never)
          .then(({ kind }) => kind);
      case 'replay':
        return store.replayDead(number, GROUP, { kind: 'all', after: undefined }, never);
      case 'purge':
        return store.purgeDead(
          number,
          GROUP,
          { kind: 'some', seqs: [await this.#seqAt(store, act.pick)] },
          never,
        );
    }
  }

  async #seqAt(store: BusStore, share: number): Promise<number> {
    this.#last = (await streamFacts(store, this.#number)).lastSeq;
    return 1 + Math.floor(share * this.#last);
  }
}

describe('an embedded bus that is opened again and again', () => {
  it('answers as one that never was', async () => {
    const other = new Bench();
    try {
      await fc.assert(
        fc.asyncProperty(histories, async (history) => {
          const name = randomUUID();
          const numbers = await Promise.all(
            [bench, other].map(async ({ store }) => {
              const { number } = await createStream(store, {}, name);
              await addGroup(store, number, newGroup());
              return number;
            }),
          );
          expect(numbers[0]).toBe(numbers[1]);
          await new Twins([bench, other], numbers[0] as number).run(history);
        }),
        { numRuns: 40 },
      );
    } finally {
      await other.close();
    }
  }, 120_000);
});
