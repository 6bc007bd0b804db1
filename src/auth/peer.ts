/** Who is at the other end of a connection, as far as the connection itself tells. */
export interface Peer {
  /** Its address, without the port; empty when it has gone already. */
  readonly address: string;
  /** The certificate it showed; undefined = none, or it was not asked for one. */
  readonly certificate: PeerCertificate | undefined;
}

export interface PeerCertificate {
  /** Subject alternative names, `DNS:name`, `URI:uri`, `IP:address` or `email:address`. */
  readonly names: readonly string[];
  /**
   * Why it proves nothing, as the TLS library words it, e.g. `CERT_HAS_EXPIRED`, or `CA_REPLACED`; undefined = it was
   * verified, and holds. It may come while the connection lives: ask at each call.
   */
  readonly problem: string | undefined;
  /** When it ends, or one above it that ends earlier, in Unix milliseconds. */
  readonly validToMs?: number | undefined;
}
