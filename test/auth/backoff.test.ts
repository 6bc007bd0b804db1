/** Who fails again and again is told to wait, longer each time, and nobody else is. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Backoff } from '../../src/auth/backoff.js';
import { networkOf } from '../../src/auth/network.js';
import { FakeClock } from '../support/fake-clock.js';

const HERE = '192.0.2.1';
let clock: FakeClock;
let backoff: Backoff;

beforeEach(() => {
  clock = new FakeClock();
  backoff = new Backoff(clock);
});

/** Fails so often, and yields what each failure is told to wait. */
function fail(times: number, id = 'orders', address = HERE): number[] {
  return Array.from({ length: times }, () => backoff.failed(id, address));
}

describe('backoff', () => {
  it('says nothing of five failures, and tells the sixth to wait a second', () => {
    expect(fail(5)).toEqual([0, 0, 0, 0, 0]);
    expect(fail(1)).toEqual([1_000]);
    clock.advance(999);
    expect(fail(1)).toEqual([1]);
    clock.advance(1);
    expect(fail(1)).toEqual([0]);
  });

  it('doubles with each wait that did not help, up to a minute', () => {
    fail(5);
    const waits = Array.from({ length: 9 }, () => {
      const [wait = 0] = fail(1);
      clock.advance(wait);
      expect(fail(1)).toEqual([0]);
      return wait;
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000));
  });

  it('makes a wait no longer for attempts within it', () => {
    fail(5);
    for (let ms = 1_000; ms > 0; ms -= 1) {
      expect(fail(1)).toEqual([ms]);
      clock.advance(1);
    }
    expect(fail(2)).toEqual([0, 2_000]);
  });

  it('starts over after ten quiet minutes', () => {
    fail(7);
    clock.advance(600_000);
    expect(fail(6)).toEqual([0, 0, 0, 0, 0, 1_000]);
  });

  it('counts by id and by address', () => {
    fail(9);
    expect(fail(1, 'orders', '192.0.2.2')).toEqual([0]);
    expect(fail(1, 'audit', HERE)).toEqual([0]);
  });

  it('makes nobody wait for a clock that was set back', () => {
    let nowMs = 1_000_000;
    const jumping = new Backoff({ nowMs: () => nowMs });
    for (let i = 0; i < 5; i += 1) jumping.failed('orders', HERE);
    expect(jumping.failed('orders', HERE)).toBe(1_000);
    nowMs -= 500_000;
    expect(jumping.failed('orders', HERE)).toBe(0);
    expect(jumping.failed('orders', HERE)).toBe(2_000);
  });

  it('forgets the rows that failed longest ago when there are too many, and goes on', () => {
    fail(9);
    for (let i = 0; i < 20_000; i += 1) backoff.failed(`id-${i}`, HERE);
    expect(fail(1)).toEqual([0]);
    expect(fail(6, 'id-19999').at(-1)).toBe(1_000);
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
    expect(backoff.failed('orders', '2001:db8:1:2:ffff::1')).toBe(1_000);
    expect(backoff.failed('orders', '2001:db8:1:3::1')).toBe(0);
  });
});
