/** What may stand in an auth file, and that everything wrong with one is said, by client and field. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, renameSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AuthFileError, clientsOf, parseAuthDocument, parseTime } from '../../src/auth/auth-file.js';
import { listClients, rotateSecret } from '../../src/auth/client-edits.js';
import { AuthFolder, basic, peer } from './auth-folder.js';

const HASH = `hmac-sha256:${'A'.repeat(43)}`;
const CREATED = '2029-12-01T00:00:00Z';

function clients(text: string) {
  return clientsOf(parseAuthDocument(text, 'f'), 'f');
}

/** The complaints about a text, without the name of the file. */
function complaints(text: string): string[] {
  try {
    clients(text);
  } catch (error) {
    if (error instanceof AuthFileError) return error.complaints.map((line) => line.replace(/^f: /, ''));
    throw error;
  }
  return [];
}

/** A file with one client, `a`, with these lines. */
function withClient(...lines: string[]): string {
  return ['version: 1', 'clients:', '  a:', ...lines.map((line) => `    ${line}`)].join('\n');
}

describe('an auth file', () => {
  it('lists clients with secrets, names and grants', () => {
    const text = withClient(
      `secrets: [{hash: "${HASH}", created: ${CREATED}, expires: 2030-01-01T00:00:00.5Z}]`,
      'names: ["DNS:a.internal", "URI:spiffe://x/y", "IP:::1", "email:a@b"]',
      'grants: ["bus:read:*"]',
    );
    expect(clients(text)).toMatchObject([
      {
        id: 'a',
        secrets: [{ createdMs: Date.UTC(2029, 11, 1), expiresMs: Date.UTC(2030, 0, 1, 0, 0, 0, 500) }],
        names: ['DNS:a.internal', 'URI:spiffe://x/y', 'IP:::1', 'email:a@b'],
        grants: [{ service: 'bus', verb: 'read', text: 'bus:read:*' }],
      },
    ]);
  });

  it('may leave out what a client does not have', () => {
    expect(clients('version: 1\nclients:\n')).toEqual([]);
    expect(clients('version: 1')).toEqual([]);
    expect(clients('version: 1\nclients: {a: {}, "1": {grants: }}')).toEqual([
      { id: 'a', secrets: [], names: [], grants: [] },
      { id: '1', secrets: [], names: [], grants: [] },
    ]);
  });

  it('may be JSON, and may have names that mean something to JavaScript', () => {
    expect(clients('{"version": "1", "clients": {"__proto__": {"grants": []}}}')[0]?.id).toBe('__proto__');
  });

  it.each([
    ['', [/^must be a map of version, clients$/, /^version: must be 1$/]],
    ['[]', [/^must be a map/, /^version: must be 1$/]],
    ['version: 2', [/^version: must be 1$/]],
    ['version: 1\nclient: {}', [/^client: is not known here; version, clients are$/]],
    ['version: 1\nclients: []', [/^clients: must be a map of clients by name$/]],
    ['version: 1\nclients: {a: }', [/^clients\.a: must be a map of secrets, names, grants$/]],
    ['version: 1\nclients: {a: {}, a: {}}', [/^clients\.a: is there twice$/]],
    ['version: 1\nclients: {"a b": {}}', [/^clients\.a b: the name of a client must be 1 to 64 of/]],
    ['version: 1\nclients: {"": {}}', [/the name of a client must be/]],
    [`version: 1\nclients: {${'a'.repeat(65)}: {}}`, [/the name of a client must be 1 to 64/]],
    ['version: 1\nclients: {"a\\n": {}}', [/^clients\.a\?: the name of a client must be/]],
    ['version: 1\nclients: {&x a: {}, b: *x}', [/^clients\.b: must be a map/]],
    [withClient('grant: []'), [/^clients\.a\.grant: is not known here; secrets, names, grants are$/]],
    [withClient('grants: bus:read:*'), [/^clients\.a\.grants: must be a list$/]],
    [withClient('grants: [[]]'), [/^clients\.a\.grants\[0\]: must be text$/, /SERVICE:VERB:NAME/]],
    [
      withClient('grants: ["bus:read:*", "bus:reed:*"]'),
      [/^clients\.a\.grants\[1\]: "bus:reed:\*" must have/],
    ],
    [withClient('grants: ["x\\ny"]'), [/^clients\.a\.grants\[0\]: must be SERVICE:VERB:NAME/]],
    [withClient('grants: ["bus:x\\ny:*"]'), [/^clients\.a\.grants\[0\]: "bus:x\?y:\*" must have a verb/]],
    [
      withClient(`grants: ["fsm:read:${'a'.repeat(257)}"]`),
      [/^clients\.a\.grants\[0\]: "fsm:read:a+" must end/],
    ],
    [withClient('names: [a.internal]'), [/^clients\.a\.names\[0\]: must be DNS:NAME/]],
    [withClient('names: ["DNS:x", "DNS:x"]'), [/names\[1\]: DNS:x is a name of client a already$/]],
    [
      'version: 1\nclients: {a: {names: ["DNS:x"]}, b: {names: ["DNS:x"]}}',
      [/^clients\.b\.names\[0\]: DNS:x is a name of client a already$/],
    ],
    [withClient('secrets: [{}]'), [/secrets\[0\]\.hash: must be hmac-sha256:/, /created: must be a time/]],
    [withClient('secrets: [secret]'), [/^clients\.a\.secrets\[0\]: must be a map of/, /hash/, /created/]],
    [withClient(`secrets: [{hash: "${HASH}", created: yesterday}]`), [/created: must be a time such as/]],
    [
      withClient(`secrets: [{hash: "${HASH}", created: ${CREATED}, expires: }]`),
      [/^clients\.a\.secrets\[0\]\.expires: must be a time/],
    ],
    [
      withClient(`secrets: [{hash: "${HASH}", created: ${CREATED}, expire: ${CREATED}}]`),
      [/^clients\.a\.secrets\[0\]\.expire: is not known here/],
    ],
    [
      withClient(`secrets: [${Array(3).fill(`{hash: "${HASH}", created: ${CREATED}}`)}]`),
      [/^clients\.a\.secrets: must be at most 2, and are 3$/],
    ],
    [
      withClient(`grants: [${Array(257).fill('"bus:read:*"')}]`),
      [/grants: must be at most 256, and are 257/],
    ],
    [
      withClient(`names: [${Array.from({ length: 65 }, (_, i) => `"DNS:${i}"`)}]`),
      [/names: must be at most 64, and are 65/],
    ],
  ])('is refused, each fault with its place: %j', (text, expected) => {
    const found = complaints(text);
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it('tells all that is wrong with it at once', () => {
    const text = `version: 3
clients:
  "a b": {grants: [x, "bus:read:*", y]}
  b: {names: [z], secrets: [{hash: no, created: no}]}
`;
    expect(complaints(text).map((line) => line.split(': ')[0])).toEqual([
      'version',
      'clients.a b',
      'clients.a b.grants[0]',
      'clients.a b.grants[2]',
      'clients.b.secrets[0].hash',
      'clients.b.secrets[0].created',
      'clients.b.names[0]',
    ]);
  });

  it.each([
    'my-s3cret',
    'orders:my-s3cret',
    'bus:my-s3cret',
    'Basic b3JkZXJzOm15LXMzY3JldA==',
    ':my-s3cret:*',
    'buss:read:my-s3cret',
    'my-s3cret:read:*',
  ])('never has what stands in place of a grant in a complaint, unless it was meant as one: %s', (text) => {
    expect(complaints(withClient(`grants: ["${text}"]`))).toEqual([
      'clients.a.grants[0]: must be SERVICE:VERB:NAME with a service of fsm, bus, server or *',
    ]);
  });

  it('never has what stands in place of a hash in a complaint, since it may be the secret', () => {
    const text = withClient(`secrets: [{hash: my-s3cret, created: ${CREATED}}]`);
    expect(complaints(text).join()).not.toContain('my-s3cret');
  });

  it.each([
    'version: 1\nclients:\n  a: {secrets: [{hash: "my-s3cret}\n',
    'version: 1\n"my-s3cret" x',
    'version: 1\nclients: {a: b}}my-s3cret',
    'version: 1\nclients: |my-s3cret x',
    'version: 1\nclients: !!my-s3cret! {}',
    'version: 1\n}my-s3cret',
    'version: 1\n---\nmy-s3cret',
  ])('that is no YAML is told with the line, in one line, without the text: %j', (text) => {
    const [complaint = '', ...more] = complaints(text);
    expect(more).toEqual([]);
    expect(complaint).toMatch(/line \d+/);
    expect(complaint).not.toMatch(/\n|my-s3cret/);
  });

  it('may hold 10,000 clients and no more', () => {
    const text = (count: number) =>
      `version: 1\nclients:\n${Array.from({ length: count }, (_, i) => `  c${i}: {}\n`).join('')}`;
    expect(clients(text(10_000))).toHaveLength(10_000);
    expect(complaints(text(10_001))).toEqual(['clients: must be at most 10000, and are 10001']);
  });
});

describe('a time', () => {
  it.each([
    ['2030-01-31T12:00:00Z', Date.UTC(2030, 0, 31, 12)],
    ['2030-01-31T12:00:00.250Z', Date.UTC(2030, 0, 31, 12, 0, 0, 250)],
    ['2030-01-31T12:00:00', undefined],
    ['2030-01-31T12:00:00+01:00', undefined],
    ['2030-13-31T12:00:00Z', undefined],
    ['2030-01-31', undefined],
    ['1893456000', undefined],
  ])('%s is %s', (text, ms) => {
    expect(parseTime(text)).toBe(ms);
  });
});

describe('the files', () => {
  let folder: AuthFolder;
  beforeEach(() => {
    folder = new AuthFolder({ a: { secrets: ['one'] } });
  });
  afterEach(() => folder.remove());

  async function complaintsAtStart(): Promise<readonly string[]> {
    const error = await folder.open().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return error instanceof AuthFileError
      ? error.complaints.map((line) => line.replaceAll(folder.path, ''))
      : [`no complaint: ${error}`];
  }

  it.each(modes(0o600, 0o400, 0o640, 0o644))('may have mode %s for the clients', async (_, mode) => {
    chmodSync(folder.authFile, mode);
    await expect(folder.open()).resolves.toMatchObject({ clientCount: 1 });
  });

  it.each(modes(0o620, 0o602, 0o666))('are refused with mode %s for the clients', async (_, mode) => {
    chmodSync(folder.authFile, mode);
    expect(await complaintsAtStart()).toEqual(['/clients.yaml: others can write it; chmod go-w']);
  });

  it.each(modes(0o600, 0o400, 0o440, 0o640))('may have mode %s for the pepper', async (_, mode) => {
    chmodSync(folder.pepperFile, mode);
    await expect(folder.open()).resolves.toMatchObject({ clientCount: 1 });
  });

  it.each(modes(0o604, 0o644, 0o660, 0o602, 0o610))(
    'are refused with mode %s for the pepper',
    async (_, mode) => {
      chmodSync(folder.pepperFile, mode);
      expect(await complaintsAtStart()).toEqual([
        '/clients.yaml.pepper: others can read or write it; chmod 600, or 640 for a group',
      ]);
    },
  );

  it('may be links, and then what they lead to counts', async () => {
    for (const file of [folder.authFile, folder.pepperFile]) {
      renameSync(file, `${file}.real`);
      symlinkSync(`${file}.real`, file);
    }
    await expect(folder.open()).resolves.toMatchObject({ clientCount: 1 });
    chmodSync(`${folder.pepperFile}.real`, 0o644);
    expect(await complaintsAtStart()).toHaveLength(1);
  });

  it('are asked for by name when they are missing', async () => {
    rmSync(folder.pepperFile);
    expect(await complaintsAtStart()).toEqual([
      expect.stringMatching(/^\/clients\.yaml\.pepper: there is no such file, and without it no secret/),
    ]);
    rmSync(folder.authFile);
    expect(await complaintsAtStart()).toEqual(['/clients.yaml: there is no such file']);
  });

  it('need no pepper where nobody has a secret', async () => {
    rmSync(folder.pepperFile);
    folder.write({ a: { names: ['DNS:a'] } });
    const auth = await folder.open();
    expect(auth.identify(undefined, peer('::1', { names: ['DNS:a'], problem: undefined })).id).toBe('a');
    expect(() => auth.identify(basic('a', 'one'), peer())).toThrow('no client with this id and secret');
  });

  it('are complained about together', async () => {
    folder.writeText('version: 2');
    folder.writePepper('weak');
    expect(await complaintsAtStart()).toEqual([
      '/clients.yaml: version: must be 1',
      '/clients.yaml.pepper: must hold 32 bytes as 43 characters of base64url',
    ]);
  });

  it('are not read beyond 2 MiB', async () => {
    truncateSync(folder.authFile, 2 * 1024 * 1024 + 1);
    expect(await complaintsAtStart()).toEqual([expect.stringMatching(/^\/clients\.yaml: has 2097153 bytes/)]);
  });

  it('are no directories', async () => {
    rmSync(folder.authFile);
    symlinkSync(folder.path, folder.authFile);
    expect(await complaintsAtStart()).toEqual(['/clients.yaml: is not a regular file']);
  });

  it('are no pipes, which nobody waits for', async () => {
    const auth = await folder.open();
    for (const [file, name] of [
      [folder.authFile, 'clients.yaml'],
      [folder.pepperFile, 'clients.yaml.pepper'],
    ] as const) {
      renameSync(file, `${file}.real`);
      execFileSync('mkfifo', ['-m', '600', file]);
      // Whoever waited for a writer gets one, so that this fails and does not hang.
      const writer = spawn('sh', ['-c', 'while sleep 1; do : > "$0"; done', file], { stdio: 'ignore' });
      const started = performance.now();
      expect(await complaintsAtStart()).toEqual([`/${name}: is not a regular file`]);
      auth.reload();
      expect(performance.now() - started).toBeLessThan(500);
      expect(folder.events.pop()).toMatchObject({ type: 'reload_failed' });
      writer.kill();
      renameSync(`${file}.real`, file);
    }
    expect(auth.identify(basic('a', 'one'), peer()).id).toBe('a');
  });

  describe('by their owner', () => {
    const STRANGER = 4_242;
    const me = process.geteuid?.() ?? 0;
    afterEach(() => void vi.restoreAllMocks());

    /** Has a file belong to somebody else: by changing its owner where we may, else by being somebody else. */
    function estrange(file: string): number {
      if (me !== 0) vi.spyOn(process as { geteuid(): number }, 'geteuid').mockReturnValue(STRANGER);
      else chownSync(file, STRANGER, STRANGER);
      return me === 0 ? STRANGER : me;
    }

    it.each(['clients.yaml', 'clients.yaml.pepper'])(
      "are refused when %s is neither one's own nor root's",
      async (name) => {
        const owner = estrange(join(folder.path, name));
        const reader = me === 0 ? 0 : STRANGER;
        expect(await complaintsAtStart()).toContain(
          `/${name}: belongs to user ${owner}; chown it to the user that reads it (${reader}) or to root`,
        );
      },
    );

    it.runIf(me === 0)("may be root's, or one's own, and then that is all the same", async () => {
      vi.spyOn(process as { geteuid(): number }, 'geteuid').mockReturnValue(STRANGER);
      await expect(folder.open()).resolves.toMatchObject({ clientCount: 1 });
      for (const file of [folder.authFile, folder.pepperFile]) chownSync(file, STRANGER, STRANGER);
      await expect(folder.open()).resolves.toMatchObject({ clientCount: 1 });
    });

    it("may be anybody's to be listed and edited: that may be done for them", async () => {
      for (const file of [folder.authFile, folder.pepperFile]) estrange(file);
      const files = { authFile: folder.authFile, pepperFile: undefined };
      expect(listClients(files).map(({ id }) => id)).toEqual(['a']);
      await rotateSecret(files, { id: 'a', secret: 'two', keepMs: 0 });
      expect(listClients(files)).toHaveLength(1);
    });
  });
});

function modes(...all: number[]): (readonly [shown: string, mode: number])[] {
  return all.map((mode) => [mode.toString(8), mode] as const);
}
