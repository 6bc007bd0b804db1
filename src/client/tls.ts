/**
 * TLS of a connection. The files are read at each new connection, so that certificates which were renewed
 * are used without a restart; files in the middle of being replaced are passed over, and those read before
 * stay in use.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';

export interface TlsOptions {
  /** PEM file of the CA that the server's certificate is checked against; those that Node trusts if unset. */
  readonly caFile?: string;
  /** PEM files of this client's certificate and key, for mutual TLS. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** The name in the server's certificate, when it is not the one in the address. */
  readonly serverName?: string;
}

/** What each new connection is made with. */
export interface TlsSession {
  readonly secureContext: SecureContext;
  readonly servername?: string;
}

/** @throws TypeError when a file cannot be read or used */
export function tlsSession(options: TlsOptions): TlsSession {
  if ((options.certFile === undefined) !== (options.keyFile === undefined))
    throw new TypeError('tls: a certificate and its key go together, and one of the two is missing');
  let good = contextOf(options);
  return {
    ...(options.serverName && { servername: options.serverName }),
    // Node copies these options when it connects, and so asks again each time.
    get secureContext() {
      try {
        good = contextOf(options);
      } catch {
        // Being replaced: the connection after this one finds them whole.
      }
      return good;
    },
  };
}

function contextOf({ caFile, certFile, keyFile }: TlsOptions): SecureContext {
  try {
    return createSecureContext({
      ...(caFile && { ca: readFileSync(caFile) }),
      ...(certFile && { cert: readFileSync(certFile) }),
      ...(keyFile && { key: readFileSync(keyFile) }),
      minVersion: 'TLSv1.2',
    });
  } catch (error) {
    const files = [caFile, certFile, keyFile].filter(Boolean).join(', ');
    throw new TypeError(`tls: cannot use ${files}: ${(error as Error).message}`);
  }
}
