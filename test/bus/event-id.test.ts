/** Event ids and lease tokens: one spelling each, and nothing else is taken for one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventId, eventPlace, parseEventId } from '../../src/bus/event-id.js';
import { leaseName, leaseToken, parseLeaseToken } from '../../src/bus/lease-token.js';

const count = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
/** Names as the proto allows them. */
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what names must not hold
  .filter((text) => /^[^:\x00-\x1f\x7f]*$/u.test(text) && text.isWellFormed());

describe('an event id', () => {
  it('says its stream and its sequence', () => {
    expect(eventId({ number: 12, seq: 345 })).toBe('12-345');
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 32 - 1 }),
        fc.integer({ min: 1, max: 2 ** 48 - 1 }),
        (number, seq) => {
          expect(parseEventId(eventId({ number, seq }))).toEqual({ number, seq });
        },
      ),
    );
  });

  it.each([
    '',
    '-',
    '1',
    '1-',
    '-1',
    '0-1',
    '1-0',
    '01-1',
    '1-01',
    '+1-1',
    '1--1',
    '1-1 ',
    ' 1-1',
    '1-1\n',
    '1-1-1',
    '1.0-1',
    '1e3-1',
    '0x1-1',
    '１-1',
    '4294967296-1',
    '1-281474976710656',
    '1-9007199254740993',
    '1-99999999999999999999',
  ])('is not %j', (text) => {
    expect(parseEventId(text)).toBeUndefined();
    expect(() => eventPlace(text, 'marks[3].event_id')).toThrow(/marks\[3\]\.event_id/);
  });

  it('has one spelling', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const place = parseEventId(text);
        if (place) expect(eventId(place)).toBe(text);
      }),
    );
  });
});

describe('a lease token', () => {
  it('says its lease and its group', () => {
    expect(leaseToken({ lease: 100, group: 'workers' })).toBe('2s.workers');
    fc.assert(
      fc.property(count, name, (lease, group) => {
        expect(parseLeaseToken(leaseToken({ lease, group }))).toEqual({ lease, group });
      }),
    );
  });

  it.each(['a.b', '%', 'Größe', 'a b', '..', '🜁'])('keeps the group %j', (group) => {
    expect(parseLeaseToken(leaseToken({ lease: 7, group }))).toEqual({ lease: 7, group });
  });

  it('is read for what it is, whatever was read before it', () => {
    const names = [1, 2, 1].flatMap((lease) => ['a', 'b'].map((group) => ({ lease, group })));
    for (const each of names) {
      expect(leaseName(leaseToken(each), 'lease_token')).toEqual(each);
      expect(() => leaseName('0.a', 'lease_token')).toThrow(/lease_token/);
      expect(leaseName(leaseToken(each), 'lease_token')).toEqual(each);
    }
  });

  it('fits its field with the longest names', () => {
    const group = '€'.repeat(42);
    expect(leaseToken({ lease: Number.MAX_SAFE_INTEGER, group }).length).toBeLessThanOrEqual(512);
  });

  it.each([
    '',
    '.',
    '1.',
    '.a',
    '1',
    '0.a',
    '01.a',
    'A.a',
    '-1.a',
    '1.a b',
    '1.%61',
    '1.%zz',
    '1.%2f',
    '1.é',
    'zzzzzzzzzzzz.a',
    '1.a\n',
  ])('is not %j', (text) => {
    expect(parseLeaseToken(text)).toBeUndefined();
    expect(() => leaseName(text, 'lease_token')).toThrow(/lease_token/);
  });

  it('has one spelling', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-zA-Z]{1,3}\.[a-zA-Z0-9%.~!']{1,6}$/), (text) => {
        const token = parseLeaseToken(text);
        if (token) expect(leaseToken(token)).toBe(text);
      }),
    );
  });
});
