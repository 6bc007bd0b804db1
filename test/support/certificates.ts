/**
 * Certificates for tests, made with the `openssl` command in a temporary directory: an authority, and what
 * it signs. Elliptic keys, since those are made at once. Signing by itself, so nothing is shared between
 * tests; call `makeAuthority` once a file.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './processes.js';
import { findTool } from './tools.js';

/** The tool, or undefined: then the tests that need certificates are skipped, which was said. */
export const openssl = findTool('openssl');

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
  /** Says by name only who signed it, and not by which key. */
  readonly namesSignerOnly?: boolean;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export class Authority {
  /** The authority's own certificate. */
  readonly caFile: string;
  readonly #keyFile: string;
  readonly #directory: string;
  readonly #isBetween: boolean;

  /** With another `above` it is one between that and those who trust that; else all begins with it. */
  constructor(name: string, above?: Authority) {
    this.#directory = temporaryDirectory('certificates');
    this.caFile = this.path('ca.pem');
    this.#keyFile = this.path('ca.key');
    this.#isBetween = above !== undefined;
    const subject = ['-subj', `/CN=${name}`, '-keyout', this.#keyFile];
    if (above === undefined) {
      run(['req', '-x509', ...NEW_KEY, '-days', '30', ...subject, '-out', this.caFile]);
      return;
    }
    const request = this.path('ca.csr');
    run(['req', '-new', ...NEW_KEY, ...subject, '-out', request]);
    above.#sign(request, this.caFile, 30, 'basicConstraints=critical,CA:TRUE\n');
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
    return this.#issue(`extendedKeyUsage=serverAuth\n${sectionOf(names)}`, days);
  }

  /** For a client. */
  client({ names, days = 30, namesSignerOnly = false }: CertificateOptions): KeyPair {
    const signer = namesSignerOnly ? 'authorityKeyIdentifier=none\n' : '';
    return this.#issue(`extendedKeyUsage=clientAuth\n${signer}${sectionOf(names)}`, days);
  }

  #issue(extensions: string, days: number): KeyPair {
    const id = randomBytes(6).toString('hex');
    const pair = { certFile: this.path(`${id}.pem`), keyFile: this.path(`${id}.key`) };
    const request = this.path(`${id}.csr`);
    run(['req', '-new', ...NEW_KEY, '-subj', `/CN=${id}`, '-keyout', pair.keyFile, '-out', request]);
    this.#sign(request, pair.certFile, days, extensions);
    if (this.#isBetween) appendFileSync(pair.certFile, this.ca);
    return pair;
  }

  #sign(request: string, certFile: string, days: number, extensions: string): void {
    const extensionsFile = `${request}.cnf`;
    writeFileSync(extensionsFile, extensions);
    const serial = `0x${randomBytes(6).toString('hex')}`;
    run(
      ['x509', '-req', '-in', request, '-days', String(days), '-extfile', extensionsFile],
      ['-CA', this.caFile, '-CAkey', this.#keyFile, '-set_serial', serial, '-out', certFile],
    );
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

/** Two of the same name have different keys. */
export function makeAuthority(name = randomName()): Authority {
  return new Authority(name);
}

/** One that `above` vouches for; what it signs comes with its own certificate. */
export function makeAuthorityBelow(above: Authority): Authority {
  return new Authority(randomName(), above);
}

function randomName(): string {
  return `Switchgear test ${randomBytes(4).toString('hex')}`;
}

function run(...args: string[][]): void {
  execFileSync(openssl ?? 'openssl', args.flat(), { stdio: 'pipe', timeout: 20_000 });
}
