/** What a group holds has bounds; what is said and done at each, and that reaching it stays cheap. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  MAX_CONSUMERS,
  MAX_DEAD_LETTERS,
  MAX_EXCEPTIONS,
  MAX_EXPIRIES,
  MAX_LOOK_EVENTS,
  MAX_WAITING,
} from '../../src/bus/bounds.js';
import {
  claim,
  DeliveryGroup,
  factsOf,
  idleClaim,
  type LogView,
  purge,
  settle,
} from '../../src/bus/delivery.js';
import {
  DEFAULT_GROUP_SETTINGS,
  type Group,
  type LeasedEvent,
  type StoredEvent,
} from '../../src/bus/event.js';
import type { ClaimRequest, SettleAnswer, Settlement } from '../../src/bus/verbs.js';

const BODY = Buffer.alloc(8);

class Log implements LogView {
  readonly firstSeq = 1;
  lastSeq = 0;
  readonly keyOf: (seq: number) => string;

  constructor(lastSeq: number, keyOf: (seq: number) => string = () => '') {
    this.lastSeq = lastSeq;
    this.keyOf = keyOf;
  }

  event(seq: number): StoredEvent {
    const said = { type: 't', attributes: {}, contentType: '', form: 'data' as const, body: BODY };
    return { seq, createTimeMs: 1, orderingKey: this.keyOf(seq), ...said };
  }

  dead(seq: number): StoredEvent {
    return this.event(seq);
  }

  replayed(seq: number): StoredEvent {
    return this.event(seq);
  }
}

let group: DeliveryGroup;
let leases = 0;

beforeEach(() => {
  const head = { cursor: 1, trimmedUnprocessed: 0, droppedDead: 0, lastDeath: 0 };
  group = new DeliveryGroup({ ...DEFAULT_GROUP_SETTINGS, maxAttempts: 1 }, undefined, head);
});

function request(changes: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    group: 'g',
    consumer: 'c1',
    claimId: `claim-${leases}`,
    maxEvents: 1_000,
    maxBytes: 2 ** 30,
    credit: { messages: 1_000_000, bytes: 2 ** 40 },
    ackDeadlineMs: 1_000,
    retry: undefined,
    ...changes,
  };
}

function claimed(log: Log, nowMs: number, changes: Partial<ClaimRequest> = {}) {
  const outcome = claim(group, log, request(changes), { nowMs, nextLease: () => ++leases });
  if (outcome.kind !== 'claimed') throw new Error(outcome.kind);
  return outcome;
}

function claimAll(log: Log, nowMs: number): LeasedEvent[] {
  const events: LeasedEvent[] = [];
  for (let more = true; more; ) {
    const outcome = claimed(log, nowMs);
    events.push(...outcome.events);
    more = outcome.more;
  }
  return events;
}

function settled(log: Log, seq: number, mark: Settlement['mark'], nowMs = 0): SettleAnswer {
  return settle(group, log, { seq, lease: undefined, mark, delayMs: undefined }, nowMs);
}

function facts(log: Log, nowMs = 0) {
  return factsOf(group, { name: 'g' } as Group, log, nowMs);
}

describe('a claim', () => {
  it('looks at so many entries, and says that there may be more', () => {
    const log = new Log(MAX_LOOK_EVENTS + 10);
    expect(claimed(log, 0)).toMatchObject({ more: true, events: { length: MAX_LOOK_EVENTS } });
    expect(claimed(log, 0)).toMatchObject({ more: false, events: { length: 10 } });
  });

  it('expires so many leases, and the others read as RETRY until their turn', () => {
    group.settings = { ...group.settings, maxAttempts: 0 };
    const log = new Log(MAX_EXPIRIES + 44);
    claimAll(log, 0);
    const last = MAX_EXPIRIES + 44;
    expect(facts(log, 10_000)).toMatchObject({ leased: 0, retrying: last });
    expect(claimed(log, 10_000, { maxEvents: 1 }).more).toBe(true);
    expect(group.inState.leased.size).toBe(44 + 1);
    expect(facts(log, 10_000)).toMatchObject({ leased: 1, retrying: last - 1 });
  });

  it('is refused to a consumer when so many others have leases', () => {
    const log = new Log(MAX_CONSUMERS + 2);
    for (let i = 0; i < MAX_CONSUMERS; i++) claimed(log, 0, { consumer: `c${i}`, maxEvents: 1 });
    const another = request({ consumer: 'another' });
    const moment = { nowMs: 0, nextLease: () => ++leases };
    expect(claim(group, log, another, moment)).toEqual({ kind: 'too_many_consumers' });
    expect(claimed(log, 0, { consumer: 'c7', maxEvents: 1 }).events).toHaveLength(1);
    settled(log, 1, 'processed');
    expect(claim(group, log, another, moment)).toMatchObject({ events: { length: 1 } });
  });
});

describe('a line of events that wait', () => {
  it('stops the cursor at its bound, names its key, and goes on when there is room', () => {
    const log = new Log(MAX_WAITING + 500, (seq) => (seq === 2 ? '' : 'busy'));
    expect(claimAll(log, 0).map(({ event }) => event.seq)).toEqual([1, 2]);
    expect(facts(log)).toMatchObject({ waiting: MAX_WAITING, blockedByKey: 'busy', cursor: MAX_WAITING + 3 });
    expect(claimed(log, 0)).toMatchObject({ events: [], more: false });
    expect(idleClaim(group, log, request(), 0)).toMatchObject({ events: [], more: false });
    settled(log, 1, 'processed');
    expect(claimAll(log, 0).map(({ event }) => event.seq)).toEqual([3]);
    expect(facts(log)).toMatchObject({ waiting: MAX_WAITING, cursor: MAX_WAITING + 4 });
  });

  it('does not stop events of other keys that come before it', () => {
    const log = new Log(4, (seq) => (seq % 2 ? 'a' : 'b'));
    expect(claimAll(log, 0).map(({ event }) => event.seq)).toEqual([1, 2]);
    expect(facts(log)).toMatchObject({ waiting: 2, blockedByKey: undefined, cursor: 5 });
  });
});

describe('marks ahead of the cursor', () => {
  it('are kept up to a bound, and there is room again when the cursor has passed some', () => {
    const log = new Log(2 * MAX_EXCEPTIONS);
    for (let seq = 2; seq < MAX_EXCEPTIONS + 2; seq++) expect(settled(log, seq, 'processed')).toBe('ok');
    expect(settled(log, MAX_EXCEPTIONS + 2, 'processed')).toBe('full');
    expect(settled(log, MAX_EXCEPTIONS + 2, 'retry')).toBe('full');
    expect(settled(log, 2, 'processed')).toBe('ok');
    expect(facts(log)).toMatchObject({ unprocessed: MAX_EXCEPTIONS, oldestUnprocessedTimeMs: 1 });
    expect(claimed(log, 0, { maxEvents: 2 }).events.map(({ event }) => event.seq)).toEqual([1]);
    expect(settled(log, MAX_EXCEPTIONS + 2, 'retry')).toBe('ok');
  });
});

describe('dead letters', () => {
  it('are kept up to a bound; the oldest goes and is counted', () => {
    const log = new Log(MAX_DEAD_LETTERS + 3);
    for (const { event } of claimAll(log, 0)) settled(log, event.seq, 'retry');
    expect(facts(log)).toMatchObject({ dead: MAX_DEAD_LETTERS, droppedDead: 3, unprocessed: 0 });
    expect([1, 3, 4].map((seq) => group.dead.has(seq))).toEqual([false, false, true]);
    purge(group, [...group.dead.values()]);
    expect(facts(log)).toMatchObject({ dead: 0, droppedDead: 3, unprocessed: 0 });
  });
});
