/** Who is served when, against a store that hands out what the test puts into it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Ask } from '../../src/bus/claim.js';
import { Dispatcher } from '../../src/bus/dispatcher.js';
import type { BusStore } from '../../src/bus/store.js';
import type { ClaimAnswer, ClaimRequest } from '../../src/bus/verbs.js';
import { Fault } from '../../src/fault.js';

const PLACE = { number: 1, stream: 's', group: 'workers' };
const NOW_MS = 1_000_000;

function ask(consumer: string): Ask {
  const credit = { messages: 1, bytes: 1 };
  return { consumer, maxEvents: 1, maxBytes: 1, credit, ackDeadlineMs: undefined, retry: undefined };
}

/** Hands out one event a claim while it has any; claims are answered in turns of the event loop. */
class ScriptedStore {
  readonly claims: ClaimRequest[] = [];
  readonly released: string[] = [];
  readonly listeners = new Set<() => void>();
  underWay = 0;
  mostUnderWay = 0;
  events = 0;
  nextDueMs: number | undefined;
  /** Consumers whose credit is used. */
  readonly spent = new Set<string>();
  /** Faults for the next claims. */
  readonly faults: (Fault | undefined)[] = [];
  onClaim: (request: ClaimRequest) => void = () => {};

  readonly port = {
    claim: async (_number: number, request: ClaimRequest, signal: AbortSignal) =>
      this.#claim(request, signal),
    release: async (_number: number, _group: string, _consumer: string, claimId: string) => {
      this.released.push(claimId);
    },
    listen: (_number: number, look: () => void) => {
      this.listeners.add(look);
      return () => this.listeners.delete(look);
    },
  } as unknown as BusStore;

  put(count: number): void {
    this.events += count;
    this.look();
  }

  look(): void {
    for (const look of [...this.listeners]) look();
  }

  async #claim(request: ClaimRequest, signal: AbortSignal): Promise<ClaimAnswer> {
    this.claims.push(request);
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    const isSpent = this.spent.has(request.consumer);
    const isThere = this.events > 0 && !isSpent;
    await Promise.resolve();
    await Promise.resolve();
    this.underWay -= 1;
    this.onClaim(request);
    const fault = this.faults.shift();
    if (fault) throw fault;
    if (signal.aborted) throw new Fault('EFFECT_UNKNOWN', 'aborted');
    if (isThere) this.events -= 1;
    return {
      kind: 'claimed',
      events: isThere ? [{ event: { seq: this.claims.length } } as never] : [],
      more: isThere && this.events > 0,
      creditSpent: isSpent,
      nextDueMs: this.nextDueMs,
      nowMs: NOW_MS,
    };
  }
}

let store: ScriptedStore;
let dispatcher: Dispatcher;
beforeEach(() => {
  vi.useFakeTimers();
  store = new ScriptedStore();
  dispatcher = new Dispatcher(store.port);
});
afterEach(() => {
  vi.useRealTimers();
});

/** Everything that can happen without time passing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 200; i += 1) await Promise.resolve();
}

interface Stream {
  readonly got: number[];
  readonly failures: unknown[];
  readonly leaving: AbortController;
}

/** A stream that claims again and again, as often as `frames` says. */
function open(consumer: string, frames = 1, place = PLACE): Stream {
  const line = dispatcher.join(place);
  const stream: Stream = { got: [], failures: [], leaving: new AbortController() };
  void (async () => {
    try {
      for (let i = 0; i < frames; i += 1) {
        const { events } = await line.claim(ask(consumer), stream.leaving.signal);
        stream.got.push(events[0]?.event.seq ?? 0);
      }
    } catch (error) {
      stream.failures.push(error);
    } finally {
      line.leave();
    }
  })();
  return stream;
}

describe('a line', () => {
  it('makes one claim when nothing is there, however many wait', async () => {
    for (let i = 0; i < 50; i += 1) open(`c${i}`);
    await settle();
    expect(store.claims).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('serves those who wait in turn, one claim at a time', async () => {
    const streams = ['a', 'b', 'c'].map((consumer) => open(consumer, 100));
    await settle();
    store.put(30);
    await settle();
    expect(streams.map(({ got }) => got.length)).toEqual([10, 10, 10]);
    expect(store.mostUnderWay).toBe(1);
  });

  it('looks again at what was said while its claim was under way', async () => {
    store.onClaim = () => {
      if (store.claims.length === 1) store.put(1);
    };
    const stream = open('a');
    await settle();
    expect(stream.got).toHaveLength(1);
  });

  it('lets nobody wait for the credit of another', async () => {
    store.spent.add('a');
    const [a, b] = [open('a', 5), open('b', 5)];
    await settle();
    store.put(3);
    await settle();
    expect([a.got.length, b.got.length]).toEqual([0, 3]);
    store.spent.clear();
    store.put(1);
    await settle();
    expect(a.got.length + b.got.length).toBe(4);
  });

  it('asks many whose credit is used again only now and then', async () => {
    const consumers = Array.from({ length: 508 }, (_, i) => `c${i}`);
    for (const consumer of consumers) {
      store.spent.add(consumer);
      open(consumer);
    }
    for (let i = 0; i < 20; i += 1) await settle();
    expect(store.claims).toHaveLength(508);
    for (let i = 0; i < 100; i += 1) {
      store.look();
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(store.claims.length).toBeLessThanOrEqual(3 * 508);
    store.spent.clear();
    store.put(508);
    await vi.advanceTimersByTimeAsync(200);
    for (let i = 0; i < 50; i += 1) await settle();
    expect(store.events).toBe(0);
  });

  it("looks when something comes due, by the store's clock", async () => {
    store.nextDueMs = NOW_MS + 5_000;
    const stream = open('a');
    await settle();
    expect(vi.getTimerCount()).toBe(1);
    store.events = 1;
    await vi.advanceTimersByTimeAsync(4_900);
    expect(stream.got).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(200);
    expect(stream.got).toHaveLength(1);
  });

  it('sleeps no longer than a timer can', async () => {
    store.nextDueMs = NOW_MS + 40 * 86_400_000;
    open('a');
    await settle();
    await vi.advanceTimersByTimeAsync(590_000);
    expect(store.claims).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(store.claims).toHaveLength(2);
  });

  it('is left by who aborts, with the reason, and costs nothing then', async () => {
    const stream = open('a');
    await settle();
    const reason = new Error('gone');
    stream.leaving.abort(reason);
    await settle();
    expect(stream.failures).toEqual([reason]);
    expect(store.listeners.size).toBe(0);
    expect(store.released).toEqual([]);
  });

  it('goes on for the others when one leaves during its claim', async () => {
    const [a, b] = [open('a'), open('b')];
    store.onClaim = ({ consumer }) => {
      if (consumer === 'a') a.leaving.abort(new Error('gone'));
    };
    await settle();
    expect(a.failures).toHaveLength(1);
    expect(store.released).toEqual([store.claims[0]?.claimId]);
    store.put(1);
    await settle();
    expect(b.got).toHaveLength(1);
  });

  it('tells each what its own claim met', async () => {
    store.faults.push(new Fault('STORE_UNAVAILABLE', 'down'));
    const [a, b] = [open('a'), open('b')];
    await settle();
    expect(a.failures).toMatchObject([{ reason: 'STORE_UNAVAILABLE' }]);
    store.put(1);
    await settle();
    expect(b.got).toHaveLength(1);
  });
});

describe('a consumer whose credit is used while events are due', () => {
  it('is asked again once a second, not for as long as they are due', async () => {
    store.spent.add('a');
    store.nextDueMs = NOW_MS - 5_000;
    open('a');
    await vi.advanceTimersByTimeAsync(3_500);
    expect(store.claims.length).toBeLessThanOrEqual(5);
    expect(store.claims.length).toBeGreaterThanOrEqual(3);
  });
});

describe('a claim whose reply was lost', () => {
  const lost = () => new Fault('EFFECT_UNKNOWN', 'lost');

  it('is repeated under its id before any other', async () => {
    store.faults.push(lost());
    const [a, b] = [open('a'), open('b')];
    store.put(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.claims.map(({ consumer }) => consumer)).toEqual(['a', 'a', 'b']);
    expect(store.claims[1]?.claimId).toBe(store.claims[0]?.claimId);
    expect([a.got.length, b.got.length]).toEqual([1, 1]);
    expect(store.released).toEqual([]);
  });

  it('is given back when it stays lost, and the stream ends', async () => {
    store.faults.push(...Array.from({ length: 100 }, lost));
    const stream = open('a');
    await vi.advanceTimersByTimeAsync(4_000);
    expect(stream.failures).toMatchObject([{ reason: 'EFFECT_UNKNOWN' }]);
    expect(store.released).toEqual([store.claims[0]?.claimId]);
  });

  it('is repeated through an outage, under its id', async () => {
    store.faults.push(lost(), ...Array.from({ length: 20 }, () => new Fault('STORE_UNAVAILABLE', 'down')));
    const stream = open('a');
    store.put(1);
    await vi.advanceTimersByTimeAsync(4_000);
    expect([stream.got.length, store.released.length]).toEqual([1, 0]);
    expect(new Set(store.claims.slice(0, 22).map(({ claimId }) => claimId)).size).toBe(1);
  });

  it('is given back when the store stays gone, and the stream ends', async () => {
    store.faults.push(lost(), ...Array.from({ length: 100 }, () => new Fault('STORE_UNAVAILABLE', 'down')));
    const stream = open('a');
    await vi.advanceTimersByTimeAsync(4_000);
    expect(stream.failures).toMatchObject([{ reason: 'STORE_UNAVAILABLE' }]);
    expect(store.released).toHaveLength(1);
  });
});

describe('2,000 streams on 500 streams', () => {
  it('share one timer and a claim each group', async () => {
    store.nextDueMs = NOW_MS + 60_000;
    const streams = Array.from({ length: 2_000 }, (_, i) =>
      open(`c${i}`, 1, { ...PLACE, number: 1 + (i % 500) }),
    );
    for (let i = 0; i < 20; i += 1) await settle();
    expect(store.claims).toHaveLength(500);
    expect(store.listeners.size).toBe(500);
    expect(vi.getTimerCount()).toBe(1);
    for (const { leaving } of streams) leaving.abort(new Error('gone'));
    await settle();
    expect(store.listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
