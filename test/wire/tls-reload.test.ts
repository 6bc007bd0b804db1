/** Certificates that are replaced while the server runs, by a process and by what it prints. */
import { X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { connect } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Authority, type KeyPair, makeAuthority, openssl } from '../support/certificates.js';
import { ServerProcess } from '../support/server-process.js';
import { eventually } from '../support/waiting.js';

let authority: Authority;
let files: KeyPair;
let server: ServerProcess;

beforeAll(() => {
  authority = makeAuthority();
});
beforeEach(() => {
  files = { certFile: authority.path('live.pem'), keyFile: authority.path('live.key') };
});
afterEach(() => server?.dispose());

/** Puts a pair where the server reads it, as a renewal does. */
function put(pair: KeyPair): void {
  for (const name of ['keyFile', 'certFile'] as const) {
    copyFileSync(pair[name], `${files[name]}.new`);
    renameSync(`${files[name]}.new`, files[name]);
  }
}

async function start(pair: KeyPair = authority.server(), flags: string[] = []): Promise<void> {
  put(pair);
  const own = ['--tls-cert', files.certFile, '--tls-key', files.keyFile];
  server = await ServerProcess.start({ flags: [...own, ...flags] });
}

/** The serial number of the certificate that a new connection is shown. */
function shown(address: string): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    socket.once('error', reject).once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
  });
}

const serialOf = ({ certFile }: KeyPair) => new X509Certificate(readFileSync(certFile)).serialNumber;

function get(path: string, body?: string): Promise<string> {
  const method = body === undefined ? 'GET' : 'POST';
  const headers = { 'content-type': 'application/json' };
  const options = { method, headers, ca: authority.ca, agent: false };
  return new Promise((resolve, reject) => {
    https
      .request(`https://${server.httpAddress}${path}`, options, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.once('end', () => resolve(text));
      })
      .on('error', reject)
      .end(body);
  });
}

const linesWith = (text: string) => server.output.split('\n').filter((line) => line.includes(text));

describe.skipIf(!openssl)('a certificate', () => {
  it('that is replaced is shown to new connections within two seconds, and old ones go on', async () => {
    const [first, second] = [authority.server(), authority.server({ days: 60 })];
    await start(first);
    const sessions = [server.grpcAddress, server.httpAddress].map((address) =>
      http2.connect(`https://${address}`, { ca: authority.ca }),
    );
    await Promise.all(sessions.map((session) => new Promise((resolve) => session.once('connect', resolve))));
    expect(await shown(server.grpcAddress)).toBe(serialOf(first));
    put(second);
    for (const address of [server.grpcAddress, server.httpAddress])
      await eventually(
        async () => (await shown(address)) === serialOf(second),
        'the new one is shown',
        2_000,
      );
    for (const session of sessions) {
      expect(session.closed).toBe(false);
      await new Promise((resolve, reject) =>
        session.ping((error) => (error ? reject(error) : resolve(undefined))),
      );
      session.destroy();
    }
    const endSeconds = Date.parse(new X509Certificate(readFileSync(second.certFile)).validTo) / 1_000;
    const metrics = await get('/metrics');
    const gauge = /^switchgear_tls_certificate_expiry_timestamp_seconds (.*)$/m.exec(metrics)?.[1];
    expect(Number(gauge)).toBe(endSeconds);
    expect(linesWith('new TLS files are in use').length).toBe(1);
  });

  it('that is of no use is not taken, and said once', async () => {
    const [first, second] = [authority.server(), authority.server()];
    await start(first);
    // The certificate of one and the key of another.
    writeFileSync(files.certFile, readFileSync(second.certFile));
    await eventually(() => linesWith('of no use').length > 0, 'it is said', 3_000);
    writeFileSync(files.certFile, 'nonsense');
    await eventually(() => linesWith('of no use').length > 1, 'it is said of the next one too', 3_000);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(linesWith('of no use').map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 50,
        problem: expect.stringMatching(/live.key is not the key of the first certificate in .*live.pem/),
      },
      { level: 50, problem: expect.stringMatching(/live.pem holds no certificate/) },
    ]);
    expect(await shown(server.grpcAddress)).toBe(serialOf(first));
    put(second);
    await eventually(async () => (await shown(server.grpcAddress)) === serialOf(second), 'it mends', 3_000);
  });

  it('is seen behind a link that is turned elsewhere, and at once after SIGHUP', async () => {
    const [first, second] = [authority.server(), authority.server()];
    await start(first);
    for (const name of ['certFile', 'keyFile'] as const) {
      unlinkSync(files[name]);
      symlinkSync(second[name], files[name]);
    }
    server.signal('SIGHUP');
    await eventually(async () => (await shown(server.httpAddress)) === serialOf(second), 'it is shown', 900);
    put(first);
    await eventually(async () => (await shown(server.httpAddress)) === serialOf(first), 'and back', 2_000);
  });
});

describe.skipIf(!openssl)('the banner', () => {
  it('says what is on, and until when the certificate lasts', async () => {
    await start(authority.server({ days: 90 }), ['--tls-client-ca', authority.caFile]);
    const until = new Date(Date.parse(new X509Certificate(readFileSync(files.certFile)).validTo));
    expect(server.output).toContain(
      `security  authentication off, TLS on (certificate until ${until.toISOString().slice(0, 10)}), client certificates on, loopback only`,
    );
    expect(server.output).toContain(`HTTP      https://${server.httpAddress} (`);
    expect(server.output).not.toMatch(/warning .*certificate/);
    expect(JSON.parse(await get('/statemachine.v1beta.StatemachineService/Health', '{}'))).toMatchObject({
      tlsEnabled: true,
    });
  });

  it.each([
    ['that ends within two weeks', 10, /warning +the certificate in \S+live.pem ends on \d{4}-\d\d-\d\d/],
    ['that has ended', -1, /warning +the certificate in \S+live.pem ended on \d{4}-\d\d-\d\d/],
  ])('warns of a certificate %s, and the start goes on', async (_, days, warning) => {
    await start(authority.server({ days }));
    expect(server.output).toMatch(warning);
    expect(await shown(server.grpcAddress)).not.toBe('');
  });
});
