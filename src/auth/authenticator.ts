/**
 * From what a call brings along to the client that it is from. The one idea: whoever asks costs the same, an
 * HMAC and two comparisons in constant time, whether there is such a client or not and however many secrets
 * it has; and what was found good is not computed again for a minute.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { BoundedMap } from '../bounded-map.js';
import type { Clock } from '../clock.js';
import { Fault } from '../fault.js';
import type { SecretEntry } from './auth-file.js';
import { Backoff } from './backoff.js';
import type { Client } from './client.js';
import type { ClientDirectory } from './client-directory.js';
import { type Credentials, parseBasic } from './credentials.js';
import type { Peer } from './peer.js';
import { hashOf } from './secrets.js';

export interface Authenticator {
  /**
   * The client that a call is from. `authorization` is the header of that name, as it came; `peer` the
   * other end of the connection.
   * @throws Fault of kind `unauthenticated`
   */
  identify(authorization: string | undefined, peer: Peer): Client;
  /** Calls back after the auth file has changed what anybody may do. */
  onChange(listener: () => void): void;
}

const CACHED_MS = 60_000;
/** Headers that were found good. Beyond it those not used lately are forgotten, and verified again. */
const MAX_CACHED = 10_000;

interface Verified {
  readonly client: Client;
  readonly fromMs: number;
  readonly untilMs: number;
}

export class CredentialChecks {
  readonly #directory: ClientDirectory;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #verified = new BoundedMap<string, Verified>(MAX_CACHED);
  /** What is compared where there is no secret; nobody knows a text with this hash. */
  readonly #noHash = randomBytes(32);
  #pepper: Buffer = randomBytes(32);

  constructor(directory: ClientDirectory, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
    this.#backoff = new Backoff(clock);
  }

  /** To be called whenever the directory or the pepper has changed. */
  renew(pepper: Buffer | undefined): void {
    this.#pepper = pepper ?? randomBytes(32);
    this.#verified.clear();
  }

  identify(authorization: string | undefined, { address, certificate }: Peer): Client {
    // A certificate that is no good is refused even where nobody needs it: somebody means to be somebody.
    if (certificate?.problem !== undefined) throw certificateRefused(certificate.problem);
    if (authorization !== undefined) return this.#byCredentials(authorization, address);
    if (certificate !== undefined) return this.#byCertificate(certificate.names);
    throw new Fault(
      'CREDENTIALS_MISSING',
      'this server asks who calls: send `authorization: Basic` with base64 of ID:SECRET, or a certificate',
    );
  }

  #byCredentials(authorization: string, address: string): Client {
    const nowMs = this.#clock.nowMs();
    const known = this.#verified.get(authorization);
    if (known && nowMs >= known.fromMs && nowMs < known.untilMs) return known.client;
    const credentials = parseBasic(authorization);
    if (!credentials)
      throw new Fault(
        'CREDENTIALS_MALFORMED',
        'the authorization header must be `Basic` and base64 of ID:SECRET, with no line end in it',
      );
    const verified = this.#verifiedOnce(credentials, address, nowMs);
    this.#verified.set(authorization, verified);
    return verified.client;
  }

  #verifiedOnce(credentials: Credentials, address: string, nowMs: number): Verified {
    const { id } = credentials;
    const retryAfterMs = this.#backoff.waitMs(id, address);
    if (retryAfterMs > 0)
      throw new Fault(
        'TOO_MANY_FAILURES',
        'credentials of this client were wrong too often from this address; try again later',
        { retryAfterMs },
      );
    const verified = this.#verify(credentials, nowMs);
    if (!verified) {
      this.#backoff.failed(id, address);
      throw new Fault('CREDENTIALS_INVALID', 'there is no client with this id and secret');
    }
    this.#backoff.succeeded(id, address);
    return verified;
  }

  /** Takes the same steps for everybody; only what they yield differs. */
  #verify({ id, secret }: Credentials, nowMs: number): Verified | undefined {
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

  #byCertificate(names: readonly string[]): Client {
    const [client, another] = this.#directory.findByNames(names);
    if (client && !another) return client;
    throw new Fault(
      'CERTIFICATE_UNKNOWN',
      client
        ? 'the certificate has names of more than one client'
        : 'the certificate is good, but no client goes by a name in it',
    );
  }
}

function certificateRefused(problem: string): Fault {
  return new Fault('CERTIFICATE_REFUSED', `the certificate of the caller is no good: ${problem}`, {
    facts: { problem },
  });
}
