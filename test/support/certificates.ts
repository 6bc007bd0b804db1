/**
 * Certificates for tests, made with the `openssl` command in a temporary directory: an authority, and what
 * it signs. Elliptic keys, since those are made at once. Signing by itself, so nothing is shared between
 * tests; call `makeAuthority` once a file.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './processes.js';

/** A certificate and its key, as PEM files. */
export interface KeyPair {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateOptions {
  /** Subject alternative names as openssl takes them: `DNS:x`, `URI:x`, `IP:x`, `email:x`. */
  readonly names: readonly string[];
  /** From now; negative = it ended that long ago. */
  readonly days?: number;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export class Authority {
  /** The authority's own certificate. */
  readonly caFile: string;
  readonly #keyFile: string;
  readonly #directory: string;

  constructor() {
    this.#directory = temporaryDirectory('certificates');
    this.caFile = this.path('ca.pem');
    this.#keyFile = this.path('ca.key');
    const subject = `/CN=Switchgear test ${randomBytes(4).toString('hex')}`;
    openssl(
      ['req', '-x509', ...NEW_KEY, '-days', '30', '-subj', subject],
      ['-keyout', this.#keyFile, '-out', this.caFile],
    );
  }

  get ca(): Buffer {
    return readFileSync(this.caFile);
  }

  /** A file in the directory of this authority. */
  path(name: string): string {
    return join(this.#directory, name);
  }

  /** For a server on this machine. */
  server(options: Partial<CertificateOptions> = {}): KeyPair {
    const { names = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1'], days = 30 } = options;
    return this.#issue('serverAuth', names, days);
  }

  /** For a client. */
  client({ names, days = 30 }: CertificateOptions): KeyPair {
    return this.#issue('clientAuth', names, days);
  }

  #issue(usage: string, names: readonly string[], days: number): KeyPair {
    const id = randomBytes(6).toString('hex');
    const pair = { certFile: this.path(`${id}.pem`), keyFile: this.path(`${id}.key`) };
    const [request, extensions] = [this.path(`${id}.csr`), this.path(`${id}.cnf`)];
    writeFileSync(extensions, `extendedKeyUsage=${usage}\n${sectionOf(names)}`);
    openssl(['req', '-new', ...NEW_KEY, '-subj', `/CN=${id}`], ['-keyout', pair.keyFile, '-out', request]);
    openssl(
      ['x509', '-req', '-in', request, '-days', String(days), '-extfile', extensions],
      ['-CA', this.caFile, '-CAkey', this.#keyFile, '-set_serial', `0x${id}`, '-out', pair.certFile],
    );
    return pair;
  }
}

/** As a section of its own, where a name may hold a comma. */
function sectionOf(names: readonly string[]): string {
  if (names.length === 0) return '';
  const lines = names.map((name, i) => {
    const at = name.indexOf(':');
    return `${name.slice(0, at)}.${i} = ${name.slice(at + 1)}`;
  });
  return `subjectAltName=@names\n[names]\n${lines.join('\n')}\n`;
}

export function makeAuthority(): Authority {
  return new Authority();
}

function openssl(...args: string[][]): void {
  execFileSync('openssl', args.flat(), { stdio: 'pipe', timeout: 20_000 });
}
