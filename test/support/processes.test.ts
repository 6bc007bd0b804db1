/** Child processes end with their parent, whatever ends it, and the product's addresses are read. */
import { describe, expect, it } from 'vitest';
import { Process } from './processes.js';
import { addressesIn } from './server-process.js';
import { findTool } from './tools.js';
import { eventually } from './waiting.js';

const SLEEPER = 'setInterval(() => {}, 1000); console.log("ready");';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a child process', () => {
  it('tells its own pid, output and exit code', async () => {
    const child = await Process.start('node', [
      '-e',
      'console.log(process.pid); console.error("oops"); process.exitCode = 7',
    ]);
    expect(await child.exited).toBe(7);
    expect(child.stdout.trim()).toBe(String(child.pid));
    expect(child.output).toContain('oops');
  });

  it('that ends before it says what is waited for is an error with its output', async () => {
    const child = await Process.start('node', ['-e', 'console.log("no luck")']);
    await expect(child.outputWith((output) => output.includes('ready') || undefined)).rejects.toThrow(
      'no luck',
    );
  });

  it('is stopped by SIGTERM, also when it is frozen', async () => {
    const child = await Process.start('node', ['-e', SLEEPER]);
    await child.outputWith((output) => output.includes('ready') || undefined);
    child.pause();
    expect(await child.stop()).toBe(128 + 15);
    expect(isAlive(child.pid)).toBe(false);
  });

  it('goes when its parent is killed with -9', async () => {
    const file = new URL('./processes.ts', import.meta.url).pathname;
    const text = `
      import { runnerImport } from 'vite';
      const { module } = await runnerImport(${JSON.stringify(file)}, { logLevel: 'silent' });
      const child = await module.Process.start('node', ['-e', ${JSON.stringify(SLEEPER)}]);
      console.log('pid=' + child.pid + ';');
      setInterval(() => {}, 1000);`;
    const parent = await Process.start('node', ['--input-type=module', '-e', text]);
    const pid = await parent.outputWith((output) => /pid=(\d+);/.exec(output)?.[1]);
    expect(isAlive(Number(pid))).toBe(true);
    await parent.kill();
    await eventually(() => !isAlive(Number(pid)), 'the child is gone');
  });
});

describe('the addresses in a banner', () => {
  it.each([
    [
      '  gRPC      127.0.0.1:4001\n  HTTP      http://127.0.0.1:4002 (Connect, gRPC-Web, JSON)\n  fsm       lmdb 0.9\n',
    ],
    ['{"level":30,"grpc":"127.0.0.1:4001","http":"127.0.0.1:4002"}\n'],
    ['switchgear 0.1.0: grpc on 127.0.0.1:4001, http on http://127.0.0.1:4002\n'],
  ])('are read from %j', (output) => {
    expect(addressesIn(output)).toEqual({ grpc: '127.0.0.1:4001', http: '127.0.0.1:4002' });
  });

  it.each(['', 'grpc 127.0.0.1:4001\n', 'grpc 127.0.0.1:0\nhttp 127.0.0.1:0\n'])(
    'are not there yet in %j',
    (output) => {
      expect(addressesIn(output)).toBeUndefined();
    },
  );
});

describe('a tool', () => {
  it('is found as a path that runs', async () => {
    const curl = findTool('curl');
    if (curl === undefined) return;
    const child = await Process.start(curl, ['--version']);
    expect(await child.exited).toBe(0);
  });
});
