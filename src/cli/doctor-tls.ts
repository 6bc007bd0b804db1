/**
 * What doctor sees of TLS: a connection of its own, which looks at the certificate of the server whether it
 * proves anything or not. Nothing is sent through it.
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Settings } from '../client/settings.js';
import { tlsSession } from '../client/tls.js';

const HANDSHAKE_MS = 5_000;

export interface SeenCertificate {
  /** Its common name, or else the names that it is for. */
  readonly subject: string;
  readonly names: string;
  readonly endMs: number;
}

export interface SeenTls {
  /** Such as `TLSv1.3`; undefined = there was no handshake. */
  readonly protocol: string | undefined;
  readonly server: SeenCertificate | undefined;
  /** Why it proves nothing, as the TLS library says it. */
  readonly problem: string | undefined;
  /** The certificate of this client. */
  readonly own: SeenCertificate | undefined;
}

/** Undefined = the connection is in plaintext. Never throws: what is missing could not be seen. */
export async function lookAtTls({ address, tls }: Settings): Promise<SeenTls | undefined> {
  if (tls === false) return undefined;
  const files = tls === true ? {} : tls;
  const own = files.certFile === undefined ? undefined : seen(() => readFileSync(files.certFile ?? ''));
  let socket: TLSSocket | undefined;
  try {
    const { hostname, port } = new URL(`https://${address}`);
    const host = hostname.replace(/^\[|\]$/g, '');
    const servername = files.serverName ?? (isIP(host) ? undefined : host);
    const { secureContext } = tlsSession(files);
    socket = connect({
      host,
      port: Number(port || 443),
      secureContext,
      ...(servername && { servername }),
      ALPNProtocols: ['h2'],
      // It is looked at, and nothing is entrusted to it.
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(HANDSHAKE_MS) });
    const certificate = socket.getPeerX509Certificate();
    return {
      protocol: socket.getProtocol() ?? undefined,
      server: certificate && seen(() => certificate.raw),
      problem: socket.authorizationError ? String(socket.authorizationError) : undefined,
      own,
    };
  } catch {
    return { protocol: undefined, server: undefined, problem: undefined, own };
  } finally {
    socket?.on('error', () => {}).destroy();
  }
}

function seen(read: () => Buffer): SeenCertificate | undefined {
  try {
    const { subject = '', subjectAltName = '', validTo } = new X509Certificate(read());
    const [, name] = /(?:^|\n)CN=([^\n]*)/.exec(subject) ?? [];
    return { subject: name ?? subjectAltName, names: subjectAltName, endMs: Date.parse(validTo) };
  } catch {
    return undefined;
  }
}
