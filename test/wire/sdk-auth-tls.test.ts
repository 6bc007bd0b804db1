/** TLS from the side of the client: what does not fit is told and not tried for ever, what is renewed is used. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { explain } from '../../src/cli/exit.js';
import { type ConnectOptions, connect, type Switchgear, SwitchgearError } from '../../src/client/index.js';
import { MAIN } from '../support/build.js';
import { type Authority, type KeyPair, makeAuthority, openssl } from '../support/certificates.js';
import { Process } from '../support/processes.js';
import { RefusingServer } from './refusing-server.js';

let authority: Authority;
let server: RefusingServer | undefined;
let switchgear: Switchgear | undefined;
beforeAll(() => {
  authority = makeAuthority();
});
afterEach(() => {
  switchgear?.close();
  server?.stop();
  server = undefined;
});

async function start(pair?: KeyPair, more = {}): Promise<RefusingServer> {
  const files = pair && { cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile), ...more };
  server = await RefusingServer.start(() => undefined, files);
  return server;
}

function use(address: string, tls: ConnectOptions['tls']): Switchgear {
  switchgear = connect(address, { ...(tls !== undefined && { tls }), timeoutMs: 5_000 });
  return switchgear;
}

/** How a call and a watch end, and how long both took. */
async function failures(to: Switchgear): Promise<{ errors: SwitchgearError[]; tookMs: number }> {
  const startMs = performance.now();
  const call = to.bus.getStreamInfo('s').catch((error) => error);
  const errors = [
    await call,
    await to.fsm
      .watchTransitions({ configurationName: 'c' })
      .next()
      .catch((e) => e),
  ];
  return { errors, tookMs: performance.now() - startMs };
}

describe.skipIf(!openssl)('a server that cannot be trusted', () => {
  it.each<[string, () => KeyPair, boolean, RegExp, RegExp]>([
    ['is of another CA', () => makeAuthority().server(), true, /of a CA that is not trusted/, /--tls-ca/],
    [
      'is of a CA that nobody named',
      () => authority.server(),
      false,
      /of a CA that is not trusted/,
      /--tls-ca/,
    ],
    [
      'has another name',
      () => authority.server({ names: ['DNS:other.example'] }),
      true,
      /for another name: DNS:other\.example/,
      /--tls-server-name/,
    ],
    ['has expired', () => authority.server({ days: -1 }), true, /has expired/, /renewed/],
  ])(
    'because its certificate %s is told at once, and not tried again',
    async (_, pair, hasCa, text, next) => {
      const { address } = await start(pair());
      const { errors, tookMs } = await failures(use(address, hasCa ? { caFile: authority.caFile } : true));
      for (const error of errors) {
        expect(error).toBeInstanceOf(SwitchgearError);
        expect([error.code, error.message]).toEqual(['UNAVAILABLE', expect.stringMatching(text)]);
        const { line, exitCode } = explain(error, address);
        expect([exitCode, line]).toEqual([
          5,
          expect.stringContaining(`cannot connect to ${address}: the server's`),
        ]);
        expect(line).toMatch(next);
      }
      expect(tookMs).toBeLessThan(2_000);
      expect(server?.calls).toEqual([]);
    },
  );

  it('is trusted under the name that is given', async () => {
    const { address } = await start(authority.server({ names: ['DNS:other.example'] }));
    const tls = { caFile: authority.caFile, serverName: 'other.example' };
    await use(address, tls).bus.getStreamInfo('s');
  });
});

describe.skipIf(!openssl)('two ends of which one speaks TLS', () => {
  it('do not meet when it is the client, and the line says so', async () => {
    const { address } = await start();
    const { errors, tookMs } = await failures(use(address, { caFile: authority.caFile }));
    for (const error of errors)
      expect(explain(error, address).line).toMatch(/does not speak TLS.*leave --tls/);
    expect(tookMs).toBeLessThan(2_000);
  });

  it('do not meet when it is the server, and the line asks whether it is', async () => {
    const { address } = await start(authority.server());
    const impatient = connect(address, { retryForMs: 0 });
    const error = await impatient.bus.getStreamInfo('s').catch((thrown) => thrown);
    impatient.close();
    expect(explain(error, address)).toEqual({
      exitCode: 5,
      line: expect.stringMatching(/If it speaks TLS, --tls/),
    });
  });
});

describe.skipIf(!openssl)('a port that speaks another protocol', () => {
  it('fails the calls, and ends no process', async () => {
    const other = createServer((socket) =>
      socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const address = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    const script = `
      const { connect } = await import(${JSON.stringify(MAIN.replace(/main\.js$/, 'client/index.js'))});
      for (let i = 0; i < 20; i += 1) {
        const switchgear = connect('${address}', { retryForMs: 100 });
        const watch = switchgear.fsm.watchTransitions({ configurationName: 'c' }).next().catch(() => {});
        await switchgear.bus.getStreamInfo('s').catch((error) => console.log(error.code));
        switchgear.close();
        await watch;
      }`;
    const client = await Process.start(process.execPath, ['--input-type=module', '-e', script], {});
    const exitCode = await client.exited;
    other.close();
    expect([exitCode, client.output.match(/UNAVAILABLE/g)?.length]).toEqual([0, 20]);
  });
});

describe.skipIf(!openssl)('files of certificates', () => {
  const commonName = ({ certFile }: KeyPair) =>
    /CN=(.*)/.exec(new X509Certificate(readFileSync(certFile)).subject)?.[1];

  it('that are renewed are used for the next connection', async () => {
    const [first, second] = [1, 2].map(() => authority.client({ names: ['DNS:me'] })) as [KeyPair, KeyPair];
    const mine = { certFile: authority.path('mine.pem'), keyFile: authority.path('mine.key') };
    const put = ({ certFile, keyFile }: KeyPair) => {
      copyFileSync(certFile, mine.certFile);
      copyFileSync(keyFile, mine.keyFile);
    };
    put(first);
    const { address, calls } = await start(authority.server(), { requestCert: true, ca: authority.ca });
    const { bus } = use(address, { caFile: authority.caFile, ...mine });
    const seen = async () => {
      await bus.getStreamInfo('s');
      return calls.at(-1)?.certificate;
    };
    expect(await seen()).toBe(commonName(first));
    // In the middle of being replaced: a certificate whose key is not there yet.
    copyFileSync(second.certFile, mine.certFile);
    server?.cut();
    expect(await seen()).toBe(commonName(first));
    put(second);
    expect(await seen()).toBe(commonName(first));
    server?.cut();
    expect(await seen()).toBe(commonName(second));
  });

  it('that cannot be used are told at once', () => {
    const broken = authority.path('broken.pem');
    writeFileSync(broken, 'no certificate');
    const { certFile, keyFile } = authority.client({ names: [] });
    const other = authority.client({ names: [] }).keyFile;
    expect(() => connect('h:1', { tls: { caFile: '/nowhere.pem' } })).toThrow(
      /tls: cannot use \/nowhere\.pem: ENOENT/,
    );
    expect(() => connect('h:1', { tls: { certFile: broken, keyFile } })).toThrow(`tls: cannot use ${broken}`);
    expect(() => connect('h:1', { tls: { certFile, keyFile: other } })).toThrow(/key values mismatch/);
    expect(() => connect('h:1', { tls: { certFile } })).toThrow('one of the two is missing');
  });
});
