/**
 * TLS on our own ports: what a caller and this server show each other before anything is said. One
 * identity serves both ports; each gets a front that takes a counted connection and hands on the secured
 * one. The idea to hold: a handshake lets callers without a certificate pass, and those with a bad one
 * too; what is known of it goes with the socket (peers.ts), and who needs to know refuses by it, with a
 * status that tells what is wrong instead of a connection that breaks.
 */
import { constants, type X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Logger } from 'pino';
import { Counter, Gauge } from 'prom-client';
import { type PemMaterial, readPemFiles } from '../pem-files.js';
import type { Limits } from './limits.js';
import type { Metrics } from './metrics.js';
import { addressOf, leavePeer, tellToGo } from './peers.js';
import { ShownCertificate } from './shown-certificate.js';
import { watchFiles } from './watched-files.js';

export interface TlsFiles {
  /** The certificate, followed by those between it and its CA. Undefined = plaintext. */
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** CAs of callers' certificates; undefined = callers are not asked for one. */
  readonly tlsClientCaFile: string | undefined;
}

/** No connection is open for so long. */
const DAY_MS = 86_400_000;
const LATE_MS = 100;

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
  /** The connections that showed a certificate, of which the ports have a cap. */
  readonly #shown = new Map<TLSSocket, ShownCertificate>();
  readonly #onRefused: (() => void)[] = [];
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
      leavePeer(socket, { address: addressOf(socket), certificate: this.#shownBy(socket) });
      onSecure(socket);
    });
    server.on('tlsClientError', (error, socket) => this.#onFailure(error, socket));
    this.#fronts.push(server);
    return (socket) => void server.emit('connection', socket);
  }

  /** Calls back when a certificate that was good is so no more, while its connection is open. */
  onRefused(listener: () => void): void {
    this.#onRefused.push(listener);
  }

  /** Looks at the files no more; connections go on. */
  close(): void {
    this.#stopWatching();
  }

  get #asksForCertificates(): boolean {
    return this.#files.tlsClientCaFile !== undefined;
  }

  /** The certificate of a new connection, which is looked at again when the authorities change. */
  #shownBy(socket: TLSSocket): ShownCertificate | undefined {
    const certificate = ShownCertificate.of(socket);
    if (certificate === undefined) return undefined;
    this.#shown.set(socket, certificate);
    const leftMs = certificate.validToMs - Date.now();
    const ends = leftMs > 0 && leftMs < DAY_MS;
    // Timers may be a little early.
    const timer = ends ? setTimeout(() => this.#tellRefused(), leftMs + LATE_MS).unref() : undefined;
    socket.once('close', () => {
      this.#shown.delete(socket);
      clearTimeout(timer);
    });
    // The handshake may have begun with the authorities before these.
    certificate.review(this.#material.authorities);
    return certificate;
  }

  /** Takes new files whole, or stays with what there is. */
  #reload(): void {
    const { authorities } = this.#material;
    try {
      const material = readMaterial(this.#files);
      if (isSame(material, this.#material)) return;
      for (const front of this.#fronts) front.setSecureContext(contextOptions(material));
      this.#material = material;
    } catch (error) {
      this.#log.error(
        { problem: (error as Error).message },
        'new TLS files are of no use; the old ones stay in use',
      );
      return;
    }
    const certificateUntil = new Date(this.certificateEndMs).toISOString();
    this.#log.info({ certificateUntil }, 'new TLS files are in use');
    this.#review(authorities);
  }

  /** Lets connections go whose certificate is no good now; also where it was none before, since it may be now. */
  #review(before: readonly X509Certificate[]): void {
    const { authorities } = this.#material;
    if (isSameSet(before, authorities)) return;
    for (const [socket, certificate] of this.#shown) if (!certificate.review(authorities)) tellToGo(socket);
    this.#tellRefused();
  }

  #tellRefused(): void {
    for (const tell of this.#onRefused) tell();
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
  // Who is at the other end is settled once; anew in the middle would be work for us, asked for by anybody.
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION;
  const options = { cert, key, minVersion: 'TLSv1.2', honorCipherOrder: true, secureOptions } as const;
  if (ca === undefined) return options;
  // A session that is resumed is not verified again, so an expired certificate would go on to be good.
  return { ...options, ca, secureOptions: secureOptions | constants.SSL_OP_NO_TICKET };
}

function isSame(a: Material, b: Material): boolean {
  const bytesOf = ({ cert, key, ca }: Material) => [cert, key, ca ?? Buffer.alloc(0)];
  return bytesOf(a).every((bytes, i) => bytes.equals(bytesOf(b)[i] as Buffer));
}

function isSameSet(some: readonly X509Certificate[], others: readonly X509Certificate[]): boolean {
  const printsOf = (all: readonly X509Certificate[]) => all.map(({ fingerprint256 }) => fingerprint256);
  return printsOf(some).toSorted().join() === printsOf(others).toSorted().join();
}
