/** Every command of `switchgear fsm` in every format, on both stores. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Io } from '../../src/cli/invocation.js';
import { allCommands, buildProgram } from '../../src/cli/program.js';
import { connect } from '../../src/client/index.js';
import type { ServerProcess } from '../support/server-process.js';
import { concurrently } from '../support/waiting.js';
import { jsonLines, ring, STORES, typed } from './cli-support.js';

const COMMANDS = allCommands(buildProgram({} as Io));
const LEAVES = COMMANDS.filter(({ commands }) => commands.length === 0);

/** `watch` below, as it has no end of its own; `import` beside the importer. */
const TRIED_ELSEWHERE = ['watch', 'import'];

describe('the command tree', () => {
  it.each(LEAVES.map((command) => [command.parent?.name() ?? '', command.name(), command] as const))(
    '%s %s takes -o table|json|yaml and describes itself, its arguments and its options',
    (_, name, command) => {
      expect(command.description()).not.toBe('');
      for (const argument of command.registeredArguments) expect(argument.description).not.toBe('');
      for (const option of command.options) expect(option.description).not.toBe('');
      const output = command.options.find(({ short }) => short === '-o');
      // `serve` stands in the tree to be seen; it prints a banner and logs, and no results.
      if (name !== 'serve') expect(output?.argChoices).toEqual(['table', 'json', 'yaml']);
    },
  );

  it('describes its groups too', () => {
    for (const command of COMMANDS) expect(command.description(), command.name()).not.toBe('');
  });

  it('is tried below in full', () => {
    const tried = new Set([...EXAMPLES.map(({ args }) => args[0]), ...TRIED_ELSEWHERE]);
    const fsm = COMMANDS.find((command) => command.name() === 'fsm');
    expect(fsm?.commands.map((command) => command.name()).filter((name) => !tried.has(name))).toEqual([]);
  });
});

interface Example {
  readonly args: readonly string[];
  /** What the table shows. */
  readonly table: RegExp;
  /** What the first JSON document holds. */
  readonly json: object;
}

/** Each runs three times, once a format: so those that change something are safe to repeat. */
const EXAMPLES: readonly Example[] = [
  {
    args: ['create', 'ring', 'm-1', '--version', 'v1', '--state', 'busy', '--request-id', 'r'],
    table: /^machine +m-1\nconfiguration +ring:v1\nstate +busy\nversion +0\n/,
    json: { configurationName: 'ring', configurationVersion: 'v1', id: 'm-1', state: 'busy', version: '0' },
  },
  {
    args: ['send', 'ring', 'm-1', 'rest', '--event-id', 'e-1', '--originator', 'me', '--details', 'why'],
    table: /^event +e-1\nmachine +m-1\noutcome +applied: busy -> idle \(version 1\)\n/,
    json: { fsmId: 'm-1', eventId: 'e-1', applied: { from: 'busy', to: 'idle', version: '1' } },
  },
  {
    args: ['get', 'ring', '--version', 'v1'],
    table:
      /^configuration +ring:v1\nstates +idle, busy, done\nstarts in +idle\nfinal +done\ntransitions +idle --go--> busy\n/,
    json: { ...ring('ring'), createTime: expect.any(String) },
  },
  {
    args: ['get', 'ring', 'm-1', '--history', '3'],
    table:
      /\nstate +idle\nversion +1\nlast event +rest: busy -> idle\n[\s\S]*\nhistory +1 {2}busy -> idle {2}rest/,
    json: { id: 'm-1', version: '1', history: [expect.objectContaining({ version: '1', to: 'idle' })] },
  },
  { args: ['list'], table: /^NAME\nring\n/, json: { name: 'ring' } },
  {
    args: ['list', 'ring', '--state', 'idle', '--version', 'v1', '--limit', '1'],
    table:
      /^ID +STATE +VERSION +CONFIGURATION +UPDATED\nm-1 +idle +1 +ring:v1 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n$/,
    json: { id: 'm-1', state: 'idle' },
  },
  {
    args: ['versions', 'ring'],
    table: /^NAME +VERSION +STATES +TRANSITIONS +CREATED\nring +v1 +3 +3 +\d/,
    json: { name: 'ring', version: 'v1' },
  },
  {
    args: ['count', 'ring'],
    table: /^STATE +COUNT\nidle +1\nbusy +0\ndone +0\n\(all\) +1\n$/,
    json: { total: '1', counts: expect.arrayContaining([{ state: 'idle', count: '1' }]) },
  },
  {
    args: ['history', 'ring', 'm-1', '--newest-first', '--limit', '1'],
    table: /^VERSION +FROM +TO +EVENT +EVENT ID +ORIGINATOR +APPLIED\n1 +busy +idle +rest +e-1 +me +\d/,
    json: { version: '1', from: 'busy', to: 'idle', event: expect.objectContaining({ details: 'why' }) },
  },
  {
    args: ['allowed', 'ring', 'm-1'],
    table: /^state +idle\nversion +1\nallowed +go -> busy\n$/,
    json: { state: 'idle', transitions: [{ from: 'idle', to: 'busy', event: 'go' }] },
  },
  {
    args: ['render', 'ring', 'm-1'],
    table: /^stateDiagram-v2\n[\s\S]*class s0 current\n$/,
    json: { mermaid: expect.stringContaining('stateDiagram-v2') },
  },
  {
    args: ['retention', 'ring', '--keep', '50'],
    table: /^configuration +ring\nhistory kept +the newest 50\nrevision +\d+\n$/,
    json: { configurationName: 'ring', historyMaxCount: '50' },
  },
  {
    args: ['outcome', 'ring', 'e-1', '--id', 'm-1'],
    table: /\noutcome +applied: busy -> idle \(version 1\)\nreplayed +yes/,
    json: { eventId: 'e-1', replayed: true },
  },
  {
    args: ['event', 'ring', 'e-1'],
    table:
      /^machine +m-1\nevent +rest\ntransition +busy -> idle \(version 1\)\noriginator +me\ndetails +why\n$/,
    json: { fsmId: 'm-1', transition: expect.objectContaining({ version: '1' }) },
  },
  {
    args: ['audit', 'ring'],
    table: /^machines +1\nlist entries +1\ndifferences +0\n$/,
    json: { machinesScanned: '1', entriesScanned: '1', differenceCount: '0', differences: [] },
  },
  {
    args: ['doctor'],
    table: /\nrelease +\d[\s\S]*\nswitchgear\.fsm\.v1\.FsmService +SERVING\n$/,
    json: { services: expect.arrayContaining([{ service: '(all)', status: 'SERVING' }]) },
  },
  {
    args: ['delete', 'ring', 'gone'],
    table: /^machine +gone\noutcome +was not there\n$/,
    json: { existed: false },
  },
];

describe.each(STORES)('on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let address: string;
    beforeAll(async () => {
      server = await start();
      address = server.grpcAddress;
      const stdin = JSON.stringify(ring('ring'));
      expect(await typed(['fsm', 'create', '-f', '-'], { address, stdin })).toMatchObject({ exitCode: 0 });
    });
    afterAll(() => server?.dispose());

    it.each(EXAMPLES)('fsm $args', async ({ args, table, json }) => {
      const all = [];
      for (const format of ['table', 'json', 'yaml'])
        all.push(await typed(['fsm', ...args, '-o', format], { address }));
      const [asTable, asJson, asYaml] = all.map(({ stdout }) => stdout) as [string, string, string];
      expect(all.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(Array(3).fill([0, '']));
      expect(asTable).toMatch(table);
      expect(jsonLines(asJson)[0]).toMatchObject(json);
      const [document] = parseAllDocuments(asYaml);
      expect((document as { toJS(): unknown } | undefined)?.toJS()).toMatchObject(json);
    });

    it.each(['table', 'json', 'yaml'])(
      'fsm watch prints what there is and what changes as %s',
      async (format) => {
        await using switchgear = connect(address);
        await switchgear.fsm.createFiniteStateMachine({
          configurationName: 'ring',
          fsmId: `there-${format}`,
        });
        const controller = new AbortController();
        let created: Promise<unknown> | undefined;
        const watching = typed(['fsm', 'watch', 'ring', '--snapshot', '-o', format], {
          address,
          signal: controller.signal,
          onOutput: (text) => {
            if (/complete/i.test(text))
              created ??= switchgear.fsm.createFiniteStateMachine({
                configurationName: 'ring',
                fsmId: `new-${format}`,
              });
            if (text.includes(`new-${format}`)) controller.abort();
          },
        });
        const { stdout, exitCode } = await watching;
        await created;
        expect(exitCode).toBe(0);
        expect(stdout.indexOf(`there-${format}`)).toBeGreaterThan(0);
        expect(stdout.indexOf(`new-${format}`)).toBeGreaterThan(stdout.indexOf(`there-${format}`));
      },
    );

    it('lists 2,500 machines completely, once each, in every way of asking', async () => {
      await typed(['fsm', 'create', '-f', '-'], { address, stdin: JSON.stringify(ring('many')) });
      await using switchgear = connect(address);
      await concurrently(2_500, 64, (i) =>
        switchgear.fsm.createFiniteStateMachine({ configurationName: 'many', fsmId: `m-${i}` }),
      );
      const { stdout } = await typed(['fsm', 'list', 'many', '-o', 'json'], { address });
      const ids = jsonLines(stdout).map(({ id }) => id);
      expect([ids.length, new Set(ids).size]).toEqual([2_500, 2_500]);
      const table = (await typed(['fsm', 'list', 'many', '--state', 'idle'], { address })).stdout;
      expect(table.trimEnd().split('\n')).toHaveLength(2_501);
      const yaml = (await typed(['fsm', 'list', 'many', '-o', 'yaml'], { address })).stdout;
      expect(yaml.split(/^---$/m)).toHaveLength(2_500);
      for (const limit of ['1', '999', '1000', '1001']) {
        const some = await typed(['fsm', 'list', 'many', '-o', 'json', '--limit', limit], { address });
        expect(jsonLines(some.stdout)).toHaveLength(Number(limit));
      }
      expect((await typed(['fsm', 'count', 'many', '-o', 'json'], { address })).stdout).toContain(
        '"total":"2500"',
      );
    });

    it('shows names that could steer a terminal as escapes', async () => {
      const id = 'a\u001b[31m\nb\u202e';
      expect((await typed(['fsm', 'create', 'ring', id], { address })).exitCode).toBe(0);
      const { stdout } = await typed(['fsm', 'list', 'ring'], { address });
      expect(stdout).toContain('a\\u{1b}[31m\\nb\\u{202e}');
      expect(stdout).not.toContain('\u001b');
      const asJson = await typed(['fsm', 'get', 'ring', id, '-o', 'json'], { address });
      expect(jsonLines(asJson.stdout)[0]).toMatchObject({ id });
      const refused = await typed(['fsm', 'send', 'ring', id, '\u001b[2J'], { address });
      expect(refused.stdout + refused.stderr).not.toContain('\u001b');
    });
  });
});
