/** Who a call is from, and every way in which it is refused. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CredentialChecks } from '../../src/auth/authenticator.js';
import { ClientDirectory } from '../../src/auth/client-directory.js';
import type { Auth } from '../../src/auth/open-auth.js';
import type { Peer } from '../../src/auth/peer.js';
import type { Fault } from '../../src/fault.js';
import { AuthFolder, basic, peer } from './auth-folder.js';

const CLIENTS = {
  orders: { secrets: ['new-secret', 'old-secret'], grants: ['bus:write:order-*'] },
  audit: { secrets: ['audit-secret'], names: ['DNS:audit.internal', 'URI:spiffe://x/audit'] },
  edge: { names: ['DNS:edge.internal'] },
};

const MALFORMED = [
  '',
  'Basic',
  'Basic ',
  'Basic  b3JkZXJzOm5ldy1zZWNyZXQ=',
  'Bearer b3JkZXJzOm5ldy1zZWNyZXQ=',
  'b3JkZXJzOm5ldy1zZWNyZXQ=',
  'Basic b3JkZXJzOm5ldy1zZWNyZXQ',
  'Basic b3JkZXJzOm5ldy1zZWNyZXR=',
  'Basic b3JkZXJzOm5ldy1zZWNyZXQ==',
  'Basic b3JkZXJzOm5ldy1zZWNyZXQ= ',
  'Basic b3JkZXJzOm5l dy1zZWNyZXQ=',
  'Basic b3JkZXJzOm5ldy1zZWNyZXQ=, Basic b3JkZXJzOm5ldy1zZWNyZXQ=',
  'Basic ****',
  basic('orders', ''),
  basic('', 'new-secret'),
  `Basic ${Buffer.from('orders').toString('base64')}`,
  basic('orders', 'with space'),
  basic('orders', 'new-secret\n'),
  basic('orders', 'caf\u00e9'),
  basic('ord ers', 'new-secret'),
  basic('a'.repeat(65), 'new-secret'),
  basic('orders', 'a'.repeat(129)),
  `Basic ${'A'.repeat(100_000)}`,
];

let folder: AuthFolder;
let auth: Auth;

beforeEach(async () => {
  folder = new AuthFolder(CLIENTS);
  auth = await folder.open();
});
afterEach(() => folder.remove());

/** Who it is, or why not. */
function outcome(authorization: string | undefined, from: Peer = peer()): string {
  try {
    return auth.identify(authorization, from).id;
  } catch (error) {
    return (error as Fault).reason;
  }
}

function refusal(authorization: string | undefined, from: Peer = peer()): Fault {
  try {
    auth.identify(authorization, from);
  } catch (error) {
    return error as Fault;
  }
  throw new Error('it was not refused');
}

function certificate(...names: string[]): Peer {
  return peer('192.0.2.1', { names, problem: undefined });
}

describe('credentials', () => {
  it('are those of a client: its new secret or the one before', () => {
    expect(outcome(basic('orders', 'new-secret'))).toBe('orders');
    expect(outcome(basic('orders', 'old-secret'))).toBe('orders');
    expect(outcome(basic('audit', 'audit-secret'))).toBe('audit');
    expect(outcome(basic('audit', 'audit-secret').replace('Basic', 'bASIC'))).toBe('audit');
  });

  it.each([
    ['a wrong secret', basic('orders', 'wrong')],
    ['the secret of another', basic('orders', 'audit-secret')],
    ['an unknown id', basic('nobody', 'new-secret')],
    ['a secret where there is none', basic('edge', 'anything')],
    ['an id of JavaScript', basic('constructor', 'x')],
    ['another case', basic('Orders', 'new-secret')],
  ])('that are %s are refused with the same answer', (_, header) => {
    const { reason, kind, message, facts, cause, retryAfterMs } = refusal(header);
    expect({ reason, kind, message, facts, cause, retryAfterMs }).toEqual({
      reason: 'CREDENTIALS_INVALID',
      kind: 'unauthenticated',
      message: 'there is no client with this id and secret',
      facts: {},
      cause: undefined,
      retryAfterMs: undefined,
    });
  });

  it('that are missing are asked for', () => {
    expect(outcome(undefined)).toBe('CREDENTIALS_MISSING');
  });

  it.each(MALFORMED.map((header) => [header.slice(0, 60), header]))(
    'that are malformed are refused and never repeated: %j',
    (_, header) => {
      const { reason, message, facts } = refusal(header);
      expect([reason, message, facts]).toEqual([
        'CREDENTIALS_MALFORMED',
        'the authorization header must be `Basic` and base64 of ID:SECRET, with no line end in it',
        {},
      ]);
    },
  );

  it('may have colons in the secret, and be as long as allowed', async () => {
    const id = 'a'.repeat(64);
    const secret = `:${'b'.repeat(127)}`;
    folder.write({ [id]: { secrets: [secret] } });
    auth = await folder.open();
    expect(outcome(basic(id, secret))).toBe(id);
  });

  it('end when they expire, to the millisecond, however often they were good', async () => {
    const expires = new Date(folder.clock.nowMs() + 30_000).toISOString();
    folder.write({ orders: { secrets: ['new-secret', { secret: 'old-secret', expires }] } });
    auth = await folder.open();
    expect(outcome(basic('orders', 'old-secret'))).toBe('orders');
    folder.clock.advance(29_999);
    expect(outcome(basic('orders', 'old-secret'))).toBe('orders');
    folder.clock.advance(1);
    expect(outcome(basic('orders', 'old-secret'))).toBe('CREDENTIALS_INVALID');
    expect(outcome(basic('orders', 'new-secret'))).toBe('orders');
  });
});

describe('a certificate', () => {
  it('stands for the client that one of its names is of', () => {
    expect(outcome(undefined, certificate('DNS:audit.internal'))).toBe('audit');
    expect(outcome(undefined, certificate('DNS:other', 'URI:spiffe://x/audit'))).toBe('audit');
    expect(outcome(undefined, certificate('DNS:audit.internal', 'URI:spiffe://x/audit'))).toBe('audit');
    expect(outcome(undefined, certificate('DNS:edge.internal'))).toBe('edge');
  });

  it.each([
    ['no name', []],
    ["a name that is nobody's", ['DNS:other.internal']],
    ['the beginning of a name', ['DNS:audit']],
    ['another case', ['DNS:AUDIT.internal']],
    ['the same text of another kind', ['email:audit.internal']],
    ['two names in one', ['DNS:audit.internal, DNS:other']],
    ['names of two clients', ['DNS:audit.internal', 'DNS:edge.internal']],
  ])('with %s stands for nobody', (_, names) => {
    expect(outcome(undefined, certificate(...names))).toBe('CERTIFICATE_UNKNOWN');
  });

  it('that is no good is refused, with whatever credentials', () => {
    const expired = peer('192.0.2.1', { names: ['DNS:audit.internal'], problem: 'CERT_HAS_EXPIRED' });
    expect(refusal(undefined, expired)).toMatchObject({
      reason: 'CERTIFICATE_REFUSED',
      kind: 'unauthenticated',
      facts: { problem: 'CERT_HAS_EXPIRED' },
    });
    outcome(basic('orders', 'new-secret'));
    expect(outcome(basic('orders', 'new-secret'), expired)).toBe('CERTIFICATE_REFUSED');
    expect(outcome('nonsense', expired)).toBe('CERTIFICATE_REFUSED');
  });

  it('does not decide who it is when there are credentials', () => {
    expect(outcome(basic('orders', 'new-secret'), certificate('DNS:audit.internal'))).toBe('orders');
    expect(outcome(basic('orders', 'wrong'), certificate('DNS:audit.internal'))).toBe('CREDENTIALS_INVALID');
    expect(outcome('', certificate('DNS:audit.internal'))).toBe('CREDENTIALS_MALFORMED');
  });
});

describe('who fails again and again', () => {
  const RIGHT = basic('orders', 'new-secret');
  const WRONG = basic('orders', 'wrong');
  const failFive = (header = WRONG, from = peer()) => Array.from({ length: 5 }, () => outcome(header, from));

  it('is told to wait for a second, and then longer', () => {
    expect(failFive()).toEqual(Array(5).fill('CREDENTIALS_INVALID'));
    expect(refusal(WRONG)).toMatchObject({ reason: 'TOO_MANY_FAILURES', retryAfterMs: 1_000 });
    folder.clock.advance(1_000);
    expect(outcome(WRONG)).toBe('CREDENTIALS_INVALID');
    expect(refusal(WRONG)).toMatchObject({ reason: 'TOO_MANY_FAILURES', retryAfterMs: 2_000 });
  });

  it('is let in at once when it is right, also by a secret that was not seen before', () => {
    failFive();
    expect(outcome(WRONG)).toBe('TOO_MANY_FAILURES');
    expect(outcome(RIGHT)).toBe('orders');
    expect(outcome(basic('orders', 'old-secret'))).toBe('orders');
  });

  it('locks out nobody behind the same address, however long it goes on', () => {
    const seen = new Set<string>();
    for (let minute = 0; minute < 60; minute += 1) {
      failFive();
      // By now what was good before has to be looked at again; so it has after a reload.
      folder.clock.advance(60_000);
      if (minute % 2 === 1) auth.reload();
      seen.add(outcome(RIGHT));
    }
    expect([...seen]).toEqual(['orders']);
  });

  it('is told the same whether the client is right meanwhile or there is none', () => {
    const unknown = basic('nobody', 'wrong');
    const told: [string[], string[]] = [[], []];
    for (let i = 0; i < 30; i += 1) {
      told[0].push(outcome(WRONG));
      told[1].push(outcome(unknown));
      folder.clock.advance(i < 20 ? 100 : 61_000);
      expect(outcome(RIGHT)).toBe('orders');
    }
    expect(told[0]).toEqual(told[1]);
    expect(new Set(told[0])).toEqual(new Set(['CREDENTIALS_INVALID', 'TOO_MANY_FAILURES']));
  });

  it('is treated alike whether there is such a client or not', () => {
    const unknown = basic('nobody', 'wrong');
    const known = [...failFive(), outcome(WRONG), refusal(WRONG).message, refusal(WRONG).retryAfterMs];
    const other = [
      ...failFive(unknown),
      outcome(unknown),
      refusal(unknown).message,
      refusal(unknown).retryAfterMs,
    ];
    expect(other).toEqual(known);
  });

  it('is slowed down at one address, and others are not', () => {
    failFive(WRONG, peer('203.0.113.9'));
    expect(outcome(WRONG, peer('203.0.113.9'))).toBe('TOO_MANY_FAILURES');
    expect(outcome(WRONG, peer('192.0.2.1'))).toBe('CREDENTIALS_INVALID');
    expect(outcome(basic('audit', 'wrong'), peer('203.0.113.9'))).toBe('CREDENTIALS_INVALID');
  });

  it('with malformed credentials is nobody, and slows down nobody', () => {
    for (let i = 0; i < 20; i += 1) expect(outcome('Basic x')).toBe('CREDENTIALS_MALFORMED');
    expect(outcome(WRONG)).toBe('CREDENTIALS_INVALID');
  });
});

describe('a review', () => {
  const NEW = basic('orders', 'new-secret');
  const OLD = basic('orders', 'old-secret');
  const reviewed = (authorization: string | undefined, from = peer(), identify = auth.review()) => {
    try {
      return identify(authorization, from).id;
    } catch (error) {
      return (error as Fault).reason;
    }
  };

  it('tells who it would be from now, by credentials and by certificate', () => {
    folder.write({
      orders: { secrets: ['new-secret'], names: ['DNS:edge.internal'] },
      audit: { names: ['URI:spiffe://x/audit'] },
    });
    auth.reload();
    const identify = auth.review();
    const expired = { names: ['DNS:edge.internal'], problem: 'CERT_HAS_EXPIRED' };
    const cases: [string | undefined, Peer, string][] = [
      [NEW, peer(), 'orders'],
      [OLD, peer(), 'CREDENTIALS_INVALID'],
      [NEW, peer(), 'orders'],
      [OLD, peer(), 'CREDENTIALS_INVALID'],
      [undefined, certificate('DNS:edge.internal'), 'orders'],
      [undefined, certificate('DNS:audit.internal'), 'CERTIFICATE_UNKNOWN'],
      [undefined, peer('192.0.2.1', expired), 'CERTIFICATE_REFUSED'],
      [NEW, peer('192.0.2.1', expired), 'CERTIFICATE_REFUSED'],
      [undefined, peer(), 'CREDENTIALS_MISSING'],
    ];
    for (const [header, from, expected] of cases) expect(reviewed(header, from, identify)).toBe(expected);
  });

  it('counts no failures, and is not held up by them', () => {
    const wrong = basic('orders', 'wrong');
    for (let i = 0; i < 20; i += 1) expect(reviewed(wrong)).toBe('CREDENTIALS_INVALID');
    expect(outcome(wrong)).toBe('CREDENTIALS_INVALID');
    for (let i = 0; i < 20; i += 1) outcome(wrong);
    expect(reviewed(wrong)).toBe('CREDENTIALS_INVALID');
  });

  it('looks at each header once, and begins anew each time', () => {
    const directory = new ClientDirectory();
    const checks = new CredentialChecks(directory, folder.clock);
    const find = vi.spyOn(directory, 'find');
    for (const round of [1, 2]) {
      const identify = checks.review();
      for (let i = 0; i < 1_000; i += 1)
        for (const header of [NEW, OLD]) expect(() => identify(header, peer())).toThrow('no client with');
      expect(find).toHaveBeenCalledTimes(2 * round);
    }
  });
});

describe('the time at which a secret expires', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  function pass(ms: number): void {
    folder.clock.advance(ms);
    vi.advanceTimersByTime(ms);
  }

  it('is told when it has come, each once', async () => {
    const inHours = (hours: number) => new Date(folder.clock.nowMs() + hours * 3_600_000).toISOString();
    folder.write({
      orders: { secrets: ['new-secret', { secret: 'old-secret', expires: inHours(2) }] },
      audit: { secrets: ['one', { secret: 'two', expires: inHours(1) }] },
      gone: { secrets: [{ secret: 'x', expires: inHours(-1) }] },
    });
    auth = await folder.open();
    const listener = vi.fn();
    auth.onChange(listener);
    pass(3_599_000);
    expect(listener).toHaveBeenCalledTimes(0);
    pass(1_000);
    expect(listener).toHaveBeenCalledTimes(1);
    pass(3_599_000);
    expect(listener).toHaveBeenCalledTimes(1);
    pass(1_000);
    expect(listener).toHaveBeenCalledTimes(2);
    expect(vi.getTimerCount()).toBe(0);
    expect(folder.events).toEqual([]);
  });

  it('may be farther off than a timer can wait', async () => {
    const expires = new Date(folder.clock.nowMs() + 30 * 86_400_000).toISOString();
    folder.write({ orders: { secrets: [{ secret: 'old-secret', expires }] } });
    const wait = vi.spyOn(globalThis, 'setTimeout');
    auth = await folder.open();
    const listener = vi.fn();
    auth.onChange(listener);
    for (const [, ms] of wait.mock.calls) expect(ms).toBeLessThan(2 ** 31);
    for (let day = 1; day < 30; day += 1) pass(86_400_000);
    expect(listener).toHaveBeenCalledTimes(0);
    pass(86_400_000);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('is told within a minute when the clock was set on', async () => {
    const expires = new Date(folder.clock.nowMs() + 86_400_000).toISOString();
    folder.write({ orders: { secrets: [{ secret: 'old-secret', expires }] } });
    auth = await folder.open();
    const listener = vi.fn();
    auth.onChange(listener);
    folder.clock.advance(86_400_000);
    vi.advanceTimersByTime(60_000);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('is the one of the file as it is now, and of none once it is closed', async () => {
    const expires = (ms: number) => new Date(folder.clock.nowMs() + ms).toISOString();
    folder.write({ orders: { secrets: [{ secret: 'old-secret', expires: expires(10_000) }] } });
    auth.reload();
    folder.write({ orders: { secrets: [{ secret: 'old-secret', expires: expires(30_000) }] } });
    auth.reload();
    const listener = vi.fn();
    auth.onChange(listener);
    pass(29_999);
    expect(listener).toHaveBeenCalledTimes(0);
    pass(1);
    expect(listener).toHaveBeenCalledTimes(1);
    folder.write({ orders: { secrets: [{ secret: 'old-secret', expires: expires(30_000) }] } });
    auth.reload();
    auth.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a reload', () => {
  it('adds, changes and removes clients, and tells which', () => {
    folder.write({
      orders: { ...CLIENTS.orders, grants: ['bus:read:*'] },
      audit: CLIENTS.audit,
      late: { secrets: ['late-secret'] },
    });
    auth.reload();
    expect(folder.events).toEqual([
      { type: 'client_removed', id: 'edge' },
      { type: 'client_changed', id: 'orders' },
      { type: 'client_added', id: 'late' },
    ]);
    expect(outcome(basic('late', 'late-secret'))).toBe('late');
    expect(outcome(undefined, certificate('DNS:edge.internal'))).toBe('CERTIFICATE_UNKNOWN');
    expect(auth.clientCount).toBe(3);
  });

  it('keeps a client the same object, with what it is granted now', () => {
    const orders = auth.identify(basic('orders', 'new-secret'), peer());
    const access = orders.accessTo({ service: 'bus', verb: 'write' });
    expect(access.allows('order-1')).toBe(true);
    folder.write({ ...CLIENTS, orders: { ...CLIENTS.orders, grants: ['bus:write:x'] } });
    auth.reload();
    expect([access.allows('order-1'), access.allows('x')]).toEqual([false, true]);
    expect(auth.identify(basic('orders', 'new-secret'), peer())).toBe(orders);
  });

  it('ends a client that is gone; one that comes back under the id is another', () => {
    const before = auth.identify(basic('orders', 'new-secret'), peer());
    folder.write({ audit: CLIENTS.audit });
    auth.reload();
    expect(before.isKnown).toBe(false);
    expect(outcome(basic('orders', 'new-secret'))).toBe('CREDENTIALS_INVALID');
    folder.write(CLIENTS);
    auth.reload();
    const after = auth.identify(basic('orders', 'new-secret'), peer());
    expect(after).not.toBe(before);
    expect([before.isKnown, after.isKnown]).toEqual([false, true]);
  });

  it('ends a secret that is gone at once, however often it was good', () => {
    expect(outcome(basic('orders', 'old-secret'))).toBe('orders');
    folder.write({ ...CLIENTS, orders: { secrets: ['new-secret'] } });
    auth.reload();
    expect(outcome(basic('orders', 'old-secret'))).toBe('CREDENTIALS_INVALID');
    expect(outcome(basic('orders', 'new-secret'))).toBe('orders');
  });

  it('ends all secrets when the pepper is another, and tells so', () => {
    expect(outcome(basic('orders', 'new-secret'))).toBe('orders');
    const listener = vi.fn();
    auth.onChange(listener);
    folder.writePepper(Buffer.alloc(32, 9).toString('base64url'));
    auth.reload();
    expect(outcome(basic('orders', 'new-secret'))).toBe('CREDENTIALS_INVALID');
    expect(listener).toHaveBeenCalledTimes(1);
    expect(folder.events).toEqual([{ type: 'pepper_changed' }]);
  });

  it('moves a name of certificates from one client to another', () => {
    folder.write({ ...CLIENTS, edge: {}, orders: { names: ['DNS:edge.internal'] } });
    auth.reload();
    expect(outcome(undefined, certificate('DNS:edge.internal'))).toBe('orders');
  });

  it.each([
    ['a faulty client', () => folder.writeText('version: 1\nclients: {orders: {grants: [x, y]}}')],
    ['half a file', () => folder.writeText('version: 1\nclients: {orders: {')],
    ['an empty file', () => folder.writeText('')],
    ['a faulty pepper', () => folder.writePepper('weak')],
  ])('of %s changes nothing, and tells so', (_, damage) => {
    const listener = vi.fn();
    auth.onChange(listener);
    damage();
    auth.reload();
    expect(folder.events).toEqual([{ type: 'reload_failed', message: expect.stringContaining(folder.path) }]);
    expect(outcome(basic('orders', 'new-secret'))).toBe('orders');
    expect(outcome(undefined, certificate('DNS:edge.internal'))).toBe('edge');
    expect(auth.clientCount).toBe(3);
    expect(listener).not.toHaveBeenCalled();
  });

  it('of a file that is gone changes nothing; once it is back it counts', () => {
    folder.remove();
    auth.reload();
    expect(outcome(basic('orders', 'new-secret'))).toBe('orders');
    expect(folder.events).toEqual([
      { type: 'reload_failed', message: expect.stringContaining('there is no such file') },
    ]);
  });

  it('calls back after everything has changed, and only if something has', () => {
    const seen: number[] = [];
    auth.onChange(() => seen.push(auth.clientCount));
    auth.reload();
    expect([seen, folder.events]).toEqual([[], []]);
    folder.write({ audit: CLIENTS.audit });
    auth.reload();
    expect(seen).toEqual([1]);
    auth.close();
    folder.write(CLIENTS);
    auth.reload();
    expect(seen).toEqual([1]);
  });

  it('does not end a row of failures', () => {
    for (let i = 0; i < 5; i += 1) outcome(basic('orders', 'wrong'));
    auth.reload();
    expect(outcome(basic('orders', 'wrong'))).toBe('TOO_MANY_FAILURES');
  });
});

describe('what is watched', () => {
  it('is the auth file and the pepper', () => {
    expect(auth.files).toEqual([folder.authFile, folder.pepperFile]);
  });
});
