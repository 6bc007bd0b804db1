/**
 * An unknown id and a wrong secret take the same time. Both are tried in turns, in many short batches, and
 * the medians are compared: what else runs on the machine hits both alike. That the comparison would find an
 * early return is shown on one that has it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Authenticator } from '../../src/auth/authenticator.js';
import { Fault } from '../../src/fault.js';
import { AuthFolder, basic } from './auth-folder.js';

const BATCHES = 600;
const CALLS_PER_BATCH = 20;
/** Medians of the same thing differ by up to 4 % on a busy machine; leaving out the hash alone by 25 to 60 %. */
const MOST_APART = 0.1;
const ATTEMPTS = 4;

let folder: AuthFolder;
let auth: Authenticator;
let calls = 0;

beforeAll(async () => {
  const expires = '2029-12-02T00:00:00Z';
  folder = new AuthFolder({
    aaaaaa: { secrets: ['one-secret'] },
    bbbbbb: { secrets: ['one-secret', 'two-secret'] },
    cccccc: { secrets: [{ secret: 'wrong-0000', expires }] },
    dddddd: { names: ['DNS:d'] },
  });
  auth = await folder.open();
});
afterAll(() => folder.remove());

describe('the time that a refusal takes', () => {
  it.each([
    ['one secret', 'aaaaaa'],
    ['two secrets', 'bbbbbb'],
    ['an expired secret', 'cccccc'],
    ['no secret', 'dddddd'],
  ])('does not tell an unknown id from a client with %s', (_, id) => {
    // Tried anew when the machine was busy; a real difference is there each time.
    expect(smallest(() => apart(auth, id, 'zzzzzz'))).toBeLessThan(MOST_APART);
  });

  it.each([
    ['one secret', 'aaaaaa'],
    ['two secrets', 'bbbbbb'],
  ])('does not tell it either to who was told to wait: a client with %s', (_, id) => {
    const here = () => '192.0.2.1';
    for (let i = 0; i < 6; i += 1) for (const each of [id, 'zzzzzz']) refusedFor(each, here());
    expect([refusedFor(id, here()), refusedFor('zzzzzz', here())]).toEqual(
      Array(2).fill('TOO_MANY_FAILURES'),
    );
    expect(smallest(() => apart(auth, id, 'zzzzzz', here))).toBeLessThan(MOST_APART);
  });

  it('would tell it, if an unknown id were refused before its secret is hashed', () => {
    expect(smallest(() => apart(hasty(), 'aaaaaa', 'zzzzzz'))).toBeGreaterThan(MOST_APART);
  });
});

function refusedFor(id: string, address: string): string {
  try {
    return auth.identify(basic(id, 'wrong-0000'), { address, certificate: undefined }).id;
  } catch (error) {
    return (error as Fault).reason;
  }
}

/** An address of its own for each call, so that none is told to wait. */
const elsewhere = () => `${++calls}`;

function smallest(measure: () => number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ATTEMPTS && least > MOST_APART; i += 1) least = Math.min(least, measure());
  return least;
}

/** By how much of the shorter one two medians differ. */
function apart(subject: Authenticator, one: string, other: string, addressOf = elsewhere): number {
  const before = Error.stackTraceLimit;
  // Writing down where an error comes from takes longer than all the rest.
  Error.stackTraceLimit = 0;
  try {
    const times: [number[], number[]] = [[], []];
    for (let batch = 0; batch < BATCHES; batch += 1)
      for (const which of batch % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const))
        times[which].push(timeOf(subject, which === 0 ? one : other, addressOf));
    // The first ones ran before the engine knew what it runs.
    const [a, b] = times.map((each) => median(each.slice(BATCHES / 4))) as [number, number];
    return Math.abs(a - b) / Math.min(a, b);
  } finally {
    Error.stackTraceLimit = before;
  }
}

function timeOf(subject: Authenticator, id: string, addressOf: () => string): number {
  const header = basic(id, 'wrong-0000');
  const peers = Array.from({ length: CALLS_PER_BATCH }, () => ({
    address: addressOf(),
    certificate: undefined,
  }));
  const started = performance.now();
  for (const each of peers)
    try {
      subject.identify(header, each);
    } catch {
      // As it should be.
    }
  return performance.now() - started;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
}

/** The same, but it looks whether there is such a client before it does anything else. */
function hasty(): Authenticator {
  const unknown = basic('zzzzzz', 'wrong-0000');
  return {
    identify(authorization, peer) {
      if (authorization !== unknown) return auth.identify(authorization, peer);
      throw new Fault('CREDENTIALS_INVALID', 'there is no client with this id and secret');
    },
    review: () => auth.review(),
    onChange() {},
  };
}
