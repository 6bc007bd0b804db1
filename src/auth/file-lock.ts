/**
 * A lock beside a file, so that two commands which change it at once do it one after the other. It is a file
 * that only one can make; a command that was killed leaves it behind, and then whoever waits in vain is told
 * what it is and how it goes away. Nothing takes it away by itself: it could be the wrong moment.
 */
import { close, open, readFileSync, rmSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A change takes milliseconds, a second with the most clients there may be. */
const LONGEST_WAIT_MS = 10_000;
const EVERY_MS = 25;

/** Runs `action` while it holds the lock of the file. @throws Error when others hold it for too long */
export async function locked<T>(path: string, action: () => T, longestWaitMs = LONGEST_WAIT_MS): Promise<T> {
  const lock = `${path}.lock`;
  const deadlineMs = performance.now() + longestWaitMs;
  while (!(await made(lock))) {
    if (performance.now() > deadlineMs) throw new Error(complaint(lock));
    await sleep(EVERY_MS);
  }
  try {
    return action();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Whether this process has made it; false = it is there already. */
async function made(lock: string): Promise<boolean> {
  try {
    const file = await promisify(open)(lock, 'wx', 0o600);
    await promisify(write)(file, `${process.pid}\n`);
    await promisify(close)(file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    throw code === 'ENOENT' ? new Error(`${dirname(lock)}: there is no such directory`) : error;
  }
}

function complaint(lock: string): string {
  return (
    `${lock} has been there for too long: process ${holderOf(lock)} changes the file, or was ended while it ` +
    'did; if it does not run any more, remove the lock file and try again'
  );
}

function holderOf(lock: string): string {
  try {
    return /^\d+/.exec(readFileSync(lock, 'utf8'))?.[0] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
