/**
 * What goes wrong between two ends of TLS, in words. The idea to hold: these do not mend themselves, so
 * unlike a connection that was lost they are not tried again.
 */

export interface TlsFailure {
  readonly kind: 'unknown_ca' | 'name' | 'validity' | 'certificate' | 'plaintext' | 'version' | 'refused';
  readonly text: string;
}

const UNKNOWN_CA = "the server's certificate is of a CA that is not trusted here";
const REFUSED = 'the server refused the certificate of this client, or asks for one';

/** By the code that Node gives. */
const FAILURES: Readonly<Record<string, readonly [TlsFailure['kind'], string]>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['unknown_ca', UNKNOWN_CA],
  UNABLE_TO_GET_ISSUER_CERT: ['unknown_ca', UNKNOWN_CA],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['unknown_ca', UNKNOWN_CA],
  SELF_SIGNED_CERT_IN_CHAIN: ['unknown_ca', UNKNOWN_CA],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['unknown_ca', "the server's certificate is self-signed and not trusted here"],
  CERT_SIGNATURE_FAILURE: ['unknown_ca', UNKNOWN_CA],
  CERT_UNTRUSTED: ['unknown_ca', UNKNOWN_CA],
  INVALID_CA: ['unknown_ca', UNKNOWN_CA],
  CERT_HAS_EXPIRED: ['validity', "the server's certificate has expired"],
  CERT_NOT_YET_VALID: ['validity', "the server's certificate is not valid yet"],
  CERT_REVOKED: ['certificate', "the server's certificate is revoked"],
  CERT_REJECTED: ['certificate', "the server's certificate is not one of a server"],
  INVALID_PURPOSE: ['certificate', "the server's certificate is not one of a server"],
  ERR_TLS_CERT_ALTNAME_INVALID: ['name', "the server's certificate is for another name"],
  ERR_SSL_WRONG_VERSION_NUMBER: ['plaintext', 'the server does not speak TLS there'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['plaintext', 'the server does not speak TLS there'],
  ERR_SSL_HTTP_REQUEST: ['plaintext', 'the server does not speak TLS there'],
  ERR_SSL_UNSUPPORTED_PROTOCOL: ['version', 'the server speaks no version of TLS that is safe'],
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: [
    'version',
    'the server speaks no version of TLS that this client does',
  ],
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: ['refused', REFUSED],
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: ['refused', REFUSED],
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: ['refused', REFUSED],
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: ['refused', REFUSED],
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: ['refused', 'the server refused the handshake'],
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: ['refused', REFUSED],
};
/** How deep a cause is looked for. */
const MOST_CAUSES = 8;

/** The failure of TLS that an error comes from; undefined = it is none. */
export function tlsFailureOf(error: unknown): TlsFailure | undefined {
  let at = error;
  for (let i = 0; i < MOST_CAUSES && at instanceof Error; i += 1) {
    const code = 'code' in at && typeof at.code === 'string' ? at.code : '';
    const [kind, text] = (Object.hasOwn(FAILURES, code) && FAILURES[code]) || [];
    if (kind && text) return { kind, text: kind === 'name' ? `${text}${named(at)}` : text };
    at = at.cause;
  }
  return undefined;
}

/** The names that the certificate is for. */
function named(error: Error): string {
  const { cert } = error as { cert?: { subjectaltname?: string } };
  const names = cert?.subjectaltname;
  return names ? `: ${names.slice(0, 200)}` : '';
}
