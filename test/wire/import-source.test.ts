/** Where an import reads from: how it is told, that it is only read, and what is said when it cannot be. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { engineUrl } from '../support/backends.js';
import type { ServerProcess } from '../support/server-process.js';
import { ring, STORES, typed } from './cli-support.js';
import { GoStatemachineData, rounds, step } from './go-statemachine-data.js';
import { NOT_ALLOWED } from './import-subject.js';

describe.skipIf(!engineUrl('redis'))('the source of an import', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await STORES[0]!.start();
  });
  afterAll(() => server.dispose());

  const run = (args: string[], env: Record<string, string> = {}) =>
    typed(['fsm', 'import', ...args], { address: server.grpcAddress, env });

  it('is only read', async () => {
    const source = await GoStatemachineData.start();
    await source.putConfiguration(ring('read'));
    await source.putWholeMachine('read', 'm', rounds('e', 3));
    await source.putOutcome('read', 'm', step(1, '', 'rest', '', 'r'), NOT_ALLOWED);
    await source.server.command('CONFIG', 'RESETSTAT');
    expect((await run(['--from', source.url])).exitCode).toBe(0);
    const stats = String(await source.server.command('INFO', 'commandstats'));
    const sent = [...stats.matchAll(/cmdstat_([a-z|_-]+):/g)].map(([, command]) => command);
    await source.stop();
    const own = ['config|resetstat', 'hello', 'select', 'client|setinfo', 'info'];
    expect(sent.filter((command) => !own.includes(command ?? '')).sort()).toEqual([
      'exists',
      'get',
      'scan',
      'smembers',
    ]);
  });

  it.each<[string, (text: string) => unknown]>([
    ['json', JSON.parse],
    ['yaml', parse],
  ])('gives the same account as %s', async (format, read) => {
    const source = await GoStatemachineData.start();
    await source.putConfiguration(ring(`as-${format}`));
    await source.putMachine(`as-${format}`, 'm', { state: 'nowhere' });
    const { stdout, exitCode } = await run(['--from', source.url, '-o', format]);
    await source.stop();
    expect(exitCode).toBe(4);
    expect(read(stdout)).toEqual({
      dryRun: false,
      configurations: { brought: 1, there: 0 },
      machines: { brought: 0, there: 0 },
      transitions: { brought: 0, there: 0 },
      refusals: { brought: 0, there: 0 },
      leftOutCount: 1,
      leftOut: [
        { key: `fsm:as-${format}#m`, reason: `is in state "nowhere", which as-${format}:v1 does not have` },
      ],
      noteCount: 0,
      notes: [],
    });
  });

  it('may need a password, which comes from the environment and is refused as an option', async () => {
    const source = await GoStatemachineData.start(['--requirepass', 'hunter2']);
    await source.putConfiguration(ring('secret'));
    const url = source.url.replace('//', '//:hunter2@');
    const refused = await run(['--from', url]);
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.stderr).toMatch(/SWITCHGEAR_IMPORT_FROM/);
    expect(refused.stderr).not.toMatch(/hunter2/);
    const closed = await run(['--from', source.url]);
    expect(closed).toMatchObject({ exitCode: 5, stderr: expect.stringMatching(/NOAUTH/) });
    const { stdout, exitCode } = await run([], { SWITCHGEAR_IMPORT_FROM: url });
    expect({ stdout, exitCode }).toMatchObject({
      stdout: expect.stringMatching(/^configurations +1 brought/),
      exitCode: 0,
    });
    await source.stop();
  });

  it.each([
    [[], /--from/],
    [['--from', 'http://h'], /redis:\/\//],
    [['--from', 'redis+cluster://a,b'], /redis:\/\//],
  ])('%j is a usage error', async (args, message) => {
    expect(await run(args)).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(message) });
  });

  it('that cannot be reached is said so', async () => {
    const { exitCode, stderr } = await run(['--from', 'redis://127.0.0.1:1/1']);
    expect(stderr).toMatch(/cannot read from the Redis at 127.0.0.1:1: .*ECONNREFUSED/);
    expect(exitCode).toBe(5);
  });
});
