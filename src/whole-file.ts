/**
 * Writes files that are there as a whole or not at all, whatever happens meanwhile: a new one is written
 * beside the old one, flushed, and put in its place by one rename.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname } from 'node:path';

/** Only its owner may read it. */
const PRIVATE = 0o600;

/** Puts a file in the place of another, with the same mode and owner; a new one is its owner's alone. */
export function replaceFile(path: string, text: string): void {
  const before = fs.statSync(path, { throwIfNoEntry: false });
  const beside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeNew(beside, text, before);
    fs.renameSync(beside, path);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
  flushDirectory(path);
}

/** Makes a file that must not be there yet, with the owner of `like` where that exists. */
export function createFile(path: string, text: string, like?: string): void {
  const model = like === undefined ? undefined : fs.statSync(like, { throwIfNoEntry: false });
  let isMade = false;
  try {
    writeNew(path, text, model && { uid: model.uid, gid: model.gid, mode: PRIVATE }, () => {
      isMade = true;
    });
  } catch (error) {
    if (isMade) fs.rmSync(path, { force: true });
    throw error;
  }
  flushDirectory(path);
}

interface Rights {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

function writeNew(path: string, text: string, rights?: Rights, onMade?: () => void): void {
  const file = fs.openSync(path, 'wx', PRIVATE);
  onMade?.();
  try {
    fs.writeFileSync(file, text);
    if (rights) takeOver(file, rights);
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

/** A file that changed hands unasked could be one that the server cannot read any more. */
function takeOver(file: number, { mode, uid, gid }: Rights): void {
  const own = fs.fstatSync(file);
  if (own.uid !== uid || own.gid !== gid) giveTo(file, uid, gid);
  fs.fchmodSync(file, mode & 0o777);
}

function giveTo(file: number, uid: number, gid: number): void {
  try {
    fs.fchownSync(file, uid, gid);
  } catch (error) {
    const message = `the file belongs to user ${uid} and group ${gid}; run this as them, or as root`;
    throw new Error(message, { cause: error });
  }
}

/** So that the name survives a power failure too. */
function flushDirectory(path: string): void {
  if (process.platform === 'win32') return;
  const directory = fs.openSync(dirname(path), 'r');
  try {
    fs.fsyncSync(directory);
  } finally {
    fs.closeSync(directory);
  }
}
