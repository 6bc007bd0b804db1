/**
 * The kinds of setting there are: what each accepts, what it says when it does not, and how it is
 * shown in the help.
 */

export interface Setting<T> {
  /** What stands when nobody says anything; undefined = nothing. */
  readonly fallback: T;
  /** The value in words, for --help. */
  readonly shape: string;
  readonly help: string;
  /** What stands when nobody says anything, in words; undefined = not worth showing. */
  readonly shown?: string;
  /** The value of a text, or throws an Error that says what it must be. */
  parse(text: string): T;
  /** An empty variable of the environment is a slip, and not the same as none: it would turn a safeguard off. */
  readonly isNeverEmpty?: boolean;
  /** Refused as a flag, since other users of the machine can read those. */
  isSecret?(text: string): boolean;
  /** The text with its secrets covered, for showing; the whole text unless given. */
  covered?(text: string): string;
}

export function text(fallback: string, shape: string, help: string): Setting<string> {
  return { fallback, shape, help, shown: fallback, parse: nonEmpty };
}

/** A file that keeps strangers out. */
export function guardFile(help: string): Setting<string | undefined> {
  return { fallback: undefined, shape: 'FILE', help, parse: nonEmpty, isNeverEmpty: true };
}

function nonEmpty(value: string): string {
  if (value === '') throw new Error('must not be empty');
  return value;
}

export function port(fallback: number, help: string): Setting<number> {
  const parse = (value: string) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number > 65_535) throw new Error(`"${value}" must be a port, 0 to 65535`);
    return number;
  };
  return { fallback, shape: 'PORT', help, shown: String(fallback), parse };
}

export function flag(help: string): Setting<boolean> {
  const parse = (value: string) => {
    if (value !== 'true' && value !== 'false') throw new Error(`"${value}" must be true or false`);
    return value === 'true';
  };
  return { fallback: false, shape: '', help, parse };
}

export function oneOf<const T extends string>(
  allowed: readonly T[],
  fallback: NoInfer<T>,
  help: string,
): Setting<T> {
  const parse = (value: string) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new Error(`"${value}" must be one of ${allowed.join(', ')}`);
    return found;
  };
  return { fallback, shape: allowed.join('|'), help, shown: fallback, parse };
}

/** Some of `all`, which is also the default. */
export function someOf<const T extends string>(
  all: readonly T[],
  shape: string,
  help: string,
): Setting<readonly T[]> {
  const parse = (value: string) => {
    const names = splitList(value);
    const unknown = names.find((name) => !all.some((known) => known === name));
    if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${all.join(', ')}`);
    if (names.length === 0) throw new Error(`must name at least one of ${all.join(', ')}`);
    return all.filter((known) => names.includes(known));
  };
  return { fallback: all, shape, help, shown: all.join(','), parse };
}

export function list(shape: string, help: string): Setting<readonly string[]> {
  return { fallback: [], shape, help, parse: splitList };
}

function splitList(value: string): string[] {
  return value.split(',').flatMap((part) => part.trim() || []);
}

/** Something that is written into every key, and so is short and plain. */
export function identifier(fallback: string, shape: string, help: string): Setting<string> {
  const parse = (value: string) => {
    if (!/^[A-Za-z0-9_.-]{1,64}$/.test(value)) throw new Error('must be 1 to 64 of A-Z a-z 0-9 _ . -');
    return value;
  };
  return { fallback, shape, help, shown: fallback, parse };
}

export function redisUrl(help: string): Setting<string | undefined> {
  const parse = (value: string) => {
    if (!/^rediss?(\+cluster)?:\/\/[^/]/.test(value))
      throw new Error('must be redis://, rediss://, redis+cluster:// or rediss+cluster:// and name a host');
    if (QUERY.test(value)) throw new Error('must have no ? or # after the host: nothing there would count');
    return value;
  };
  const isSecret = (value: string) => passwordIn(value) !== '';
  const covered = (value: string) =>
    value.replace(CREDENTIALS, (all) => `//${userIn(all)}***@`).replace(QUERY, '***');
  return { fallback: undefined, shape: 'URL', help, parse, isSecret, covered };
}

// Up to the last @, however badly it is written.
const CREDENTIALS = /\/\/(.*)@/s;

// Others take a password there.
const QUERY = /(?<=[?#])[^@]*$/;

/** What stands alone before the @ is a password too. */
function passwordIn(url: string): string {
  const credentials = CREDENTIALS.exec(url)?.[1] ?? '';
  return credentials.slice(credentials.indexOf(':') + 1);
}

function userIn(url: string): string {
  return /\/\/([^:@]*:)/.exec(url)?.[1] ?? '';
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time of at least a second, in milliseconds. */
export function duration(fallbackMs: number, mostMs: number, help: string): Setting<number> {
  const parse = (value: string) => {
    const [, amount, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(value) ?? [];
    const ms = Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
    if (!(ms >= 1_000 && ms <= mostMs))
      throw new Error(`"${value}" must be a time from 1s to ${mostMs / UNIT_MS.d}d, such as 90m, 24h or 2d`);
    return ms;
  };
  return { fallback: fallbackMs, shape: 'TIME', help, shown: `${fallbackMs / UNIT_MS.h}h`, parse };
}
