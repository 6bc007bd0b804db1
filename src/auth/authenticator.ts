/**
 * From what a call brings along to the client that it is from. The one idea: whoever asks costs the same, an
 * HMAC and two comparisons in constant time, whether there is such a client or not and however many secrets
 * it has; so whoever is right is let in, whatever others did before. What was found good is not computed
 * again for a minute.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.js';
import { Fault } from '../fault.js';
import type { SecretEntry } from './auth-file.js';
import { Backoff } from './backoff.js';
import type { Client } from './client.js';
import type { ClientDirectory } from './client-directory.js';
import { type Credentials, parseBasic } from './credentials.js';
import type { Peer, PeerCertificate } from './peer.js';
import { hashOf } from './secrets.js';
import { CACHED_MS, type Verified, VerifiedHeaders } from './verified-headers.js';

/**
 * The client that a call is from. `authorization` is the header of that name, as it came; `peer` the other
 * end of the connection.
 * @throws Fault of kind `unauthenticated`
 */
export type Identify = (authorization: string | undefined, peer: Peer) => Client;

export interface Authenticator {
  readonly identify: Identify;
  /**
   * Begins to look anew at calls that were let in before. What it yields tells who they would be from now,
   * counts no failures, and looks at each header once, however many calls came with it; use it at once.
   */
  review(): Identify;
  /** Calls back after something has changed, or ended, that a call may have been let in for. */
  onChange(listener: () => void): void;
}

export class CredentialChecks {
  readonly #directory: ClientDirectory;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #verified: VerifiedHeaders;
  /** What is compared where there is no secret; nobody knows a text with this hash. */
  readonly #noHash = randomBytes(32);
  #pepper: Buffer = randomBytes(32);

  constructor(directory: ClientDirectory, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
    this.#backoff = new Backoff(clock);
    this.#verified = new VerifiedHeaders(clock);
  }

  /** To be called whenever the directory or the pepper has changed. */
  renew(pepper: Buffer | undefined): void {
    this.#pepper = pepper ?? randomBytes(32);
    this.#verified.clear();
  }

  identify(authorization: string | undefined, peer: Peer): Client {
    refuseBad(peer.certificate);
    if (authorization === undefined) return this.#withoutHeader(peer);
    return this.#attempt(authorization, peer.address);
  }

  review(): Identify {
    // As many entries as there are open streams, and gone with the review.
    const seen = new Map<string, Client | undefined>();
    return (authorization, peer) => {
      refuseBad(peer.certificate);
      if (authorization === undefined) return this.#withoutHeader(peer);
      if (!seen.has(authorization)) seen.set(authorization, this.#verify(read(authorization))?.client);
      const client = seen.get(authorization);
      if (client) return client;
      throw credentialsInvalid();
    };
  }

  #attempt(header: string, address: string): Client {
    const known = this.#verified.get(header);
    if (known) return known;
    const credentials = read(header);
    const verified = this.#verify(credentials);
    // First of all, so that nobody else's failures keep out who is right.
    if (verified) {
      this.#verified.set(header, verified);
      return verified.client;
    }
    const retryAfterMs = this.#backoff.failed(credentials.id, address);
    if (retryAfterMs === 0) throw credentialsInvalid();
    throw new Fault(
      'TOO_MANY_FAILURES',
      'there is no client with this id and secret, and it was so too often from this address; try again later',
      { retryAfterMs },
    );
  }

  /** Takes the same steps for everybody; only what they yield differs. */
  #verify({ id, secret }: Credentials): Verified | undefined {
    const nowMs = this.#clock.nowMs();
    const known = this.#directory.find(id);
    const hash = hashOf(this.#pepper, id, secret);
    const isFirst = this.#isHash(hash, known?.secrets[0], nowMs);
    const isSecond = this.#isHash(hash, known?.secrets[1], nowMs);
    if (!known || !(isFirst || isSecond)) return undefined;
    const { expiresMs = Number.POSITIVE_INFINITY } = known.secrets[isFirst ? 0 : 1] ?? {};
    return { client: known.client, fromMs: nowMs, untilMs: Math.min(nowMs + CACHED_MS, expiresMs) };
  }

  #isHash(hash: Buffer, secret: SecretEntry | undefined, nowMs: number): boolean {
    const isSame = timingSafeEqual(hash, secret?.hash ?? this.#noHash);
    const isGood = secret !== undefined && nowMs < (secret.expiresMs ?? Number.POSITIVE_INFINITY);
    return isSame && isGood;
  }

  #withoutHeader({ certificate }: Peer): Client {
    if (certificate === undefined)
      throw new Fault(
        'CREDENTIALS_MISSING',
        'this server asks who calls: send `authorization: Basic` with base64 of ID:SECRET, or a certificate',
      );
    const [client, another] = this.#directory.findByNames(certificate.names);
    if (client && !another) return client;
    throw new Fault(
      'CERTIFICATE_UNKNOWN',
      client
        ? 'the certificate has names of more than one client'
        : 'the certificate is good, but no client goes by a name in it',
    );
  }
}

/** @throws Fault when a header is none that credentials come in */
function read(header: string): Credentials {
  const credentials = parseBasic(header);
  if (credentials) return credentials;
  throw new Fault(
    'CREDENTIALS_MALFORMED',
    'the authorization header must be `Basic` and base64 of ID:SECRET, with no line end in it',
  );
}

function credentialsInvalid(): Fault {
  return new Fault('CREDENTIALS_INVALID', 'there is no client with this id and secret');
}

/** A certificate that is no good is refused even where nobody needs it: somebody means to be somebody. */
function refuseBad(certificate: PeerCertificate | undefined): void {
  const { problem } = certificate ?? {};
  if (problem === undefined) return;
  throw new Fault('CERTIFICATE_REFUSED', `the certificate of the caller is no good: ${problem}`, {
    facts: { problem },
  });
}
