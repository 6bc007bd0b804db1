/**
 * `switchgear client`: every command in every format, on the files that a server then reads. What it says it
 * did is asked of the server's own reader, never of the command.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { locked } from '../../src/auth/file-lock.js';
import { openAuth } from '../../src/auth/open-auth.js';
import type { Fault } from '../../src/fault.js';
import { basic, peer } from '../auth/auth-folder.js';
import { jsonLines, type Typed, typed, typedAsProcess } from './cli-support.js';

const SECRET = /[A-Za-z0-9_-]{43}/g;
const HOUR_MS = 3_600_000;

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchgear-client-'));
  file = join(folder, 'clients.yaml');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `switchgear client ...args` on the file. */
function client(...args: string[]): Promise<Typed> {
  return typed(['client', ...args], { env: { SWITCHGEAR_AUTH_FILE: file } });
}

/** The same, where it must go well; resolves with the first JSON document. */
async function done(command: string, ...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr, exitCode } = await client(command, '-o', 'json', ...args);
  expect([
    exitCode,
    stderr.replaceAll(/^switchgear: (this is the only|.* is granted nothing).*\n/gm, ''),
  ]).toEqual([0, '']);
  return jsonLines(stdout)[0] ?? {};
}

async function added(id: string, ...args: string[]): Promise<string> {
  return String((await done('add', id, ...args)).secret);
}

/** Who a server takes these credentials for, at a time from now. */
async function server(
  id: string,
  secret: string,
  { inMs = 0, pepperFile = undefined as string | undefined } = {},
) {
  const clock = { nowMs: () => Date.now() + inMs };
  const auth = await openAuth({ authFile: file, pepperFile, clock, onEvent() {} });
  try {
    return auth.identify(basic(id, secret), peer());
  } catch (error) {
    return (error as Fault).reason;
  }
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe('client add', () => {
  it('makes the file, the pepper and a client that a server knows', async () => {
    const { stdout, stderr, exitCode } = await client(
      'add',
      'orders',
      '--grant',
      'bus:write:order-*',
      '--grant',
      'fsm:*:*',
    );
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringMatching(
        /^client +orders\nsecret +made \d{4}-.*\ngrant +bus:write:order-\*\ngrant +fsm:\*:\*\nnew secret +[\w-]{43}\n$/,
      ),
    ]);
    expect(stderr).toBe(
      'switchgear: this is the only time the secret is shown; it is sent as SWITCHGEAR_CREDENTIALS=orders:SECRET\n',
    );
    const [secret = ''] = stdout.match(SECRET) ?? [];
    expect(await server('orders', secret)).toMatchObject({ id: 'orders' });
    expect([modeOf(file), modeOf(`${file}.pepper`)]).toEqual([0o600, 0o600]);
  });

  it('grants what it was told, and nothing else', async () => {
    const secret = await added('orders', '--grant', 'bus:write:order-*');
    const orders = await server('orders', secret);
    if (typeof orders === 'string') throw new Error(orders);
    const write = orders.accessTo({ service: 'bus', verb: 'write' });
    expect([write.allows('order-1'), write.allows('audit')]).toEqual([true, false]);
    expect(orders.accessTo({ service: 'bus', verb: 'read' }).isAny).toBe(false);
  });

  it('tells credentials ready for use in json, and in yaml', async () => {
    const answer = await done('add', 'orders');
    expect(answer).toEqual({
      client: 'orders',
      grants: [],
      names: [],
      secrets: [{ createTime: expect.any(String) }],
      secret: expect.stringMatching(/^[\w-]{43}$/),
      credentials: `orders:${answer.secret}`,
    });
    const { stdout } = await client('add', 'audit', '-o', 'yaml');
    expect(parse(stdout)).toMatchObject({ client: 'audit', secret: expect.stringMatching(/^[\w-]{43}$/) });
  });

  it('says what is missing for the client to do anything', async () => {
    expect((await client('add', 'orders')).stderr).toContain(
      'orders is granted nothing yet; `switchgear client grant`',
    );
    const { stderr } = await client('add', 'edge', '--no-secret', '--grant', 'bus:read:*');
    expect(stderr).toBe(
      'switchgear: edge has no secret and no name of a certificate yet: nobody can be it\n',
    );
  });

  it('makes a client that comes with a certificate, and then needs no pepper', async () => {
    const { stdout, exitCode } = await client(
      'add',
      'edge',
      '--no-secret',
      '--name',
      'DNS:edge.internal',
      '--grant',
      'bus:read:*',
    );
    expect([exitCode, stdout]).toEqual([
      0,
      'client       edge\nsecrets      none\ncertificate  DNS:edge.internal\ngrant        bus:read:*\n',
    ]);
    expect(existsSync(`${file}.pepper`)).toBe(false);
    const auth = await openAuth({ authFile: file, pepperFile: undefined, onEvent() {} });
    const from = peer('::1', { names: ['DNS:edge.internal'], problem: undefined });
    expect(auth.identify(undefined, from).id).toBe('edge');
  });

  it('writes the secret into a new file of its owner only, and prints none', async () => {
    const path = join(folder, 'orders.credentials');
    const { stdout, stderr, exitCode } = await client(
      'add',
      'orders',
      '--secret-to',
      path,
      '--grant',
      'fsm:*:*',
    );
    expect([exitCode, stderr, modeOf(path)]).toEqual([0, '', 0o600]);
    expect(stdout).toContain(`written to  ${path}\n`);
    const [, id = '', secret = ''] = /^(\w+):([\w-]{43})$/.exec(readFileSync(path, 'utf8')) ?? [];
    expect(stdout + stderr).not.toContain(secret);
    expect(await server(id, secret)).toMatchObject({ id: 'orders' });
  });

  it('changes nothing when the file for the secret is there, and leaves none behind when it fails', async () => {
    const path = join(folder, 'credentials');
    writeFileSync(path, 'precious');
    expect(await client('add', 'orders', '--secret-to', path)).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: `switchgear: --secret-to: ${path} is there already; name a new file\n`,
    });
    expect([readFileSync(path, 'utf8'), existsSync(file)]).toEqual(['precious', false]);
    await added('orders');
    const fresh = join(folder, 'fresh');
    expect((await client('add', 'orders', '--secret-to', fresh)).exitCode).toBe(4);
    expect(existsSync(fresh)).toBe(false);
    expect((await client('add', 'x', '--no-secret', '--secret-to', fresh)).exitCode).toBe(2);
  });

  it('keeps the pepper where it is told', async () => {
    const pepperFile = join(folder, 'elsewhere');
    const secret = await added('orders', '--auth-pepper-file', pepperFile);
    expect(existsSync(`${file}.pepper`)).toBe(false);
    expect(await server('orders', secret, { pepperFile })).toMatchObject({ id: 'orders' });
    const env = { SWITCHGEAR_AUTH_FILE: file, SWITCHGEAR_AUTH_PEPPER_FILE: pepperFile };
    expect((await typed(['client', 'add', 'audit'], { env })).exitCode).toBe(0);
    expect(existsSync(`${file}.pepper`)).toBe(false);
  });

  it.each([
    [['orders'], 4, /^switchgear: there is a client orders already\n$/],
    [['two words'], 2, /^switchgear: the name of a client must be 1 to 64 of A-Z a-z 0-9 _ \. @ -\n$/],
    [[''], 2, /the name of a client must be/],
    [['a:b'], 2, /the name of a client must be/],
    [['a'.repeat(65)], 2, /the name of a client must be/],
    [['../x'], 2, /the name of a client must be/],
    [['\u001b[31m'], 2, /^[ -~]+\n$/],
    [['x', '--grant', 'bux:read:*'], 2, /^switchgear: grant "bux:read:\*" must be SERVICE:VERB:NAME/],
    [
      ['x', '--grant', 'bus:read:\u001b[31m', '--grant', 'y\u001b'],
      2,
      /^switchgear: grant "y\\u\{1b\}" must be/,
    ],
    [['x', '--name', 'edge.internal'], 2, /^switchgear: name "edge.internal" must be DNS:NAME, URI:URI/],
    [
      ['x', '--name', 'DNS:orders'],
      2,
      /clients\.x\.names\[0\]: DNS:orders is a name of client orders already\n$/,
    ],
    [[], 2, /missing required argument 'name'; usage: switchgear client add/],
    [['x', 'y'], 2, /too many arguments/],
  ])('refuses %j, and changes nothing', async (args, exitCode, message) => {
    await added('orders', '--name', 'DNS:orders');
    const before = readFileSync(file, 'utf8');
    const refused = await client('add', ...args);
    expect(refused).toEqual({ exitCode, stdout: '', stderr: expect.stringMatching(message) });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it.each([
    '__proto__',
    'constructor',
    '1',
    '007',
    'null',
    'true',
    '-',
    '.',
    'a@b',
    '1e3',
    'clients',
    'x'.repeat(64),
  ])('takes the odd name %s as it is', async (id) => {
    const secret = await added('first');
    const odd = String((await done('add', '--grant', 'bus:read:null', '--', id)).secret);
    expect(await server(id, odd)).toMatchObject({ id });
    expect(await server(id, secret)).toBe('CREDENTIALS_INVALID');
    const removed = await client('remove', '--', id);
    expect([removed.exitCode, removed.stderr]).toEqual([0, '']);
    expect(await server(id, odd)).toBe('CREDENTIALS_INVALID');
    expect(await server('first', secret)).toMatchObject({ id: 'first' });
  });

  it.each([
    '*:*:*',
    'bus:read:# no comment',
    'bus:read: lead',
    'bus:read:a: b',
    'bus:read:"q"',
    "fsm:read:it's",
    'bus:read:\\*',
    'fsm:read:two\nlines',
    'bus:read:{a}',
    'fsm:read:💡*',
    'bus:read:tail ',
  ])('keeps the odd grant %j as it is', async (grant) => {
    await added('orders', '--grant', grant);
    expect((await done('list')).grants).toEqual([grant]);
  });

  it('refuses more grants than a server reads, and makes no file', async () => {
    const grants = Array.from({ length: 257 }, (_, i) => ['--grant', `bus:read:${i}`]).flat();
    const { exitCode, stdout, stderr } = await client('add', 'x', ...grants);
    expect([exitCode, stdout, stderr]).toEqual([
      2,
      '',
      expect.stringMatching(/x\.grants: must be at most 256/),
    ]);
    expect(existsSync(file)).toBe(false);
  });
});

describe('client list', () => {
  it('shows who there is and never a hash', async () => {
    await added('orders', '--grant', 'bus:write:order-*', '--name', 'DNS:orders');
    await done('rotate', 'orders');
    await client('add', 'edge', '--no-secret');
    const { stdout, exitCode } = await client('list');
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringMatching(
        /^NAME +SECRETS +CERTIFICATES +GRANTS\norders +made \d.*; made \d.*, expires \d.* DNS:orders +bus:write:order-\*\nedge +none +none +none\n$/,
      ),
    ]);
    const json = await client('list', '-o', 'json');
    expect(jsonLines(json.stdout)).toEqual([
      {
        client: 'orders',
        grants: ['bus:write:order-*'],
        names: ['DNS:orders'],
        secrets: [
          { createTime: expect.any(String) },
          { createTime: expect.any(String), expireTime: expect.any(String) },
        ],
      },
      { client: 'edge', grants: [], names: [], secrets: [] },
    ]);
    for (const each of [stdout, json.stdout, (await client('list', '-o', 'yaml')).stdout])
      expect(each).not.toMatch(/hmac|[\w-]{43}/);
  });
});

describe('client rotate', () => {
  it('makes a new secret and keeps the one before for a day', async () => {
    const before = await added('orders');
    const after = String((await done('rotate', 'orders')).secret);
    expect(after).not.toBe(before);
    for (const secret of [before, after])
      expect(await server('orders', secret)).toMatchObject({ id: 'orders' });
    expect(await server('orders', before, { inMs: 23.9 * HOUR_MS })).toMatchObject({ id: 'orders' });
    expect(await server('orders', before, { inMs: 24.1 * HOUR_MS })).toBe('CREDENTIALS_INVALID');
    expect(await server('orders', after, { inMs: 24.1 * HOUR_MS })).toMatchObject({ id: 'orders' });
  });

  it('keeps it for as long as told, and not at all with 0', async () => {
    const first = await added('orders');
    const second = String((await done('rotate', 'orders', '--keep', '90m')).secret);
    expect(await server('orders', first, { inMs: 1.4 * HOUR_MS })).toMatchObject({ id: 'orders' });
    expect(await server('orders', first, { inMs: 1.6 * HOUR_MS })).toBe('CREDENTIALS_INVALID');
    const third = String((await done('rotate', 'orders', '--keep', '0')).secret);
    for (const secret of [first, second]) expect(await server('orders', secret)).toBe('CREDENTIALS_INVALID');
    expect(await server('orders', third)).toMatchObject({ id: 'orders' });
    expect((await done('list')).secrets).toHaveLength(1);
  });

  it('ends the oldest of two', async () => {
    const first = await added('orders');
    const second = String((await done('rotate', 'orders')).secret);
    const third = String((await done('rotate', 'orders')).secret);
    expect(await server('orders', first)).toBe('CREDENTIALS_INVALID');
    for (const secret of [second, third])
      expect(await server('orders', secret)).toMatchObject({ id: 'orders' });
  });

  it('gives a client of certificates a secret', async () => {
    await client('add', 'edge', '--no-secret', '--name', 'DNS:edge');
    const secret = String((await done('rotate', 'edge')).secret);
    expect(await server('edge', secret)).toMatchObject({ id: 'edge' });
  });

  it('writes it into a file, too', async () => {
    await added('orders');
    const path = join(folder, 'new');
    const { stdout } = await client('rotate', 'orders', '--secret-to', path);
    const [, secret = ''] = readFileSync(path, 'utf8').trim().split(':');
    expect(stdout).not.toContain(secret);
    expect(await server('orders', secret)).toMatchObject({ id: 'orders' });
  });

  it.each([
    [
      ['nobody'],
      3,
      /^switchgear: there is no client nobody; `switchgear client list` shows what there is\n$/,
    ],
    [['orders', '--keep', '1y'], 2, /It must be 0, or a time up to 365d/],
    [['orders', '--keep', '-1h'], 2, /It must be 0, or a time/],
    [['orders', '--keep', '366d'], 2, /It must be 0, or a time/],
  ])('refuses %j', async (args, exitCode, message) => {
    await added('orders');
    expect(await client('rotate', ...args)).toEqual({
      exitCode,
      stdout: '',
      stderr: expect.stringMatching(message),
    });
  });
});

describe('client grant and revoke', () => {
  it('give and take grants, once each', async () => {
    await added('orders', '--grant', 'bus:read:a');
    expect((await done('grant', 'orders', 'bus:read:b', 'bus:read:a', 'bus:read:b')).grants).toEqual([
      'bus:read:a',
      'bus:read:b',
    ]);
    const { stdout } = await client('revoke', 'orders', 'bus:read:a');
    expect(stdout).toMatch(/^client +orders\nsecret +made .*\ngrant +bus:read:b\n$/);
    expect((await done('revoke', 'orders', 'bus:read:b')).grants).toEqual([]);
    expect((await done('grant', 'orders', 'fsm:*:*')).grants).toEqual(['fsm:*:*']);
  });

  it.each([
    [['grant', 'nobody', 'bus:read:*'], 3, /there is no client nobody/],
    [['revoke', 'nobody', 'bus:read:*'], 3, /there is no client nobody/],
    [['grant', 'orders', 'bus:read'], 2, /grant "bus:read" must be SERVICE:VERB:NAME/],
    [['grant', 'orders'], 2, /missing required argument 'grants'/],
    [
      ['revoke', 'orders', 'bus:read:a', 'bus:read:x'],
      3,
      /has no grant bus:read:x, and nothing was changed; it has bus:read:a;/,
    ],
  ])('refuse %j, and change nothing', async (args, exitCode, message) => {
    await added('orders', '--grant', 'bus:read:a');
    const before = readFileSync(file, 'utf8');
    expect(await client(...args)).toEqual({ exitCode, stdout: '', stderr: expect.stringMatching(message) });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });
});

describe('client remove', () => {
  it('ends a client, in every format', async () => {
    const secret = await added('a');
    for (const id of ['b', 'c']) await added(id);
    expect((await client('remove', 'a')).stdout).toBe('client   a\nremoved  yes\n');
    expect(await done('remove', 'b')).toEqual({ client: 'b', removed: true });
    expect(parse((await client('remove', 'c', '-o', 'yaml')).stdout)).toEqual({ client: 'c', removed: true });
    expect(await server('a', secret)).toBe('CREDENTIALS_INVALID');
    expect((await client('remove', 'a')).exitCode).toBe(3);
  });
});

describe('the auth file', () => {
  it('must be named', async () => {
    expect(await typed(['client', 'list'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'switchgear: which file the clients are in is not said; set --auth-file or SWITCHGEAR_AUTH_FILE\n',
    });
    const { exitCode } = await typed(['client', 'add', 'x', '--auth-file', file]);
    expect([exitCode, existsSync(file)]).toEqual([0, true]);
  });

  it.each([['list'], ['rotate', 'x'], ['grant', 'x', 'bus:read:*'], ['revoke', 'x', 'y'], ['remove', 'x']])(
    'is not made by %s',
    async (...args) => {
      const { exitCode, stderr } = await client(...args);
      expect([exitCode, stderr]).toEqual([
        2,
        `switchgear: ${file}: there is no such file; \`switchgear client add\` makes it\n`,
      ]);
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it('in a directory that is not there is told so', async () => {
    const { exitCode, stderr } = await typed([
      'client',
      'add',
      'x',
      '--auth-file',
      join(folder, 'no', 'file'),
    ]);
    expect([exitCode, stderr]).toEqual([
      1,
      `switchgear: ${join(folder, 'no')}: there is no such directory\n`,
    ]);
  });

  it('keeps comments, order and whatever is not touched', async () => {
    const text = (grants: string) => `# Who may do what
version: 1 # the format

clients:
  # the shop
  shop:
    grants:
      # of the shop
      - 'bus:read:*' # all of it
${grants}  # the till
  till: {grants: ["bus:write:sales"], names: []}
`;
    writeFileSync(file, text(''), { mode: 0o600 });
    await done('grant', 'shop', 'fsm:read:x');
    expect(
      readFileSync(file, 'utf8')
        .replaceAll('{ ', '{')
        .replaceAll('[ ', '[')
        .replaceAll(' ]', ']')
        .replaceAll(' }', '}'),
    ).toBe(text('      - fsm:read:x\n'));
    await done('revoke', 'shop', 'fsm:read:x');
    await done('add', 'late', '--no-secret', '--name', 'DNS:late');
    await done('remove', 'late');
    for (const comment of [
      '# Who may',
      '# the format',
      '# the shop',
      '# of the shop',
      '# all of it',
      '# the till',
    ])
      expect(readFileSync(file, 'utf8')).toContain(comment);
  });

  it.each([
    'version: 1\nclients: {}\n',
    'version: 1\nclients:\n',
    'version: 1\n',
    '{"version": 1, "clients": {}}',
  ])('may be empty, as %j', async (text) => {
    writeFileSync(file, text, { mode: 0o600 });
    const secret = await added('orders', '--grant', 'bus:read:*');
    expect(await server('orders', secret)).toMatchObject({ id: 'orders' });
  });

  it('that is damaged is left alone, with every complaint', async () => {
    const text = 'version: 1\nclients:\n  a: {grants: [x], names: [y]}\n';
    writeFileSync(file, text, { mode: 0o600 });
    const pieces = [
      ['list'],
      ['add', 'orders'],
      ['rotate', 'a'],
      ['grant', 'a', 'bus:read:*'],
      ['remove', 'a'],
    ];
    for (const args of pieces) {
      const { exitCode, stdout, stderr } = await client(...args);
      expect([exitCode, stdout, stderr.split('\n').sort()]).toEqual([
        2,
        '',
        [
          '',
          expect.stringMatching(/clients\.yaml: clients\.a\.grants\[0\]: must be SERVICE:VERB:NAME/),
          expect.stringMatching(/clients\.yaml: clients\.a\.names\[0\]: must be DNS:NAME/),
        ],
      ]);
    }
    writeFileSync(file, 'version: 1\nclients: {', { mode: 0o600 });
    expect(await client('add', 'x')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/is not YAML: .* at line 2/),
    });
    expect(readdirSync(folder)).toEqual(['clients.yaml']);
  });

  it('that others can write is refused, as a server does', async () => {
    await added('orders');
    chmodSync(file, 0o666);
    expect((await client('list')).stderr).toContain('others can write it; chmod go-w');
    expect((await client('add', 'x')).exitCode).toBe(2);
  });

  it('keeps its mode and its owner, and the link that leads to it', async () => {
    await added('orders');
    const real = join(folder, 'real');
    mkdirSync(real);
    const target = join(real, 'clients');
    writeFileSync(target, readFileSync(file), { mode: 0o600 });
    chmodSync(target, 0o640);
    if (process.getuid?.() === 0) chownSync(target, 4_242, 4_343);
    const { uid, gid } = statSync(target);
    rmSync(file);
    symlinkSync(target, file);
    await done('add', 'audit');
    expect(readFileSync(target, 'utf8')).toContain('audit');
    expect(statSync(target)).toMatchObject({ uid, gid });
    expect(modeOf(target)).toBe(0o640);
    expect(readdirSync(real)).toEqual(['clients']);
  });

  it('does not get secrets of another pepper when its own is gone', async () => {
    await added('orders');
    rmSync(`${file}.pepper`);
    const { exitCode, stderr } = await client('add', 'audit');
    expect([exitCode, stderr]).toEqual([
      2,
      expect.stringMatching(/pepper: there is no such file, and secrets in .* were made with it/),
    ]);
    expect(existsSync(`${file}.pepper`)).toBe(false);
  });

  it('loses nothing when many change it at once', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `c${i}`);
    const secrets = await Promise.all(ids.map((id) => added(id, '--grant', `bus:read:${id}`)));
    for (const [i, id] of ids.entries()) expect(await server(id, secrets[i] ?? '')).toMatchObject({ id });
  });

  it('loses nothing when processes change it at once', async () => {
    // So many that a change takes longer than two processes start apart.
    const many = Array.from({ length: 1_500 }, (_, i) => `  c${i}: {grants: ["bus:read:*"]}\n`).join('');
    writeFileSync(file, `version: 1\nclients:\n${many}`, { mode: 0o600 });
    const env = { SWITCHGEAR_AUTH_FILE: file };
    const adding = ['a', 'b', 'c'].map((id) => typedAsProcess(['client', 'add', id, '-o', 'json'], { env }));
    for (const { stdout, stderr, exitCode } of await Promise.all(adding)) {
      expect(exitCode, stderr).toBe(0);
      const { client: id, secret } = JSON.parse(stdout);
      expect(await server(id, secret)).toMatchObject({ id });
    }
    expect(readdirSync(folder).sort()).toEqual(['clients.yaml', 'clients.yaml.pepper']);
  });

  it('is waited for while another command holds it, and a lock left behind is told about', async () => {
    writeFileSync(`${file}.lock`, '4242\n');
    const waiting = client('add', 'orders');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(existsSync(file)).toBe(false);
    rmSync(`${file}.lock`);
    expect((await waiting).exitCode).toBe(0);
    writeFileSync(`${file}.lock`, '4242\n');
    await expect(locked(file, () => {}, 100)).rejects.toThrow(
      `${file}.lock has been there for too long: process 4242 changes the file, or was ended while it did; ` +
        'if it does not run any more, remove the lock file and try again',
    );
    expect(existsSync(`${file}.lock`)).toBe(true);
  });
});

describe('a secret', () => {
  it('is printed once, by the command that makes it, and stands in no file', async () => {
    const printed = await client('add', 'orders', '--grant', 'bus:read:*');
    const [secret = '', ...more] = printed.stdout.match(SECRET) ?? [];
    expect([secret.length, more, printed.stderr.match(SECRET)]).toEqual([43, [], null]);
    const others = [
      ['list'],
      ['list', '-o', 'json'],
      ['grant', 'orders', 'fsm:read:*'],
      ['rotate', 'orders'],
      ['add', 'orders'],
      ['remove', 'orders'],
    ];
    for (const args of others) {
      const { stdout, stderr } = await client(...args);
      expect(stdout + stderr).not.toContain(secret);
      for (const name of readdirSync(folder))
        expect(readFileSync(join(folder, name), 'utf8')).not.toContain(secret);
    }
  });
});

describe('the shell', () => {
  it('completes the commands on clients', async () => {
    const { stdout } = await typed(['completion', 'bash']);
    expect(stdout).toMatch(/'switchgear client'\) COMPREPLY=.*add list rotate grant revoke remove/);
    expect(stdout).toMatch(/'switchgear client add'\) COMPREPLY=.*--secret-to/);
  });

  it('lists them in the help of the program', async () => {
    const { stdout } = await typedAsProcess(['--help']);
    expect(stdout).toContain('switchgear client COMMAND');
  });
});
