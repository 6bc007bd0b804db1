/**
 * The contexts file: servers by name, with how each is reached, and which of them is meant when nobody says.
 *
 *   current: prod
 *   contexts:
 *     prod:
 *       address: switchgear.example.com:7398
 *       tls: {ca: ca.pem}             # or true: the CAs that Node trusts; also cert, key, serverName
 *       credentialsFile: prod.secret
 *
 * It holds paths and never secrets, so it may be shown and kept with other settings. A relative path counts
 * from the folder of the file.
 */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { checkAddress } from './address.js';
import type { TlsOptions } from './tls.js';

export interface Context {
  readonly address: string;
  /** True = the CAs that Node trusts; false or unset = plaintext. Paths are absolute. */
  readonly tls?: TlsOptions | boolean;
  readonly credentialsFile?: string;
}

export interface Contexts {
  readonly file: string;
  /** Which is meant when nobody says. It need not be there. */
  readonly current: string | undefined;
  readonly byName: ReadonlyMap<string, Context>;
}

export const MAX_CONTEXTS_BYTES = 1024 * 1024;
/** A name is typed in shells and stands in messages. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Under `tls` in the file, and what it is called in options. */
const TLS_KEYS = { ca: 'caFile', cert: 'certFile', key: 'keyFile', serverName: 'serverName' } as const;

/** Where the contexts file is: SWITCHGEAR_CONTEXTS, or the place for settings of the user. */
export function contextsFile(env: NodeJS.ProcessEnv): string {
  if (env.SWITCHGEAR_CONTEXTS) return resolve(env.SWITCHGEAR_CONTEXTS);
  const configured = env.XDG_CONFIG_HOME;
  const folder = configured && isAbsolute(configured) ? configured : join(env.HOME || homedir(), '.config');
  return join(folder, 'switchgear', 'contexts.yaml');
}

/** Reads a contexts file; one that is not there holds none. @throws TypeError that names what is wrong */
export function readContexts(file: string): Contexts {
  return parseContexts(contextsText(file), file);
}

/** The text of a contexts file; empty when there is none. @throws TypeError when it cannot be read */
export function contextsText(file: string): string {
  try {
    if (statSync(file).size > MAX_CONTEXTS_BYTES) throw new TypeError('is longer than 1 MiB');
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new TypeError(`cannot read the contexts in ${file}: ${(error as Error).message}`);
  }
}

/** @throws TypeError that names all that is wrong, each with its field */
export function parseContexts(text: string, file: string): Contexts {
  const complaints: string[] = [];
  const top = new Fields(documentIn(text, file), '', complaints);
  top.only('current', 'contexts');
  const current = top.text('current');
  const contexts = top.map('contexts');
  const byName = new Map<string, Context>();
  for (const name of contexts?.keys ?? []) {
    if (!isContextName(name)) complaints.push(`contexts: "${name.slice(0, 64)}" is not a name; ${NAME_RULE}`);
    const fields = contexts?.map(name);
    if (fields) byName.set(name, contextOf(fields, dirname(resolve(file))));
  }
  if (complaints.length > 0) throw new TypeError(`${file}: ${complaints.join('; ')}`);
  return { file, current, byName };
}

export const NAME_RULE = 'it must be 1 to 64 letters, digits, dots, dashes or underscores';

export function isContextName(name: string): boolean {
  return NAME.test(name);
}

function documentIn(text: string, file: string): unknown {
  try {
    const document = parseDocument(text);
    const [error] = document.errors;
    if (error) throw error;
    return document.toJS() ?? {};
  } catch (error) {
    // Its first line says what and where; the ones after it quote the text.
    throw new TypeError(`${file}: ${(error as Error).message.split('\n')[0]?.replace(/:$/, '')}`);
  }
}

function contextOf(fields: Fields, folder: string): Context {
  fields.only('address', 'tls', 'credentialsFile');
  const address = fields.text('address') ?? fields.lacks('address');
  if (address !== undefined) fields.check('address', () => checkAddress(address));
  const credentialsFile = fields.text('credentialsFile');
  const tls = fields.flag('tls') ?? tlsOf(fields.map('tls'), folder);
  return {
    address: address ?? '',
    ...(tls !== undefined && { tls }),
    ...(credentialsFile && { credentialsFile: resolve(folder, credentialsFile) }),
  };
}

function tlsOf(fields: Fields | undefined, folder: string): TlsOptions | undefined {
  if (!fields) return undefined;
  fields.only(...Object.keys(TLS_KEYS));
  const given = Object.entries(TLS_KEYS).flatMap(([key, option]) => {
    const text = fields.text(key);
    if (text === undefined) return [];
    return [[option, key === 'serverName' ? text : resolve(folder, text)]];
  });
  return Object.fromEntries(given) as TlsOptions;
}

/** A map of the file; complaints name the field by its path. */
class Fields {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #path: string;
  readonly #complaints: string[];

  constructor(value: unknown, path: string, complaints: string[]) {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isMap) complaints.push(`${path || 'the file'} must be a map`);
    this.#values = new Map(isMap ? Object.entries(value) : []);
    this.#path = path;
    this.#complaints = complaints;
  }

  get keys(): string[] {
    return [...this.#values.keys()];
  }

  only(...known: readonly string[]): void {
    for (const key of this.keys)
      if (!known.includes(key))
        this.#complain(key.slice(0, 64), `is not known; known are ${known.join(', ')}`);
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key);
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
    this.#complain(key, 'must be text');
    return undefined;
  }

  flag(key: string): boolean | undefined {
    const value = this.#values.get(key);
    return typeof value === 'boolean' ? value : undefined;
  }

  map(key: string): Fields | undefined {
    const value = this.#values.get(key);
    if (value === undefined || value === null) return undefined;
    return new Fields(value, this.#at(key), this.#complaints);
  }

  lacks(key: string): undefined {
    if (!this.#values.has(key)) this.#complain(key, 'is missing');
  }

  check(key: string, rule: () => void): void {
    try {
      rule();
    } catch (error) {
      this.#complain(key, (error as Error).message);
    }
  }

  #complain(key: string, what: string): void {
    this.#complaints.push(`${this.#at(key)} ${what}`);
  }

  #at(key: string): string {
    return this.#path ? `${this.#path}.${key}` : key;
  }
}
