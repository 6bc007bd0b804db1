/**
 * A certificate, its key and an authority to check others against, as PEM files. The idea to hold: they
 * are taken together or not at all, and whatever is wrong with them is said before anything uses them. No
 * message tells what is in a file.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

export interface PemFiles {
  /** A certificate, followed by those between it and its authority. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Authorities. */
  readonly ca?: string | undefined;
}

export type PemRole = keyof PemFiles;

export interface PemMaterial {
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly ca: Buffer | undefined;
  /** The end of the certificate, or of one above it that ends earlier; Unix milliseconds. */
  readonly certificateEndMs: number | undefined;
  /** What `ca` holds. */
  readonly authorities: readonly X509Certificate[];
}

/** What is wrong with one of the files, in one line. */
export class PemError extends Error {
  override readonly name = 'PemError';
  readonly role: PemRole;

  constructor(role: PemRole, path: string, problem: string) {
    super(`${path} ${problem}`);
    this.role = role;
  }
}

/** All that is wrong with them, and one line for it. */
export class PemErrors extends Error {
  override readonly name = 'PemErrors';
  readonly all: readonly PemError[];

  constructor(all: readonly PemError[]) {
    super(all.map(({ message }) => message).join('; '));
    this.all = all;
  }
}

/** Reads and checks those that are named; throws PemErrors. */
export function readPemFiles(files: PemFiles): PemMaterial {
  const errors: PemError[] = [];
  const attempt = <T>(path: string | undefined, read: (path: string) => T): T | undefined => {
    try {
      return path === undefined ? undefined : read(path);
    } catch (error) {
      if (!(error instanceof PemError)) throw error;
      errors.push(error);
      return undefined;
    }
  };
  const cert = attempt(files.cert, (path) => readCertificates('cert', path));
  const key = attempt(files.key, readKey);
  const ca = attempt(files.ca, (path) => readCertificates('ca', path));
  if (cert && key) attempt(files.key, (path) => checkPair(cert, key, path));
  if (errors.length > 0) throw new PemErrors(errors);
  const ends = cert?.certificates.map(({ validTo }) => Date.parse(validTo));
  return {
    cert: cert?.bytes,
    key: key?.bytes,
    ca: ca?.bytes,
    certificateEndMs: ends && Math.min(...ends),
    authorities: ca?.certificates ?? [],
  };
}

interface Certificates {
  readonly path: string;
  readonly bytes: Buffer;
  readonly certificates: readonly X509Certificate[];
}

interface Key {
  readonly bytes: Buffer;
  readonly key: KeyObject;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

function readCertificates(role: PemRole, path: string): Certificates {
  const bytes = read(role, path);
  const texts = bytes.toString('latin1').match(CERTIFICATE) ?? [];
  if (texts.length === 0) throw new PemError(role, path, 'holds no certificate (PEM)');
  try {
    return { path, bytes, certificates: texts.map((text) => new X509Certificate(text)) };
  } catch {
    throw new PemError(role, path, 'holds a certificate that cannot be read');
  }
}

function readKey(path: string): Key {
  const bytes = read('key', path);
  try {
    return { bytes, key: createPrivateKey(bytes) };
  } catch (error) {
    const isLocked = (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE';
    const problem = isLocked
      ? 'is locked by a passphrase; store the key without one, readable by this user only'
      : 'holds no private key (PEM)';
    throw new PemError('key', path, problem);
  }
}

function checkPair(cert: Certificates, { bytes, key }: Key, keyPath: string): void {
  if (!cert.certificates[0]?.checkPrivateKey(key))
    throw new PemError('key', keyPath, `is not the key of the first certificate in ${cert.path}`);
  try {
    createSecureContext({ cert: cert.bytes, key: bytes });
  } catch (error) {
    // Such as a key that is too short for today.
    const why = (error as Error).message.split('\n', 1)[0];
    throw new PemError('cert', cert.path, `is refused by the TLS library: ${why}`);
  }
}

function read(role: PemRole, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new PemError(role, path, unreadable(error));
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory',
};

/** Why a file cannot be read, in words. */
export function unreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return `cannot be read: ${WHY[code] ?? code}`;
}
