/**
 * Streams that are open when what they were let in with ends: a secret, by a change or by its time, or the
 * name of a certificate. The client itself stays, and so do its other streams. With a real auth file.
 */
import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Auth } from '../../src/auth/open-auth.js';
import { AuthFolder, basic } from '../auth/auth-folder.js';
import { type Authority, type KeyPair, makeAuthority, openssl } from '../support/certificates.js';
import { startTestServer, type TestServer } from '../support/transports.js';
import { eventually } from '../support/waiting.js';
import { endOfStream, WAYS, type Way, waysTo } from './access-server.js';

const OLD = basic('reader', 'old-secret');
const NEW = basic('reader', 'new-secret');
const OTHER = basic('other', 'other-secret');
const INVALID = 'Unauthenticated CREDENTIALS_INVALID';

let authority: Authority;
let pair: KeyPair;
let folder: AuthFolder;
let auth: Auth;
let server: TestServer;
let openCount = 0;

beforeAll(() => {
  authority = makeAuthority();
  pair = authority.client({ names: ['DNS:reader.internal'] });
});

beforeEach(async () => {
  folder = new AuthFolder();
  write({});
  auth = await folder.open();
  openCount = 0;
  const { certFile, keyFile } = authority.server();
  server = await startTestServer({
    authenticator: auth,
    tls: { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: authority.caFile },
    fsm: {
      async *watchTransitions(_, { signal }) {
        openCount += 1;
        // Whether it has ended meanwhile is the matter here; that it answers nothing is not.
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        yield await Promise.reject(signal.reason);
      },
    },
  });
});
afterEach(async () => {
  await server.stop();
  auth.close();
  folder.remove();
});

interface Reader {
  readonly secrets?: Parameters<AuthFolder['write']>[0][string]['secrets'];
  readonly names?: readonly string[];
  readonly otherNames?: readonly string[];
}

/** Writes the file with what is different about it. */
function write({
  secrets = ['new-secret', 'old-secret'],
  names = ['DNS:reader.internal'],
  otherNames = [],
}: Reader) {
  folder.write({
    reader: { secrets, names, grants: ['fsm:read:*'] },
    other: { secrets: ['other-secret'], names: otherNames, grants: ['fsm:read:*'] },
  });
}

function change(reader: Reader): void {
  write(reader);
  auth.reload();
}

/** Opens a stream; resolves once its handler runs, with its end. In an array, or it would be waited for. */
async function open(way: Way, authorization: string | undefined, certificate?: KeyPair) {
  const before = openCount;
  const shown = certificate && {
    cert: readFileSync(certificate.certFile),
    key: readFileSync(certificate.keyFile),
  };
  const { [way]: transport } = waysTo(server.grpcUrl, server.httpUrl, { ca: authority.ca, ...shown });
  const request = { configurationName: 'lamp' };
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  const end = endOfStream(transport, FsmService.method.watchTransitions, request, headers);
  await eventually(() => openCount > before, 'the handler is called');
  return [end] as const;
}

const isOpen = (end: Promise<string>) =>
  Promise.race([
    end.then((how) => `ended: ${how}`),
    new Promise((resolve) => setTimeout(resolve, 200, 'open')),
  ]);

describe.skipIf(!openssl).each(WAYS)('a stream by %s', (way) => {
  it('ends when its secret is replaced, and those that came with another go on', async () => {
    const [old] = await open(way, OLD);
    const [current] = await open(way, NEW);
    const [other] = await open(way, OTHER);
    change({ secrets: ['new-secret'] });
    expect(await old).toBe(INVALID);
    expect([await isOpen(current), await isOpen(other)]).toEqual(['open', 'open']);
  });

  it('ends when the pepper is another', async () => {
    const [end] = await open(way, NEW);
    folder.writePepper(Buffer.alloc(32, 9).toString('base64url'));
    auth.reload();
    expect(await end).toBe(INVALID);
  });

  it('ends when its secret expires, though nothing changes', async () => {
    const expires = new Date(folder.clock.nowMs() + 500).toISOString();
    change({ secrets: ['new-secret', { secret: 'old-secret', expires }] });
    const [old] = await open(way, OLD);
    const [current] = await open(way, NEW);
    folder.clock.advance(500);
    expect(await old).toBe(INVALID);
    expect(await isOpen(current)).toBe('open');
  });

  it('ends when its certificate has the name of nobody any more, or of somebody else', async () => {
    const [end] = await open(way, undefined, pair);
    const [withSecret] = await open(way, NEW, pair);
    change({ names: ['DNS:another.internal'] });
    expect(await end).toBe('Unauthenticated CERTIFICATE_UNKNOWN');
    change({});
    const [again] = await open(way, undefined, pair);
    change({ names: [], otherNames: ['DNS:reader.internal'] });
    expect(await again).toBe('Unauthenticated CERTIFICATE_UNKNOWN');
    expect(await isOpen(withSecret)).toBe('open');
  });
});

describe.skipIf(!openssl)('many streams', () => {
  it('are looked at in one review', async () => {
    const ends = [];
    for (let i = 0; i < 50; i += 1) ends.push((await open('gRPC', i % 2 === 0 ? OLD : NEW))[0]);
    const review = vi.spyOn(auth, 'review');
    change({ secrets: ['new-secret'] });
    expect(await Promise.all(ends.map(isOpen))).toEqual(
      ends.map((_, i) => (i % 2 === 0 ? `ended: ${INVALID}` : 'open')),
    );
    expect(review).toHaveBeenCalledTimes(1);
  });

  it('count as no attempts of the client, however many end', async () => {
    const ends = [];
    for (let i = 0; i < 10; i += 1) ends.push((await open('gRPC', OLD))[0]);
    change({ secrets: ['new-secret'] });
    for (const end of ends) expect(await end).toBe(INVALID);
    expect(() => auth.identify(OLD, { address: '127.0.0.1', certificate: undefined })).toThrowError(
      expect.objectContaining({ reason: 'CREDENTIALS_INVALID' }),
    );
  });
});
