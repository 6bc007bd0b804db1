/**
 * A client as the running server knows it. The one idea: a client is one object for as long as the server
 * knows it, and what it is granted is asked of it anew each time; so a change of the auth file holds for
 * calls that are under way too.
 */
import type { Access } from '../call.js';
import { Fault } from '../fault.js';
import { type Grant, type GrantService, isAbout, type Verb } from './grants.js';

/** What one rpc needs of its caller: a verb on a service. */
export interface Need {
  readonly service: GrantService;
  readonly verb: Verb;
}

export class Client {
  readonly id: string;
  /** False once the auth file has lost it: it may do nothing any more. */
  isKnown = true;
  #grants: readonly Grant[] = [];
  /** By need, of which there are as many as the table of rules has. */
  readonly #accesses = new Map<Need, ClientAccess>();

  constructor(id: string, grants: readonly Grant[]) {
    this.id = id;
    this.#grants = grants;
  }

  /** From now on it is granted this. */
  set grants(grants: readonly Grant[]) {
    this.#grants = grants;
    for (const access of this.#accesses.values()) access.change(this.grantsOf(access.need));
  }

  /** What it is granted of a need; one object for each, since a call asks for it twice. */
  accessTo(need: Need): ClientAccess {
    const known = this.#accesses.get(need);
    if (known) return known;
    const access = new ClientAccess(this, need, this.grantsOf(need));
    this.#accesses.set(need, access);
    return access;
  }

  private grantsOf({ service, verb }: Need): Grant[] {
    return this.#grants.filter((grant) => isAbout(grant, service, verb));
  }
}

/** What a client may touch with one verb of one service. */
export class ClientAccess implements Access {
  readonly client: Client;
  readonly need: Need;
  isUnlimited = false;
  #grants: readonly Grant[] = [];

  constructor(client: Client, need: Need, grants: readonly Grant[]) {
    this.client = client;
    this.need = need;
    this.change(grants);
  }

  change(grants: readonly Grant[]): void {
    this.#grants = grants;
    this.isUnlimited = grants.some(({ pattern }) => pattern.isAnything);
  }

  /** Whether there is any name at all that it is granted. */
  get isAny(): boolean {
    return this.client.isKnown && this.#grants.length > 0;
  }

  allows(name: string): boolean {
    if (!this.client.isKnown) return false;
    return this.isUnlimited || this.#grants.some(({ pattern }) => pattern.matches(name));
  }

  require(name: string | undefined): void {
    if (!(name === undefined ? this.client.isKnown && this.isUnlimited : this.allows(name)))
      throw this.denial();
  }

  /** Says nothing of the name: it may have come from an id, and not be the caller's to know. */
  denial(): Fault {
    const { service, verb } = this.need;
    const grant = `${service}:${verb}`;
    return new Fault('GRANT_MISSING', `client ${this.client.id} is not granted ${grant} on what this names`, {
      facts: { client: this.client.id, grant },
    });
  }
}
