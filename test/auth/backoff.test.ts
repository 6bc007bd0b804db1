/** Who fails again and again waits, longer each time, and nobody else does. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Backoff, networkOf } from '../../src/auth/backoff.js';
import { FakeClock } from '../support/fake-clock.js';

const HERE = '192.0.2.1';
let clock: FakeClock;
let backoff: Backoff;

beforeEach(() => {
  clock = new FakeClock();
  backoff = new Backoff(clock);
});

function fail(times: number, id = 'orders', address = HERE): void {
  for (let i = 0; i < times; i += 1) backoff.failed(id, address);
}

describe('backoff', () => {
  it('lets five failures pass, and makes the sixth attempt wait a second', () => {
    fail(4);
    expect(backoff.waitMs('orders', HERE)).toBe(0);
    fail(1);
    expect(backoff.waitMs('orders', HERE)).toBe(1_000);
    clock.advance(999);
    expect(backoff.waitMs('orders', HERE)).toBe(1);
    clock.advance(1);
    expect(backoff.waitMs('orders', HERE)).toBe(0);
  });

  it('doubles with each failure, up to a minute', () => {
    fail(5);
    const waits = Array.from({ length: 9 }, () => {
      const wait = backoff.waitMs('orders', HERE);
      clock.advance(wait);
      expect(backoff.waitMs('orders', HERE)).toBe(0);
      fail(1);
      return wait;
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000));
    fail(2_000);
    expect(backoff.waitMs('orders', HERE)).toBe(60_000);
  });

  it('starts over after a success', () => {
    fail(7);
    backoff.succeeded('orders', HERE);
    fail(4);
    expect(backoff.waitMs('orders', HERE)).toBe(0);
  });

  it('starts over after ten quiet minutes', () => {
    fail(7);
    clock.advance(600_000);
    fail(1);
    expect(backoff.waitMs('orders', HERE)).toBe(0);
  });

  it('counts by id and by address', () => {
    fail(9);
    expect(backoff.waitMs('orders', '192.0.2.2')).toBe(0);
    expect(backoff.waitMs('audit', HERE)).toBe(0);
  });

  it('makes nobody wait for a clock that was set back', () => {
    let nowMs = 1_000_000;
    const jumping = new Backoff({ nowMs: () => nowMs });
    for (let i = 0; i < 9; i += 1) jumping.failed('orders', HERE);
    expect(jumping.waitMs('orders', HERE)).toBe(16_000);
    nowMs -= 500_000;
    expect(jumping.waitMs('orders', HERE)).toBe(0);
    jumping.failed('orders', HERE);
    expect(jumping.waitMs('orders', HERE)).toBe(32_000);
  });

  it('forgets the rows that failed longest ago when there are too many, and goes on', () => {
    fail(9);
    for (let i = 0; i < 20_000; i += 1) backoff.failed(`id-${i}`, HERE);
    expect(backoff.waitMs('orders', HERE)).toBe(0);
    fail(9, 'id-19999');
    expect(backoff.waitMs('id-19999', HERE)).toBeGreaterThan(0);
  });
});

describe('the network of an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['2001:0db8::0006', '2001:db8:0:0::/64'],
    ['2001:DB8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
    ['nonsense', 'nonsense'],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it('is one for all addresses of a /64, so that going through them gains nothing', () => {
    for (let i = 0; i < 5; i += 1) backoff.failed('orders', `2001:db8:1:2::${i}`);
    expect(backoff.waitMs('orders', '2001:db8:1:2:ffff::1')).toBe(1_000);
    expect(backoff.waitMs('orders', '2001:db8:1:3::1')).toBe(0);
  });
});
