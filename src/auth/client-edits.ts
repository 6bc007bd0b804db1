/**
 * Changes to the auth file, one function each: who calls names what is to become true, and gets the client
 * as it is afterwards. The one idea: under the lock the file is read, checked as a server would, changed,
 * checked again, and replaced as a whole; so no change is lost, and none leaves a file that a server refuses.
 */
import { realpathSync } from 'node:fs';
import { createFile, replaceFile } from '../whole-file.js';
import { AuthDocument } from './auth-document.js';
import {
  AuthFileError,
  type ClientEntry,
  clientsOf,
  faultOfId,
  faultOfName,
  MAX_AUTH_FILE_BYTES,
  type SecretEntry,
} from './auth-file.js';
import { locked } from './file-lock.js';
import { parseGrant } from './grants.js';
import { isMissing, pepperFileOf, readAuthFile, readPepper } from './guarded-file.js';
import { hashOf, newPepper } from './secrets.js';

export { AuthFileError, type ClientEntry, faultOfId } from './auth-file.js';
export { newSecret } from './secrets.js';

/** Where clients are kept. */
export interface ClientFiles {
  readonly authFile: string;
  /** Undefined = beside the auth file. */
  readonly pepperFile: string | undefined;
}

/** Why a change cannot be made. The message is for people. */
export class EditError extends Error {
  readonly kind: 'invalid' | 'exists' | 'unknown';

  constructor(kind: EditError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** All clients, in the order of the file. */
export function listClients({ authFile }: ClientFiles): ClientEntry[] {
  const text = textOf(authFile);
  if (text === undefined) throw noFile(authFile);
  return clientsOf(new AuthDocument(text, authFile).document, authFile);
}

export interface NewClient {
  readonly id: string;
  readonly grants: readonly string[];
  /** Subject alternative names of its certificates. */
  readonly names: readonly string[];
  /** Undefined = it comes with a certificate only. */
  readonly secret: string | undefined;
}

/** Adds a client; makes the auth file and the pepper when they are not there yet. */
export async function addClient(
  files: ClientFiles,
  { id, grants, names, secret }: NewClient,
): Promise<ClientEntry> {
  const fault = faultOfId(id);
  if (fault !== undefined) throw new EditError('invalid', `the name of a client ${fault}`);
  checkGrants(grants);
  checkNames(names);
  const add = ({ document, clients, pepper }: Editing) => {
    if (clients.some((client) => client.id === id))
      throw new EditError('exists', `there is a client ${id} already`);
    document.add(id);
    if (secret !== undefined) document.setSecrets(id, [newEntry(pepper(), id, secret)]);
    document.append(id, 'names', [...new Set(names)]);
    document.append(id, 'grants', [...new Set(grants)]);
  };
  return clientOf(await edit(files, add, { mayCreate: true }), id);
}

/** Gives a client another secret; the newest of those before stays good for `keepMs`, the others end now. */
export async function rotateSecret(
  files: ClientFiles,
  { id, secret, keepMs }: { id: string; secret: string; keepMs: number },
): Promise<ClientEntry> {
  const rotate = ({ document, clients, pepper }: Editing) => {
    const { secrets } = clientOf(clients, id);
    const entry = newEntry(pepper(), id, secret);
    document.setSecrets(id, [entry, ...kept(secrets, entry.createdMs, keepMs)]);
  };
  return clientOf(await edit(files, rotate), id);
}

/** Grants a client more; what it is granted already stays. */
export async function grantTo(
  files: ClientFiles,
  id: string,
  grants: readonly string[],
): Promise<ClientEntry> {
  checkGrants(grants);
  const grant = ({ document, clients }: Editing) => {
    const has = clientOf(clients, id).grants.map(({ text }) => text);
    const more = [...new Set(grants)].filter((text) => !has.includes(text));
    document.append(id, 'grants', more);
  };
  return clientOf(await edit(files, grant), id);
}

/** Takes grants away, each as it was written; when one is not there, none is taken. */
export async function revokeFrom(
  files: ClientFiles,
  id: string,
  grants: readonly string[],
): Promise<ClientEntry> {
  const revoke = ({ document, clients }: Editing) => {
    const has = clientOf(clients, id).grants.map(({ text }) => text);
    const missing = grants.find((grant) => !has.includes(grant));
    if (missing !== undefined)
      throw new EditError(
        'unknown',
        `${id} has no grant ${missing}, and nothing was changed; it has ${has.join(', ') || 'none'}`,
      );
    document.withdraw(id, 'grants', grants);
  };
  return clientOf(await edit(files, revoke), id);
}

/** Removes a client, with its secrets, names and grants. */
export async function removeClient(files: ClientFiles, id: string): Promise<void> {
  await edit(files, ({ document, clients }) => document.remove(clientOf(clients, id).id));
}

interface Editing {
  readonly document: AuthDocument;
  /** As they are before the change. */
  readonly clients: readonly ClientEntry[];
  /** The pepper, which is made when this is the first secret. */
  pepper(): Buffer;
}

/** Resolves with all clients as they are afterwards. */
function edit(
  files: ClientFiles,
  change: (editing: Editing) => void,
  { mayCreate = false } = {},
): Promise<ClientEntry[]> {
  const authFile = realPathOf(files.authFile);
  const pepperFile = files.pepperFile ?? pepperFileOf(files.authFile);
  return locked(authFile, () => {
    const text = textOf(authFile);
    if (text === undefined && !mayCreate) throw noFile(authFile);
    const document = new AuthDocument(text, authFile);
    const clients = clientsOf(document.document, authFile);
    change({ document, clients, pepper: () => pepperOf(pepperFile, authFile, clients) });
    const changed = document.toString();
    const after = checked(changed, authFile);
    if (changed !== text) replaceFile(authFile, changed);
    return after;
  });
}

/** The clients of a text that is about to be written. */
function checked(text: string, path: string): ClientEntry[] {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_AUTH_FILE_BYTES)
    throw new AuthFileError([`${path}: would have ${bytes} bytes; at most ${MAX_AUTH_FILE_BYTES} are read`]);
  return clientsOf(new AuthDocument(text, path).document, path);
}

function pepperOf(path: string, authFile: string, clients: readonly ClientEntry[]): Buffer {
  try {
    return readPepper(path, 'anybody');
  } catch (error) {
    if (!isMissing(error)) throw error;
    // With another pepper, all secrets that were ever made would be wrong.
    if (clients.some(({ secrets }) => secrets.length > 0))
      throw new AuthFileError([
        `${path}: there is no such file, and secrets in ${authFile} were made with it; bring it back, or name it`,
      ]);
    createFile(path, `${newPepper()}\n`, authFile);
    return readPepper(path, 'anybody');
  }
}

function newEntry(pepper: Buffer, id: string, secret: string): SecretEntry {
  return { hash: hashOf(pepper, id, secret), createdMs: Date.now(), expiresMs: undefined };
}

/** Of the secrets before, the newest that is still good. */
function kept(secrets: readonly SecretEntry[], nowMs: number, keepMs: number): SecretEntry[] {
  const [newest] = secrets
    .filter(({ expiresMs = Number.POSITIVE_INFINITY }) => expiresMs > nowMs)
    .sort((a, b) => b.createdMs - a.createdMs);
  if (!newest || keepMs === 0) return [];
  const expiresMs = Math.min(nowMs + keepMs, newest.expiresMs ?? Number.POSITIVE_INFINITY);
  return [{ ...newest, expiresMs }];
}

function clientOf(clients: readonly ClientEntry[], id: string): ClientEntry {
  const found = clients.find((client) => client.id === id);
  if (!found) throw new EditError('unknown', `there is no client ${id}`);
  return found;
}

function checkGrants(grants: readonly string[]): void {
  for (const grant of grants)
    try {
      parseGrant(grant);
    } catch (error) {
      throw new EditError('invalid', `grant "${grant}" ${(error as Error).message}`);
    }
}

function checkNames(names: readonly string[]): void {
  for (const name of names) {
    const fault = faultOfName(name);
    if (fault !== undefined) throw new EditError('invalid', `name "${name}" ${fault}`);
  }
}

/** Undefined = there is no such file. */
function textOf(path: string): string | undefined {
  try {
    return readAuthFile(path, 'anybody');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** What a link leads to is changed, and not the link. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function noFile(path: string): AuthFileError {
  return new AuthFileError([`${path}: there is no such file; \`switchgear client add\` makes it`]);
}
