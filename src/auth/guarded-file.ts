/**
 * Reads files that decide who may do what. The one idea: a file that others can change, or a pepper that
 * they can read, is refused rather than used. Whoever owns a file can change it, whatever its mode: a server
 * takes only what is its own user's or root's; a command that lists or edits takes anybody's, for it may do
 * that for them. What a symbolic link leads to is what counts, since files that an orchestrator mounts are
 * links.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
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

/** Whose files are taken. */
type Owner = 'trusted' | 'anybody';

/** The text of an auth file. @throws AuthFileError */
export function readAuthFile(path: string, owner: Owner): string {
  return readGuarded(path, AUTH_FILE, owner, MAX_AUTH_FILE_BYTES);
}

/** The pepper in a file. @throws AuthFileError */
export function readPepper(path: string, owner: Owner): Buffer {
  const pepper = parsePepper(readGuarded(path, PEPPER, owner, 1_024));
  if (!pepper) throw new AuthFileError([`${path}: must hold 32 bytes as 43 characters of base64url`]);
  return pepper;
}

/** Whether an error, or the one behind it, says that there is no such file. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return 'code' in error ? error.code === 'ENOENT' : isMissing(error.cause);
}

function readGuarded(path: string, guard: Guard, owner: Owner, mostBytes: number): string {
  let file: number | undefined;
  try {
    // Else a pipe that nobody writes to would be waited for, and everything with it. Windows has no such flag.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const facts = fstatSync(file);
    const fault = faultOf(facts, guard, owner);
    if (fault !== undefined) throw new Error(fault);
    if (facts.size > mostBytes) throw new Error(`has ${facts.size} bytes; at most ${mostBytes} are read`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    const failure = new AuthFileError([`${path}: ${reasonOf(error as Error)}`]);
    failure.cause = error;
    throw failure;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Why a file is not read, in words; undefined = it may be. */
function faultOf(facts: Stats, { forbidden, complaint }: Guard, owner: Owner): string | undefined {
  if (!facts.isFile()) return 'is not a regular file';
  // Windows knows neither.
  const user = process.geteuid?.();
  if (user === undefined) return undefined;
  if (owner === 'trusted' && facts.uid !== user && facts.uid !== 0)
    return `belongs to user ${facts.uid}; chown it to the user that reads it (${user}) or to root`;
  return (facts.mode & forbidden) === 0 ? undefined : complaint;
}

function reasonOf(error: Error): string {
  return isMissing(error) ? 'there is no such file' : error.message;
}
