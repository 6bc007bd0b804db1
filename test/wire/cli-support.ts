/**
 * A command line typed in a test: within this process, which is quick, or as a process of its own, where
 * signals, pipes and exit codes are the subject. The server is a real process either way.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { EXIT } from '../../src/cli/exit.js';
import type { Io } from '../../src/cli/invocation.js';
import { runCommandLine } from '../../src/cli/program.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { MAIN } from '../support/build.js';
import { freePort, Process } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';

/** What was printed, and how it ended. */
export interface Typed {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface TypedOptions {
  readonly address?: string;
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
  /** Whether stderr is a terminal. */
  readonly isTerminal?: boolean;
  /** Told all of stdout so far, whenever there is more. */
  onOutput?(text: string): void;
}

/** Runs `switchgear ...args` in this process. */
export async function typed(args: readonly string[], options: TypedOptions = {}): Promise<Typed> {
  const { address, stdin = '', env = {}, signal = new AbortController().signal } = options;
  const stdout = new PassThrough();
  const stderr = Object.assign(new PassThrough(), { isTTY: options.isTerminal === true });
  const texts = [stdout, stderr].map(async (stream) => {
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) {
      text += chunk;
      if (stream === stdout) options.onOutput?.(text);
    }
    return text;
  });
  const given = { ...(address && { SWITCHGEAR_ADDRESS: address }), ...env };
  const io: Io = { stdin: Readable.from([stdin]), stdout, stderr, env: given, signal, exitCode: EXIT.ok };
  const exitCode = await runCommandLine(args, io);
  stdout.end();
  stderr.end();
  const [out = '', error = ''] = await Promise.all(texts);
  return { stdout: out, stderr: error, exitCode };
}

/** Runs it as a process with `stdin` piped in; resolves when it has ended. */
export async function typedAsProcess(
  args: readonly string[],
  { address, stdin = '', env = {} }: TypedOptions = {},
): Promise<Typed> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...(address && { SWITCHGEAR_ADDRESS: address }), ...env },
    timeout: 25_000,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { stdout, stderr, exitCode: exitCode ?? -1 };
}

/** Starts it as a process that goes on, such as a watch. */
export function running(args: readonly string[], address: string): Promise<Process> {
  return Process.start(process.execPath, [MAIN, ...args], { env: { SWITCHGEAR_ADDRESS: address } });
}

/** The documents of NDJSON. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

export interface StoreCase {
  readonly name: string;
  readonly isMissing: boolean;
  /** Starts a server on this store that keeps its address through restarts. */
  start(): Promise<ServerProcess>;
}

/** Both stores; one that is not here is skipped, and the global setup has said so. */
export const STORES: readonly StoreCase[] = [
  { name: 'LMDB', isMissing: false, start: () => startFixed([]) },
  {
    name: 'Redis',
    isMissing: engineUrl('redis') === undefined,
    start: () => startFixed(['--redis', engineUrl('redis') ?? '', '--namespace', randomNamespace()]),
  },
];

/** A server whose address is the same after a restart. */
export async function startFixed(flags: readonly string[]): Promise<ServerProcess> {
  return ServerProcess.start({ flags: ['--grpc-port', String(await freePort()), ...flags] });
}

/** The configuration that these tests go through: around and around, and out by `stop`. */
export function ring(name: string, version = 'v1') {
  return {
    name,
    version,
    states: ['idle', 'busy', 'done'],
    startingState: 'idle',
    finalStates: ['done'],
    transitions: [
      { from: 'idle', to: 'busy', event: 'go' },
      { from: 'busy', to: 'idle', event: 'rest' },
      { from: 'busy', to: 'done', event: 'stop' },
    ],
  };
}
