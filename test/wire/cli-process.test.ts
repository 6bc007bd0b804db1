/** The command line as a process: exit codes, pipes, signals, what it loads, what it says when it cannot. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { MAIN } from '../support/build.js';
import { freePort, Process, temporaryDirectory } from '../support/processes.js';
import type { ServerProcess } from '../support/server-process.js';
import { concurrently } from '../support/waiting.js';
import { jsonLines, ring, running, STORES, startFixed, typed, typedAsProcess } from './cli-support.js';

let server: ServerProcess;
let address: string;
beforeAll(async () => {
  server = await startFixed([]);
  address = server.grpcAddress;
  await using switchgear = connect(address);
  await switchgear.fsm.createConfiguration(ring('ring'));
  await switchgear.fsm.createFiniteStateMachine({ configurationName: 'ring', fsmId: 'm' });
});
afterAll(() => server?.dispose());

describe('the exit code', () => {
  it.each([
    [0, ['fsm', 'send', 'ring', 'm', 'go', '--event-id', 'e'], /^$/],
    [4, ['fsm', 'send', 'ring', 'm', 'go', '--event-id', 'other'], /^$/],
    [4, ['fsm', 'send', 'ring', 'm', 'rest', '--expected-version', '99'], /^$/],
    [4, ['fsm', 'send', 'ring', 'm', 'stop', '--event-id', 'e'], /id stands for one event/],
    [3, ['fsm', 'send', 'ring', 'nobody', 'go'], /^$/],
    [3, ['fsm', 'send', 'nothing', 'm', 'go'], /^$/],
    [3, ['fsm', 'get', 'nothing'], /`switchgear fsm list` shows what is there/],
    [3, ['fsm', 'get', 'ring', 'nobody'], /`switchgear fsm list CONFIG` shows the machines/],
    [3, ['fsm', 'watch', 'nothing'], /switchgear fsm list/],
    [3, ['fsm', 'outcome', 'ring', 'nothing'], /kept for a time/],
    [4, ['fsm', 'create', 'ring', 'm'], /choose another id/],
    [4, ['fsm', 'delete', 'ring', 'm', '--uid', 'x'], /shows its uid/],
    [2, ['fsm', 'get', 'a:b'], /name: /],
    [2, ['fsm', 'create', 'ring', 'm2', '--state', 'nope'], /state/],
    [2, ['fsm', 'lsit'], /unknown command 'lsit' \(Did you mean list\?\)/],
    [2, ['fsm', 'list', '--stat', 'x'], /unknown option '--stat' \(Did you mean --state\?\)/],
    [2, ['fsm', 'get'], /missing required argument 'config'; usage: switchgear fsm get .*<config> \[id\]/],
    [2, ['fsm', 'allowed', 'ring', 'm', 'more'], /too many arguments.*; usage: switchgear fsm allowed/],
    [2, ['fsm', 'list', '-o', 'xml'], /Allowed choices are table, json, yaml/],
    [2, ['fsm', 'list', '--limit', '0'], /whole number from 1/],
    [2, ['fsm', 'list', '--state', 'idle'], /name the configuration/],
    [2, ['fsm', 'list', '--address', 'nowhere'], /--address: .*must be host:port/],
    [2, ['fsm', 'list', '--timeout', 'soon'], /such as 500ms, 10s or 1m/],
    [2, ['fsm', 'send', 'ring', 'm'], /say CONFIG ID EVENT, or -f FILE/],
    [2, ['fsm', 'send', 'ring', 'm', '-f', '-'], /leave out ID and EVENT/],
    [2, ['fsm', 'create'], /say CONFIG for a machine, or -f FILE/],
    [2, ['fsm', 'watch', 'ring', '--snapshot', '--cursor', 'x'], /leave one out/],
    [2, ['fsm', 'get', 'ring', '--watch'], /switchgear fsm watch ring/],
    [2, ['fms'], /unknown command 'fms' \(Did you mean fsm\?\)/],
    [2, ['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ])('is %i for %j', async (exitCode, args, message) => {
    const ended = await typed(args, { address });
    expect([ended.exitCode, ended.stderr]).toEqual([exitCode, expect.stringMatching(message)]);
    expect(ended.stderr.split('\n').length).toBeLessThanOrEqual(2);
  });

  it('is 5 when there is no server, and the line says what to do', async () => {
    const nowhere = `127.0.0.1:${await freePort()}`;
    for (const args of [
      ['fsm', 'list'],
      ['doctor'],
      ['fsm', 'watch', 'ring'],
      ['fsm', 'send', 'ring', 'm', 'go'],
    ]) {
      const { stderr, exitCode } = await typedAsProcess(args, { address: nowhere });
      expect(exitCode).toBe(5);
      expect(stderr).toContain(`cannot connect to ${nowhere}`);
      expect(stderr).toContain('is `switchgear serve` running there?');
    }
  });

  it('is 5 when nobody answers in time', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const at = silent.address();
    const port = typeof at === 'object' ? at?.port : 0;
    const { stderr, exitCode } = await typedAsProcess(['fsm', 'list', '--timeout', '200ms'], {
      address: `127.0.0.1:${port}`,
    });
    silent.close();
    expect([exitCode, stderr]).toEqual([5, expect.stringMatching(/no answer from .* in time; .*--timeout/)]);
  });

  it('is 2 for credentials in plaintext to another machine, or that are none', async () => {
    const far = await typedAsProcess(['fsm', 'list'], {
      address: 'db.example:7398',
      env: { SWITCHGEAR_CREDENTIALS: 'me:s3cret' },
    });
    expect([far.exitCode, far.stderr]).toEqual([2, expect.stringContaining('plaintext')]);
    expect(far.stderr).not.toContain('s3cret');
    const file = join(temporaryDirectory('credentials'), 'file');
    writeFileSync(file, 'me:s3cret\n', { mode: 0o600 });
    expect((await typedAsProcess(['fsm', 'list', '--credentials-file', file], { address })).exitCode).toBe(0);
    writeFileSync(file, 's3cret\n');
    const bad = await typedAsProcess(['fsm', 'list', '--credentials-file', file], { address });
    expect([bad.exitCode, bad.stderr]).toEqual([2, expect.stringContaining('must hold ID:SECRET')]);
    expect(bad.stderr).not.toContain('s3cret');
  });
});

describe('pipes', () => {
  const shell = (line: string) =>
    promisify(execFile)('bash', ['-c', `set -o pipefail; ${line}`], {
      env: { ...process.env, SWITCHGEAR_ADDRESS: address, SG: `${process.execPath} ${MAIN}` },
    });

  it('may be closed by their reader (`| head`): the command ends quietly', async () => {
    await using switchgear = connect(address);
    await switchgear.fsm.createConfiguration(ring('wide'));
    // More than a pipe holds.
    await concurrently(1_500, 64, (i) =>
      switchgear.fsm.createFiniteStateMachine({ configurationName: 'wide', fsmId: `m-${i}` }),
    );
    for (const format of ['table', 'json', 'yaml']) {
      const { stdout, stderr } = await shell(`$SG fsm list wide -o ${format} | head -n 2`);
      expect([stdout.trimEnd().split('\n').length, stderr]).toEqual([2, '']);
    }
  });

  it('carry documents in and results out', async () => {
    const { stdout } = await shell(
      '$SG fsm get ring -o json | sed s/ring/piped/ | $SG fsm create -f - -o json && $SG fsm list -o json',
    );
    expect(jsonLines(stdout).slice(0, 1)).toMatchObject([
      { created: true, configuration: { name: 'piped' } },
    ]);
    expect(jsonLines(stdout)).toContainEqual({ name: 'piped' });
  });

  it('hold no line of progress, and no word that is not a result', async () => {
    const { stdout, stderr } = await shell('$SG fsm audit ring -o json');
    expect([jsonLines(stdout).length, stderr]).toEqual([1, '']);
  });

  it('are closed under bulk events with a word about what was left', async () => {
    const lines = `for i in $(seq 20000); do echo '{"fsmId":"m","event":"go"}'; done`;
    const failed = await shell(`(${lines}) | $SG fsm send ring -f - | head -n 1`).catch((error) => error);
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/stopped after [\d,]+ events/) });
  });
});

describe('an interrupt', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s ends a watch with 0 and says where to go on',
    async (signal) => {
      const watch = await running(['fsm', 'watch', 'ring', '--snapshot'], address);
      await watch.outputWith((output) => output.includes('complete') || undefined);
      watch.signal(signal);
      expect(await watch.exited).toBe(0);
      const [, cursor] = /--cursor (\S+) goes on from here/.exec(watch.output) ?? [];
      expect(cursor).toBeTruthy();
      const next = await running(['fsm', 'watch', 'ring', '--cursor', cursor ?? '', '-o', 'json'], address);
      await using switchgear = connect(address);
      await switchgear.fsm.createFiniteStateMachine({ configurationName: 'ring', fsmId: `after-${signal}` });
      await next.outputWith((output) => output.includes(`after-${signal}`) || undefined);
      next.signal('SIGINT');
      expect(await next.exited).toBe(0);
      expect(jsonLines(next.stdout)).toMatchObject([{ change: { fsmId: `after-${signal}` } }]);
    },
  );

  it('ends any other command with 130', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const at = silent.address();
    const connected = once(silent, 'connection');
    const list = await running(['fsm', 'list'], `127.0.0.1:${typeof at === 'object' ? at?.port : 0}`);
    await connected;
    list.signal('SIGINT');
    expect(await list.exited).toBe(130);
    silent.close();
  });
});

describe.each(STORES)('a watch on $name', ({ isMissing, start }) => {
  it.skipIf(isMissing)('shows every change once across a kill -9 of the server', async () => {
    const watched = await start();
    const { grpcAddress } = watched;
    await using switchgear = connect(grpcAddress, { timeoutMs: 20_000 });
    const of = { configurationName: 'ring', fsmId: 'm' };
    await switchgear.fsm.createConfiguration(ring('ring'));
    await switchgear.fsm.createFiniteStateMachine(of);
    const watch = await running(['fsm', 'get', 'ring', 'm', '--watch', '-o', 'json'], grpcAddress);
    await watch.outputWith((output) => output.includes('snapshotComplete') || undefined);
    const around = async (from: number, to: number) => {
      for (let i = from; i < to; i += 1)
        await switchgear.fsm.apply({ ...of, event: i % 2 === 0 ? 'go' : 'rest' });
    };
    await around(0, 40);
    await watched.kill();
    await watched.restart();
    await around(40, 80);
    await watch.outputWith((output) => output.includes('"version":"80"') || undefined);
    watch.signal('SIGINT');
    expect(await watch.exited).toBe(0);
    const changes = jsonLines(watch.stdout).flatMap(({ change }) => (change ? [change] : []));
    expect(changes.map((change) => (change as { version: string }).version)).toEqual(
      Array.from({ length: 80 }, (_, i) => String(i + 1)),
    );
    await watched.dispose();
  });
});

describe('what is loaded', () => {
  /** The modules of ours that a run loads, from the URLs that Node resolves. */
  async function loaded(args: readonly string[], until: RegExp): Promise<string[]> {
    const file = join(temporaryDirectory('hooks'), 'loaded.mjs');
    writeFileSync(
      file,
      `import { register } from 'node:module';
       register('data:text/javascript,' + encodeURIComponent(\`
         import { writeSync } from 'node:fs';
         export async function load(url, context, next) { writeSync(2, 'loaded ' + url + '\\\\n'); return next(url, context); }
       \`), import.meta.url);`,
    );
    const child = await Process.start(process.execPath, ['--import', file, MAIN, ...args]);
    await child.outputWith((output) => until.test(output) || undefined);
    await child.kill();
    return Array.from(child.output.matchAll(/^loaded .*\/dist\/(\S+)$/gm), ([, path = '']) => path);
  }

  it('by a service is no command line, and by a command no service', async () => {
    const data = join(temporaryDirectory('data'), 'data');
    const service = await loaded(['--grpc-port', '0', '--http-port', '0', '--data', data], /HTTP /);
    expect(service.filter((path) => path.startsWith('src/server/')).length).toBeGreaterThan(5);
    expect(service.filter((path) => /^src\/(cli|client)\//.test(path))).toEqual([]);
    const command = await loaded(['fsm', 'list', '--address', address], /NAME/);
    expect(command.filter((path) => path.startsWith('src/cli/')).length).toBeGreaterThan(5);
    expect(command.filter((path) => /^src\/(server|stores|fsm)\//.test(path))).toEqual([]);
  });
});

describe('help', () => {
  it('shows the commands at the top, and the options of the service', async () => {
    const { stdout, exitCode } = await typedAsProcess(['--help']);
    expect(exitCode).toBe(0);
    for (const text of ['serve', 'switchgear fsm', 'doctor', 'completion', '--grpc-port'])
      expect(stdout).toContain(text);
    const fsm = await typedAsProcess(['fsm', '--help']);
    expect([fsm.exitCode, fsm.stdout]).toEqual([0, expect.stringMatching(/create[\s\S]*send[\s\S]*watch/)]);
    expect((await typedAsProcess(['serve', '--help'])).stdout).toMatch(/^usage: switchgear \[serve\]/);
    expect((await typedAsProcess(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('completion', () => {
  /** What bash offers for a line whose last word is being typed. */
  async function offered(...words: string[]): Promise<string[]> {
    const line = `source <(${process.execPath} ${MAIN} completion bash)
      COMP_WORDS=(switchgear ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
      _switchgear; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', line]);
    return stdout.trim().split('\n');
  }

  it('in bash offers commands, options and their values', async () => {
    expect(await offered('')).toEqual(expect.arrayContaining(['serve', 'fsm', 'doctor', 'completion']));
    expect(await offered('fsm', 'li')).toEqual(['list']);
    expect(await offered('fsm', 'list', 'ring', '--st')).toEqual(['--state']);
    expect(await offered('fsm', 'list', '-o', '')).toEqual(['table', 'json', 'yaml']);
    expect(await offered('completion', 'f')).toEqual(['fish']);
    expect(await offered('fsm', 'create', '-f', '/etc/host')).toContain('/etc/hosts');
  });

  it.each(['bash', 'zsh', 'fish'])('for %s names every command of the tree', async (shell) => {
    const { stdout, exitCode } = await typedAsProcess(['completion', shell]);
    expect(exitCode).toBe(0);
    for (const name of ['create', 'send', 'watch', 'retention', 'audit']) expect(stdout).toContain(name);
  });
});
