/**
 * The product as a process: started as a user starts it, on ports of the system's choice, over a data
 * directory of its own, and killed, frozen or stopped by its pid. Data stays through a restart.
 */
import { join } from 'node:path';
import { inject } from 'vitest';
import { startCommand } from './build.js';
import { Process, removeDirectory, temporaryDirectory } from './processes.js';

export interface ServerOptions {
  /** Flags beside the ports and the data directory, e.g. `['--redis', url]`. */
  flags?: readonly string[];
  env?: Record<string, string | undefined>;
  /** An existing data directory, which then is not removed. */
  dataDir?: string;
  /** Where it is started; here unless given. */
  cwd?: string;
  /** How to start the product; `node dist/src/main.js` unless given. */
  command?: readonly string[];
}

/** Where a server listens, as `host:port`. */
export interface Addresses {
  grpc: string;
  http: string;
}

/** Reads both addresses from what the product prints at its start; undefined until they are there. */
export function addressesIn(output: string): Addresses | undefined {
  const find = (what: string) =>
    new RegExp(`\\b${what}\\b[^\\n]*?((?:\\[[0-9a-f:]+\\]|[0-9A-Za-z.-]+):[1-9][0-9]*)`, 'i').exec(
      output,
    )?.[1];
  const [grpc, http] = [find('grpc'), find('http')];
  return grpc && http ? { grpc, http } : undefined;
}

export class ServerProcess {
  readonly dataDir: string;
  readonly #options: ServerOptions;
  #process: Process;
  #addresses: Addresses;

  private constructor(
    options: ServerOptions,
    dataDir: string,
    started: { process: Process; addresses: Addresses },
  ) {
    this.#options = options;
    this.dataDir = dataDir;
    this.#process = started.process;
    this.#addresses = started.addresses;
  }

  /** Resolves when it has printed where it listens; rejects with its output if it ends before that. */
  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const dataDir = options.dataDir ?? join(temporaryDirectory('data'), 'data');
    return new ServerProcess(options, dataDir, await launch(options, dataDir));
  }

  /** Starts it where it is expected to refuse; resolves with its exit code and what it said. */
  static async refused(options: ServerOptions = {}): Promise<{ exitCode: number; output: string }> {
    const process = await spawnProduct(options, options.dataDir ?? join(temporaryDirectory('data'), 'data'));
    const exitCode = await process.exited;
    return { exitCode, output: process.output };
  }

  get grpcAddress(): string {
    return this.#addresses.grpc;
  }

  get httpAddress(): string {
    return this.#addresses.http;
  }

  get httpUrl(): string {
    return `http://${this.#addresses.http}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get output(): string {
    return this.#process.output;
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  signal(name: NodeJS.Signals): void {
    this.#process.signal(name);
  }

  /** Starts it again over the same data; the ports are new. */
  async restart(): Promise<void> {
    if (this.#process.exitCode === undefined) await this.kill();
    const { process, addresses } = await launch(this.#options, this.dataDir);
    this.#process = process;
    this.#addresses = addresses;
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number> {
    return this.#process.stop();
  }

  /** Ends it for good and removes its data, unless the directory was given. */
  async dispose(): Promise<void> {
    await this.#process.kill();
    if (this.#options.dataDir === undefined) removeDirectory(join(this.dataDir, '..'));
  }
}

async function launch(
  options: ServerOptions,
  dataDir: string,
): Promise<{ process: Process; addresses: Addresses }> {
  const process = await spawnProduct(options, dataDir);
  try {
    return { process, addresses: await process.outputWith(addressesIn) };
  } catch (error) {
    await process.kill();
    throw error;
  }
}

async function spawnProduct(
  { command, flags = [], env, cwd }: ServerOptions,
  dataDir: string,
): Promise<Process> {
  const buildFailure = inject('buildFailure');
  if (!command && buildFailure !== '') throw new Error(buildFailure);
  const [program = 'node', ...args] = command ?? startCommand();
  const own = ['--grpc-port', '0', '--http-port', '0', '--data', dataDir];
  return Process.start(program, [...args, ...own, ...flags], { ...(env && { env }), ...(cwd && { cwd }) });
}
