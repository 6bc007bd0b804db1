/**
 * One typed object from flags, environment and file; every default is stated here. A setting is known
 * by one name: `--grpc-port`, `SWITCHGEAR_GRPC_PORT`, and `grpc-port` in the file. All that is wrong is
 * reported at once, each with where the value came from; what only shows when settings are seen together
 * is looked for in config-checks.ts.
 */
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { checkTogether } from './config-checks.js';
import { DEFAULT_OUTCOME_RETENTION_MS, MAX_OUTCOME_RETENTION_MS } from './fsm/machine.js';
import * as kind from './setting.js';

/** The services that this release has. */
export const SERVICES = ['fsm', 'bus'] as const;
export type ServiceName = (typeof SERVICES)[number];

export interface Config {
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly host: string;
  readonly dataDir: string;
  readonly redisUrl: string | undefined;
  readonly redisCaFile: string | undefined;
  readonly redisCertFile: string | undefined;
  readonly redisKeyFile: string | undefined;
  readonly services: readonly ServiceName[];
  readonly namespace: string;
  readonly durability: 'fsync' | 'relaxed';
  readonly corsOrigins: readonly string[];
  readonly fsmOutcomeRetentionMs: number;
  readonly logLevel: string;
  readonly insecure: boolean;
  /** Undefined = nobody is asked who they are. */
  readonly authFile: string | undefined;
  /** There when `authFile` is. */
  readonly authPepperFile: string | undefined;
  /** Undefined = plaintext. */
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  readonly tlsClientCaFile: string | undefined;
  readonly reflection: 'on' | 'off';
}

/** A start that cannot go on: every complaint is one line for the operator. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly complaints: readonly string[];

  constructor(complaints: readonly string[]) {
    super(complaints.join('\n'));
    this.complaints = complaints;
  }
}

const SETTINGS = {
  'grpc-port': kind.port(7398, 'port for gRPC; 0 = any free one'),
  'http-port': kind.port(7399, 'port for Connect, gRPC-Web, JSON, health and metrics; 0 = any free one'),
  host: kind.text('127.0.0.1', 'ADDRESS', 'address to listen on'),
  data: kind.text('./switchgear-data', 'DIR', 'where embedded stores keep their data'),
  redis: kind.redisUrl('keep all services in this Redis 7 or Redis Cluster'),
  'redis-ca': kind.guardFile('CA that Redis certificates are checked against'),
  'redis-cert': kind.guardFile('client certificate for Redis'),
  'redis-key': kind.guardFile('key of the client certificate for Redis'),
  services: kind.someOf(SERVICES, 'NAME,...', 'the services to serve'),
  namespace: kind.identifier('switchgear', 'NAME', 'prefix of every key in a shared engine'),
  durability: kind.oneOf(
    ['fsync', 'relaxed'],
    'fsync',
    'embedded stores: on disk when answered, or soon after',
  ),
  'cors-origin': kind.list('ORIGIN,...', 'web origins whose pages may call the HTTP port'),
  'fsm-outcome-retention': kind.duration(
    DEFAULT_OUTCOME_RETENTION_MS,
    MAX_OUTCOME_RETENTION_MS,
    'how long an event id is remembered after its event',
  ),
  'log-level': kind.oneOf(['debug', 'info', 'warn', 'error', 'silent'], 'info', 'least severe log line'),
  'auth-file': kind.guardFile('clients and what they may do; `switchgear client add` makes it'),
  'auth-pepper-file': kind.guardFile('key of the hashes in it, if not AUTH_FILE.pepper'),
  'tls-cert': kind.guardFile('certificate for both ports, and those between it and its CA'),
  'tls-key': kind.guardFile('key of the certificate'),
  'tls-client-ca': kind.guardFile('CA of client certificates, which callers are then asked for'),
  reflection: kind.oneOf(['on', 'off'], 'on', 'whether anybody may ask what is served'),
  insecure: kind.flag('listen beyond loopback without authentication and TLS'),
} satisfies Record<string, kind.Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;
export type Values = { [K in SettingName]: (typeof SETTINGS)[K]['fallback'] };
export interface Given {
  readonly text: string;
  readonly from: string;
}

/** A setting as it stands, for people: no secret is in it. */
export interface SettingRow {
  readonly setting: string;
  /** Null = nothing. */
  readonly value: string | null;
  /** `default`, or where it was given. */
  readonly from: string;
}

export interface Inspection {
  readonly config: Config;
  readonly rows: readonly SettingRow[];
  /** Empty = a start may go on. */
  readonly complaints: readonly string[];
}

/** Reads the configuration; throws ConfigError with every complaint. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv): Config {
  const { config, complaints } = inspectConfig(args, env);
  if (complaints.length > 0) throw new ConfigError(complaints);
  return config;
}

/** Reads the configuration as far as it can be read. */
export function inspectConfig(args: readonly string[], env: NodeJS.ProcessEnv): Inspection {
  const complaints: string[] = [];
  const flags = readFlags(args, complaints);
  const file = readFile(flags.get('config') ?? variable(env, 'config'), complaints);
  flags.delete('config');
  const given = new Map([...file, ...readEnvironment(env), ...flags]);
  const values = parseAll(given, complaints);
  complaints.push(...checkTogether(values, (name) => given.get(name)?.from ?? `--${name}`));
  const config = toConfig(values);
  return { config, rows: rowsOf(given, config), complaints };
}

function rowsOf(given: ReadonlyMap<string, Given>, { authPepperFile }: Config): SettingRow[] {
  // What stands by itself without being a constant.
  const derived: Partial<Record<string, string | undefined>> = { 'auth-pepper-file': authPepperFile };
  return Object.entries(SETTINGS).map(([setting, of]) => {
    const { shown, fallback, covered } = of as kind.Setting<unknown>;
    const it = given.get(setting);
    if (it !== undefined) return { setting, value: covered?.(it.text) ?? it.text, from: it.from };
    const standing = shown ?? derived[setting] ?? String(fallback ?? '');
    return { setting, value: standing === '' ? null : standing, from: 'default' };
  });
}

/** The settings as --help shows them. */
export function describeSettings(): string {
  const rows = Object.entries(SETTINGS).map(([name, setting]) => {
    const { shape, help, shown } = setting as kind.Setting<unknown>;
    return [`  --${name} ${shape}`, shown ? `${help} (${shown})` : help] as const;
  });
  rows.push(['  --config FILE', 'YAML file with any of these settings by name']);
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => left.padEnd(width) + right).join('\n');
}

function readFlags(args: readonly string[], complaints: string[]): Map<string, Given> {
  const given = new Map<string, Given>();
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] as string;
    const [name = '', inline] = arg.startsWith('--') ? splitOnce(arg.slice(2), '=') : [];
    if (name !== 'config' && !isSetting(name)) {
      complaints.push(`${arg.split('=')[0]} is not an option; --help lists them`);
      continue;
    }
    const isFlag = name === 'insecure';
    if (!isFlag && inline === undefined) i += 1;
    const value = inline ?? (isFlag ? 'true' : args[i]);
    if (value === undefined) complaints.push(`--${name} needs a value`);
    else if (name !== 'config' && (SETTINGS[name] as kind.Setting<unknown>).isSecret?.(value))
      complaints.push(
        `--${name} holds a secret, which other users could see: set ${environmentName(name)} instead`,
      );
    else given.set(name, { text: value, from: `--${name}` });
  }
  return given;
}

function readEnvironment(env: NodeJS.ProcessEnv): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const name of Object.keys(SETTINGS)) {
    const { isNeverEmpty = false } = SETTINGS[name as SettingName] as kind.Setting<unknown>;
    const value = variable(env, name);
    if (value !== undefined && (value.text !== '' || isNeverEmpty)) given.set(name, value);
  }
  return given;
}

function variable(env: NodeJS.ProcessEnv, setting: string): Given | undefined {
  const from = environmentName(setting);
  const text = env[from];
  return text === undefined ? undefined : { text, from };
}

function readFile(config: Given | undefined, complaints: string[]): Map<string, Given> {
  const given = new Map<string, Given>();
  if (config === undefined) return given;
  const path = config.text;
  // It may hold what keeps strangers out.
  if (path === '') complaints.push(`${config.from}: must not be empty`);
  if (path === '') return given;
  try {
    const content: unknown = parseYaml(readFileSync(path, 'utf8'), { logLevel: 'error' }) ?? {};
    if (typeof content !== 'object' || Array.isArray(content)) throw new Error('must be a map of settings');
    for (const [name, value] of Object.entries(content as Record<string, unknown>)) {
      const from = `${name} in ${path}`;
      if (!isSetting(name)) complaints.push(`${from} is not a setting; --help lists them`);
      else if (isPlain(value)) given.set(name, { text: String(value), from });
      else complaints.push(`${from}: must be one value, or a list where it takes several`);
    }
  } catch (error) {
    // Below its first line the parser quotes the file, which may hold secrets.
    const [why = ''] = (error as Error).message.split('\n', 1);
    complaints.push(`configuration file ${path}: ${why.replace(/:$/, '')}`);
  }
  return given;
}

function parseAll(given: ReadonlyMap<string, Given>, complaints: string[]): Values {
  const entries = Object.entries(SETTINGS).map(([name, setting]) => {
    const value = given.get(name);
    if (!value) return [name, setting.fallback];
    try {
      return [name, setting.parse(value.text)];
    } catch (error) {
      complaints.push(`${value.from}: ${(error as Error).message}`);
      return [name, setting.fallback];
    }
  });
  return Object.fromEntries(entries) as Values;
}

function toConfig(values: Values): Config {
  return {
    grpcPort: values['grpc-port'],
    httpPort: values['http-port'],
    host: values.host,
    dataDir: values.data,
    redisUrl: values.redis,
    redisCaFile: values['redis-ca'],
    redisCertFile: values['redis-cert'],
    redisKeyFile: values['redis-key'],
    services: values.services,
    namespace: values.namespace,
    durability: values.durability,
    corsOrigins: values['cors-origin'],
    fsmOutcomeRetentionMs: values['fsm-outcome-retention'],
    logLevel: values['log-level'],
    insecure: values.insecure,
    authFile: values['auth-file'],
    authPepperFile: values['auth-pepper-file'] ?? (values['auth-file'] && `${values['auth-file']}.pepper`),
    tlsCertFile: values['tls-cert'],
    tlsKeyFile: values['tls-key'],
    tlsClientCaFile: values['tls-client-ca'],
    reflection: values.reflection,
  };
}

/** A scalar or a list of them; nothing, or a map, is a slip. */
function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((item) => !Array.isArray(item) && isPlain(item));
  return value !== null && typeof value !== 'object';
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

function environmentName(setting: string): string {
  return `SWITCHGEAR_${setting.toUpperCase().replaceAll('-', '_')}`;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
