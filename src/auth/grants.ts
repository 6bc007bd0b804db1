/**
 * Grants: what a client may do, `SERVICE:VERB:PATTERN`, as in `bus:write:order-*`. The one idea: whatever
 * no grant names is denied. A pattern is the operator's and never a caller's: `*` stands for any text, also
 * for none, and `\` takes its meaning from the character after it.
 */

/** What can be granted on each service, in the words of grants. */
export const VERBS = {
  fsm: ['read', 'write', 'manage'],
  bus: ['read', 'write', 'process', 'manage'],
  server: ['read'],
} as const;

export type GrantService = keyof typeof VERBS;
export type Verb = (typeof VERBS)[GrantService][number];

/** One grant, taken apart. */
export interface Grant {
  readonly service: GrantService | '*';
  readonly verb: Verb | '*';
  readonly pattern: Pattern;
  /** As it was written. */
  readonly text: string;
}

const SHAPE = /^([^:]*):([^:]*):(.*)$/su;
/** A name has at most 128 bytes; a pattern that is longer than this could only be a mistake. */
const MAX_PATTERN_CHARS = 256;

/**
 * Takes a grant apart; throws an Error whose message says what it must be. Not what it is: who shows that
 * too asks first whether it `looksLikeGrant`, since a secret may have been put in its place.
 */
export function parseGrant(text: string): Grant {
  const [, service = '', verb = '', pattern = ''] = SHAPE.exec(text) ?? [];
  if (!isService(service))
    throw new Error(`must be SERVICE:VERB:NAME with a service of ${listOf(Object.keys(VERBS))}`);
  const verbs = service === '*' ? Object.values(VERBS).flat() : VERBS[service];
  if (!isVerb(verb, verbs)) throw new Error(`must have a verb of ${listOf([...new Set(verbs)])}`);
  if (pattern === '' || pattern.length > MAX_PATTERN_CHARS)
    throw new Error(`must end with a name or a pattern of at most ${MAX_PATTERN_CHARS} characters`);
  return { service, verb, pattern: new Pattern(pattern), text };
}

/** Whether a text was meant as a grant, and so is nothing that must not be shown. */
export function looksLikeGrant(text: string): boolean {
  const [, service] = SHAPE.exec(text) ?? [];
  return service !== undefined && isService(service);
}

/** Whether a grant says anything about a service and a verb. */
export function isAbout(grant: Grant, service: GrantService, verb: Verb): boolean {
  return (grant.service === '*' || grant.service === service) && (grant.verb === '*' || grant.verb === verb);
}

/** Names that are granted: literal pieces with any text between them. */
export class Pattern {
  /** Whether it lets every name through. */
  readonly isAnything: boolean;
  readonly #pieces: readonly string[];

  constructor(text: string) {
    this.#pieces = piecesOf(text);
    this.isAnything = this.#pieces.length > 1 && this.#pieces.every((piece) => piece === '');
  }

  /** In one pass, whatever the pattern: each piece is taken where it first fits. */
  matches(name: string): boolean {
    const [first = '', ...rest] = this.#pieces;
    const last = rest.pop();
    if (last === undefined) return name === first;
    if (!name.startsWith(first)) return false;
    let at = first.length;
    for (const piece of rest) {
      const found = name.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return name.length - at >= last.length && name.endsWith(last);
  }
}

/** The literal pieces between stars. */
function piecesOf(text: string): string[] {
  const pieces = [''];
  for (const [token] of text.matchAll(/\\[\s\S]|[\s\S]/gu)) {
    if (token === '*') pieces.push('');
    else pieces[pieces.length - 1] += token.length > 1 && token.startsWith('\\') ? token.slice(1) : token;
  }
  return pieces;
}

function isService(text: string): text is GrantService | '*' {
  return text === '*' || Object.hasOwn(VERBS, text);
}

function isVerb(text: string, verbs: readonly Verb[]): text is Verb | '*' {
  return text === '*' || verbs.some((verb) => verb === text);
}

function listOf(words: readonly string[]): string {
  return `${words.join(', ')} or *`;
}
