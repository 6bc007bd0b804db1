/** The parts of the Redis adapter that need no Redis: locations, tokens, slots, cursors, bounds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BoundedMap } from '../../src/bounded-map.js';
import { cursorFrom, positionsFrom } from '../../src/stores/redis/fsm-cursor.js';
import { eventText, transitionFrom } from '../../src/stores/redis/fsm-records.js';
import { FsmKeys } from '../../src/stores/redis/keys.js';
import { locationFrom } from '../../src/stores/redis/location.js';
import { slotOf } from '../../src/stores/redis/slot.js';
import { decodeToken, encodeToken } from '../../src/stores/redis/tokens.js';

describe('a Redis URL', () => {
  it.each([
    [
      'redis://localhost',
      { addresses: [{ host: 'localhost', port: 6379 }], isCluster: false, isTls: false, database: 0 },
    ],
    [
      'redis://h:1/3',
      { addresses: [{ host: 'h', port: 1 }], database: 3, username: undefined, password: undefined },
    ],
    ['rediss://u:p%40w@h:2', { isTls: true, username: 'u', password: 'p@w' }],
    ['redis://:secret@h', { username: undefined, password: 'secret' }],
    ['redis://[::1]:7', { addresses: [{ host: '::1', port: 7 }] }],
    [
      'redis+cluster://a:1,b:2,c',
      {
        isCluster: true,
        addresses: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
          { host: 'c', port: 6379 },
        ],
      },
    ],
    ['rediss+cluster://u:p@a:1,b:2', { isCluster: true, isTls: true, username: 'u', password: 'p' }],
  ])('%s is understood', (url, expected) => {
    expect(locationFrom(url)).toMatchObject(expected);
  });

  it.each([
    '',
    'http://h',
    'redis://',
    'redis://u:hunter2@',
    'redis://u:hunter2@a,b',
    'redis+cluster://u:hunter2@a/1',
    'redis://u:hunter2@h:x',
  ])('%s is refused without telling a secret', (url) => {
    expect(() => locationFrom(url)).toThrow(/Redis/);
    expect(() => locationFrom(url)).not.toThrow(/hunter2/);
  });
});

describe('a token', () => {
  it('holds only safe characters, tells every text apart, and gives it back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(encodeToken(a)).toMatch(/^[A-Za-z0-9_.%-]*$/);
        expect(decodeToken(encodeToken(a))).toBe(a);
        expect(encodeToken(a) === encodeToken(b)).toBe(a === b);
      }),
    );
  });
});

describe('a hash slot', () => {
  it.each([
    ['123456789', 12739],
    ['foo', 12182],
    ['{foo}.bar', 12182],
    ['x{foo}y{bar}', 12182],
    ['{}foo', slotOf('{}foo')],
    ['', 0],
  ])('of %j is %i', (key, slot) => {
    expect(slotOf(key)).toBe(slot);
  });

  it('is one for all keys of a shard', () => {
    const keys = new FsmKeys('n{s}', 16);
    for (const { slot, index, feed, flag, machinePrefix, historyPrefix, outcomePrefix } of keys.shards(
      'a}b{c',
    ))
      for (const key of [index, feed, flag, machinePrefix, historyPrefix, outcomePrefix])
        expect(slotOf(`${key}${encodeToken('}x{')}`)).toBe(slot);
  });
});

describe('a cursor', () => {
  const positions = [
    { id: '0-0', count: 0 },
    { id: '1700000000000-3', count: 123_456 },
  ];

  it('gives back its positions', () => {
    expect(positionsFrom(cursorFrom('scope', positions), 'scope', 2)).toEqual(positions);
  });

  it('of 128 shards fits the limit of the API', () => {
    const many = Array.from({ length: 128 }, () => ({ id: '1799999999999-99', count: 99_999_999 }));
    expect(cursorFrom('abcdefghijkl', many).length).toBeLessThan(4096);
  });

  it('of anything else is refused as INVALID_FIELD', () => {
    const whole = cursorFrom('scope', positions);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String(),
          fc.nat(whole.length - 1).map((n) => whole.slice(0, n)),
        ),
        (text) => {
          expect(() => positionsFrom(text, 'scope', 2)).toThrow(/cursor/);
        },
      ),
    );
    expect(() => positionsFrom(whole, 'other', 2)).toThrow(/cursor/);
    expect(() => positionsFrom(whole, 'scope', 3)).toThrow(/cursor/);
  });
});

describe('a history entry', () => {
  it('gives back any event', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(
        text,
        text,
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary' }),
        fc.nat(),
        (eventId, name, originator, details, timestampUs) => {
          const event = { eventId, name, originator, details, timestampUs };
          const [head, rest] = eventText(event);
          expect(transitionFrom(`a!b!5!${head}!${rest}`, 7)).toEqual({
            version: 7,
            from: 'a',
            to: 'b',
            applyTimeMs: 5,
            event,
          });
        },
      ),
    );
  });
});

describe('a bounded map', () => {
  it('lets go of what was not used for the longest time', () => {
    const map = new BoundedMap<string, number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.get('a');
    map.set('c', 3);
    expect([map.get('a'), map.get('b'), map.get('c'), map.size]).toEqual([1, undefined, 3, 2]);
  });

  it('weighs what it holds, and always holds the newest', () => {
    const map = new BoundedMap<string, number>(10, (weight) => weight);
    for (const weight of [4, 4, 5]) map.set(`w${weight}`, weight);
    expect([map.get('w4'), map.get('w5')]).toEqual([4, 5]);
    map.set('w99', 99);
    expect([map.size, map.get('w99')]).toEqual([1, 99]);
    map.set('w1', 1);
    expect([map.size, map.get('w1')]).toEqual([1, 1]);
  });
});
