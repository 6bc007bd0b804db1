/** A client, and what it may touch: it is asked anew each time, so that a change holds at once. */
import { describe, expect, it } from 'vitest';
import { Client } from '../../src/auth/client.js';
import { parseGrant } from '../../src/auth/grants.js';
import { Fault } from '../../src/fault.js';

const READ = { service: 'bus', verb: 'read' } as const;
const WRITE = { service: 'bus', verb: 'write' } as const;

function client(...grants: string[]): Client {
  return new Client('orders', grants.map(parseGrant));
}

describe('a client', () => {
  it('may touch what a grant names, and nothing else', () => {
    const access = client('bus:read:order-*', 'bus:write:audit').accessTo(READ);
    expect(['order-1', 'audit', 'x'].map((name) => access.allows(name))).toEqual([true, false, false]);
    expect([access.isUnlimited, access.isAny]).toEqual([false, true]);
  });

  it('that is granted nothing may touch nothing', () => {
    const access = client().accessTo(READ);
    expect([access.isUnlimited, access.isAny, access.allows('a')]).toEqual([false, false, false]);
  });

  it('that is granted every name may ask about what nobody knows the name of', () => {
    expect(() => client('bus:read:*').accessTo(READ).require(undefined)).not.toThrow();
    expect(() => client('bus:read:a*').accessTo(READ).require(undefined)).toThrow(Fault);
  });

  it('has one object for each need, whoever asks', () => {
    const orders = client('bus:*:*');
    expect(orders.accessTo(READ)).toBe(orders.accessTo(READ));
    expect(orders.accessTo(READ)).not.toBe(orders.accessTo(WRITE));
  });

  it('may do more or less from the moment that its grants change', () => {
    const orders = client('bus:read:a');
    const access = orders.accessTo(READ);
    orders.grants = [parseGrant('bus:*:*')];
    expect([access.allows('b'), access.isUnlimited]).toEqual([true, true]);
    orders.grants = [parseGrant('bus:write:*')];
    expect([access.allows('a'), access.isUnlimited, access.isAny]).toEqual([false, false, false]);
  });

  it('may do nothing once it is known no more', () => {
    const orders = client('*:*:*');
    const access = orders.accessTo(READ);
    orders.isKnown = false;
    expect([access.allows('a'), access.isAny]).toEqual([false, false]);
    expect(() => access.require('a')).toThrow(Fault);
    expect(() => access.require(undefined)).toThrow(Fault);
  });

  it('is refused without a word of the name', () => {
    const access = client('bus:write:*').accessTo(READ);
    for (const name of ['hidden-stream', undefined])
      expect(faultOf(() => access.require(name))).toMatchObject({
        reason: 'GRANT_MISSING',
        kind: 'denied',
        message: 'client orders is not granted bus:read on what this names',
        facts: { client: 'orders', grant: 'bus:read' },
      });
  });
});

function faultOf(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
