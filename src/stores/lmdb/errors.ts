/**
 * The one way out for errors of LMDB and of the file system below it: every one becomes a Fault for the
 * caller, or one line for the operator when the environment cannot be opened.
 */
import { Fault } from '../../fault.js';

/** What a file system says when there is no room: disk, quota, or the file size limit of the process. */
const FULL = /no space left|quota exceeded|file too large|MDB_MAP_FULL|ENOSPC|EDQUOT|EFBIG/i;

export function isFull(error: unknown): boolean {
  return FULL.test(messageOf(error));
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function storeFull(cause?: unknown): Fault {
  return new Fault('STORE_FULL', 'the store is full; nothing was changed', { cause });
}

export function storeUnavailable(why: string, cause?: unknown): Fault {
  return new Fault('STORE_UNAVAILABLE', `the embedded store ${why}; nothing was changed`, { cause });
}

export function effectUnknown(cause?: unknown): Fault {
  return new Fault('EFFECT_UNKNOWN', 'the embedded store did not say whether the write is on disk', {
    cause,
  });
}

/** The reason behind lmdb's "Commit failed", which it hands out as a promise of its own. */
export async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

/** A read that failed: nothing was at stake but the answer. */
export function readFault(error: unknown): Fault {
  return error instanceof Fault ? error : storeUnavailable('could not be read', error);
}

/** The one line that says why a data directory cannot be used. */
export function openError(dataDir: string, cause: unknown): Error {
  return new Error(`cannot use the data directory ${dataDir}: ${explain(cause)}`, { cause });
}

function explain(cause: unknown): string {
  const message = messageOf(cause);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (/MDB_INVALID|not an LMDB file/i.test(message)) return 'its data.mdb is not a database of this product';
  if (/MDB_CORRUPTED|MDB_PAGE_NOTFOUND/.test(message)) return 'its data.mdb is damaged';
  if (/MDB_VERSION_MISMATCH/.test(message)) return 'its data.mdb was written by another version of LMDB';
  if (code === 'EACCES' || code === 'EPERM' || /permission denied/i.test(message)) return 'permission denied';
  if (code === 'EROFS' || /read-only file system/i.test(message)) return 'the file system is read-only';
  if (code === 'ENOTDIR' || code === 'EEXIST' || /not a directory/i.test(message))
    return 'it is not a directory';
  if (isFull(cause)) return 'the disk is full';
  return message;
}
