/**
 * A certificate that a caller showed at the start of its connection. The idea to hold: what it proved then it
 * need not prove now. It may end, and the authority that vouched for it may be taken out of the file, while the
 * connection lives on; so its problem is asked for at each call and not kept.
 */
import { X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { PeerCertificate } from '../auth/peer.js';

/** OpenSSL verifies none of more than a hundred and one. */
const MAX_CHAIN = 101;

export class ShownCertificate implements PeerCertificate {
  readonly names: readonly string[];
  readonly validToMs: number;
  /** Itself, what it is signed by, and so on up to its authority, as far as they are known. */
  readonly #chain: readonly X509Certificate[];
  #problem: string | undefined;

  /** What a socket showed at a handshake that has just ended; undefined = nothing. */
  static of(socket: TLSSocket): ShownCertificate | undefined {
    const shown: Partial<DetailedPeerCertificate> = socket.getPeerCertificate(true);
    if (shown.raw === undefined) return undefined;
    const problem = socket.authorized ? undefined : String(socket.authorizationError ?? 'UNVERIFIED');
    return new ShownCertificate(chainOf(new X509Certificate(shown.raw), shown.issuerCertificate), problem);
  }

  /** `chain` begins with the certificate itself. */
  constructor(chain: readonly [X509Certificate, ...X509Certificate[]], problem: string | undefined) {
    const [endMs, ...endsAbove] = chain.map(({ validTo }) => Date.parse(validTo)) as [number, ...number[]];
    this.names = namesIn(chain[0].subjectAltName);
    // What had ended by now was sent along, and not needed.
    this.validToMs = Math.min(endMs, ...endsAbove.filter((ms) => ms > Date.now()));
    this.#chain = chain;
    this.#problem = problem;
  }

  get problem(): string | undefined {
    return this.#problem ?? (Date.now() < this.validToMs ? undefined : 'CERT_HAS_EXPIRED');
  }

  /**
   * Holds it to the authorities of now, which may be others than those that it was verified by. It stays good
   * where one of them vouches for it as one did then; whether it is good in another way, only a new handshake
   * can tell. False when it is no good.
   */
  review(authorities: readonly X509Certificate[]): boolean {
    // What is no root vouches for nobody by itself. One that is cross-signed has more than one way up.
    const roots = authorities.filter((each) => each.checkIssued(each));
    const isVouchedFor = this.#chain.some((each) =>
      roots.some((root) => isSame(each, root) || isSignedBy(each, root)),
    );
    if (!isVouchedFor) this.#problem ??= 'CA_REPLACED';
    return this.problem === undefined;
  }
}

/**
 * A certificate, and those above it that are known. Node finds them by name; two authorities may have the same
 * name, so only what really signed counts.
 */
function chainOf(
  certificate: X509Certificate,
  issuer: DetailedPeerCertificate | undefined,
): [X509Certificate, ...X509Certificate[]] {
  const chain: [X509Certificate, ...X509Certificate[]] = [certificate];
  let top = certificate;
  let next = issuer;
  while (next !== undefined && chain.length < MAX_CHAIN) {
    const above = new X509Certificate(next.raw);
    // An authority has signed itself.
    if (isSame(above, top) || !isSignedBy(top, above)) break;
    chain.push(above);
    top = above;
    next = next.issuerCertificate;
  }
  return chain;
}

function isSame(one: X509Certificate, other: X509Certificate): boolean {
  return one.fingerprint256 === other.fingerprint256;
}

function isSignedBy(certificate: X509Certificate, other: X509Certificate): boolean {
  try {
    return certificate.checkIssued(other) && certificate.verify(other.publicKey);
  } catch {
    // A key of another kind.
    return false;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  DNS: 'DNS',
  URI: 'URI',
  'IP Address': 'IP',
  email: 'email',
};

/** One name: its kind, and a value that is a JSON string if it holds anything that could be misread. */
const NAME = /(?:^|(?<!^), )([^:",]+):(?:"((?:[^"\\]|\\.)*)"|([^",]*))(?=, |$)/gsy;

/**
 * The names in a certificate, from the text that Node makes of them. Text that is not wholly understood
 * names nobody: half of it could be what somebody had themselves certified as a part of something else.
 */
export function namesIn(text: string | undefined): string[] {
  const names: string[] = [];
  let end = 0;
  for (const match of (text ?? '').matchAll(NAME)) {
    const [whole, kind = '', quoted, bare] = match;
    end = match.index + whole.length;
    const value = quoted === undefined ? bare : unquote(quoted);
    const prefix = KINDS[kind];
    if (prefix !== undefined && value) names.push(`${prefix}:${prefix === 'IP' ? shortened(value) : value}`);
  }
  return end === (text ?? '').length ? names : [];
}

/** An address as it is commonly written: Node writes all groups of an IPv6 one. */
function shortened(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

function unquote(quoted: string): string | undefined {
  try {
    return JSON.parse(`"${quoted}"`);
  } catch {
    return undefined;
  }
}
