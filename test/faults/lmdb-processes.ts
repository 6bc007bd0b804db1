/** Starts lmdb-child.js on a data directory; needs the built product. */
import { inject } from 'vitest';
import { Process } from '../support/processes.js';

const CHILD = new URL('lmdb-child.js', import.meta.url).pathname;

export async function startChild(mode: string, ...args: string[]): Promise<Process> {
  requireProduct();
  return Process.start(process.execPath, [CHILD, mode, ...args]);
}

/** The same under a limit on the size of every file it writes; a write beyond it fails as on a full disk. */
export async function startLimitedChild(fileLimitBlocks: number, ...args: string[]): Promise<Process> {
  requireProduct();
  const script = `trap '' XFSZ; ulimit -f ${fileLimitBlocks}; exec "$@"`;
  return Process.start('/bin/sh', ['-c', script, 'sh', process.execPath, CHILD, ...args]);
}

function requireProduct(): void {
  const failure = inject('buildFailure');
  if (failure !== '') throw new Error(failure);
}

/** Whole lines that a child wrote; one that a kill cut short is left out. */
export function linesOf(child: Process): string[] {
  return child.stdout.split('\n').slice(0, -1);
}

export function isOpen(output: string): true | undefined {
  return /^open$/m.test(output) || undefined;
}
