/**
 * The auth file as text: what may stand in it, and everything that is wrong with one. The one idea: it is
 * read all or not at all, so that a slip never leaves half of the clients locked out; and every complaint
 * names the client and the field. Secrets are in it as hashes only.
 */
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
  type YAMLParseError,
} from 'yaml';
import { type Grant, looksLikeGrant, parseGrant } from './grants.js';
import { parseHash } from './secrets.js';

/**
 * Reading 10,000 clients takes a second, in which a server that reloads does nothing else: so there may be
 * no more, and a file that is longer is not read.
 */
export const MAX_AUTH_FILE_BYTES = 2 * 1024 * 1024;
export const MAX_CLIENTS = 10_000;
/** The new one, and the previous one until it expires. */
export const MAX_SECRETS = 2;
/** With how many grants and names a client can be; a call may have to look at each. */
export const MAX_GRANTS = 256;
export const MAX_NAMES = 64;
/** Of one file; whoever has more faults than this finds the rest afterwards. */
const MAX_COMPLAINTS = 50;

export interface SecretEntry {
  readonly hash: Buffer;
  readonly createdMs: number;
  /** From then on it is not good any more; undefined = it does not expire. */
  readonly expiresMs: number | undefined;
}

export interface ClientEntry {
  readonly id: string;
  readonly secrets: readonly SecretEntry[];
  /** Subject alternative names of its certificates, such as `DNS:orders.internal`. */
  readonly names: readonly string[];
  readonly grants: readonly Grant[];
}

/** An auth file or a pepper that cannot be used: every complaint is one line for the operator. */
export class AuthFileError extends Error {
  override readonly name = 'AuthFileError';
  readonly complaints: readonly string[];

  constructor(complaints: readonly string[]) {
    super(complaints.join('\n'));
    this.complaints = complaints;
  }
}

/** The document of an auth file with comments and all, for those who change it. */
export function parseAuthDocument(text: string, path: string): Document.Parsed {
  // Keys that are there twice are found below: the parser would compare each with each.
  const document = parseDocument(text, { schema: 'failsafe', uniqueKeys: false });
  const [error] = document.errors;
  if (error) throw new AuthFileError([`${path}: ${inWords(error)}`]);
  return document;
}

/** What is wrong and where. The parser's message would quote the text, which may be a secret. */
function inWords({ code, linePos }: YAMLParseError): string {
  const place = linePos ? ` at line ${linePos[0].line}, column ${linePos[0].col}` : '';
  return `is not YAML: ${code.toLowerCase().replaceAll('_', ' ')}${place}`;
}

/** The clients in a document. @throws AuthFileError with every complaint */
export function clientsOf(document: Document.Parsed, path: string): ClientEntry[] {
  const reader = new Reader(path);
  const clients = reader.clients(document.contents);
  if (reader.complaints.length > 0) throw new AuthFileError(reader.complaints.slice(0, MAX_COMPLAINTS));
  return clients;
}

/** What is wrong with a client's id, in words; undefined = nothing. */
export function faultOfId(id: string): string | undefined {
  return /^[A-Za-z0-9_.@-]{1,64}$/.test(id) ? undefined : 'must be 1 to 64 of A-Z a-z 0-9 _ . @ -';
}

/** What is wrong with a name of certificates, in words; undefined = nothing. */
export function faultOfName(name: string): string | undefined {
  return /^(DNS|URI|IP|email):[!-~]{1,512}$/.test(name)
    ? undefined
    : 'must be DNS:NAME, URI:URI, IP:ADDRESS or email:ADDRESS, as it is in the certificate';
}

type Node = ParsedNode | null | undefined;

/** Reads on after a fault, with a stand-in, so that all of them are found. */
class Reader {
  readonly complaints: string[] = [];
  readonly #path: string;
  readonly #owners = new Map<string, string>();

  constructor(path: string) {
    this.#path = path;
  }

  clients(contents: Node): ClientEntry[] {
    const top = this.#fields(contents, '', ['version', 'clients']);
    const version = top.get('version');
    if (this.#text(version, 'version') !== '1') this.#complain('version', 'must be 1');
    const clients = top.get('clients');
    if (isNothing(clients)) return [];
    const entries = [...this.#fields(clients, 'clients')];
    if (entries.length > MAX_CLIENTS) {
      this.#complain('clients', `must be at most ${MAX_CLIENTS}, and are ${entries.length}`);
      return [];
    }
    return entries.map(([id, node]) => this.#client(id, node));
  }

  #client(id: string, node: Node): ClientEntry {
    const where = `clients.${shown(id)}`;
    const fault = faultOfId(id);
    if (fault !== undefined) this.#complain(where, `the name of a client ${fault}`);
    const fields = this.#fields(node, where, ['secrets', 'names', 'grants']);
    return {
      id,
      secrets: this.#list(fields.get('secrets'), `${where}.secrets`, MAX_SECRETS, (item, at) =>
        this.#secret(item, at),
      ),
      names: this.#list(fields.get('names'), `${where}.names`, MAX_NAMES, (item, at) =>
        this.#name(id, item, at),
      ),
      grants: this.#list(fields.get('grants'), `${where}.grants`, MAX_GRANTS, (item, at) =>
        this.#grant(item, at),
      ),
    };
  }

  #secret(node: Node, where: string): SecretEntry | undefined {
    const fields = this.#fields(node, where, ['hash', 'created', 'expires']);
    const hash = parseHash(this.#text(fields.get('hash'), `${where}.hash`));
    // Not what stands there: it may be the secret itself.
    if (!hash) this.#complain(`${where}.hash`, 'must be hmac-sha256: and 43 characters of base64url');
    const createdMs = this.#time(fields.get('created'), `${where}.created`);
    const expires = fields.get('expires');
    const expiresMs = expires === undefined ? undefined : this.#time(expires, `${where}.expires`);
    return hash && { hash, createdMs, expiresMs };
  }

  #name(id: string, node: Node, where: string): string {
    const name = this.#text(node, where);
    const fault = faultOfName(name);
    if (fault !== undefined) this.#complain(where, fault);
    const owner = this.#owners.get(name);
    if (owner === undefined) this.#owners.set(name, id);
    else this.#complain(where, `${shown(name)} is a name of client ${shown(owner)} already`);
    return name;
  }

  #grant(node: Node, where: string): Grant | undefined {
    const text = this.#text(node, where);
    try {
      return parseGrant(text);
    } catch (error) {
      const { message } = error as Error;
      this.#complain(where, looksLikeGrant(text) ? `"${text}" ${message}` : message);
      return undefined;
    }
  }

  #time(node: Node, where: string): number {
    const ms = parseTime(this.#text(node, where));
    if (ms === undefined) this.#complain(where, 'must be a time such as 2030-01-31T12:00:00Z');
    return ms ?? 0;
  }

  #text(node: Node, where: string): string {
    if (isScalar(node) && typeof node.value === 'string') return node.value;
    if (node !== undefined) this.#complain(where, 'must be text');
    return '';
  }

  #list<T>(node: Node, where: string, most: number, read: (item: Node, where: string) => T | undefined): T[] {
    if (isNothing(node)) return [];
    if (!isSeq<ParsedNode>(node)) {
      this.#complain(where, 'must be a list');
      return [];
    }
    if (node.items.length > most) {
      this.#complain(where, `must be at most ${most}, and are ${node.items.length}`);
      return [];
    }
    return node.items.flatMap((item, i) => read(item, `${where}[${i}]`) ?? []);
  }

  /** The fields of a map by their names, of which only `known` may be there. */
  #fields(node: Node, where: string, known?: readonly string[]): Map<string, Node> {
    const fields = new Map<string, Node>();
    if (!isMap(node)) {
      this.#complain(where, `must be a map of ${known?.join(', ') ?? 'clients by name'}`);
      return fields;
    }
    for (const { key, value } of (node as YAMLMap<ParsedNode, ParsedNode | null>).items) {
      const name = isScalar(key) ? String(key.value) : '';
      const at = where === '' ? shown(name) : `${where}.${shown(name)}`;
      if (known && !known.includes(name)) this.#complain(at, `is not known here; ${known.join(', ')} are`);
      else if (fields.has(name)) this.#complain(at, 'is there twice');
      else fields.set(name, value);
    }
    return fields;
  }

  #complain(where: string, what: string): void {
    // What is wrong may quote what stands there: a complaint stays one line.
    const line = [this.#path, where, what].filter(Boolean).join(': ');
    this.complaints.push(line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?'));
  }
}

/** A time in UTC, as it is written; undefined = it is none. */
export function parseTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Whether nothing is given: no field at all, or one with nothing behind it. */
function isNothing(node: Node): boolean {
  return (
    node === undefined || node === null || (isScalar(node) && node.value === '' && node.type === 'PLAIN')
  );
}

/** A name that somebody wrote, on one line and not too long. */
function shown(text: string): string {
  return text.replace(/[^ -~]/gu, '?').slice(0, 80);
}
