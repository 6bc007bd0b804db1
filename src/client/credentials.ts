/**
 * Who we are to the server: an id and its secret, and where they are read. The idea to hold: a secret is
 * in a closure or behind `#`, and in no message, so that nothing that prints an object or an error can
 * show it.
 */
import { readFileSync, statSync } from 'node:fs';

export interface Credentials {
  readonly id: string;
  readonly secret: string;
}

/** A file holds one line; whatever is longer is not such a file. */
const MAX_FILE_BYTES = 4096;
/** Read or written by everybody. The group may read it, as it must where a secret is mounted. */
const OTHERS = 0o006;

/**
 * Reads a file that holds `ID:SECRET`.
 * @throws TypeError when it cannot be read, when everybody can read it, or when it holds something else
 */
export function readCredentialsFile(file: string): Credentials {
  const { mode, size } = read(file, () => statSync(file));
  if (process.platform !== 'win32' && (mode & OTHERS) !== 0)
    throw new TypeError(`${file} holds a secret and every user can read it: \`chmod o= ${file}\` mends that`);
  if (size > MAX_FILE_BYTES) throw new TypeError(`${file} must hold ID:SECRET`);
  return parseCredentials(
    read(file, () => readFileSync(file, 'utf8')),
    file,
  );
}

/** Takes `ID:SECRET` apart; `from` is where it stood, for the message. @throws TypeError */
export function parseCredentials(text: string, from: string): Credentials {
  const [, id, secret] = /^([^:\s]+):(\S+)$/.exec(text.trim()) ?? [];
  if (!id || !secret) throw new TypeError(`${from} must hold ID:SECRET`);
  return { id, secret };
}

/** The value of an `authorization` header. @throws TypeError when there is none of it */
export function basicHeader({ id, secret }: Credentials): string {
  if (typeof id !== 'string' || typeof secret !== 'string' || id === '' || secret === '' || id.includes(':'))
    throw new TypeError('credentials must be an id without a colon, and a secret');
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}

function read<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new TypeError(`cannot read the credentials in ${file}: ${(error as Error).message}`);
  }
}
