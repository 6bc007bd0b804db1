/**
 * Names as tokens: percent-encoded outside [A-Za-z0-9_.-], so that a token holds no separator ('!'),
 * no hash tag brace and no pattern character, whatever text it stands for. Scripts see tokens only,
 * and join and split them without knowing what they mean.
 */
import { BoundedMap } from '../../bounded-map.js';

/** Between the tokens of a record, an index entry, an outcome, a history entry or a change. */
export const SEPARATOR = '!';

export const TOKEN_PATTERN = '[A-Za-z0-9_.%-]+';

const PLAIN = /^[A-Za-z0-9_.-]*$/;

// States and event names come again with every event; encoding one afresh costs ten times the look-up.
const encoded = new BoundedMap<string, string>(10_000);
const decoded = new BoundedMap<string, string>(10_000);

export function encodeToken(text: string): string {
  if (PLAIN.test(text)) return text;
  const known = encoded.get(text);
  if (known !== undefined) return known;
  const token = encodeURIComponent(wellFormed(text)).replace(
    /[!~*'()]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  encoded.set(text, token);
  return token;
}

/** Half of a surrogate pair, which no message can bring, has no UTF-8 and becomes U+FFFD. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

export function decodeToken(token: string): string {
  if (!token.includes('%')) return token;
  const known = decoded.get(token);
  if (known !== undefined) return known;
  const text = decodeURIComponent(token);
  decoded.set(token, text);
  return text;
}
