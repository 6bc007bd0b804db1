/** One process owns a data directory, whatever becomes of the one before. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEnvironment } from '../../src/stores/lmdb/environment.js';
import { OWNER_KEY } from '../../src/stores/lmdb/keys.js';
import { type LmdbEngine, openLmdb } from '../../src/stores/lmdb/open.js';
import { content, getMachine, givenMachine, never } from '../conformance/subject.js';
import { type Process, removeDirectory, temporaryDirectory } from '../support/processes.js';
import { isOpen, linesOf, startChild } from './lmdb-processes.js';

const STARTS = 20;
const SOCKET = /^owner-.*\.sock$/;

function sockets(dataDir: string): string[] {
  return readdirSync(dataDir).filter((file) => SOCKET.test(file));
}

function open(dataDir: string): Promise<LmdbEngine> {
  return openLmdb({ dataDir, durability: 'relaxed' });
}

/** Whether a child opened the directory, or with what line it ended. */
async function verdict(child: Process): Promise<string> {
  const line = (output: string) => /^(open|error .*)$/m.exec(output)?.[1];
  return child.outputWith(line);
}

describe('the owner of a data directory', () => {
  let dataDir = '';
  let children: Process[] = [];

  beforeEach(() => {
    dataDir = temporaryDirectory('owner');
  });
  afterEach(async () => {
    await Promise.all(children.map((child) => child.kill()));
    children = [];
    removeDirectory(dataDir);
  });

  async function start(): Promise<Process> {
    const child = await startChild('hold', dataDir);
    children.push(child);
    return child;
  }

  it(`is one of two that start at once, and the other says why not, ${STARTS} times over`, {
    timeout: STARTS * 10_000,
  }, async () => {
    for (let round = 0; round < STARTS; round++) {
      const pair = await Promise.all([start(), start()]);
      const verdicts = await Promise.all(pair.map(verdict));
      const winner = pair[verdicts.indexOf('open')];
      const loser = pair.find((child) => child !== winner);
      expect(await loser?.exited).toBe(1);
      if (!winner) throw new Error(`nobody won: ${verdicts.join(' | ')}`);
      expect(verdicts.filter((word) => word !== 'open')).toEqual([
        `error cannot use the data directory ${dataDir}: another process holds it, with process id ${winner.pid} where it runs`,
      ]);
      // By turns a clean end and a death, which leaves its record and its socket behind.
      if (round % 2 === 0) await winner.stop();
      else await winner.kill();
    }
  });

  it('is one of two that find the same dead owner at the same moment', async () => {
    const dead = openEnvironment({ dataDir, durability: 'relaxed', maxBytes: 2 ** 30 });
    await dead.put(OWNER_KEY, ['owner-0000000000000000.sock', 1]);
    await dead.close();
    const starts = await Promise.allSettled([open(dataDir), open(dataDir)]);
    expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    for (const start of starts)
      if (start.status === 'fulfilled') await start.value.close();
      else expect(start.reason.message).toContain('another process holds it');
  });

  it('that was killed is followed by the next start, which removes what it left', async () => {
    const dead = await start();
    await dead.outputWith(isOpen);
    await dead.kill();
    const [left] = sockets(dataDir);
    expect(left).toBeDefined();
    const engine = await open(dataDir);
    expect(sockets(dataDir)).toHaveLength(1);
    expect(sockets(dataDir)).not.toContain(left);
    await engine.close();
  });

  it('that is frozen still owns it', async () => {
    const frozen = await start();
    await frozen.outputWith(isOpen);
    frozen.pause();
    await expect(open(dataDir)).rejects.toThrow(`process id ${frozen.pid}`);
    frozen.resume();
    expect(await frozen.stop()).toBe(0);
    expect(linesOf(frozen)).toEqual(['open']);
  });

  it('that is frozen at work, in whatever it was doing, still owns it', async () => {
    const frozen = await startChild('load', dataDir, 'r');
    children.push(frozen);
    await frozen.outputWith((output) => /^ack /m.test(output) || undefined);
    frozen.pause();
    await expect(open(dataDir)).rejects.toThrow(`process id ${frozen.pid}`);
  });

  it('leaves neither record nor socket when it closes', async () => {
    await (await open(dataDir)).close();
    expect(sockets(dataDir)).toEqual([]);
    const db = openEnvironment({ dataDir, durability: 'relaxed', maxBytes: 2 ** 30 });
    expect(db.get(OWNER_KEY)).toBeUndefined();
    await db.close();
  });

  it('is refused in the same process too', async () => {
    const engine = await open(dataDir);
    await expect(open(dataDir)).rejects.toThrow(`process id ${process.pid}`);
    const store = engine.fsmStore({ outcomeRetentionMs: 60_000 });
    expect((await store.createConfiguration(content(), never)).kind).toBe('created');
    await engine.close();
  });

  it('whose record another process took over writes nothing more', async () => {
    const engine = await open(dataDir);
    const store = engine.fsmStore({ outcomeRetentionMs: 60_000 });
    const { name } = (await store.createConfiguration(content(), never)).configuration;
    await givenMachine(store, name, 'before');
    const db = openEnvironment({ dataDir, durability: 'relaxed', maxBytes: 2 ** 30 });
    const robbed = ['owner-0000000000000000.sock', 1];
    await db.put(OWNER_KEY, robbed);
    await expect(givenMachine(store, name, 'after')).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE' });
    expect(await getMachine(store, name, 'after')).toBeUndefined();
    await engine.close();
    expect(db.get(OWNER_KEY)).toEqual(robbed);
    await db.close();
  });

  it('of a directory with a path too long for a socket is found like any other', async () => {
    const deep = join(dataDir, 'd'.repeat(60), 'e'.repeat(60));
    const engine = await open(deep);
    expect(sockets(deep)).toHaveLength(1);
    await expect(open(deep)).rejects.toThrow('another process holds it');
    await engine.close();
    expect(existsSync(deep) && sockets(deep)).toEqual([]);
  });
});
