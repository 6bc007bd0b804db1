/**
 * Redis processes for tests: one server, or a cluster. The idea to hold: a server keeps its port and
 * its directory through kill and restart, so that what a test breaks is one process and nothing else.
 */
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import type { KeyPair } from './certificates.js';
import { freePort, Process, removeDirectory, temporaryDirectory } from './processes.js';
import { eventually } from './waiting.js';

/** Nothing is saved unless a test asks for it by `--appendonly yes` or `--save`. */
const NOT_SAVED = ['--save', '', '--appendonly', 'no'];

/** Another process may take a port between asking for it and using it. */
const MAX_PORT_TRIES = 5;

/** What a server that speaks TLS shows and asks for; all are PEM files. */
export interface RedisTls {
  readonly server: KeyPair;
  /** Clients must show a certificate of this authority. */
  readonly caFile: string;
  /** For the commands of the test itself. */
  readonly client: KeyPair;
}

export class RedisServer {
  readonly port: number;
  readonly #tls: RedisTls | undefined;
  readonly #args: readonly string[];
  readonly #directory: string;
  #process: Process;

  private constructor(
    port: number,
    directory: string,
    args: readonly string[],
    process: Process,
    tls?: RedisTls,
  ) {
    this.port = port;
    this.#tls = tls;
    this.#directory = directory;
    this.#args = args;
    this.#process = process;
  }

  /** Starts a server of its own; `args` are redis-server options, e.g. `['--appendonly', 'yes']`. */
  static async start(args: readonly string[] = [], tls?: RedisTls): Promise<RedisServer> {
    const directory = temporaryDirectory('redis');
    for (let tries = 1; ; tries++) {
      const port = await freePort();
      const ports = tls
        ? ['--port', '0', '--tls-port', String(port), ...tlsArgs(tls)]
        : ['--port', String(port)];
      const all = ['--bind', '127.0.0.1', '--dir', directory, ...NOT_SAVED, ...args, ...ports];
      try {
        return new RedisServer(port, directory, all, await launch(all), tls);
      } catch (error) {
        if (tries === MAX_PORT_TRIES || !String(error).includes('Address already in use')) throw error;
      }
    }
  }

  get url(): string {
    return `${this.#tls ? 'rediss' : 'redis'}://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get output(): string {
    return this.#process.output;
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

  /** Starts again after a kill, on the same port and directory. */
  async restart(): Promise<void> {
    if (this.#process.exitCode === undefined) await this.kill();
    this.#process = await launch(this.#args);
  }

  /** One command over a connection of its own. */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const tls = this.#tls && {
      ca: readFileSync(this.#tls.caFile),
      cert: readFileSync(this.#tls.client.certFile),
      key: readFileSync(this.#tls.client.keyFile),
    };
    const options = {
      lazyConnect: true,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      ...(tls && { tls }),
    };
    const redis = new Redis(this.url, options);
    // The call below rejects with it; unheard it would be printed too.
    redis.on('error', () => {});
    try {
      await redis.connect();
      return await redis.call(name, ...args);
    } finally {
      redis.disconnect();
    }
  }

  /** What one of its settings is now. */
  async setting(name: string): Promise<string> {
    const pair = (await this.command('CONFIG', 'GET', name)) as string[];
    return pair[1] ?? '';
  }

  /** Ends it and removes its directory. */
  async stop(): Promise<void> {
    await this.#process.kill();
    removeDirectory(this.#directory);
  }
}

function tlsArgs({ server, caFile }: RedisTls): string[] {
  return [
    ...['--tls-cert-file', server.certFile],
    ...['--tls-key-file', server.keyFile],
    ...['--tls-ca-cert-file', caFile],
    ...['--tls-auth-clients', 'yes'],
  ];
}

/** Why there is no Redis under TLS here; undefined = there is. */
export async function redisTlsAbsence(): Promise<string | undefined> {
  const process = await Process.start('redis-server', ['--port', '0', '--tls-port', '1']);
  await process.exited;
  if (/not found/.test(process.output)) return 'redis-server was not found';
  return /Bad directive|wrong number of arguments/.test(process.output)
    ? 'this redis-server is built without TLS'
    : undefined;
}

async function launch(args: readonly string[]): Promise<Process> {
  const process = await Process.start('redis-server', args);
  await process.outputWith((output) => output.includes('Ready to accept connections') || undefined);
  return process;
}

export interface ClusterOptions {
  /** How many masters share the slots. */
  masters?: number;
  replicasPerMaster?: number;
  args?: readonly string[];
}

const SLOTS = 16_384;

export class RedisCluster {
  /** Masters first, in the order of their slots, then replicas of the first, the second, ... */
  readonly nodes: readonly RedisServer[];

  private constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  static async start({
    masters = 3,
    replicasPerMaster = 0,
    args = [],
  }: ClusterOptions = {}): Promise<RedisCluster> {
    const nodes = await Promise.all(
      Array.from({ length: masters * (1 + replicasPerMaster) }, () => startNode(args)),
    );
    const cluster = new RedisCluster(nodes);
    await cluster.#assignSlots(masters);
    await cluster.#meet();
    await cluster.#assignReplicas(masters, replicasPerMaster);
    await cluster.#settled();
    return cluster;
  }

  get url(): string {
    return `redis+cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async #assignSlots(masters: number): Promise<void> {
    await Promise.all(
      this.nodes.slice(0, masters).map((node, i) => {
        const first = Math.floor((i * SLOTS) / masters);
        const last = Math.floor(((i + 1) * SLOTS) / masters) - 1;
        return node.command('CLUSTER', 'ADDSLOTSRANGE', first, last);
      }),
    );
    // Unequal epochs from the start, or the nodes would spend their first seconds settling them.
    await Promise.all(this.nodes.map((node, i) => node.command('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)));
  }

  async #meet(): Promise<void> {
    const [first, ...others] = this.nodes;
    if (!first) return;
    for (const node of others) {
      const busPort = await node.setting('cluster-port');
      await first.command('CLUSTER', 'MEET', '127.0.0.1', node.port, busPort);
    }
    const knowAll = async (node: RedisServer) =>
      String(await node.command('CLUSTER', 'INFO')).includes(`cluster_known_nodes:${this.nodes.length}`);
    for (const node of this.nodes)
      await eventually(() => knowAll(node), 'cluster nodes know each other', 30_000);
  }

  async #assignReplicas(masters: number, replicasPerMaster: number): Promise<void> {
    for (let i = masters; i < this.nodes.length; i++) {
      const master = this.nodes[Math.floor((i - masters) / replicasPerMaster)];
      const id = String(await master?.command('CLUSTER', 'MYID'));
      await this.nodes[i]?.command('CLUSTER', 'REPLICATE', id);
    }
  }

  async #settled(): Promise<void> {
    for (const node of this.nodes) await eventually(() => isSettled(node), 'the cluster is ready', 30_000);
  }
}

/** All slots are served, and a replica has what its master has: before that it cannot take over. */
async function isSettled(node: RedisServer): Promise<boolean> {
  const [cluster, replication] = [
    await node.command('CLUSTER', 'INFO'),
    await node.command('INFO', 'replication'),
  ];
  const isLinked = !String(replication).includes('master_link_status:down');
  return String(cluster).includes('cluster_state:ok') && isLinked;
}

async function startNode(args: readonly string[]): Promise<RedisServer> {
  const cluster = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '2000',
    '--repl-diskless-sync-delay',
    '0',
  ];
  return RedisServer.start([...cluster, '--cluster-port', String(await freePort()), ...args]);
}
