/**
 * Files that are looked at once a second, so that a new certificate or a new client holds without a
 * restart. Looking, rather than being told, works for files that are replaced by a rename, for links that
 * are turned elsewhere (as Kubernetes does with its secrets) and on file systems that tell nothing. One
 * timer for the process; it runs while anything is watched.
 */
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

const LOOK_EVERY_MS = 1_000;

/** Files that belong together. */
interface Group {
  readonly files: () => readonly string[];
  readonly onChange: () => void;
  /** What they looked like. */
  seen: string;
}

/** As many as there are settings that name files. */
const groups = new Set<Group>();
let timer: NodeJS.Timeout | undefined;
let isLooking = false;

/**
 * Calls `onChange` once whenever any of the files has changed, come or gone since this call: watch
 * first and read then, and no change is missed. `onChange` must not throw. Returns what ends it.
 */
export function watchFiles(files: () => readonly string[], onChange: () => void): () => void {
  const group = { files, onChange, seen: files().map(lookSync).join('\n') };
  groups.add(group);
  timer ??= setInterval(() => void look(), LOOK_EVERY_MS).unref();
  return () => {
    groups.delete(group);
    if (groups.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Has everything that is watched read again at once, changed or not: what SIGHUP asks for. */
export function reload(): void {
  for (const group of groups) {
    group.seen = group.files().map(lookSync).join('\n');
    group.onChange();
  }
}

/** One round; a disk that does not answer holds up this one, and no other begins. */
async function look(): Promise<void> {
  if (isLooking) return;
  isLooking = true;
  try {
    for (const group of groups) {
      const now = (await Promise.all(group.files().map(lookAt))).join('\n');
      if (now === group.seen || !groups.has(group)) continue;
      group.seen = now;
      group.onChange();
    }
  } finally {
    isLooking = false;
  }
}

interface Facts {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

async function lookAt(path: string): Promise<string> {
  const facts = await stat(path, { bigint: true }).catch(() => undefined);
  return shown(facts);
}

function lookSync(path: string): string {
  try {
    return shown(statSync(path, { bigint: true }));
  } catch {
    return shown(undefined);
  }
}

function shown(facts: Facts | undefined): string {
  if (facts === undefined) return 'none';
  return [facts.dev, facts.ino, facts.size, facts.mtimeNs, facts.ctimeNs].join(' ');
}
