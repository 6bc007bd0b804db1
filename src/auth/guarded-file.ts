/**
 * Reads files that decide who may do what. The one idea: a file that others can change, or a pepper that
 * they can read, is refused rather than used. What a symbolic link leads to is what counts, since files that
 * an orchestrator mounts are links.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { platform } from 'node:process';
import { AuthFileError, MAX_AUTH_FILE_BYTES } from './auth-file.js';
import { parsePepper } from './secrets.js';

/** Who must not have which permission, and how that is put right. */
interface Guard {
  readonly forbidden: number;
  readonly complaint: string;
}

const AUTH_FILE: Guard = { forbidden: 0o022, complaint: 'others can write it; chmod go-w' };
/** Its group may read it: that is how a mounted secret reaches a process that does not run as root. */
const PEPPER: Guard = {
  forbidden: 0o037,
  complaint: 'others can read or write it; chmod 600, or 640 for a group',
};

/** Where the pepper of an auth file is unless said otherwise. */
export function pepperFileOf(authFile: string): string {
  return `${authFile}.pepper`;
}

/** The text of an auth file. @throws AuthFileError */
export function readAuthFile(path: string): string {
  return readGuarded(path, AUTH_FILE, MAX_AUTH_FILE_BYTES);
}

/** The pepper in a file. @throws AuthFileError */
export function readPepper(path: string): Buffer {
  const pepper = parsePepper(readGuarded(path, PEPPER, 1_024));
  if (!pepper) throw new AuthFileError([`${path}: must hold 32 bytes as 43 characters of base64url`]);
  return pepper;
}

/** Whether an error, or the one behind it, says that there is no such file. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return 'code' in error ? error.code === 'ENOENT' : isMissing(error.cause);
}

function readGuarded(path: string, guard: Guard, mostBytes: number): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { mode, size } = fstatSync(file);
    if (platform !== 'win32' && (mode & guard.forbidden) !== 0) throw new Error(guard.complaint);
    if (size > mostBytes) throw new Error(`has ${size} bytes; at most ${mostBytes} are read`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    const failure = new AuthFileError([`${path}: ${reasonOf(error as Error)}`]);
    failure.cause = error;
    throw failure;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function reasonOf(error: Error): string {
  return isMissing(error) ? 'there is no such file' : error.message;
}
