/** What a start is told: settings from flags, environment and file, and everything that is wrong with them. */
import dns from 'node:dns';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ConfigError, inspectConfig, readConfig } from '../../src/config.js';
import { banner } from '../../src/server/banner.js';
import { DEFAULT_LIMITS } from '../../src/server/limits.js';
import { Port } from '../../src/server/port.js';
import { type Authority, type KeyPair, makeAuthority, openssl } from '../support/certificates.js';
import { freePort, temporaryDirectory } from '../support/processes.js';
import { typedAsProcess } from './cli-support.js';

let authority: Authority;
let pair: KeyPair;
let directory: string;

beforeAll(() => {
  authority = makeAuthority();
  pair = authority.server();
});
beforeEach(() => {
  directory = temporaryDirectory('config');
});

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function complaintsOf(args: readonly string[], env: NodeJS.ProcessEnv = {}): readonly string[] {
  try {
    readConfig(args, env);
    return [];
  } catch (error) {
    return (error as ConfigError).complaints;
  }
}

describe.skipIf(!openssl)('a setting', () => {
  it('comes from a flag, else the environment, else the file, else stands by itself', () => {
    const path = file('s.yaml', 'host: 127.0.0.2\nnamespace: of-file\nlog-level: warn\n');
    const env = { SWITCHGEAR_HOST: '127.0.0.3', SWITCHGEAR_NAMESPACE: 'of-environment' };
    const config = readConfig(['--config', path, '--host', '127.0.0.4'], env);
    expect([config.host, config.namespace, config.logLevel, config.grpcPort]).toEqual([
      '127.0.0.4',
      'of-environment',
      'warn',
      7398,
    ]);
  });

  it('of the auth file brings that of its pepper', () => {
    const path = file('clients.yaml', '');
    expect(readConfig(['--auth-file', path], {}).authPepperFile).toBe(`${path}.pepper`);
    const pepper = file('pepper', '');
    expect(readConfig(['--auth-file', path, '--auth-pepper-file', pepper], {}).authPepperFile).toBe(pepper);
    expect(readConfig([], {}).authPepperFile).toBeUndefined();
  });
});

describe.skipIf(!openssl)('a complaint', () => {
  it('is made of all that is wrong at once, each with where it comes from', () => {
    const path = file('s.yaml', 'reflection: maybe\nunheard-of: 1\ntls-client-ca: gone.pem\nnamespace:\n');
    const env = { SWITCHGEAR_TLS_KEY: pair.keyFile, SWITCHGEAR_DURABILITY: 'sometimes' };
    expect(complaintsOf(['--config', path, '--grpc-port', 'x', '--frob'], env).toSorted()).toEqual(
      [
        '--frob is not an option; --help lists them',
        '--grpc-port: "x" must be a port, 0 to 65535',
        'SWITCHGEAR_DURABILITY: "sometimes" must be one of fsync, relaxed',
        'SWITCHGEAR_TLS_KEY needs --tls-cert beside it',
        `namespace in ${path}: must be one value, or a list where it takes several`,
        `reflection in ${path}: "maybe" must be one of on, off`,
        `tls-client-ca in ${path} needs --tls-cert beside it`,
        `tls-client-ca in ${path}: gone.pem cannot be read: there is no such file`,
        `unheard-of in ${path} is not a setting; --help lists them`,
      ].toSorted(),
    );
  });

  it.each([
    ['a certificate without a key', ['--tls-cert', 'CERT'], /^--tls-cert needs --tls-key beside it$/],
    ['a key without a certificate', ['--tls-key', 'KEY'], /^--tls-key needs --tls-cert beside it$/],
    ['a client CA without a certificate', ['--tls-client-ca', 'CA'], /^--tls-client-ca needs --tls-cert/],
    ['a pepper without an auth file', ['--auth-pepper-file', 'CA'], /^--auth-pepper-file needs --auth-file/],
    [
      'a client certificate for Redis without a key',
      REDIS('--redis-cert', 'CERT'),
      /^--redis-cert needs --redis-key/,
    ],
    [
      'a CA for a Redis in plaintext',
      ['--redis', 'redis://h', '--redis-ca', 'CA'],
      /^--redis-ca needs a --redis that begins with rediss$/,
    ],
    ['a CA for Redis that is none', REDIS('--redis-ca', 'KEY'), /^--redis-ca: \S+ holds no certificate/],
    [
      'a certificate that is none',
      ['--tls-cert', 'KEY', '--tls-key', 'KEY'],
      /^--tls-cert: \S+ holds no certificate/,
    ],
    [
      'a certificate that is broken',
      ['--tls-cert', 'BROKEN', '--tls-key', 'KEY'],
      /^--tls-cert: \S+ holds a certificate that cannot be read$/,
    ],
    [
      'a key that is none',
      ['--tls-cert', 'CERT', '--tls-key', 'CERT'],
      /^--tls-key: \S+ holds no private key/,
    ],
    [
      'a key of another certificate',
      ['--tls-cert', 'CERT', '--tls-key', 'OTHER'],
      /^--tls-key: \S+ is not the key of the first certificate in \S+$/,
    ],
    [
      'a key that is a directory',
      ['--tls-cert', 'CERT', '--tls-key', 'DIRECTORY'],
      /^--tls-key: \S+ cannot be read: it is a directory$/,
    ],
    [
      'an auth file that is not there',
      ['--auth-file', 'GONE'],
      /^--auth-file: \S+ cannot be read: there is no such file$/,
    ],
  ])('is made of %s', (_, args, expected) => {
    const broken = readFileSync(pair.certFile, 'utf8').replace(
      /\n[A-Za-z0-9+/]{20}/,
      '\nAAAAAAAAAAAAAAAAAAAA',
    );
    const paths: Record<string, string> = {
      CERT: pair.certFile,
      KEY: pair.keyFile,
      CA: authority.caFile,
      OTHER: authority.server().keyFile,
      BROKEN: file('broken.pem', broken),
      DIRECTORY: directory,
      GONE: join(directory, 'gone'),
    };
    expect(complaintsOf(args.map((arg) => paths[arg] ?? arg))).toEqual([expect.stringMatching(expected)]);
  });

  it.each([
    'AUTH_FILE',
    'AUTH_PEPPER_FILE',
    'TLS_CERT',
    'TLS_KEY',
    'TLS_CLIENT_CA',
    'REDIS_CA',
    'REDIS_CERT',
    'REDIS_KEY',
    'CONFIG',
  ])(
    'is made of an empty SWITCHGEAR_%s, which would leave a door open that somebody meant to close',
    (name) => {
      const env = { [`SWITCHGEAR_${name}`]: '', SWITCHGEAR_INSECURE: 'true', SWITCHGEAR_HOST: '0.0.0.0' };
      expect(complaintsOf([], env)).toEqual([`SWITCHGEAR_${name}: must not be empty`]);
    },
  );

  it('is not made of another variable that is empty', () => {
    const env = { SWITCHGEAR_REDIS: '', SWITCHGEAR_HOST: '', SWITCHGEAR_INSECURE: '' };
    expect(complaintsOf([], env)).toEqual([]);
    expect(readConfig([], env)).toEqual(readConfig([], {}));
  });

  it('tells nothing of what a file holds', () => {
    const path = file('s.yaml', 'redis: redis://me:s3cret@h\n  oops: [s3cret\n');
    const said = complaintsOf(['--config', path, '--tls-cert', path, '--tls-key', path]).join('\n');
    expect(said).toContain(`configuration file ${path}: `);
    expect(said).not.toContain('s3cret');
  });

  it('is not made of a certificate that has ended', () => {
    const { certFile, keyFile } = authority.server({ days: -1 });
    expect(complaintsOf(['--tls-cert', certFile, '--tls-key', keyFile])).toEqual([]);
  });
});

function REDIS(...args: string[]): string[] {
  return ['--redis', 'rediss://h', ...args];
}

describe.skipIf(!openssl)('a server that others can reach', () => {
  const tls = () => ['--tls-cert', pair.certFile, '--tls-key', pair.keyFile];
  const auth = () => ['--auth-file', file('clients.yaml', 'version: 1\nclients: {}\n')];

  it('is refused without authentication and TLS, and told which is missing', () => {
    const host = ['--host', '0.0.0.0'];
    const begin = '--host: 0.0.0.0 can be reached from other machines, and there is';
    expect(complaintsOf(host)).toEqual([
      expect.stringContaining(
        `${begin} no authentication (--auth-file) and no TLS (--tls-cert, --tls-key): `,
      ),
    ]);
    expect(complaintsOf([...host, ...tls()])).toEqual([
      expect.stringContaining(`${begin} no authentication (--auth-file): `),
    ]);
    expect(complaintsOf([...host, ...auth()])).toEqual([
      expect.stringContaining(`${begin} no TLS (--tls-cert, --tls-key): `),
    ]);
    expect(complaintsOf([], { SWITCHGEAR_HOST: '::' })).toEqual([
      expect.stringMatching(/^SWITCHGEAR_HOST: :: can/),
    ]);
  });

  it('may start with both, or when it is told that the network is trusted', () => {
    expect(complaintsOf(['--host', '0.0.0.0', ...tls(), ...auth()])).toEqual([]);
    expect(complaintsOf(['--host', '0.0.0.0', '--insecure'])).toEqual([]);
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost'])
      expect(complaintsOf(['--host', host])).toEqual([]);
    // Names, whatever they look like.
    for (const host of ['127.999.0.1', '127.0.0.1.example.org', '127.1', 'localhost.example.org'])
      expect(complaintsOf(['--host', host])).toEqual([expect.stringContaining('can be reached')]);
  });
});

describe.skipIf(!openssl)('a secret in the URL of Redis', () => {
  it.each([
    'redis://me:s3cret@h',
    'redis://s3cret@h',
    'redis://:s3cret@h:1',
    'rediss://me:a@s3cret@h',
    'redis+cluster://me:s3/cret@a,b',
  ])('is refused as a flag and covered when it is shown: %s', (url) => {
    const [complaint] = complaintsOf(['--redis', url]);
    expect(complaint).toBe(
      '--redis holds a secret, which other users could see: set SWITCHGEAR_REDIS instead',
    );
    const row = inspectConfig([], { SWITCHGEAR_REDIS: url }).rows.find(({ setting }) => setting === 'redis');
    expect(row?.value).toMatch(/^redis\S*:\/\/(me:|:)?\*\*\*@/);
    expect(JSON.stringify(row)).not.toMatch(/s3|cret/);
  });

  it.each([
    'redis://h:1?password=s3cret',
    'redis://h/0?s3cret',
    'rediss://me:s3cret@h?x=s3cret',
    'redis://h#s3cret',
  ])('is no part of what comes after the host, and covered there too: %s', (url) => {
    const { rows, complaints } = inspectConfig([], { SWITCHGEAR_REDIS: url });
    expect(complaints).toEqual([expect.stringMatching(/^SWITCHGEAR_REDIS: must have no \? or #/)]);
    expect(complaintsOf(['--redis', url])).toHaveLength(1);
    expect(JSON.stringify([rows, complaints, complaintsOf(['--redis', url])])).not.toContain('s3cret');
  });

  it('is none where there is no password', () => {
    for (const url of ['redis://h', 'redis://h:6379/1', 'redis+cluster://a:1,b:2'])
      expect(complaintsOf(['--redis', url])).toEqual([]);
  });
});

describe.skipIf(!openssl)('the banner of a server that others can reach', () => {
  const warningsOf = (host: string, clientCount?: number, certificateEndMs?: number) =>
    banner({
      release: '1',
      config: readConfig(['--host', host, '--insecure'], {}),
      grpcAddress: 'g',
      httpAddress: 'h',
      services: [],
      clientCount,
      certificateEndMs,
      nodeVersion: 'v1',
      today: '2026-01-01',
    })
      .split('\n')
      .filter((line) => line.startsWith('  warning'));

  it('warns of what is off', () => {
    const never = Date.now() + 1e12;
    const [auth, tls] = ['without authentication (--auth-file)', 'without TLS (--tls-cert)'];
    const begin = '  warning   reachable beyond this machine ';
    expect(warningsOf('0.0.0.0')).toEqual([
      expect.stringMatching(new RegExp(`^${escaped(`${begin}${auth}`)}.*, and ${escaped(tls)}`)),
    ]);
    expect(warningsOf('0.0.0.0', undefined, never)).toEqual([
      expect.stringMatching(`^${escaped(begin + auth)}`),
    ]);
    expect(warningsOf('0.0.0.0', undefined, never)[0]).not.toContain(tls);
    expect(warningsOf('0.0.0.0', 1)).toEqual([expect.stringMatching(`^${escaped(begin + tls)}`)]);
    expect(warningsOf('0.0.0.0', 1, never)).toEqual([]);
    expect(warningsOf('127.0.0.1')).toEqual([]);
  });

  const escaped = (text: string) => text.replace(/[().]/g, '\\$&');
});

describe.skipIf(!openssl)('a port', () => {
  it('of a name that stands for another address than those of this machine alone is not opened', async () => {
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((...args: unknown[]) => {
      (args.at(-1) as (...found: unknown[]) => void)(null, '0.0.0.0', 4);
    }) as never);
    const open = new Port({
      host: 'localhost',
      port: 0,
      limits: DEFAULT_LIMITS,
      tls: undefined,
      protocols: [],
      onSocket: () => {},
    });
    await expect(open.listen()).rejects.toThrow(
      /^localhost is 0\.0\.0\.0 here, which other machines can reach/,
    );
    await open.close();
    lookup.mockRestore();
    await expect(open.listen()).resolves.toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/);
    await open.close();
  });
});

describe.skipIf(!openssl)('serve --check', () => {
  it('prints every setting and where it comes from, without secrets, and starts nothing', async () => {
    const dataDir = join(directory, 'data');
    const path = file('s.yaml', `data: ${dataDir}\nservices: [bus, fsm]\n`);
    const port = String(await freePort());
    const { stdout, stderr, exitCode } = await typedAsProcess(
      ['serve', '--check', '--config', path, '--grpc-port', port],
      { env: { SWITCHGEAR_REDIS: 'redis://me:s3cret@127.0.0.1:1' } },
    );
    expect([exitCode, stderr]).toEqual([0, '']);
    const rows = Object.fromEntries(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => {
          const [setting = '', value, ...from] = line.split(/ {2,}/);
          return [setting, [value, from.join(' ').trim()]];
        }),
    );
    expect(rows).toMatchObject({
      SETTING: ['VALUE', 'FROM'],
      'grpc-port': [port, '--grpc-port'],
      'http-port': ['7399', 'default'],
      data: [dataDir, `data in ${path}`],
      services: ['bus,fsm', `services in ${path}`],
      redis: ['redis://me:***@127.0.0.1:1', 'SWITCHGEAR_REDIS'],
      'tls-cert': ['(none)', 'default'],
      reflection: ['on', 'default'],
      insecure: ['false', 'default'],
    });
    expect(existsSync(dataDir)).toBe(false);
    const isRefused = await new Promise((resolve) => {
      connect(Number(port), '127.0.0.1')
        .once('error', () => resolve(true))
        .once('connect', () => resolve(false));
    });
    expect(isRefused).toBe(true);
  });

  it('ends with 2 and all complaints when a start would be refused, as JSON too', async () => {
    const args = ['--host', '0.0.0.0', '--grpc-port', 'x'];
    const table = await typedAsProcess(['serve', '--check', ...args]);
    expect([table.exitCode, table.stdout]).toEqual([2, expect.stringMatching(/^SETTING/)]);
    expect(table.stderr.trimEnd().split('\n')).toEqual([
      'switchgear: --grpc-port: "x" must be a port, 0 to 65535',
      expect.stringMatching(/^switchgear: --host: 0.0.0.0 can be reached/),
    ]);
    const json = await typedAsProcess(['serve', '--check', '-o', 'json', ...args]);
    expect(json.exitCode).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({
      settings: expect.arrayContaining([{ setting: 'host', value: '0.0.0.0', from: '--host' }]),
      complaints: [expect.stringContaining('--grpc-port'), expect.stringContaining('--host')],
    });
  });

  it('looks into the auth file too', async () => {
    const path = file('clients.yaml', 'version: 2\nclients: {a: {grants: ["fsm:fly:*"]}}\n');
    const { exitCode, stderr } = await typedAsProcess(['serve', '--check', '--auth-file', path]);
    expect(exitCode).toBe(2);
    const begin = `switchgear: --auth-file: ${path}: `;
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringContaining(`${begin}version: must be 1`),
      expect.stringContaining(`${begin}clients.a.grants[0]`),
    ]);
    writeFileSync(path, 'version: 1\nclients: {a: {grants: ["fsm:read:*"]}}\n');
    expect((await typedAsProcess(['serve', '--check', '--auth-file', path])).exitCode).toBe(0);
  });

  it('is what a start says too', async () => {
    const { exitCode, stderr } = await typedAsProcess(['serve', '--tls-cert', pair.certFile]);
    expect([exitCode, stderr]).toEqual([2, 'switchgear: --tls-cert needs --tls-key beside it\n']);
  });
});
