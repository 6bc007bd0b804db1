/**
 * Where the server is and who we are: options, environment and context, made into a connection. Secrets
 * come from the environment or a file and never from an option, which other users of the machine could read.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_ADDRESS } from '../client/address.js';
import { whoWeAre } from '../client/from-environment.js';
import { connect, type Switchgear } from '../client/index.js';
import { ENVIRONMENT, gatherSettings, type SettingName, type Settings } from '../client/settings.js';
import { InputError } from './exit.js';
import { timeMs } from './times.js';

/** How long a server that cannot be reached is tried again: a restart, and no longer than a person waits. */
const RETRY_FOR_MS = 2_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;

export interface ConnectionOptions {
  readonly address?: string;
  readonly context?: string;
  readonly tls?: true;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsServerName?: string;
  readonly credentialsFile?: string;
  readonly timeout: number;
}

/** By setting; what has none is in the environment only. */
const FLAGS: Readonly<Partial<Record<SettingName, string>>> = {
  address: '--address',
  context: '--context',
  tls: '--tls',
  tlsCa: '--tls-ca',
  tlsCert: '--tls-cert',
  tlsKey: '--tls-key',
  tlsServerName: '--tls-server-name',
  credentialsFile: '--credentials-file',
};

/** Adds the options that every command which talks to a server has. */
export function withConnection(command: Command): Command {
  const options = [
    new Option('--context <name>', `server of the contexts file, see \`context list\`${also('context')}`),
    new Option('--address <host:port>', `gRPC address, ${DEFAULT_ADDRESS} unless known${also('address')}`),
    new Option('--tls', `use TLS with the CAs of the system${also('tls', '=true')}`),
    new Option('--tls-ca <file>', `use TLS; CA that the server is checked against${also('tlsCa')}`),
    new Option('--tls-cert <file>', `certificate of this client${also('tlsCert')}`),
    new Option('--tls-key <file>', `key of that certificate${also('tlsKey')}`),
    new Option('--tls-server-name <name>', `name in the server's certificate${also('tlsServerName')}`),
    new Option(
      '--credentials-file <file>',
      `holds ID:SECRET${also('credentialsFile')}; without it SWITCHGEAR_CREDENTIALS is taken`,
    ),
    new Option('--timeout <time>', 'how long a call may take, such as 500ms, 10s or 1m')
      .default(DEFAULT_TIMEOUT_MS, '10s')
      .argParser(duration),
  ];
  for (const option of options) command.addOption(option.helpGroup('Connection:'));
  return command;
}

function also(name: SettingName, value = ''): string {
  return ` (env: ${ENVIRONMENT[name]}${value})`;
}

/** Finds out what to connect to, and as whom. @throws InputError that says which setting is wrong */
export function settingsOf({ timeout: _, ...options }: ConnectionOptions, env: NodeJS.ProcessEnv): Settings {
  const { address, context, tls, tlsCa, tlsCert, tlsKey, tlsServerName, credentialsFile } = options;
  const given = { address, context, tls, tlsCa, tlsCert, tlsKey, tlsServerName, credentialsFile };
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return orInputError(() => gatherSettings(stated, (name) => FLAGS[name] ?? name, env));
}

/** Connects. Nothing is sent yet. */
export function open(settings: Settings, { timeout }: ConnectionOptions): Switchgear {
  const { address, tls } = settings;
  const rest = { timeoutMs: timeout, retryForMs: RETRY_FOR_MS };
  return orInputError(() => connect(address, { ...rest, tls, ...whoWeAre(settings) }));
}

function orInputError<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new InputError((error as Error).message);
  }
}

function duration(text: string): number {
  const ms = timeMs(text);
  if (!(ms >= 1 && ms <= MAX_TIMEOUT_MS))
    throw new InvalidArgumentError('It must be a time from 1ms to 1m, such as 500ms, 10s or 1m.');
  return ms;
}
