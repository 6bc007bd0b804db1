/**
 * Changes to the contexts file. The idea to hold: it is a person's file. What he wrote, comments and all,
 * stays as it is around the change, and the file is replaced in one step, so that nobody reads half of it.
 */
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { type Document, isMap, parseDocument } from 'yaml';
import { contextsText, MAX_CONTEXTS_BYTES, parseContexts } from '../client/contexts.js';
import type { TlsOptions } from '../client/tls.js';
import { replaceFile } from '../whole-file.js';
import { InputError } from './exit.js';

/** What a command says of a context; what it does not say stays. */
export interface ContextChange {
  readonly address?: string;
  /** False takes TLS away. */
  readonly tls?: boolean;
  /** Those that are given; paths are absolute. */
  readonly tlsFiles: TlsOptions;
  readonly credentialsFile?: string;
}

/** Changes a context, or makes it. */
export function setContext(file: string, name: string, change: ContextChange): void {
  edit(file, (document) => {
    const at = (...keys: string[]) => ['contexts', name, ...keys];
    const put = (key: string, value: unknown) => document.setIn(at(key), value);
    if (change.address !== undefined) put('address', change.address);
    if (change.credentialsFile !== undefined) put('credentialsFile', change.credentialsFile);
    const { caFile: ca, certFile: cert, keyFile: key, serverName } = change.tlsFiles;
    const given = Object.entries({ ca, cert, key, serverName }).filter(([, value]) => value !== undefined);
    if (change.tls === false) document.deleteIn(at('tls'));
    else if (given.length > 0) {
      if (!isMap(document.getIn(at('tls')))) put('tls', document.createNode({}));
      for (const [each, value] of given) document.setIn(at('tls', each), value);
    } else if (change.tls && !isMap(document.getIn(at('tls')))) put('tls', true);
  });
}

export function useContext(file: string, name: string): void {
  edit(file, (document) => document.set('current', name));
}

/** Takes a context away, and with it that it is the current one. */
export function removeContext(file: string, name: string): void {
  edit(file, (document) => {
    document.deleteIn(['contexts', name]);
    if (document.get('current') === name) document.delete('current');
  });
}

function edit(file: string, change: (document: Document) => void): void {
  const before = contextsText(file);
  // What cannot be read is not for us to mend.
  parseContexts(before, file);
  const document = parseDocument(before) as Document;
  change(document);
  const text = document.toString({ lineWidth: 0 });
  parseContexts(text, file);
  if (Buffer.byteLength(text) > MAX_CONTEXTS_BYTES)
    throw new InputError(`${file}: would be longer than 1 MiB`);
  try {
    replace(file, text);
  } catch (error) {
    throw new InputError(`cannot write ${file}: ${(error as Error).message}`);
  }
}

function replace(file: string, text: string): void {
  fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // The file itself and not a link to it, as people have who keep their settings elsewhere.
  replaceFile(fs.existsSync(file) ? fs.realpathSync(file) : file, text);
}
