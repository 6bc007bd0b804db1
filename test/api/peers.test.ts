/** What a connection tells of its other end, by itself. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressOf, peerOf } from '../../src/server/peers.js';
import { namesIn } from '../../src/server/shown-certificate.js';

describe('what is left on a socket', () => {
  it('tells an IPv4 address as such, also on a port that listens for both', () => {
    const of = (remoteAddress: string | undefined) => addressOf({ remoteAddress } as never);
    expect(['::ffff:10.1.2.3', '10.1.2.3', '2001:db8::1', '::ffff:0', undefined].map(of)).toEqual([
      '10.1.2.3',
      '10.1.2.3',
      '2001:db8::1',
      '::ffff:0',
      '',
    ]);
  });

  it('knows nobody where a socket has gone', () => {
    const gone = new Proxy(
      {},
      {
        get: () => {
          throw new Error('gone');
        },
      },
    );
    for (const socket of [gone, {}, undefined])
      expect(peerOf(socket)).toMatchObject({
        address: '',
        certificate: { names: [], problem: 'CONNECTION_GONE' },
      });
  });
});

describe('names in a certificate', () => {
  it('are those that Node writes, also between others and when they are quoted', () => {
    expect(namesIn('DNS:a.example, IP Address:0:0:0:0:0:0:0:1, URI:spiffe://x/y, email:a@b')).toEqual([
      'DNS:a.example',
      'IP:::1',
      'URI:spiffe://x/y',
      'email:a@b',
    ]);
    expect(namesIn('DNS:"a, DNS:admin.example", Registered ID:1.2.3, DNS:b')).toEqual([
      'DNS:a, DNS:admin.example',
      'DNS:b',
    ]);
    expect(namesIn('DNS:"a\\u0000.example"')).toEqual(['DNS:a\u0000.example']);
    expect(namesIn(undefined)).toEqual([]);
  });

  it('are none at all where the text is not wholly understood', () => {
    for (const text of ['DNS:"a, DNS:admin', 'DNS:a"b, DNS:c', 'DNS:a, garbage', 'DNS:a DNS:b"', ', DNS:a'])
      expect(namesIn(text)).toEqual([]);
  });

  it('never come out of the inside of another', () => {
    const value = fc.string({
      minLength: 1,
      maxLength: 30,
      unit: fc.constantFrom(...'aD:NS, "\\URI\n\u0000é'),
    });
    const written = (text: string) => (/^[\w.@/ -]+$/.test(text) ? text : JSON.stringify(text));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 5 }), (values) => {
        const text = values.map((each) => `DNS:${written(each)}`).join(', ');
        expect(namesIn(text)).toEqual(values.map((each) => `DNS:${each}`));
      }),
    );
  });
});
