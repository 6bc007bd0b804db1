/**
 * Who there is: clients by id, their secrets, and clients by the names in certificates. The one idea: it is
 * replaced as a whole, but a client that stays is the same object afterwards, so that calls under way see
 * what became of it.
 */
import type { ClientEntry, SecretEntry } from './auth-file.js';
import { Client } from './client.js';

export interface Known {
  readonly client: Client;
  readonly secrets: readonly SecretEntry[];
}

/** What a new auth file did to a client. */
export interface ClientChange {
  readonly type: 'client_added' | 'client_removed' | 'client_changed';
  readonly id: string;
}

interface Row extends Known {
  /** All that the file says about it, to be compared. */
  readonly print: string;
}

export class ClientDirectory {
  #byId = new Map<string, Row>();
  #byName = new Map<string, Client>();

  get size(): number {
    return this.#byId.size;
  }

  find(id: string): Known | undefined {
    return this.#byId.get(id);
  }

  /** The clients that a certificate with these names stands for: of a certificate in order, one. */
  findByNames(names: readonly string[]): Client[] {
    return [...new Set(names.flatMap((name) => this.#byName.get(name) ?? []))];
  }

  /** From now on there are these; tells what is different. */
  replace(entries: readonly ClientEntry[]): ClientChange[] {
    const before = this.#byId;
    const rows = entries.map((entry) => rowOf(entry, before.get(entry.id)?.client));
    this.#byId = new Map(rows.map((row) => [row.client.id, row]));
    this.#byName = new Map(
      entries.flatMap(({ id, names }) => names.map((name) => [name, this.#clientOf(id)] as const)),
    );
    return [...this.#removed(before), ...changes(rows, before)];
  }

  #clientOf(id: string): Client {
    return (this.#byId.get(id) as Row).client;
  }

  #removed(before: ReadonlyMap<string, Row>): ClientChange[] {
    const gone = [...before.values()].filter(({ client }) => !this.#byId.has(client.id));
    return gone.map(({ client }) => {
      // Whoever still holds it is refused; if it comes back it is another.
      client.isKnown = false;
      return { type: 'client_removed', id: client.id };
    });
  }
}

function rowOf({ id, secrets, names, grants }: ClientEntry, known: Client | undefined): Row {
  const client = known ?? new Client(id, grants);
  const print = JSON.stringify([
    grants.map(({ text }) => text).sort(),
    [...names].sort(),
    secrets.map(({ hash, expiresMs }) => `${hash.toString('hex')} ${expiresMs}`).sort(),
  ]);
  if (known) known.grants = grants;
  return { client, secrets, print };
}

function changes(rows: readonly Row[], before: ReadonlyMap<string, Row>): ClientChange[] {
  return rows.flatMap(({ client: { id }, print }): ClientChange[] => {
    const old = before.get(id);
    if (!old) return [{ type: 'client_added', id }];
    return old.print === print ? [] : [{ type: 'client_changed', id }];
  });
}
