/** An auth file and its pepper in a folder of a test's own, written as an operator would. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Auth, type AuthEvent, openAuth } from '../../src/auth/open-auth.js';
import type { Peer } from '../../src/auth/peer.js';
import { hashOf, hashText } from '../../src/auth/secrets.js';
import { FakeClock } from '../support/fake-clock.js';

const PEPPER = Buffer.alloc(32, 7);

export interface ClientText {
  /** As they are sent; the file gets their hashes. */
  readonly secrets?: readonly (string | { readonly secret: string; readonly expires: string })[];
  readonly names?: readonly string[];
  readonly grants?: readonly string[];
}

export class AuthFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'switchgear-auth-'));
  readonly authFile = join(this.path, 'clients.yaml');
  readonly pepperFile = `${this.authFile}.pepper`;
  readonly clock = new FakeClock();
  readonly events: AuthEvent[] = [];

  constructor(clients: Record<string, ClientText> = {}) {
    this.writePepper(`${PEPPER.toString('base64url')}\n`);
    this.write(clients);
  }

  write(clients: Record<string, ClientText>): void {
    this.writeText(stringify({ version: 1, clients: mapValues(clients, fileFields) }));
  }

  writeText(text: string): void {
    writeFileSync(this.authFile, text);
    chmodSync(this.authFile, 0o600);
  }

  writePepper(text: string): void {
    writeFileSync(this.pepperFile, text);
    chmodSync(this.pepperFile, 0o600);
  }

  open(): Promise<Auth> {
    const { authFile, clock } = this;
    return openAuth({ authFile, pepperFile: undefined, clock, onEvent: (event) => this.events.push(event) });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function fileFields({ secrets = [], names = [], grants = [] }: ClientText, id: string) {
  const entries = secrets.map((each) => {
    const { secret, expires } = typeof each === 'string' ? { secret: each, expires: undefined } : each;
    const hash = hashText(hashOf(PEPPER, id, secret));
    return { hash, created: '2029-12-01T00:00:00Z', ...(expires && { expires }) };
  });
  return { secrets: entries, names, grants };
}

function mapValues<V, W>(map: Record<string, V>, change: (value: V, key: string) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value, key)]));
}

/** The header for an id and a secret. */
export function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}

export function peer(address = '192.0.2.1', certificate?: Peer['certificate']): Peer {
  return { address, certificate };
}
