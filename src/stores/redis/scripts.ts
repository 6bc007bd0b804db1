/**
 * The Lua scripts, one file per atomic verb under scripts/. A script is sent by its digest; a server
 * that does not have it (restarted, flushed, new in the Cluster) says so before anything ran, and is
 * then sent the text.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Effect } from './errors.js';

export interface Script {
  readonly name: string;
  readonly text: string;
  readonly sha: string;
  readonly effect: Effect;
}

/** Loads `scripts/<name>.lua`. A script declared `no-writes` is a read. */
export function loadScript(name: string): Script {
  const text = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
  const [firstLine = ''] = text.split('\n', 1);
  if (!firstLine.startsWith('#!lua')) throw new Error(`${name}.lua must begin with #!lua`);
  const sha = createHash('sha1').update(text).digest('hex');
  return { name, text, sha, effect: firstLine.includes('no-writes') ? 'read' : 'write' };
}
