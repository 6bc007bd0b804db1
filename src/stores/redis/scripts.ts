/**
 * The Lua scripts, one file per atomic verb under scripts/. A script is sent by its digest; a server
 * that does not have it (restarted, flushed, new in the Cluster) says so before anything ran, and is
 * then sent the text. What several scripts share is a file under scripts/include/, put in where a line
 * `--- include NAME` stands, so that what a server gets is whole.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Effect } from './errors.js';

export interface Script {
  readonly name: string;
  readonly text: string;
  readonly sha: string;
  readonly effect: Effect;
  /** The reply holds bytes that are no text: its strings come as Buffers. */
  readonly isBinary: boolean;
  /** It goes out at once, and not with the others of this turn of the event loop. */
  readonly isUrgent: boolean;
}

export interface ScriptOptions {
  /** For a script that writes nothing that a caller could miss. */
  readonly effect?: Effect;
  readonly isBinary?: boolean;
  readonly isUrgent?: boolean;
  /** Included texts that are no files, by name. */
  readonly texts?: Readonly<Record<string, string>>;
}

/** Loads `scripts/<name>.lua`. A script declared `no-writes` is a read. */
export function loadScript(name: string, options: ScriptOptions = {}): Script {
  const { effect, isBinary = false, isUrgent = false, texts = {} } = options;
  const text = withIncludes(textOf(`${name}.lua`), texts);
  const [firstLine = ''] = text.split('\n', 1);
  if (!firstLine.startsWith('#!lua')) throw new Error(`${name}.lua must begin with #!lua`);
  const sha = createHash('sha1').update(text).digest('hex');
  const declared = firstLine.includes('no-writes') ? 'read' : 'write';
  return { name, text, sha, effect: effect ?? declared, isBinary, isUrgent };
}

function textOf(file: string): string {
  return readFileSync(new URL(`./scripts/${file}`, import.meta.url), 'utf8');
}

function withIncludes(text: string, texts: Readonly<Record<string, string>>): string {
  return text.replace(
    /^--- include (\S+)$/gm,
    (_line, name: string) => texts[name] ?? withIncludes(textOf(`include/${name}.lua`).trimEnd(), texts),
  );
}
