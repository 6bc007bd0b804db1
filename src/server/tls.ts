/**
 * TLS on our own ports: what a caller and this server show each other before anything is said. One
 * identity serves both ports; each gets a front that takes a counted connection and hands on the secured
 * one. The idea to hold: a handshake lets callers without a certificate pass, and those with a bad one
 * too; what is known of it goes with the socket (peers.ts), and who needs to know refuses by it, with a
 * status that tells what is wrong instead of a connection that breaks.
 */
import { constants } from 'node:crypto';
import { isIPv6, type Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Logger } from 'pino';
import { Counter, Gauge } from 'prom-client';
import type { PeerCertificate } from '../auth/peer.js';
import { type PemMaterial, readPemFiles } from '../pem-files.js';
import type { Limits } from './limits.js';
import type { Metrics } from './metrics.js';
import { addressOf, leavePeer } from './peers.js';
import { watchFiles } from './watched-files.js';

export interface TlsFiles {
  /** The certificate, followed by those between it and its CA. Undefined = plaintext. */
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** CAs of callers' certificates; undefined = callers are not asked for one. */
  readonly tlsClientCaFile: string | undefined;
}

/** Read whole. */
type Material = PemMaterial & { cert: Buffer; key: Buffer; certificateEndMs: number };

export interface TlsSurroundings {
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Reads the files and watches them; undefined when none are named, for plaintext. */
export function openTls(files: Partial<TlsFiles>, surroundings: TlsSurroundings): Tls | undefined {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = files;
  if (tlsCertFile === undefined) return undefined;
  return new Tls({ tlsCertFile, tlsKeyFile, tlsClientCaFile }, surroundings);
}

export class Tls {
  readonly #files: TlsFiles;
  readonly #log: Logger;
  readonly #limits: Limits;
  readonly #failures: Counter;
  /** One for each port. */
  readonly #fronts: Server[] = [];
  readonly #stopWatching: () => void;
  #material: Material;

  /** Throws an Error in one line when the files are of no use. */
  constructor(files: TlsFiles, { limits, metrics, log }: TlsSurroundings) {
    this.#files = files;
    this.#log = log;
    this.#limits = limits;
    const paths = Object.values(files).filter((path) => path !== undefined);
    this.#stopWatching = watchFiles(
      () => paths,
      () => this.#reload(),
    );
    try {
      this.#material = readMaterial(files);
    } catch (error) {
      this.#stopWatching();
      throw error;
    }
    this.#failures = this.#measure(metrics);
  }

  /** When the certificate ends that is shown now, in Unix milliseconds. */
  get certificateEndMs(): number {
    return this.#material.certificateEndMs;
  }

  /** For one port: takes an accepted connection, and hands it on when its handshake is done. */
  front(protocols: readonly string[], onSecure: (socket: Socket) => void): (socket: Socket) => void {
    const server = createServer({
      ...contextOptions(this.#material),
      ALPNProtocols: [...protocols],
      requestCert: this.#asksForCertificates,
      rejectUnauthorized: false,
      handshakeTimeout: this.#limits.handshakeTimeoutMs,
    });
    server.on('secureConnection', (socket) => {
      // A caller that resets its connection is no fault of ours; 'close' follows.
      socket.on('error', () => {});
      leavePeer(socket, { address: addressOf(socket), certificate: certificateOf(socket) });
      onSecure(socket);
    });
    server.on('tlsClientError', (error, socket) => this.#onFailure(error, socket));
    this.#fronts.push(server);
    return (socket) => void server.emit('connection', socket);
  }

  /** Looks at the files no more; connections go on. */
  close(): void {
    this.#stopWatching();
  }

  get #asksForCertificates(): boolean {
    return this.#files.tlsClientCaFile !== undefined;
  }

  /** Takes new files whole, or stays with what there is. */
  #reload(): void {
    try {
      const material = readMaterial(this.#files);
      if (isSame(material, this.#material)) return;
      for (const front of this.#fronts) front.setSecureContext(contextOptions(material));
      this.#material = material;
      const certificateUntil = new Date(material.certificateEndMs).toISOString();
      this.#log.info({ certificateUntil }, 'new TLS files are in use');
    } catch (error) {
      this.#log.error(
        { problem: (error as Error).message },
        'new TLS files are of no use; the old ones stay in use',
      );
    }
  }

  #onFailure(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    this.#failures.inc();
    this.#log.debug({ address: addressOf(socket), problem: error.code ?? error.message }, 'no TLS handshake');
    socket.destroy();
  }

  #measure({ registry }: Metrics): Counter {
    const endSeconds = () => this.certificateEndMs / 1_000;
    new Gauge({
      name: 'switchgear_tls_certificate_expiry_timestamp_seconds',
      help: 'When the certificate ends that is shown to callers, as Unix time.',
      registers: [registry],
      collect() {
        this.set(endSeconds());
      },
    });
    return new Counter({
      name: 'switchgear_tls_handshake_failures_total',
      help: 'Connections that ended before TLS was agreed on.',
      registers: [registry],
    });
  }
}

function readMaterial({ tlsCertFile, tlsKeyFile, tlsClientCaFile }: TlsFiles): Material {
  const material = readPemFiles({ cert: tlsCertFile, key: tlsKeyFile, ca: tlsClientCaFile });
  const { cert, key, certificateEndMs } = material;
  if (!cert || !key || certificateEndMs === undefined)
    throw new Error('TLS needs a certificate and its key: --tls-cert and --tls-key');
  return { ...material, cert, key, certificateEndMs };
}

function contextOptions({ cert, key, ca }: Material): TlsOptions {
  const options = { cert, key, minVersion: 'TLSv1.2', honorCipherOrder: true } as const;
  if (ca === undefined) return options;
  // A session that is resumed is not verified again, so an expired certificate would go on to be good.
  return { ...options, ca, secureOptions: constants.SSL_OP_NO_TICKET };
}

function isSame(a: Material, b: Material): boolean {
  const bytesOf = ({ cert, key, ca }: Material) => [cert, key, ca ?? Buffer.alloc(0)];
  return bytesOf(a).every((bytes, i) => bytes.equals(bytesOf(b)[i] as Buffer));
}

/** The certificate that a caller showed, and whether it proves anything. */
function certificateOf(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const problem = socket.authorized ? undefined : String(socket.authorizationError ?? 'UNVERIFIED');
  return { names: namesIn(certificate.subjectAltName), problem };
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
