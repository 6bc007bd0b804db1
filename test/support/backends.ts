/**
 * The engines of a test run: given by URL, else started, else not there. The idea to hold: they are
 * shared by all tests of a run, and a test keeps to a namespace of its own. Tests that break an engine
 * start one for themselves (redis-server.ts).
 */
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { RedisCluster, RedisServer } from './redis-server.js';

export type EngineName = 'redis' | 'redisCluster';

/** Where an engine is, or why it is not there. JSON, since it travels to the test processes. */
export type Engine = { url: string } | { missing: string };

declare module 'vitest' {
  interface ProvidedContext {
    engines: Record<EngineName, Engine>;
    /** Why the product could not be built; empty = it stands in dist. */
    buildFailure: string;
  }
}

interface Running {
  url: string;
  stop(): Promise<void>;
}

const SOURCES: Record<EngineName, { variable: string; title: string; start(): Promise<Running> }> = {
  redis: { variable: 'SWITCHGEAR_TEST_REDIS', title: 'Redis', start: () => RedisServer.start() },
  redisCluster: {
    variable: 'SWITCHGEAR_TEST_REDIS_CLUSTER',
    title: 'Redis Cluster',
    start: () => RedisCluster.start(),
  },
};

/** For the global setup: finds or starts every engine. `stop` ends those that were started. */
export async function startEngines(): Promise<{
  engines: Record<EngineName, Engine>;
  stop(): Promise<void>;
}> {
  const running: Running[] = [];
  const find = async (name: EngineName): Promise<Engine> => {
    const { variable, title, start } = SOURCES[name];
    const url = process.env[variable];
    if (url) return { url };
    try {
      const engine = await start();
      running.push(engine);
      return { url: engine.url };
    } catch (error) {
      return { missing: absence(title, variable, error) };
    }
  };
  const stop = async () => void (await Promise.all(running.map((engine) => engine.stop())));
  const [redis, redisCluster] = await Promise.all([find('redis'), find('redisCluster')]);
  return { engines: { redis, redisCluster }, stop };
}

function absence(title: string, variable: string, error: unknown): string {
  const [firstLine] = String(error instanceof Error ? error.message : error).split('\n');
  const line = `${title} was not found (no ${variable}, and no redis-server that starts: ${firstLine}): its tests are skipped`;
  if (process.env.SWITCHGEAR_REQUIRE_BACKENDS === 'all') throw new Error(line, { cause: error });
  console.warn(line);
  return line;
}

/** The URL of a shared engine, or undefined: `describe.skipIf(!engineUrl('redis'))`. */
export function engineUrl(name: EngineName): string | undefined {
  const engine = inject('engines')[name];
  return 'url' in engine ? engine.url : undefined;
}

/** A namespace that no other test uses. */
export function randomNamespace(): string {
  return `test-${randomBytes(8).toString('hex')}`;
}
