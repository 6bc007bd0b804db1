/** The arrows of the architecture, read from the imports themselves: who may know whom. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('..', import.meta.url).pathname;
const DOMAINS = ['fsm', 'bus', 'circuit', 'coordination', 'eventlog'];
const STORES = ['redis', 'lmdb', 'etcd', 'mongo'];

/** Files at the top of src that any part may use: values and types without I/O. */
const COMMON = ['fault.ts', 'clock.ts', 'call.ts', 'page.ts', 'timestamp.ts', 'bounded-map.ts'];

/** What the cli may use of auth: what edits the file of clients, which no server needs to be there for. */
const EDITS_CLIENTS = 'src/auth/client-edits.ts';
/** How files of people are written, by whoever changes one. */
const WHOLE_FILES = 'src/whole-file.ts';

interface Import {
  /** The importing file, from src. */
  file: string;
  /** What it imports: a path from the repository's root, or a package's name. */
  target: string;
}

/** Why an import must not be; undefined = it may. */
function objection({ file, target }: Import): string | undefined {
  const [part = ''] = file.split('/');
  if (DOMAINS.includes(part)) return ofDomain(part, target);
  if (part === 'stores') return ofStore(file.split('/')[1] ?? '', target);
  if (part === 'client') return ofClient(target);
  if (part === 'cli') return ofCli(target);
  if (part === 'auth') return ofAuth(target);
  if (part === 'server')
    return inside(target, ['src/client', 'src/cli', 'src/main']) ? 'a server knows no client' : undefined;
  if (
    COMMON.includes(file) &&
    target.startsWith('src/') &&
    !inside(
      target,
      COMMON.map((name) => `src/${name}`),
    )
  )
    return 'what all share knows nobody';
  return undefined;
}

function ofDomain(domain: string, target: string): string | undefined {
  const allowed = ['gen', `src/${domain}`, ...COMMON.map((name) => `src/${name}`)];
  if (isLocal(target))
    return inside(target, allowed) ? undefined : 'a domain knows gen, fault, clock, call and itself';
  return /^(node:(crypto|util|events|timers)|@bufbuild\/protobuf)/.test(target)
    ? undefined
    : 'a domain does no I/O of its own';
}

function ofAuth(target: string): string | undefined {
  if (!isLocal(target))
    return /^(node:|yaml$|@bufbuild\/protobuf)/.test(target)
      ? undefined
      : 'auth reads files and messages only';
  const allowed = ['gen', 'src/auth', WHOLE_FILES, ...COMMON.map((name) => `src/${name}`)];
  return inside(target, allowed) ? undefined : 'auth knows gen, fault, clock, call and itself';
}

function ofStore(engine: string, target: string): string | undefined {
  const others = STORES.filter((each) => each !== engine).map((each) => `src/stores/${each}`);
  if (inside(target, ['src/server', 'src/client', 'src/cli', 'src/main', 'src/config', 'src/auth']))
    return 'a store knows no transport and no caller';
  if (inside(target, others)) return 'a store knows no other store';
  if (/^src\/\w+\/service/.test(target)) return 'a store knows ports and rules, not services';
  return undefined;
}

function ofClient(target: string): string | undefined {
  return isLocal(target) && !inside(target, ['gen', 'src/client']) ? 'the client knows gen only' : undefined;
}

function ofCli(target: string): string | undefined {
  return isLocal(target) && !inside(target, ['src/client', 'src/cli', EDITS_CLIENTS, WHOLE_FILES])
    ? 'the cli talks through the client only'
    : undefined;
}

function isLocal(target: string): boolean {
  return target.startsWith('src/') || target.startsWith('gen/') || target.startsWith('test/');
}

function inside(target: string, places: readonly string[]): boolean {
  return places.some(
    (place) => target === place || target.startsWith(`${place}/`) || target.startsWith(`${place}.`),
  );
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g;

/** Every import of a source text, static, dynamic, for effect or for types alone. */
function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    if (!specifier.startsWith('.')) return { file, target: specifier };
    const path = resolve(ROOT, 'src', file, '..', specifier);
    return { file, target: relative(ROOT, path).replace(/\.js$/, '.ts') };
  });
}

function sources(): string[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
}

/** The objections to a file with this text, one line each. */
function objections(file: string, text: string): string[] {
  return importsOf(file, text).flatMap((each) => {
    const why = objection(each);
    return why ? [`${file} imports ${each.target}: ${why}`] : [];
  });
}

describe('the arrows', () => {
  it('point from servers and stores to domains, and nowhere else', () => {
    const found = sources().flatMap((file) =>
      objections(file, readFileSync(join(ROOT, 'src', file), 'utf8')),
    );
    expect(found).toEqual([]);
  });

  it('are read from every import there is', () => {
    for (const file of sources()) {
      const text = readFileSync(join(ROOT, 'src', file), 'utf8');
      for (const { target } of importsOf(file, text))
        if (isLocal(target)) expect(existsSync(join(ROOT, target)), `${file} imports ${target}`).toBe(true);
    }
  });

  it.each([
    ['fsm/service.ts', "import { openRedis } from '../stores/redis/open.js';"],
    ['fsm/service.ts', "import type { Bus } from '../bus/store.js';"],
    ['fsm/service.ts', "import { pipeline } from '../server/pipeline.js';"],
    ['fsm/machine.ts', "import { readFileSync } from 'node:fs';"],
    ['fsm/machine.ts', "import {\n  Redis,\n} from 'ioredis';"],
    ['fsm/store.ts', "export type { LmdbFsmStore } from '../stores/lmdb/fsm.js';"],
    ['fsm/store.ts', "const late = await import('../stores/lmdb/fsm.js');"],
    ['eventlog/service.ts', "import '../bus/delivery.js';"],
    ['stores/redis/fsm.ts', "import { keyOf } from '../lmdb/keys.js';"],
    ['stores/redis/fsm.ts', "import { toStatus } from '../../server/status.js';"],
    ['stores/lmdb/fsm.ts', "import { FsmService } from '../../fsm/service.js';"],
    ['client/fsm.ts', "import { Fault } from '../fault.js';"],
    ['cli/fsm.ts', "import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';"],
    ['server/grpc.ts', "import { connect } from '../client/client.js';"],
    ['cli/client.ts', "import { openAuth } from '../auth/open-auth.js';"],
    ['client/connect.ts', "import { parseGrant } from '../auth/grants.js';"],
    ['fsm/service.ts', "import type { Client } from '../auth/client.js';"],
    ['stores/lmdb/fsm.ts', "import type { Client } from '../../auth/client.js';"],
    ['auth/rules.ts', "import { bus } from '../bus/service.js';"],
    ['auth/open-auth.ts', "import { openLog } from '../server/log.js';"],
    ['auth/open-auth.ts', "import { pino } from 'pino';"],
    ['fault.ts', "import { Machine } from './fsm/machine.js';"],
  ])('would be broken by %s: %s', (file, text) => {
    expect(objections(file, text)).toHaveLength(1);
  });

  it.each([
    [
      'fsm/service.ts',
      "import { Fault } from '../fault.js';\nimport { A } from '../../gen/switchgear/fsm/v1/fsm_pb.js';",
    ],
    [
      'stores/redis/fsm.ts',
      "import { decide } from '../../fsm/machine.js';\nimport { Redis } from 'ioredis';",
    ],
    ['stores/redis/placement.ts', "import type { PlacementStore } from '../../placement.js';"],
    ['server/compose.ts', "import { openRedis } from '../stores/redis/open.js';"],
    ['server/pipeline.ts', "import type { Authenticator } from '../auth/authenticator.js';"],
    ['cli/client.ts', "import { addClient } from '../auth/client-edits.js';"],
    ['auth/open-auth.ts', "import { readFileSync } from 'node:fs';\nimport { Fault } from '../fault.js';"],
    ['cli/fsm.ts', "import { connect } from '../client/client.js';"],
  ])('allow %s: %s', (file, text) => {
    expect(objections(file, text)).toEqual([]);
  });
});

describe('sibling folders', () => {
  it.each(['open.ts', 'keys.ts', 'errors.ts', 'placement.ts', 'fsm.ts'])('of stores both have %s', (name) => {
    for (const engine of ['lmdb', 'redis'])
      expect(existsSync(join(ROOT, 'src/stores', engine, name)), engine).toBe(true);
  });
});

describe('the process', () => {
  it('has the same options of Node by `npm start` and as a command', () => {
    const optionsIn = (text: string) => text.match(/(?<= )--\S+/g);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const [firstLine = ''] = readFileSync(join(ROOT, 'src/main.ts'), 'utf8').split('\n');
    expect(optionsIn(firstLine)).toEqual(optionsIn(scripts.start));
  });
});

describe('every module', () => {
  it('is loaded once: nothing in src loads by `require`', () => {
    // A driver that is loaded both ways has two lives in one process. lmdb's shared one native buffer
    // between them, and reads got each other's bytes.
    const loaders = sources().filter((file) =>
      /\bcreateRequire\b|(?<![.\w])require\(\s*['"`]/.test(
        readFileSync(join(ROOT, 'src', file), 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, ''),
      ),
    );
    expect(loaders).toEqual([]);
  });
});
