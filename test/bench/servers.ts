/**
 * The processes that are measured: a bare grpc-js echo, the product on each store, a Redis. Each is a
 * child that ends with this process, and says what processor time and memory it has used.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startCommand } from '../support/build.js';
import { Process, temporaryDirectory } from '../support/processes.js';
import { RedisServer } from '../support/redis-server.js';

const ECHO = fileURLToPath(new URL('./echo-server.js', import.meta.url));
/** USER_HZ of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Measurable {
  readonly address: string;
  /** By label, e.g. `server` and `redis`. */
  readonly pids: Readonly<Record<string, number>>;
  /** As its banner says. */
  readonly durability: string;
  /** What calls to it must carry, if anything. */
  readonly authorization?: string;
  stop(): Promise<void>;
}

interface Product extends Measurable {
  /** What it has written lately. */
  output(): string;
}

export interface Store extends Measurable {
  /** As tables call it. */
  readonly label: string;
  /** What it holds, in bytes. */
  size(): Promise<number>;
  /** How many connections the server has to its engine, if that is another process. */
  connections?(): Promise<number>;
}

export interface RedisStore extends Store, Product {
  readonly redis: RedisServer;
}

/** What a suite measures; started anew for each, so that none is measured beside what another left. */
export interface Servers {
  readonly echo: Measurable;
  readonly redis: RedisStore;
  readonly lmdb: Store;
  stop(): Promise<void>;
}

export async function startServers(): Promise<Servers> {
  const [echo, redis, lmdb] = [await startEcho(), await startOnRedis(), await startOnLmdb()];
  const stop = async () => void (await Promise.all([echo, redis, lmdb].map((server) => server.stop())));
  return { echo, redis, lmdb, stop };
}

async function startEcho(): Promise<Measurable> {
  const child = await Process.start(process.execPath, [ECHO]);
  const address = await child.outputWith((output) => /127\.0\.0\.1:\d+/.exec(output)?.[0]);
  return {
    address,
    pids: { server: child.pid },
    durability: '',
    stop: async () => void (await child.kill()),
  };
}

export interface LmdbStore extends Store, Product {}

/**
 * @param flags beside where it keeps its data
 * @param nodeFlags beside those that it is always started with
 */
export async function startOnLmdb(
  flags: readonly string[] = [],
  nodeFlags: readonly string[] = [],
): Promise<LmdbStore> {
  const dataDir = join(temporaryDirectory('bench'), 'data');
  const started = await startProduct(['--data', dataDir, ...flags], nodeFlags);
  const size = async () => statSync(join(dataDir, 'data.mdb')).blocks * 512;
  return { ...started, label: 'LMDB', size };
}

/** @param nodeFlags beside those that it is always started with */
export async function startOnRedis(nodeFlags: readonly string[] = []): Promise<RedisStore> {
  const redis = await RedisServer.start();
  const flags = ['--redis', redis.url, '--data', temporaryDirectory('bench')];
  const started = await startProduct(flags, nodeFlags);
  const size = async () =>
    Number(/used_memory:(\d+)/.exec(String(await redis.command('INFO', 'memory')))?.[1]);
  // The connection that asks is among them.
  const connections = async () =>
    String(await redis.command('CLIENT', 'LIST'))
      .trim()
      .split('\n').length - 1;
  const stop = async () => {
    await started.stop();
    await redis.stop();
  };
  const pids = { ...started.pids, redis: redis.pid };
  return { ...started, label: 'Redis', redis, pids, size, connections, stop };
}

async function startProduct(flags: readonly string[], nodeFlags: readonly string[] = []): Promise<Product> {
  const [program = '', ...args] = startCommand();
  const ports = ['--grpc-port', '0', '--http-port', '0'];
  const child = await Process.start(program, [...nodeFlags, ...args, ...ports, ...flags]);
  const banner = await child.outputWith((output) => (output.includes('security ') ? output : undefined));
  const address = /gRPC\s+(127\.0\.0\.1:\d+)/.exec(banner)?.[1] ?? '';
  const durability = /\n\s+fsm\s+.*\n\s+(.*)/.exec(banner)?.[1] ?? '';
  return {
    address,
    pids: { server: child.pid },
    durability,
    output: () => child.output,
    stop: async () => void (await child.kill()),
  };
}

/** Processor seconds used so far by the threads that it has, to the nanosecond where the kernel counts so. */
export function cpuSeconds(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const usedNs = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1'));
    return usedNs.reduce((sum, text) => sum + Number(text.split(' ', 1)[0]), 0) / 1e9;
  } catch {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }
}

/** Below this share of a core a process has nothing to do; idle ones take 1 %. */
const QUIET_SHARE = 0.1;
/** Longer than the pause between two looks of what works in the background. */
const QUIET_LOOK_MS = 1_500;
const MAX_QUIET_LOOKS = 40;

/** Resolves when none of its processes has anything to do. */
export async function quiet({ pids }: Measurable): Promise<void> {
  const used = () => Object.values(pids).reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  for (let look = 0; look < MAX_QUIET_LOOKS; look++) {
    const before = used();
    await sleep(QUIET_LOOK_MS);
    if (used() - before < (QUIET_SHARE * QUIET_LOOK_MS) / 1_000) return;
  }
  throw new Error('a server does not come to rest');
}

/** How often its main thread has gone to sleep so far, and so been woken. */
export function wakeUps(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/voluntary_ctxt_switches:\s+(\d+)/.exec(status)?.[1]);
}

/** Memory that is its own now: resident, without pages of files. */
export function memoryBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}
