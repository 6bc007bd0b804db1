/**
 * What a Redis server says of itself: which version it is, what its death may cost, and what of its
 * settings endangers the data. Read once at start.
 */
import type { EngineDescription } from '../../placement.js';
import type { Client } from './client.js';

/** `#!lua` scripts, and streams that count the entries ever added, came with it. */
const OLDEST_MAJOR = 7;

/** Asks every server that holds data; the weakest one speaks for all. Throws if one is too old. */
export async function readDescription(client: Client, location: string): Promise<EngineDescription> {
  const servers = await Promise.all(client.router.slotOfEachServer().map((slot) => readServer(client, slot)));
  const [first] = servers;
  if (!first) throw new Error('no server holds any slot');
  for (const { version } of servers)
    if (Number.parseInt(version, 10) < OLDEST_MAJOR)
      throw new Error(`Redis ${version} is too old; ${OLDEST_MAJOR}.0 or later is needed`);
  const weakest = servers.reduce((a, b) => (b.losesMs > a.losesMs ? b : a));
  const policies = new Set(servers.map(({ evicts }) => evicts).filter((policy) => policy !== ''));
  return {
    engine: 'redis',
    version: first.version,
    durability: weakest.durability,
    location,
    warnings: [...policies].map(
      (policy) =>
        `maxmemory-policy is ${policy}: a full Redis drops data that was acknowledged; set it to noeviction`,
    ),
  };
}

interface ServerFacts {
  readonly version: string;
  readonly durability: string;
  readonly losesMs: number;
  /** The eviction policy if it endangers data, else empty. */
  readonly evicts: string;
}

async function readServer(client: Client, slot: number): Promise<ServerFacts> {
  const info = String(await client.read(slot, 'info', ['everything']));
  const fact = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
  const policy = fact('maxmemory_policy');
  return {
    version: fact('redis_version'),
    evicts: policy === '' || policy === 'noeviction' ? '' : policy,
    ...durabilityOf(fact('aof_enabled') === '1', await readFsync(client, slot)),
  };
}

/** Managed services often forbid CONFIG; then it is not known. */
async function readFsync(client: Client, slot: number): Promise<string> {
  const reply = await client.read(slot, 'config', ['GET', 'appendfsync']).catch(() => []);
  return String((reply as string[])[1] ?? 'unknown');
}

function durabilityOf(hasAppendOnlyFile: boolean, fsync: string): { durability: string; losesMs: number } {
  if (!hasAppendOnlyFile)
    return {
      durability: 'engine; the death of Redis may cost everything since its last snapshot',
      losesMs: Infinity,
    };
  switch (fsync) {
    case 'always':
      return { durability: 'engine; the death of Redis costs nothing', losesMs: 0 };
    case 'everysec':
      return { durability: 'engine; the death of Redis may cost about the last 2 s', losesMs: 2_000 };
    default:
      return {
        durability: `engine; appendfsync is ${fsync}: the death of Redis may cost the last 30 s or so`,
        losesMs: 30_000,
      };
  }
}
