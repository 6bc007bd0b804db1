/**
 * Child processes of a test run: engines, the product, foreign clients. The idea to hold: every child
 * is started by a guard that lives on a pipe from its parent, so that when the parent goes, by a normal
 * end, an interrupt or a kill -9, the child goes too and nothing is left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { deferred } from './waiting.js';

/** Tells the child's pid on fd 4, waits for it, and kills it when fd 3 closes. */
const GUARD = `
"$@" </dev/null 3<&- 4>&- & pid=$!
echo "$pid" >&4; exec 4>&-
( read -r _; kill -9 "$pid" ) <&3 >/dev/null 2>&1 & guard=$!
wait "$pid"; code=$?
kill "$guard" 2>/dev/null; exit "$code"`;

/** The newest output that is kept for error messages and for parsing. */
const OUTPUT_MAX_CHARS = 1024 * 1024;

export interface ProcessOptions {
  cwd?: string;
  env?: Record<string, string | undefined>;
}

/** A child process with its output, stoppable by its own pid. */
export class Process {
  readonly pid: number;
  readonly exited: Promise<number>;
  exitCode: number | undefined;
  #output = '';
  #stdout = '';
  readonly #waiting = new Set<() => void>();

  private constructor(guard: ChildProcess, pid: number) {
    this.pid = pid;
    this.#capture(guard.stdout, true);
    this.#capture(guard.stderr, false);
    this.exited = new Promise((resolve) => {
      guard.once('close', (code) => {
        this.exitCode = code ?? 137;
        resolve(this.exitCode);
        for (const look of this.#waiting) look();
      });
    });
  }

  static async start(
    command: string,
    args: readonly string[],
    options: ProcessOptions = {},
  ): Promise<Process> {
    const guard = spawn('/bin/sh', ['-c', GUARD, 'guard', command, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      // Its own session: an interrupt typed at the terminal is the test runner's to handle.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    // A guard that is gone closes its end first; that is no error of the test's.
    (guard.stdio[3] as Writable).on('error', () => {});
    const [line] = (await once(guard.stdio[4] as Readable, 'data')) as [Buffer];
    return new Process(guard, Number(line.toString()));
  }

  /** Everything it wrote, both streams as they came; the newest mebibyte. */
  get output(): string {
    return this.#output;
  }

  /** What it wrote on stdout alone. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Resolves with what `find` returns, once it finds something in the output; rejects when the process ends first. */
  async outputWith<T>(find: (output: string) => T | undefined, timeoutMs = 20_000): Promise<T> {
    const { promise, resolve, reject } = deferred<T>();
    const look = () => {
      const found = find(this.#output);
      if (found !== undefined) resolve(found);
      else if (this.exitCode !== undefined)
        reject(new Error(`process ended with code ${this.exitCode}:\n${this.#output}`));
    };
    const timer = setTimeout(
      () => reject(new Error(`nothing after ${timeoutMs} ms in:\n${this.#output}`)),
      timeoutMs,
    );
    this.#waiting.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(look);
    });
  }

  signal(name: NodeJS.Signals): void {
    if (this.exitCode === undefined) process.kill(this.pid, name);
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<number> {
    this.signal('SIGKILL');
    return this.exited;
  }

  /** Freezes it: connections stay open and nothing answers. */
  pause(): void {
    this.signal('SIGSTOP');
  }

  resume(): void {
    this.signal('SIGCONT');
  }

  /** Asks it to end, and kills it when it has not after `graceMs`; resolves with its exit code. */
  async stop(graceMs = 30_000): Promise<number> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    return this.exited.finally(() => clearTimeout(timer));
  }

  #capture(stream: Readable | null, isStdout: boolean): void {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-OUTPUT_MAX_CHARS);
      if (isStdout) this.#stdout = (this.#stdout + text).slice(-OUTPUT_MAX_CHARS);
      for (const look of this.#waiting) look();
    });
  }
}

/** A port that the system says is free. Another process may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const directories = new Set<string>();

/** A fresh directory that is removed when this process ends, if not before. */
export function temporaryDirectory(label: string): string {
  if (directories.size === 0)
    process.once('exit', () => {
      for (const directory of directories) removeDirectory(directory);
    });
  const directory = mkdtempSync(join(tmpdir(), `switchgear-${label}-`));
  directories.add(directory);
  return directory;
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}
