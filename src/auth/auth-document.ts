/**
 * The auth file as a document that is changed: what is not touched stays as it was written, comments and
 * all. It decides nothing; who changes it (client-edits.ts) checks before, and reads the result again after.
 */
import { type Document, isMap, isScalar, isSeq, YAMLMap, YAMLSeq } from 'yaml';
import { parseAuthDocument, type SecretEntry } from './auth-file.js';
import { hashText } from './secrets.js';

const NEW_FILE = `# Clients of Switchgear and what they may do: SERVICE:VERB:NAME, where * is any text.
# \`switchgear client\` changes this file; by hand works too. Servers read it again when it changes.
version: 1
clients:
`;

export class AuthDocument {
  readonly #document: Document.Parsed;

  constructor(text: string | undefined, path: string) {
    this.#document = parseAuthDocument(text ?? NEW_FILE, path);
  }

  get document(): Document.Parsed {
    return this.#document;
  }

  toString(): string {
    return this.#document.toString({ lineWidth: 0 });
  }

  add(id: string): void {
    this.#clients().set(this.#document.createNode(id), new YAMLMap(this.#document.schema));
  }

  remove(id: string): void {
    this.#clients().delete(id);
  }

  /** Adds texts to the end of a list of a client. */
  append(id: string, field: 'grants' | 'names', texts: readonly string[]): void {
    if (texts.length === 0) return;
    const list = this.#list(id, field);
    for (const text of texts) list.add(this.#document.createNode(text));
  }

  /** Takes texts out of a list of a client, however often they are in it. */
  withdraw(id: string, field: 'grants' | 'names', texts: readonly string[]): void {
    const list = this.#list(id, field);
    list.items = list.items.filter((item) => !(isScalar(item) && texts.includes(String(item.value))));
  }

  setSecrets(id: string, secrets: readonly SecretEntry[]): void {
    this.#client(id).set('secrets', this.#document.createNode(secrets.map(secretFields)));
  }

  #clients(): YAMLMap {
    const found = this.#document.get('clients', true);
    if (isMap(found)) {
      // An empty one is written {}; what comes into it has lines of its own.
      if (found.items.length === 0) found.flow = false;
      return found;
    }
    const made = new YAMLMap(this.#document.schema);
    this.#document.set('clients', made);
    return made;
  }

  #client(id: string): YAMLMap {
    const found = this.#clients().get(id, true);
    if (!isMap(found)) throw new Error(`client ${id} is not in the document`);
    return found;
  }

  #list(id: string, field: string): YAMLSeq {
    const client = this.#client(id);
    const found = client.get(field, true);
    if (isSeq(found)) return found;
    const made = new YAMLSeq(this.#document.schema);
    client.set(field, made);
    return made;
  }
}

function secretFields({ hash, createdMs, expiresMs }: SecretEntry): Record<string, string> {
  return {
    hash: hashText(hash),
    created: timeText(createdMs),
    ...(expiresMs === undefined ? {} : { expires: timeText(expiresMs) }),
  };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
