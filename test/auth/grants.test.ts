/** What grants say: their shape, and which names a pattern lets through. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAbout, Pattern, parseGrant } from '../../src/auth/grants.js';

describe('a grant', () => {
  it('is taken apart into service, verb and pattern', () => {
    const { service, verb, pattern, text } = parseGrant('bus:write:order-*');
    expect([service, verb, text]).toEqual(['bus', 'write', 'bus:write:order-*']);
    expect(pattern.matches('order-7')).toBe(true);
  });

  it('has a name with whatever characters after the second colon', () => {
    expect(parseGrant('fsm:read:a:b:c').pattern.matches('a:b:c')).toBe(true);
    expect(parseGrant('fsm:read:two\nlines').pattern.matches('two\nlines')).toBe(true);
  });

  it.each([
    ['', /SERVICE:VERB:NAME/],
    ['bus', /SERVICE:VERB:NAME/],
    ['bus:read', /SERVICE:VERB:NAME/],
    ['bux:read:*', /with a service of fsm, bus, server or \*/],
    ['BUS:read:*', /with a service of/],
    ['constructor:read:*', /with a service of/],
    ['bus:reed:*', /a verb of read, write, process, manage or \*/],
    ['fsm:process:*', /a verb of read, write, manage or \*/],
    ['server:write:metrics', /a verb of read or \*/],
    ['*:reed:*', /a verb of/],
    ['bus:read:', /a name or a pattern/],
    [`bus:read:${'a'.repeat(257)}`, /at most 256 characters/],
  ])('is not %j', (text, message) => {
    expect(() => parseGrant(text)).toThrow(message);
  });

  it.each([
    ['bus:read:x', 'bus', 'read', true],
    ['bus:read:x', 'bus', 'write', false],
    ['bus:read:x', 'fsm', 'read', false],
    ['bus:*:x', 'bus', 'manage', true],
    ['bus:*:x', 'fsm', 'manage', false],
    ['*:read:x', 'fsm', 'read', true],
    ['*:read:x', 'fsm', 'write', false],
    ['*:*:x', 'server', 'read', true],
  ] as const)('%s is about %s and %s: %s', (text, service, verb, is) => {
    expect(isAbout(parseGrant(text), service, verb)).toBe(is);
  });
});

describe('a pattern', () => {
  it.each([
    ['order', 'order', true],
    ['order', 'orders', false],
    ['order', 'Order', false],
    ['order-*', 'order-', true],
    ['order-*', 'order', false],
    ['*-eu', 'order-eu', true],
    ['*-eu', 'order-eu-2', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['*b*', 'abc', true],
    ['ab*ab', 'abab', true],
    ['ab*ab', 'aba', false],
    ['a**', 'abc', true],
    ['*', '', true],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['a\\\\*', 'a\\b', true],
    ['a\\', 'a\\', true],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['💡*', '💡x', true],
    ['*', 'two\nlines', true],
  ])('%j and the name %j: %s', (pattern, name, is) => {
    expect(new Pattern(pattern).matches(name)).toBe(is);
  });

  it.each([
    ['*', true],
    ['**', true],
    ['', false],
    ['a', false],
    ['a*', false],
    ['*a*', false],
    ['\\*', false],
  ])('%j lets every name through: %s', (pattern, is) => {
    expect(new Pattern(pattern).isAnything).toBe(is);
  });

  it('agrees with one that tries everything', () => {
    const letters = fc.constantFrom('a', 'b', '*', '\\', '💡');
    const texts = fc.array(letters, { maxLength: 9 }).map((all) => all.join(''));
    fc.assert(
      fc.property(texts, texts, (pattern, name) => {
        expect(new Pattern(pattern).matches(name)).toBe(matchesByTrying(tokensOf(pattern), [...name]));
      }),
      { numRuns: 20_000 },
    );
  });

  it('agrees with it on names that were made to fit, too', () => {
    const pieces = fc.array(fc.constantFrom('a', 'b', 'ab', 'ba'), { maxLength: 4 });
    fc.assert(
      fc.property(pieces, fc.array(fc.constantFrom('', 'a', 'b', 'ab'), { maxLength: 5 }), (texts, fill) => {
        const pattern = texts.join('*');
        const name = texts.map((text, i) => (i === 0 ? '' : (fill[i] ?? '')) + text).join('');
        expect(new Pattern(pattern).matches(name)).toBe(true);
      }),
    );
  });

  it.each([
    ['many stars', '*a'.repeat(128)],
    ['an end that is not there', '*a'.repeat(127).concat('*b')],
    ['pieces that nearly fit', '*aab'.repeat(64)],
    ['stars in a row', `a${'*'.repeat(255)}b`],
  ])('is as quick when it is malicious: %s', (_, pattern) => {
    const malicious = new Pattern(pattern);
    const name = 'a'.repeat(100_000);
    const started = performance.now();
    for (let i = 0; i < 10; i += 1) malicious.matches(name);
    // One that goes back for each star would not end within the life of this test.
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

interface Token {
  readonly isStar: boolean;
  readonly text: string;
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i += 1) {
    const escaped = characters[i] === '\\' && i + 1 < characters.length;
    if (escaped) i += 1;
    tokens.push({ isStar: !escaped && characters[i] === '*', text: characters[i] as string });
  }
  return tokens;
}

/** The meaning of a pattern, word for word: a star is any number of characters, and each is tried. */
function matchesByTrying([token, ...rest]: readonly Token[], name: readonly string[]): boolean {
  if (!token) return name.length === 0;
  if (!token.isStar) return name[0] === token.text && matchesByTrying(rest, name.slice(1));
  return name.concat('').some((_, taken) => matchesByTrying(rest, name.slice(taken)));
}
