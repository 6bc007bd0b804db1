/** The command line's settings: contexts, the environment, and what doctor says of who we are. */
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { explain } from '../../src/cli/exit.js';
import { SwitchgearError } from '../../src/client/index.js';
import { REASONS } from '../../src/fault.js';
import { type Authority, type KeyPair, makeAuthority, openssl } from '../support/certificates.js';
import { freePort, temporaryDirectory } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';
import { type Typed, typed } from './cli-support.js';
import { RefusingServer } from './refusing-server.js';

/** A contexts file of its own, and commands that use it. */
function contexts() {
  const file = join(temporaryDirectory('contexts'), 'deep', 'contexts.yaml');
  const of = (...args: string[]) => typed(['context', ...args], { env: { SWITCHGEAR_CONTEXTS: file } });
  return { file, of };
}

/** The rows of a record in a table. */
function rows({ stdout }: Typed): Record<string, string> {
  const lines = stdout.trimEnd().split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/ {2,}/, 2) as [string, string]));
}

describe('context', () => {
  it('set makes a context, and a file that its owner alone can read', async () => {
    const { file, of } = contexts();
    const made = await of(
      'set',
      'prod',
      '--address',
      'sg.example:7398',
      '--tls',
      '--credentials-file',
      'me.secret',
    );
    expect(made).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('context use prod') });
    expect(rows(made)).toEqual({
      context: 'prod',
      current: 'no',
      address: 'sg.example:7398',
      tls: 'on',
      credentials: join(process.cwd(), 'me.secret'),
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(parse(readFileSync(file, 'utf8'))).toEqual({
      contexts: {
        prod: { address: 'sg.example:7398', credentialsFile: join(process.cwd(), 'me.secret'), tls: true },
      },
    });
  });

  it('set changes what is given, and leaves everything else, comments too', async () => {
    const { file, of } = contexts();
    await of('set', 'a', '--address', 'a:1');
    writeFileSync(
      file,
      `# mine
current: a # the usual one
contexts:
  # in the cellar
  a: { address: 'a:1' }
  b:
    address: b:2 # behind the wall
    tls: { ca: ca.pem }
`,
    );
    await of('set', 'b', '--address', 'b:3', '--tls-cert', '/me.pem', '--tls-key', '/me.key');
    const text = readFileSync(file, 'utf8');
    expect(text).toBe(`# mine
current: a # the usual one
contexts:
  # in the cellar
  a: { address: 'a:1' }
  b:
    address: b:3 # behind the wall
    tls: { ca: ca.pem, cert: /me.pem, key: /me.key }
`);
    await of('set', 'b', '--no-tls');
    expect(parse(readFileSync(file, 'utf8')).contexts.b).toEqual({ address: 'b:3' });
  });

  it('use, show, list and remove know the current one', async () => {
    const { file, of } = contexts();
    await of('set', 'a', '--address', 'a:1');
    await of('set', 'b', '--address', 'b:2', '--tls-ca', '/ca.pem');
    expect(await of('show')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('no context is the current'),
    });
    expect(rows(await of('use', 'b'))).toMatchObject({ context: 'b', current: 'yes', tls: 'on, ca /ca.pem' });
    expect((await of('show')).stdout).toBe((await of('show', 'b')).stdout);
    expect((await of('list')).stdout).toMatch(
      /^CURRENT +NAME +ADDRESS +TLS +CREDENTIALS\n +a +a:1 +off\n\* +b +b:2 /,
    );
    expect(JSON.parse((await of('show', 'b', '-o', 'json')).stdout)).toEqual({
      name: 'b',
      current: true,
      address: 'b:2',
      tls: { ca: '/ca.pem' },
      credentialsFile: null,
    });
    expect(await of('remove', 'b')).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('the current one'),
    });
    expect(parse(readFileSync(file, 'utf8'))).toEqual({ contexts: { a: { address: 'a:1' } } });
  });

  it.each<[number, string[], RegExp]>([
    [3, ['show', 'prd'], /there is no context prd in .*; did you mean prod\?/],
    [3, ['use', 'x'], /`switchgear context list` shows/],
    [3, ['remove', 'x'], /there is no context x/],
    [2, ['set', 'new'], /a new one needs --address/],
    [2, ['set', 'a b', '--address', 'a:1'], /"a b" is not a name/],
    [2, ['set', 'prod', '--address', 'nowhere'], /--address: "nowhere" is not an address/],
    [2, ['set', 'prod', '--no-tls', '--tls-ca', 'x'], /--no-tls goes with none/],
  ])('ends with %i for %j', async (exitCode, args, message) => {
    const { file, of } = contexts();
    await of('set', 'prod', '--address', 'prod:1');
    const before = readFileSync(file, 'utf8');
    expect(await of(...args)).toMatchObject({ exitCode, stdout: '', stderr: expect.stringMatching(message) });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('leaves a file alone that it cannot read', async () => {
    const { file, of } = contexts();
    await of('set', 'a', '--address', 'a:1');
    writeFileSync(file, 'contexts: {a: {adress: x}}');
    for (const args of [
      ['list'],
      ['show', 'a'],
      ['use', 'a'],
      ['remove', 'a'],
      ['set', 'b', '--address', 'b:1'],
    ]) {
      const { exitCode, stderr } = await of(...args);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining('contexts.a.adress is not known')]);
    }
    expect(readFileSync(file, 'utf8')).toBe('contexts: {a: {adress: x}}');
  });

  it('changes the file that a link leads to, and leaves the link', async () => {
    const { file, of } = contexts();
    await of('set', 'a', '--address', 'a:1');
    const link = join(temporaryDirectory('link'), 'contexts.yaml');
    symlinkSync(file, link);
    await typed(['context', 'use', 'a'], { env: { SWITCHGEAR_CONTEXTS: link } });
    expect(parse(readFileSync(file, 'utf8')).current).toBe('a');
    expect(existsSync(link) && readFileSync(link, 'utf8')).toBe(readFileSync(file, 'utf8'));
  });

  it('and its options are in the completion of every shell', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { stdout } = await typed(['completion', shell]);
      for (const word of ['switchgear context set', 'remove', 'credentials-file', 'no-tls', 'context'])
        expect(stdout).toContain(word);
    }
  });
});

describe('a reason to refuse a caller', () => {
  const reasons = Object.entries(REASONS).filter(
    ([reason, kind]) => ['unauthenticated', 'denied'].includes(kind) && reason !== 'ORIGIN_REFUSED',
  );

  it.each(reasons)('%s has a next step of its own, and exit code 6', (reason, kind) => {
    const code = kind === 'denied' ? 'PERMISSION_DENIED' : 'UNAUTHENTICATED';
    const facts = {
      message: 'refused',
      domain: 'switchgear',
      metadata: {},
      violations: [],
      retryAfterMs: 1_500,
    };
    const told = explain(new SwitchgearError({ ...facts, code, reason }), 'a:1');
    const plain = explain(new SwitchgearError({ ...facts, code, reason: '' }), 'a:1');
    expect([told.exitCode, plain.exitCode]).toEqual([6, 6]);
    expect(told.line).not.toBe(plain.line);
    expect(told.line).toMatch(/^refused.*; ./);
  });

  it('GRANT_MISSING names the command that grants it', () => {
    const metadata = { client: 'orders', grant: 'bus:write' };
    const facts = {
      message: 'denied',
      domain: 'switchgear',
      violations: [],
      retryAfterMs: undefined,
      metadata,
    };
    const { line } = explain(
      new SwitchgearError({ ...facts, code: 'PERMISSION_DENIED', reason: 'GRANT_MISSING' }),
      '',
    );
    expect(line).toBe('denied; `switchgear client grant orders bus:write:NAME` on the server gives it');
  });
});

describe.skipIf(!openssl)('a server that asks who calls, over TLS', () => {
  let authority: Authority;
  let server: ServerProcess;
  let mine: KeyPair;
  let folder: string;
  let file: string;
  /** The environment that reaches it, as `orders`. */
  let env: Record<string, string>;

  beforeAll(async () => {
    authority = makeAuthority();
    folder = temporaryDirectory('secured');
    file = join(folder, 'contexts.yaml');
    const authFile = join(folder, 'clients.yaml');
    const add = async (...args: string[]) => {
      const added = await typed(['client', 'add', ...args, '--auth-file', authFile]);
      expect(added).toMatchObject({ exitCode: 0 });
    };
    mine = authority.client({ names: ['DNS:machine.example'], days: 3 });
    await add('orders', '--grant', 'fsm:*:*', '--secret-to', join(folder, 'orders.secret'));
    await add('machine', '--grant', 'bus:read:*', '--no-secret', '--name', 'DNS:machine.example');
    const pair = authority.server();
    const flags = ['--auth-file', authFile, '--tls-client-ca', authority.caFile];
    const tls = ['--tls-cert', pair.certFile, '--tls-key', pair.keyFile];
    server = await ServerProcess.start({ flags: [...flags, ...tls] });
    env = {
      SWITCHGEAR_ADDRESS: server.grpcAddress,
      SWITCHGEAR_TLS_CA: authority.caFile,
      SWITCHGEAR_CREDENTIALS_FILE: join(folder, 'orders.secret'),
    };
  }, 60_000);
  afterAll(() => server?.dispose());

  it('is reached by options alone, by the environment alone, and by a context alone', async () => {
    const { SWITCHGEAR_ADDRESS, SWITCHGEAR_TLS_CA, SWITCHGEAR_CREDENTIALS_FILE } = env as Record<
      string,
      string
    >;
    const connection = ['--address', SWITCHGEAR_ADDRESS!, '--tls-ca', SWITCHGEAR_TLS_CA!];
    const options = [...connection, '--credentials-file', SWITCHGEAR_CREDENTIALS_FILE!];
    const expected = { exitCode: 0, stderr: '' };
    expect(await typed(['fsm', 'list', ...options])).toMatchObject(expected);
    expect(await typed(['fsm', 'list'], { env })).toMatchObject(expected);
    const byContext = { env: { SWITCHGEAR_CONTEXTS: file } };
    await typed(['context', 'set', 'sure', ...options], byContext);
    expect(await typed(['fsm', 'list', '--context', 'sure'], byContext)).toMatchObject(expected);
    const named = { env: { ...byContext.env, SWITCHGEAR_CONTEXT: 'sure' } };
    expect(await typed(['fsm', 'list'], named)).toMatchObject(expected);
    await typed(['context', 'use', 'sure'], byContext);
    expect(await typed(['fsm', 'list'], byContext)).toMatchObject(expected);
    expect(await typed(['fsm', 'list', '--context', 'shure'], byContext)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('--context: there is no context shure; there are sure'),
    });
  });

  it('is described by doctor, with where each setting came from', async () => {
    const doctor = await typed(['doctor'], { env });
    expect([doctor.exitCode, doctor.stderr]).toEqual([
      0,
      'switchgear: client orders is not granted bus:read on what this names; ' +
        '`switchgear client grant orders bus:read:NAME` on the server gives it\n',
    ]);
    expect(rows(doctor)).toMatchObject({
      server: `${server.grpcAddress} (SWITCHGEAR_ADDRESS)`,
      tls: 'TLSv1.3 (SWITCHGEAR_TLS_CA)',
      certificate: expect.stringMatching(/^[0-9a-f]{12}, until \d{4}-\d\d-\d\d \d\d:\d\d UTC$/),
      credentials: 'orders, accepted (SWITCHGEAR_CREDENTIALS_FILE)',
      'may read': 'bus no, fsm yes',
    });
    expect(doctor.stdout).not.toContain(
      readFileSync(join(folder, 'orders.secret'), 'utf8').split(':')[1]!.trim(),
    );
  });

  it('knows a client by its certificate, and doctor says when that ends', async () => {
    const { SWITCHGEAR_CREDENTIALS_FILE: _, ...rest } = env;
    const tls = ['--tls-cert', mine.certFile, '--tls-key', mine.keyFile];
    const doctor = await typed(['doctor', '-o', 'json', ...tls], { env: rest });
    expect(doctor.stderr).toContain('the certificate of this client ends in 2 days');
    expect(doctor.stderr).toContain('`switchgear client grant machine fsm:read:NAME`');
    expect(JSON.parse(doctor.stdout)).toMatchObject({
      credentials: {
        shown: 'certificate',
        client: 'machine',
        state: 'accepted',
        mayRead: { bus: 'yes', fsm: 'no' },
      },
      tls: { protocol: 'TLSv1.3', problem: null, ownCertificate: { names: 'DNS:machine.example' } },
      from: { tlsCert: '--tls-cert', tlsCa: 'SWITCHGEAR_TLS_CA' },
    });
  });

  it.each<[string, number, (env: Record<string, string>) => Record<string, string>, string, RegExp]>([
    [
      'no credentials',
      6,
      ({ SWITCHGEAR_CREDENTIALS_FILE: _, ...rest }) => rest,
      'none, refused',
      /--credentials-file/,
    ],
    [
      'wrong credentials',
      6,
      ({ SWITCHGEAR_CREDENTIALS_FILE: _, ...rest }) => ({ ...rest, SWITCHGEAR_CREDENTIALS: 'ghost:wrong' }),
      'ghost, refused (SWITCHGEAR_CREDENTIALS)',
      /client rotate/,
    ],
    [
      'a CA that is another',
      5,
      (all) => ({ ...all, SWITCHGEAR_TLS_CA: makeAuthority().caFile }),
      'sent (SWITCHGEAR_CREDENTIALS_FILE)',
      /not trusted here; --tls-ca/,
    ],
    [
      'plaintext',
      5,
      ({ SWITCHGEAR_ADDRESS }) => ({ SWITCHGEAR_ADDRESS: SWITCHGEAR_ADDRESS! }),
      'none',
      /If it speaks TLS, --tls/,
    ],
  ])(
    'with %s ends doctor with %i, after all that was found',
    async (_, exitCode, change, credentials, next) => {
      const doctor = await typed(['doctor'], { env: change(env) });
      expect(doctor.exitCode).toBe(exitCode);
      expect(rows(doctor)).toMatchObject({
        server: expect.stringContaining(server.grpcAddress),
        credentials,
      });
      expect(doctor.stderr).toMatch(next);
      expect(doctor.stderr.trimEnd().split('\n')).toHaveLength(1);
      // A second try would count as a second failure.
      if (exitCode === 6) expect(rows(doctor)['may read']).toBe('bus refused');
      expect((await typed(['fsm', 'list'], { env: change(env) })).exitCode).toBe(exitCode);
    },
  );

  it('says what a caller lacks, and who can give it', async () => {
    expect(await typed(['bus', 'create', 'payments'], { env })).toMatchObject({
      exitCode: 6,
      stderr: expect.stringContaining(
        '`switchgear client grant orders bus:manage:NAME` on the server gives it',
      ),
    });
  });
});

describe('doctor', () => {
  it('shows what it would have connected to when nobody is there', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const env = { SWITCHGEAR_TLS: 'true', SWITCHGEAR_CREDENTIALS: 'me:s3cret' };
    const { exitCode, stdout, stderr } = await typed(['doctor', '-o', 'json'], { address, env });
    expect([exitCode, stderr]).toEqual([5, expect.stringContaining(`cannot connect to ${address}`)]);
    expect(JSON.parse(stdout)).toMatchObject({
      from: { address: 'SWITCHGEAR_ADDRESS', tls: 'SWITCHGEAR_TLS', credentials: 'SWITCHGEAR_CREDENTIALS' },
      tls: { protocol: null },
      services: [],
    });
    expect(stdout + stderr).not.toContain('s3cret');
  });

  it('takes nothing of a context that is named to an address that was forgotten in the environment', async () => {
    const stale = await RefusingServer.start(() => undefined);
    const folder = temporaryDirectory('stale');
    const [file, secret] = [join(folder, 'contexts.yaml'), join(folder, 'prod.secret')];
    const mine = `127.0.0.1:${await freePort()}`;
    writeFileSync(secret, 'prod:s3cret', { mode: 0o600 });
    writeFileSync(file, `contexts: {prod: {address: '${mine}', credentialsFile: ${secret}}}`);
    const env = { SWITCHGEAR_CONTEXTS: file, SWITCHGEAR_ADDRESS: stale.address };
    expect(await typed(['doctor', '--context', 'prod'], { env })).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining(`cannot connect to ${mine}`),
    });
    expect(await typed(['doctor'], { env: { ...env, SWITCHGEAR_CONTEXT: 'prod' } })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(
        /^switchgear: SWITCHGEAR_ADDRESS: \S+ is not the server of context prod .*\n$/,
      ),
    });
    expect(stale.calls).toEqual([]);
    stale.stop();
  });

  it('and other commands ask a server that refuses them once', async () => {
    const server = await RefusingServer.start(() => ({ reason: 'CREDENTIALS_INVALID' }));
    await typed(['fsm', 'list'], { address: server.address, env: { SWITCHGEAR_CREDENTIALS: 'me:wrong' } });
    expect(server.calls.length).toBe(1);
    server.stop();
  });
});
