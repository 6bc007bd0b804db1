/**
 * The README's examples, run as they stand: every `console` block is typed into a shell, command by
 * command, against the real process, and what is printed must be what the README says. `...` in the
 * README stands for text that differs from run to run. Ports and the data directory are the only things
 * that are put in the place of others, and `npm ci` has been done. Files that commands make lie in a
 * directory of the test. `switchgear serve ...` is a server that the commands after it talk to.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAIN, ROOT } from '../support/build.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { type ServerOptions, ServerProcess } from '../support/server-process.js';
import { findTool, type ToolName } from '../support/tools.js';

interface Example {
  readonly command: string;
  readonly output: string;
}

/** The commands of all `console` blocks in order, each with what is printed after it. */
function examplesIn(markdown: string): Example[] {
  const blocks = Array.from(markdown.matchAll(/^```console\n(.*?)^```/gms), ([, block = '']) => block);
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((example) => {
        const [command = '', ...output] = example.trimEnd().split('\n');
        return { command, output: output.join('\n') };
      }),
  );
}

/** Text as in the README: `...` stands for anything within a line. */
function matching(text: string): RegExp {
  const parts = text.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^\\n]*')}$`);
}

/** The fenced blocks of a language, in order. */
function blocksOf(markdown: string, language: string): string[] {
  const blocks = markdown.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'));
  return Array.from(blocks, ([, block = '']) => block);
}

/** A directory that holds the `switchgear` command. */
function commandDirectory(): string {
  const directory = temporaryDirectory('command');
  writeFileSync(join(directory, 'switchgear'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  chmodSync(join(directory, 'switchgear'), 0o755);
  return directory;
}

/** Tools that may not be here; everything else is the product's own or every shell's. */
const TOOLS: readonly string[] = ['curl', 'grpcurl', 'openssl'] satisfies ToolName[];
const SERVE = 'switchgear serve ';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const EXAMPLES = examplesIn(README);
const [first, ...calls] = EXAMPLES;
/** TypeScript programs, each with what it prints. */
const PRINTED = blocksOf(README, 'text');
const PROGRAMS = blocksOf(README, 'ts').map((source, i) => ({ source, printed: PRINTED[i] }));
const curl = findTool('curl');
const openssl = findTool('openssl');

describe('the README', () => {
  let server: ServerProcess;
  let commands: string;
  let files: string;
  const started: ServerProcess[] = [];
  const start = async (options: ServerOptions) => {
    server = await ServerProcess.start(options);
    started.push(server);
  };
  beforeAll(async () => {
    commands = commandDirectory();
    files = temporaryDirectory('readme');
    const [install, ...npmStart] = first?.command.split(' && ') ?? [];
    expect([install, npmStart]).toEqual(['npm ci', ['npm start']]);
    await start({ command: ['npm', 'start', '--'] });
  });
  afterAll(async () => {
    for (const each of started) {
      // By signal, so that npm hands it on; killed, it would leave the service behind.
      expect(await each.stop()).toBe(0);
      await each.dispose();
    }
    removeDirectory(files);
  });

  const asDocumented = (text: string) =>
    text
      .replaceAll(server.grpcAddress, '127.0.0.1:7398')
      .replaceAll(server.httpAddress, '127.0.0.1:7399')
      .replaceAll(server.dataDir, './switchgear-data');

  /** What the server has printed for people, less what is said of the machine it runs on. */
  const banner = () => {
    const printed = asDocumented(server.output).split('\n');
    const from = printed.findIndex((line) => line.startsWith('Switchgear '));
    return printed
      .slice(from)
      .filter((line) => !line.startsWith('  warning') && !line.startsWith('{'))
      .join('\n')
      .trimEnd();
  };

  it('shows the banner that a start prints', () => {
    expect(banner()).toMatch(matching(first?.output ?? ''));
  });

  it('shows the start and a first state machine in five commands, down to a replay', () => {
    const firstFive = EXAMPLES.slice(0, 5).map(({ command }) =>
      command.replace(/.*FsmService\/(\w+).*/, '$1'),
    );
    const rpcs = ['CreateConfiguration', 'CreateFiniteStateMachine', 'SendEvent', 'SendEvent'];
    expect(firstFive).toEqual(['npm ci && npm start', ...rpcs]);
    expect(EXAMPLES[4]?.output).toContain('"replayed":true');
  });

  it.for(calls.map(({ command, output }) => [command.slice(0, 100), command, output] as const))(
    '%s',
    async ([_, command, output], context) => {
      if (!curl) return context.skip('curl was not found, and every example stands on what it creates');
      if (!openssl && command.includes('server.crt'))
        return context.skip('openssl was not found, and the server stands on its certificate');
      if (command.startsWith(SERVE)) {
        const flags = command.slice(SERVE.length).split(' ');
        await start({ command: [process.execPath, MAIN, 'serve'], flags, cwd: files });
        expect(banner()).toMatch(matching(output));
        return;
      }
      const [tool = ''] = command.split(' ');
      const path = TOOLS.includes(tool) ? findTool(tool as ToolName) : tool;
      if (!path) return context.skip(`${tool} was not found`);
      const typed = command
        .replace(tool, path)
        .replaceAll('127.0.0.1:7398', server.grpcAddress)
        .replaceAll('127.0.0.1:7399', server.httpAddress);
      const env = {
        ...process.env,
        PATH: `${commands}${delimiter}${process.env.PATH}`,
        SWITCHGEAR_ADDRESS: server.grpcAddress,
      };
      const { stdout } = await promisify(execFile)('sh', ['-c', typed], { env, cwd: files });
      expect(asDocumented(stdout.trimEnd())).toMatch(matching(output));
    },
  );

  it.skipIf(!curl).for(PROGRAMS)(
    'shows a TypeScript program that compiles, and what it prints',
    async ({ source, printed }) => {
      // Under the package, so that `switchgear/client` is found as a user's program finds it.
      const directory = join(ROOT, 'dist/readme-example');
      mkdirSync(directory, { recursive: true });
      try {
        writeFileSync(
          join(directory, 'example.mts'),
          source.replaceAll('127.0.0.1:7398', started[0]?.grpcAddress ?? ''),
        );
        const compile = ['--target', 'es2023', '--module', 'nodenext', '--strict', '--skipLibCheck'];
        const libraries = ['--lib', 'es2023,esnext.disposable', '--types', 'node'];
        const tsc = join(ROOT, 'node_modules/.bin/tsc');
        const file = join(directory, 'example.mts');
        await promisify(execFile)(tsc, ['--ignoreConfig', ...compile, ...libraries, file], { cwd: ROOT });
        const { stdout } = await promisify(execFile)(process.execPath, [join(directory, 'example.mjs')]);
        expect(stdout).toBe(printed);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  );
});
