/** Secrets, the pepper and the hashes that are kept. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hashOf, hashText, newPepper, newSecret, parseHash, parsePepper } from '../../src/auth/secrets.js';

const PEPPER = Buffer.alloc(32, 1);

describe('a new secret', () => {
  it('is 32 bytes in base64url, and never the same', () => {
    const secrets = new Set(Array.from({ length: 100 }, newSecret));
    expect(secrets.size).toBe(100);
    for (const secret of secrets) expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
  });
});

describe('a hash', () => {
  it('is HMAC-SHA-256 with the pepper over id, zero byte and secret', () => {
    const expected = createHmac('sha256', PEPPER).update(Buffer.from('orders\u0000s3cret')).digest();
    expect(hashOf(PEPPER, 'orders', 's3cret').equals(expected)).toBe(true);
  });

  it('is of one client, one secret and one pepper', () => {
    const hashes = [
      hashOf(PEPPER, 'orders', 'secret'),
      hashOf(PEPPER, 'order', 'ssecret'),
      hashOf(PEPPER, 'orders', 'secret2'),
      hashOf(PEPPER, 'audit', 'secret'),
      hashOf(Buffer.alloc(32, 2), 'orders', 'secret'),
    ];
    expect(new Set(hashes.map(hashText)).size).toBe(hashes.length);
  });

  it('is read as it was written', () => {
    const hash = hashOf(PEPPER, 'orders', 'secret');
    expect(parseHash(hashText(hash))?.equals(hash)).toBe(true);
  });

  it.each([
    '',
    'hmac-sha256:',
    `hmac-sha256:${'A'.repeat(42)}`,
    `hmac-sha256:${'A'.repeat(44)}`,
    `hmac-sha256:${'A'.repeat(42)}B`,
    `hmac-sha256:${'+'.repeat(43)}`,
    `hmac-sha512:${'A'.repeat(43)}`,
    'A'.repeat(43),
    ` hmac-sha256:${'A'.repeat(43)}`,
    `hmac-sha256:${'A'.repeat(43)}\n`,
  ])('is not %j', (text) => {
    expect(parseHash(text)).toBeUndefined();
  });
});

describe('a pepper', () => {
  it('is 32 bytes, whatever space is around it', () => {
    expect(parsePepper(` ${newPepper()}\r\n`)).toHaveLength(32);
  });

  it.each(['', 'short', 'A'.repeat(44), `${'A'.repeat(43)} ${'A'.repeat(43)}`])('is not %j', (text) => {
    expect(parsePepper(text)).toBeUndefined();
  });
});
