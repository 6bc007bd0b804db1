/** Headers with a secret in them are kept for a minute, and not left behind. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Client } from '../../src/auth/client.js';
import { VerifiedHeaders } from '../../src/auth/verified-headers.js';
import { FakeClock } from '../support/fake-clock.js';

const client = new Client('orders', []);
let clock: FakeClock;
let headers: VerifiedHeaders;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  clock = new FakeClock();
  headers = new VerifiedHeaders(clock);
});
afterEach(() => void vi.useRealTimers());

function set(header: string, lifeMs = 60_000): void {
  const nowMs = clock.nowMs();
  headers.set(header, { client, fromMs: nowMs, untilMs: nowMs + lifeMs });
}

function pass(ms: number): void {
  clock.advance(ms);
  vi.advanceTimersByTime(ms);
}

describe('a header that was verified', () => {
  it('is good until its time is over, and gone when it is asked for then', () => {
    set('a', 5_000);
    pass(4_999);
    expect(headers.get('a')).toBe(client);
    pass(1);
    expect(headers.get('a')).toBeUndefined();
    expect(headers.size).toBe(0);
  });

  it('is gone in the second minute, though nobody asks for it or any other', () => {
    set('a');
    pass(30_000);
    set('b');
    pass(30_000);
    expect(headers.size).toBe(1);
    pass(60_000);
    expect(headers.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is swept again after there were none', () => {
    set('a');
    pass(120_000);
    set('b');
    pass(60_000);
    expect(headers.size).toBe(0);
  });

  it('is gone when the clock was set back, so that its time gets no longer', () => {
    let nowMs = 1_000_000;
    const jumping = new VerifiedHeaders({ nowMs: () => nowMs });
    jumping.set('a', { client, fromMs: nowMs, untilMs: nowMs + 60_000 });
    nowMs -= 1;
    expect(jumping.get('a')).toBeUndefined();
    expect(jumping.size).toBe(0);
  });

  it('makes room for others when there are too many, the first first', () => {
    for (let i = 0; i < 10_001; i += 1) set(`h-${i}`);
    expect([headers.size, headers.get('h-0'), headers.get('h-1')]).toEqual([10_000, undefined, client]);
    set('h-1');
    expect(headers.size).toBe(10_000);
  });
});
