/**
 * Authentication of a running server: the auth file and its pepper, read at start and again whenever they
 * changed. The one idea: a faulty file never replaces a good one. At start it ends the start, with every
 * complaint; later it is reported, and what stood before goes on.
 */
import { type Clock, systemClock } from '../clock.js';
import { AuthFileError, type ClientEntry, clientsOf, parseAuthDocument } from './auth-file.js';
import { type Authenticator, CredentialChecks } from './authenticator.js';
import { type ClientChange, ClientDirectory } from './client-directory.js';
import { ExpiryTimer } from './expiry-timer.js';
import { isMissing, pepperFileOf, readAuthFile, readPepper } from './guarded-file.js';

/** What became of the clients, for the log. */
export type AuthEvent =
  | ClientChange
  | { readonly type: 'pepper_changed' }
  | { readonly type: 'reload_failed'; readonly message: string };

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
  /** Nobody is told of anything any more. */
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
  /** Secrets end by themselves too. */
  readonly #expiries: ExpiryTimer;
  #pepper: Buffer | undefined;

  constructor(paths: Files, clock: Clock, onEvent: (event: AuthEvent) => void) {
    this.files = [paths.authFile, paths.pepperFile];
    this.#paths = paths;
    this.#onEvent = onEvent;
    this.#checks = new CredentialChecks(this.#directory, clock);
    this.#expiries = new ExpiryTimer(clock, () => this.#tell());
    this.#take();
  }

  get clientCount(): number {
    return this.#directory.size;
  }

  identify(...args: Parameters<Authenticator['identify']>) {
    return this.#checks.identify(...args);
  }

  review() {
    return this.#checks.review();
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  reload(): void {
    let events: readonly AuthEvent[];
    try {
      events = this.#take();
    } catch (error) {
      const message = error instanceof AuthFileError ? error.complaints.join('; ') : String(error);
      this.#onEvent({ type: 'reload_failed', message });
      return;
    }
    for (const event of events) this.#onEvent(event);
    if (events.length > 0) this.#tell();
  }

  close(): void {
    this.#listeners.clear();
    this.#expiries.close();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Reads all before it changes anything. Yields what is different; at start nobody asks. */
  #take(): AuthEvent[] {
    const { clients, pepper } = readFiles(this.#paths);
    const changes = this.#directory.replace(clients);
    const isPepperNew = this.#pepper !== undefined && !(pepper?.equals(this.#pepper) ?? false);
    this.#pepper = pepper;
    this.#checks.renew(pepper);
    this.#expiries.set(clients.flatMap(({ secrets }) => secrets.map(({ expiresMs }) => expiresMs ?? 0)));
    return isPepperNew ? [...changes, { type: 'pepper_changed' }] : changes;
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
    attempt(() => clientsOf(parseAuthDocument(readAuthFile(authFile, 'trusted'), authFile), authFile)) ?? [];
  const needsPepper = clients.some(({ secrets }) => secrets.length > 0);
  const pepper = attempt(() => readPepperIf(needsPepper, pepperFile));
  if (complaints.length > 0) throw new AuthFileError(complaints);
  return { clients, pepper };
}

/** Where nobody has a secret there need be no pepper. */
function readPepperIf(isNeeded: boolean, path: string): Buffer | undefined {
  try {
    return readPepper(path, 'trusted');
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (!isNeeded) return undefined;
    const line = `${path}: there is no such file, and without it no secret of the auth file can be checked`;
    throw new AuthFileError([line]);
  }
}
