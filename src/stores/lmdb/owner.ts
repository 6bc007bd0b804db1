/**
 * One process owns a data directory. Its record lies inside the database and names a socket in the
 * directory, on which it listens for as long as it lives; the kernel answers for a process that is
 * stopped and for none that is dead, which is exactly the question. A starting process listens first
 * and then replaces the record, in one write transaction and only if it is still the one it found dead:
 * of two that start at once the second finds a record that has changed. Every later transaction looks
 * at the record again, so a process that was wrongly given up writes nothing more.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Database, openForReading } from './environment.js';
import { messageOf, openError } from './errors.js';
import { OWNER_KEY } from './keys.js';

/** [name of the socket in the data directory, process id as its own system sees it] */
type OwnerRecord = [string, number];

/** A socket's path may have 107 bytes on Linux, 103 elsewhere. */
const MAX_SOCKET_PATH_BYTES = 103;
const SOCKET_NAME = /^owner-[0-9a-f]{16}\.sock$/;
/** Each attempt is lost only to a process that started and won, or won and died. */
const MAX_ATTEMPTS = 20;
/** Sockets of the dead that one start removes at most. */
const MAX_SWEPT = 100;

export interface Ownership {
  /** To be asked inside a transaction: is the record still this process's? */
  isHeld(): boolean;
  /** Gives the directory up, if it is still held. */
  release(options: { leaveRecord: boolean }): Promise<void>;
}

/**
 * Throws if a living process owns the directory, by reading alone: opening it for writing would wait for
 * a transaction under way, which a process that is frozen in one never ends.
 */
export async function refuseHeld(dataDir: string): Promise<void> {
  const db = openForReading(dataDir);
  if (!db) return;
  const found = current(db);
  await db.close();
  if (found && (await isAlive(dataDir, found[0]))) throw heldBy(dataDir, found[1]);
}

/** Makes this process the owner of the directory, or throws one line that says who is. */
export async function takeOwnership(db: Database, dataDir: string): Promise<Ownership> {
  const socket = `owner-${randomBytes(8).toString('hex')}.sock`;
  const server = await listen(dataDir, socket);
  try {
    await replaceDeadOwner(db, dataDir, socket);
  } catch (error) {
    await stopListening(server, dataDir, socket);
    throw error;
  }
  await removeDeadSockets(dataDir, socket);
  return {
    isHeld: () => current(db)?.[0] === socket,
    release: async ({ leaveRecord }) => {
      if (!leaveRecord) removeRecord(db, socket);
      await stopListening(server, dataDir, socket);
    },
  };
}

/** Only a courtesy to the next owner, who would find this one dead: on a full disk it may fail. */
function removeRecord(db: Database, socket: string): void {
  try {
    db.transactionSync(() => {
      if (current(db)?.[0] === socket) db.removeSync(OWNER_KEY);
    });
  } catch {}
}

function current(db: Database): OwnerRecord | undefined {
  return db.get(OWNER_KEY) as OwnerRecord | undefined;
}

async function replaceDeadOwner(db: Database, dataDir: string, socket: string): Promise<void> {
  const mine: OwnerRecord = [socket, process.pid];
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const found = current(db);
    if (found && (await isAlive(dataDir, found[0]))) throw heldBy(dataDir, found[1]);
    const won = db.transactionSync(() => {
      if (current(db)?.[0] !== found?.[0]) return false;
      db.putSync(OWNER_KEY, mine);
      return true;
    });
    if (won) return;
  }
  throw openError(dataDir, new Error('other processes keep starting on it'));
}

function heldBy(dataDir: string, pid: number): Error {
  return openError(dataDir, new Error(`another process holds it, with process id ${pid} where it runs`));
}

/** Only a refused connection, or no socket at all, is the word of the dead. */
function isAlive(dataDir: string, socket: string): Promise<boolean> {
  return withSocketPath(dataDir, socket, (path) => {
    return new Promise<boolean>((resolve) => {
      const probe = connect(path);
      const answer = (alive: boolean) => {
        probe.destroy();
        resolve(alive);
      };
      probe.once('connect', () => answer(true));
      probe.once('error', (error: NodeJS.ErrnoException) =>
        answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
      );
    });
  });
}

function listen(dataDir: string, socket: string): Promise<Server> {
  return withSocketPath(dataDir, socket, (path) => {
    return new Promise<Server>((resolve, reject) => {
      const server = createServer((peer) => peer.destroy());
      server.once('error', (error) =>
        reject(openError(dataDir, new Error(messageOf(error), { cause: error }))),
      );
      server.listen(path, () => {
        server.unref();
        resolve(server);
      });
    });
  });
}

async function stopListening(server: Server, dataDir: string, socket: string): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
  rmSync(join(dataDir, socket), { force: true });
}

async function removeDeadSockets(dataDir: string, mine: string): Promise<void> {
  const others = readdirSync(dataDir).filter((file) => SOCKET_NAME.test(file) && file !== mine);
  for (const socket of others.slice(0, MAX_SWEPT))
    if (!(await isAlive(dataDir, socket))) rmSync(join(dataDir, socket), { force: true });
}

/** Calls `use` with a path to the socket that is short enough, by way of a link where it must be. */
async function withSocketPath<T>(
  dataDir: string,
  socket: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(resolve(dataDir), socket);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return use(path);
  const linkDir = mkdtempSync(join(tmpdir(), 'sg-'));
  try {
    symlinkSync(resolve(dataDir), join(linkDir, 'd'));
    return await use(join(linkDir, 'd', socket));
  } finally {
    rmSync(linkDir, { recursive: true, force: true });
  }
}
