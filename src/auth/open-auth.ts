/**
 * Authentication of a running server: the auth file and its pepper, read at start and again whenever they
 * changed. The one idea: a faulty file never replaces a good one. At start it ends the start, with every
 * complaint; later it is reported, and what stood before goes on.
 */
import { type Clock, systemClock } from '../clock.js';
import { AuthFileError, type ClientEntry, clientsOf, parseAuthDocument } from './auth-file.js';
import { type Authenticator, CredentialChecks } from './authenticator.js';
import { type ClientChange, ClientDirectory } from './client-directory.js';
import { isMissing, pepperFileOf, readAuthFile, readPepper } from './guarded-file.js';

/** What became of the clients, for the log. */
export type AuthEvent = ClientChange | { readonly type: 'reload_failed'; readonly message: string };

export interface AuthSettings {
  readonly authFile: string;
  /** Undefined = beside the auth file. */
  readonly pepperFile: string | undefined;
  readonly clock?: Clock;
  /** Told of all that a reload changed or could not; at start of nothing. */
  onEvent(event: AuthEvent): void;
}

export interface Auth extends Authenticator {
  /** Reads the files again; to be called once one has changed. Never throws for what is in them. */
  reload(): void;
  /** The files to watch. */
  readonly files: readonly string[];
  readonly clientCount: number;
  /** Forgets the listeners; nobody is told of changes any more. */
  close(): void;
}

/** @throws AuthFileError, with a line for each complaint, when the files cannot be used */
export async function openAuth({
  authFile,
  pepperFile,
  clock = systemClock,
  onEvent,
}: AuthSettings): Promise<Auth> {
  const files = { authFile, pepperFile: pepperFile ?? pepperFileOf(authFile) };
  return new FileAuth(files, clock, onEvent);
}

interface Files {
  readonly authFile: string;
  readonly pepperFile: string;
}

class FileAuth implements Auth {
  readonly files: readonly string[];
  readonly #paths: Files;
  readonly #onEvent: (event: AuthEvent) => void;
  readonly #directory = new ClientDirectory();
  readonly #checks: CredentialChecks;
  readonly #listeners = new Set<() => void>();

  constructor(paths: Files, clock: Clock, onEvent: (event: AuthEvent) => void) {
    this.files = [paths.authFile, paths.pepperFile];
    this.#paths = paths;
    this.#onEvent = onEvent;
    this.#checks = new CredentialChecks(this.#directory, clock);
    this.#take();
  }

  get clientCount(): number {
    return this.#directory.size;
  }

  identify(...args: Parameters<Authenticator['identify']>) {
    return this.#checks.identify(...args);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  reload(): void {
    let changes: readonly ClientChange[];
    try {
      changes = this.#take();
    } catch (error) {
      const message = error instanceof AuthFileError ? error.complaints.join('; ') : String(error);
      this.#onEvent({ type: 'reload_failed', message });
      return;
    }
    for (const change of changes) this.#onEvent(change);
    if (changes.length > 0) for (const listener of this.#listeners) listener();
  }

  close(): void {
    this.#listeners.clear();
  }

  /** Reads all before it changes anything. */
  #take(): ClientChange[] {
    const { clients, pepper } = readFiles(this.#paths);
    const changes = this.#directory.replace(clients);
    this.#checks.renew(pepper);
    return changes;
  }
}

function readFiles({ authFile, pepperFile }: Files): { clients: ClientEntry[]; pepper: Buffer | undefined } {
  const complaints: string[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof AuthFileError)) throw error;
      complaints.push(...error.complaints);
      return undefined;
    }
  };
  const clients =
    attempt(() => clientsOf(parseAuthDocument(readAuthFile(authFile), authFile), authFile)) ?? [];
  const needsPepper = clients.some(({ secrets }) => secrets.length > 0);
  const pepper = attempt(() => readPepperIf(needsPepper, pepperFile));
  if (complaints.length > 0) throw new AuthFileError(complaints);
  return { clients, pepper };
}

/** Where nobody has a secret there need be no pepper. */
function readPepperIf(isNeeded: boolean, path: string): Buffer | undefined {
  try {
    return readPepper(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (!isNeeded) return undefined;
    const line = `${path}: there is no such file, and without it no secret of the auth file can be checked`;
    throw new AuthFileError([line]);
  }
}
