/**
 * Secrets of clients, and what is kept of them: a keyed hash, HMAC-SHA-256 with a pepper over the client's
 * id, a zero byte and the secret. The one idea: whoever has the auth file but not the pepper cannot even try
 * guesses, and a hash that is copied to another client is worth nothing there. A secret is 256 random bits,
 * so that no slow hash is needed.
 */
import { createHmac, randomBytes } from 'node:crypto';

const BYTES = 32;
const PREFIX = 'hmac-sha256:';
/** 32 bytes in base64url; the last character carries 4 bits, so only some can stand there. */
const TEXT_OF_32_BYTES = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/** A new secret, as it is given to a client. */
export function newSecret(): string {
  return randomBytes(BYTES).toString('base64url');
}

/** A new pepper, as it stands in its file. */
export function newPepper(): string {
  return randomBytes(BYTES).toString('base64url');
}

/** What is kept of a client's secret. */
export function hashOf(pepper: Buffer, id: string, secret: string): Buffer {
  return createHmac('sha256', pepper).update(`${id}\0${secret}`).digest();
}

/** A hash as it stands in the auth file. */
export function hashText(hash: Buffer): string {
  return `${PREFIX}${hash.toString('base64url')}`;
}

/** The hash that a text of the auth file stands for; undefined = it is none. */
export function parseHash(text: string): Buffer | undefined {
  return text.startsWith(PREFIX) ? bytesOf(text.slice(PREFIX.length)) : undefined;
}

/** The pepper in a file's text; undefined = it is none. */
export function parsePepper(text: string): Buffer | undefined {
  return bytesOf(text.trim());
}

function bytesOf(text: string): Buffer | undefined {
  return TEXT_OF_32_BYTES.test(text) ? Buffer.from(text, 'base64url') : undefined;
}
