/** Disks that are full, files that break, directories that cannot be used. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open as openForeign } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimFormat, openEnvironment } from '../../src/stores/lmdb/environment.js';
import { FORMAT_KEY } from '../../src/stores/lmdb/keys.js';
import { openLmdb, peekDeployment } from '../../src/stores/lmdb/open.js';
import {
  audit,
  command,
  content,
  givenMachine,
  historyOf,
  listAll,
  never,
  newMachine,
  send,
} from '../conformance/subject.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { linesOf, startChild, startLimitedChild } from './lmdb-processes.js';

/** 2 or 4 MiB, by how the shell counts. */
const FILE_LIMIT_BLOCKS = 4_096;

let dataDir = '';
beforeEach(() => {
  dataDir = temporaryDirectory('disk');
});
afterEach(() => removeDirectory(dataDir));

async function reportOf(child: Awaited<ReturnType<typeof startChild>>): Promise<Record<string, unknown>> {
  await child.exited;
  const line = linesOf(child).find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(child.output);
  return JSON.parse(line) as Record<string, unknown>;
}

describe('an embedded store on a full disk', () => {
  it('refuses with STORE_FULL, changes nothing, and goes on reading and deleting', async () => {
    const report = await reportOf(await startLimitedChild(FILE_LIMIT_BLOCKS, 'fill', dataDir));
    expect(report.refusals).toEqual(['STORE_FULL']);
    expect(report.refusedEvent).toBe('STORE_FULL');
    const { machines, entries, differences, closed, open, acknowledged } = report.full as Record<
      string,
      number
    >;
    expect(acknowledged).toBeGreaterThan(500);
    expect({ machines, entries, closed }).toEqual({
      machines: acknowledged,
      entries: acknowledged,
      closed: acknowledged,
    });
    expect({ differences, open }).toEqual({ differences: 0, open: 0 });
    expect(report.found).toBe(0);
    expect(report.deletions).toEqual(['ok']);
    expect(report.after).toMatchObject({ differences: 0 });
  });

  it('goes on where it was once there is room', async () => {
    await reportOf(await startLimitedChild(FILE_LIMIT_BLOCKS, 'fill', dataDir));
    const engine = await openLmdb({ dataDir, durability: 'fsync' });
    const store = engine.fsmStore({ outcomeRetentionMs: 60_000 });
    for (let i = 0; i < 100; i++) await givenMachine(store, 'door', `new-${i}`);
    expect((await audit(store, 'door')).differences).toEqual([]);
    await engine.close();
  });
});

describe('an embedded store at its size limit', () => {
  it('refuses what grows, changes nothing, and takes more when something was deleted', async () => {
    const engine = await openLmdb({ dataDir, durability: 'relaxed', maxBytes: 256 * 1024 });
    const store = engine.fsmStore({ outcomeRetentionMs: 60_000 });
    const { name } = (await store.createConfiguration(content(), never)).configuration;
    const create = (id: string) => store.createMachine(newMachine(name, id), never);
    let made = 0;
    const full = { reason: 'STORE_FULL' };
    await expect(async () => {
      for (; made < 10_000; made++) await create(`m${made}`);
    }).rejects.toMatchObject(full);
    await expect(send(store, name, 'm0', command('open'))).rejects.toMatchObject(full);
    expect(await historyOf(store, name, 'm0')).toEqual([]);
    expect(await listAll(store, name)).toHaveLength(made);
    expect(await store.countByState(name, ['closed', 'open'], undefined, never)).toEqual([made, 0]);
    for (let i = 0; i < made; i++) await store.deleteMachine(name, `m${i}`, undefined, never);
    expect((await create('again')).kind).toBe('created');
    expect((await audit(store, name)).differences).toEqual([]);
    await engine.close();
  });
});

describe.skipIf(process.platform !== 'linux')('an embedded store whose file breaks', () => {
  it('says that nothing was changed when the pages cannot be written, and writes no more', async () => {
    const report = await reportOf(await startChild('break', dataDir, '0'));
    expect(report.files).toBe(2);
    expect(new Set(report.words as string[])).toEqual(new Set(['STORE_UNAVAILABLE']));
    expect(report).toMatchObject({ later: 'STORE_UNAVAILABLE', reads: 'ok', seen: false });
    await expectSound(['before']);
  });

  it('says EFFECT_UNKNOWN when the commit mark cannot be written, and neither reads nor writes on', async () => {
    const child = await startChild('break', dataDir, '1');
    const report = await reportOf(child);
    expect(report.words).toEqual(['EFFECT_UNKNOWN', 'EFFECT_UNKNOWN', 'EFFECT_UNKNOWN']);
    expect(report).toMatchObject({ later: 'STORE_UNAVAILABLE', reads: 'STORE_UNAVAILABLE', seen: false });
    expect(linesOf(child)).toContain('closed');
    await expectSound(['before']);
  });

  /** Opened again, the store has what was acknowledged and no half of anything. */
  async function expectSound(ids: string[]): Promise<void> {
    const engine = await openLmdb({ dataDir, durability: 'fsync' });
    const store = engine.fsmStore({ outcomeRetentionMs: 60_000 });
    expect((await listAll(store, 'door')).map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
    expect((await audit(store, 'door')).differences).toEqual([]);
    await engine.close();
  }
});

describe('a data directory that cannot be used', () => {
  const refused = (why: string) => `cannot use the data directory ${dataDir}: ${why}`;
  const open = () => openLmdb({ dataDir, durability: 'fsync' });

  it('is named in one line when its database is none', async () => {
    writeFileSync(join(dataDir, 'data.mdb'), Buffer.alloc(64 * 1024, 'not a database'));
    await expect(open()).rejects.toThrow(refused('its data.mdb is not a database of this product'));
  });

  it('is refused when its database is of another product, which is left as it was', async () => {
    const foreign = openForeign({ path: dataDir, noSubdir: false, keyEncoding: 'binary' } as Parameters<
      typeof openForeign
    >[0]);
    await foreign.put(Buffer.from('theirs'), 1);
    await foreign.close();
    await expect(open()).rejects.toThrow(refused('its data.mdb is not a database of this product'));
  });

  it('is refused when its data is of a newer format', async () => {
    const db = openEnvironment({ dataDir, durability: 'fsync', maxBytes: 2 ** 30 });
    claimFormat(db);
    db.transactionSync(() => db.putSync(FORMAT_KEY, [99, 'id']));
    await db.close();
    await expect(open()).rejects.toThrow(
      /its data has format 99, this release reads up to \d+; start a newer release$/,
    );
  });

  it('is refused when it is a file', async () => {
    removeDirectory(dataDir);
    writeFileSync(dataDir, '');
    await expect(open()).rejects.toThrow(refused('it is not a directory'));
  });

  it.skipIf(process.getuid?.() === 0)('is refused when it may not be written', async () => {
    chmodSync(dataDir, 0o500);
    await expect(open()).rejects.toThrow(refused('permission denied'));
    chmodSync(dataDir, 0o700);
  });

  it('is no deployment while it is empty or absent', async () => {
    expect(await peekDeployment(dataDir)).toBeUndefined();
    expect(await peekDeployment(join(dataDir, 'absent'))).toBeUndefined();
    mkdirSync(join(dataDir, 'empty'));
    expect(await peekDeployment(join(dataDir, 'empty'))).toBeUndefined();
  });
});
