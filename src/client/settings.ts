/**
 * Where the server is and who we are, gathered from where such things are kept: what the caller says comes
 * before the environment, that before a context, that before the default; a context that the caller names comes
 * before the environment. The idea to hold: what a context holds is for its own server. It goes to another
 * address only where the caller gives both at once; what an address of the environment, perhaps a forgotten
 * one, would get of a context is refused.
 */
import { checkAddress, DEFAULT_ADDRESS } from './address.js';
import { type Context, contextsFile, readContexts } from './contexts.js';
import { type Credentials, parseCredentials } from './credentials.js';
import type { TlsOptions } from './tls.js';

/** The settings of one place, by name; unset ones are left to the places after it. */
export interface GivenSettings {
  readonly address?: string;
  readonly context?: string;
  /** False = plaintext, whatever the places after it say. */
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsServerName?: string;
  readonly credentialsFile?: string;
  /** `ID:SECRET`; empty = the caller has others, which hide those of places farther away. */
  readonly credentials?: string;
}
export type SettingName = keyof GivenSettings;

/** All of it, with where each came from, such as `--address`, `SWITCHGEAR_TLS_CA` or `context prod`. */
export interface Settings {
  readonly address: string;
  readonly context: string | undefined;
  readonly tls: TlsOptions | boolean;
  readonly credentials: Credentials | undefined;
  readonly credentialsFile: string | undefined;
  readonly origins: ReadonlyMap<SettingName, string>;
}

/** The settings in the environment. */
export const ENVIRONMENT = {
  address: 'SWITCHGEAR_ADDRESS',
  context: 'SWITCHGEAR_CONTEXT',
  tls: 'SWITCHGEAR_TLS',
  tlsCa: 'SWITCHGEAR_TLS_CA',
  tlsCert: 'SWITCHGEAR_TLS_CERT',
  tlsKey: 'SWITCHGEAR_TLS_KEY',
  tlsServerName: 'SWITCHGEAR_TLS_SERVER_NAME',
  credentials: 'SWITCHGEAR_CREDENTIALS',
  credentialsFile: 'SWITCHGEAR_CREDENTIALS_FILE',
} as const satisfies Record<SettingName, string>;

/** Settings that are one thing: a nearer place that gives one of them hides all of them farther away. */
const TOGETHER: readonly (readonly SettingName[])[] = [
  ['tlsCert', 'tlsKey'],
  ['credentials', 'credentialsFile'],
];
/**
 * Of a context they are one thing each: whom it trusts, and who it is. What the environment says, perhaps of
 * another server, is not mixed into it.
 */
const TOGETHER_IN_CONTEXT: readonly (readonly SettingName[])[] = [
  ['tls', 'tlsCa', 'tlsServerName'],
  ['tlsCert', 'tlsKey', 'credentials', 'credentialsFile'],
];
const TLS: readonly SettingName[] = ['tls', 'tlsCa', 'tlsCert', 'tlsKey', 'tlsServerName'];

interface Place {
  readonly given: GivenSettings;
  originOf(name: SettingName): string;
}

interface ContextPlace extends Place {
  readonly name: string;
  /** What named it. */
  readonly source: string;
}

/**
 * Gathers the settings. `originOf` names one that the caller gave, as he would say it.
 * @throws TypeError that names the setting and where it came from
 */
export function gatherSettings(
  given: GivenSettings,
  originOf: (name: SettingName) => string,
  env: NodeJS.ProcessEnv,
): Settings {
  const options = { given, originOf };
  const environment = { given: fromEnvironment(env), originOf: (name: SettingName) => ENVIRONMENT[name] };
  const named = [options, environment].find((place) => place.given.context !== undefined);
  const hasAddress = [options, environment].some((place) => place.given.address !== undefined);
  const context = named || !hasAddress ? contextPlace(named, env) : undefined;
  if (!context) return merged([environment, options]);
  if (named === options) return merged([environment, context, options]);
  const settings = merged([context, environment, options]);
  refuseElsewhere(settings, context);
  return settings;
}

/** @throws TypeError when something of a context that the environment names would go to another server */
function refuseElsewhere({ address, origins }: Settings, { given, name, source }: ContextPlace): void {
  const origin = `context ${name}`;
  const taken = [...origins].flatMap(([setting, from]) =>
    from === origin && given[setting] !== false ? setting : [],
  );
  if (address === given.address || taken.length === 0) return;
  throw new TypeError(
    `${origins.get('address')}: ${address} is not the server of context ${name} (${source}), and what that holds ` +
      `(${taken.join(', ')}) is for ${given.address}: give one of the two only, or both as options`,
  );
}

/** From the farthest place to the nearest. */
function merged(places: readonly (Place | ContextPlace)[]): Settings {
  const values = new Map<SettingName, unknown>([['address', DEFAULT_ADDRESS]]);
  const origins = new Map<SettingName, string>([['address', 'default']]);
  for (const place of places) {
    const { given, originOf } = place;
    const names = (Object.keys(given) as SettingName[]).filter((name) => given[name] !== undefined);
    for (const name of hiddenBy(place, names, values.get('tls') === false)) {
      values.delete(name);
      origins.delete(name);
    }
    for (const name of names) {
      values.set(name, given[name]);
      origins.set(name, originOf(name));
    }
  }
  const all = Object.fromEntries(values) as GivenSettings;
  const { address = DEFAULT_ADDRESS, context, credentialsFile } = all;
  checked(`${origins.get('address')}: `, () => checkAddress(address));
  // A file says who we are more exactly than text that other programs get too.
  const text = credentialsFile === undefined ? all.credentials : undefined;
  const credentials = text ? parseCredentials(text, origins.get('credentials') ?? '') : undefined;
  return { address, context, tls: tlsOf(all, origins), credentials, credentialsFile, origins };
}

/** What of the places farther away does not count any more. */
function hiddenBy(
  place: Place | ContextPlace,
  names: readonly SettingName[],
  isPlaintext: boolean,
): readonly SettingName[] {
  const { given } = place;
  const together = 'source' in place ? TOGETHER_IN_CONTEXT : TOGETHER;
  const hidden = together.filter((group) => group.some((name) => names.includes(name))).flat();
  // Plaintext takes all of TLS away, and whatever of TLS is given nearer takes plaintext away.
  if (given.tls === false) return [...hidden, ...TLS];
  return isPlaintext && names.some((name) => TLS.includes(name)) ? [...hidden, 'tls'] : hidden;
}

function tlsOf(all: GivenSettings, origins: ReadonlyMap<SettingName, string>): TlsOptions | boolean {
  const { tls, tlsCa, tlsCert, tlsKey, tlsServerName } = all;
  if (tls === false) return false;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const [there, missing] = tlsKey ? (['tlsKey', 'certificate'] as const) : (['tlsCert', 'key'] as const);
    throw new TypeError(`${origins.get(there)}: the ${missing} that goes with it is missing`);
  }
  const files = {
    ...(tlsCa && { caFile: tlsCa }),
    ...(tlsCert && { certFile: tlsCert }),
    ...(tlsKey && { keyFile: tlsKey }),
    ...(tlsServerName && { serverName: tlsServerName }),
  };
  return Object.keys(files).length > 0 ? files : tls === true;
}

/** What the environment says; an empty variable says nothing. */
function fromEnvironment(env: NodeJS.ProcessEnv): GivenSettings {
  const given = Object.entries(ENVIRONMENT).flatMap(([name, variable]) => {
    const text = env[variable];
    if (!text) return [];
    return [[name, name === 'tls' ? flagOf(text, variable) : text]];
  });
  return Object.fromEntries(given) as GivenSettings;
}

function flagOf(text: string, from: string): boolean {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw new TypeError(`${from} must be true or false`);
}

/** The context that is named, or else the current one. @throws TypeError when it is not there */
function contextPlace(named: Place | undefined, env: NodeJS.ProcessEnv): ContextPlace | undefined {
  const contexts = readContexts(contextsFile(env));
  const name = named?.given.context ?? contexts.current;
  if (name === undefined) return undefined;
  const context = contexts.byName.get(name);
  const origin = `context ${name}`;
  if (context) {
    const source = named?.originOf('context') ?? 'current';
    return {
      name,
      source,
      given: { ...flattened(context), context: name },
      originOf: (setting) => (setting === 'context' ? source : origin),
    };
  }
  const from = named ? named.originOf('context') : `${contexts.file}: current`;
  const names = [...contexts.byName.keys()];
  const there = names.length > 0 ? `there are ${names.slice(0, 20).join(', ')}` : `${contexts.file} has none`;
  throw new TypeError(`${from}: there is no context ${name}; ${there}`);
}

function flattened({ address, tls, credentialsFile }: Context): GivenSettings {
  const files = typeof tls === 'object' ? tls : {};
  return {
    address,
    ...(tls !== undefined && { tls: tls !== false }),
    ...givenTls(files),
    ...(credentialsFile && { credentialsFile }),
  };
}

/** TLS options by the names of settings. */
export function givenTls({ caFile, certFile, keyFile, serverName }: TlsOptions): GivenSettings {
  return {
    ...(caFile && { tlsCa: caFile }),
    ...(certFile && { tlsCert: certFile }),
    ...(keyFile && { tlsKey: keyFile }),
    ...(serverName && { tlsServerName: serverName }),
  };
}

function checked(prefix: string, rule: () => void): void {
  try {
    rule();
  } catch (error) {
    throw new TypeError(`${prefix}${(error as Error).message}`);
  }
}
