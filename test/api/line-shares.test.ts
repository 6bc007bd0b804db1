/** Shares of the log, in time that stands still until the test lets it go on. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type LeftOut, LineShares } from '../../src/server/line-shares.js';

const told: LeftOut[] = [];
let shares: LineShares;

beforeEach(() => {
  vi.useFakeTimers();
  told.length = 0;
  shares = new LineShares({ refusedLinesPerAddress: 10, deniedLinesPerClient: 100 }, (left) =>
    told.push(left),
  );
});
afterEach(() => {
  shares.close();
  vi.useRealTimers();
});

/** How many of so many refusals get a line. */
function linesOf(count: number, address: string): number {
  return Array.from({ length: count }, () =>
    shares.take('UNAUTHENTICATED', { client: null, address }),
  ).filter(Boolean).length;
}

function denialsOf(count: number, client: string): number {
  return Array.from({ length: count }, () =>
    shares.take('PERMISSION_DENIED', { client, address: '10.0.0.1' }),
  ).filter(Boolean).length;
}

describe('the share of an address', () => {
  it('is ten lines a second, and one that counts what was left out', () => {
    expect(linesOf(10, '10.0.0.1')).toBe(10);
    expect(linesOf(2_400, '10.0.0.1')).toBe(0);
    vi.advanceTimersByTime(999);
    expect([linesOf(1, '10.0.0.1'), told]).toEqual([0, []]);
    vi.advanceTimersByTime(1);
    expect(told).toEqual([{ address: '10.0.0.1', suppressed: 2_401 }]);
    expect(linesOf(11, '10.0.0.1')).toBe(10);
    vi.advanceTimersByTime(1_000);
    expect(told.slice(1)).toEqual([{ address: '10.0.0.1', suppressed: 1 }]);
  });

  it('has no such line when nothing was left out, and nothing goes on when nobody calls', () => {
    linesOf(10, '10.0.0.1');
    vi.advanceTimersByTime(60_000);
    expect([told, vi.getTimerCount()]).toEqual([[], 0]);
  });

  it('is its own, and a network of IPv6 has one', () => {
    expect(linesOf(20, '10.0.0.1')).toBe(10);
    expect(linesOf(20, '10.0.0.2')).toBe(10);
    expect(linesOf(6, '2001:db8::1') + linesOf(6, '2001:db8::2')).toBe(10);
  });

  it('is one for all that come after a thousand', () => {
    for (let i = 0; i < 1_000; i += 1) expect(linesOf(1, `10.1.${i >> 8}.${i & 255}`)).toBe(1);
    let lines = 0;
    for (let i = 0; i < 1_000; i += 1) lines += linesOf(1, `10.2.${i >> 8}.${i & 255}`);
    expect(lines).toBe(10);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual([{ suppressed: 990 }]);
    expect(linesOf(1, '10.2.0.0')).toBe(1);
  });

  it('is told at the end', () => {
    linesOf(11, '10.0.0.1');
    shares.close();
    expect([told, vi.getTimerCount()]).toEqual([[{ address: '10.0.0.1', suppressed: 1 }], 0]);
  });
});

describe('the share of a client', () => {
  it('is a hundred denials a second, wherever it calls from', () => {
    expect(denialsOf(150, 'worker')).toBe(100);
    expect(denialsOf(1, 'other')).toBe(1);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual([{ client: 'worker', suppressed: 50 }]);
  });

  it('leaves out nothing that was not refused', () => {
    for (let i = 0; i < 1_000; i += 1)
      for (const client of ['worker', null])
        expect(shares.take('NOT_FOUND', { client, address: '10.0.0.1' })).toBe(true);
  });
});
