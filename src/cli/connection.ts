/**
 * Where the server is and who we are: options and environment, made into a connection. Secrets come from
 * the environment or a file and never from an option, which other users of the machine could read.
 */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ConnectOptions, connect, type Switchgear } from '../client/index.js';
import { InputError } from './exit.js';

export const DEFAULT_ADDRESS = '127.0.0.1:7398';

/** How long a server that cannot be reached is tried again: a restart, and no longer than a person waits. */
const RETRY_FOR_MS = 2_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;

export interface ConnectionOptions {
  readonly address: string;
  readonly tls?: true;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsServerName?: string;
  readonly credentialsFile?: string;
  readonly timeout: number;
}

/** Adds the options that every command which talks to a server has. */
export function withConnection(command: Command): Command {
  const options = [
    new Option('--address <host:port>', 'gRPC address of the server')
      .env('SWITCHGEAR_ADDRESS')
      .default(DEFAULT_ADDRESS),
    new Option('--tls', 'use TLS with the CAs of the system'),
    new Option('--tls-ca <file>', 'use TLS; CA that the server is checked against'),
    new Option('--tls-cert <file>', 'certificate of this client'),
    new Option('--tls-key <file>', 'key of that certificate'),
    new Option('--tls-server-name <name>', 'name in the certificate of the server'),
    new Option(
      '--credentials-file <file>',
      'holds ID:SECRET; without it SWITCHGEAR_CREDENTIALS is taken',
    ).env('SWITCHGEAR_CREDENTIALS_FILE'),
    new Option('--timeout <time>', 'how long a call may take, such as 500ms, 10s or 1m')
      .default(DEFAULT_TIMEOUT_MS, '10s')
      .argParser(duration),
  ];
  for (const option of options) command.addOption(option.helpGroup('Connection:'));
  return command;
}

/** Connects as the options say. Nothing is sent yet. */
export function open(options: ConnectionOptions, env: NodeJS.ProcessEnv): Switchgear {
  const { tlsCa, tlsCert, tlsKey, tlsServerName } = options;
  const files = {
    ...(tlsCa && { caFile: tlsCa }),
    ...(tlsCert && { certFile: tlsCert }),
    ...(tlsKey && { keyFile: tlsKey }),
    ...(tlsServerName && { serverName: tlsServerName }),
  };
  const tls = Object.keys(files).length > 0 ? files : options.tls;
  const credentials = readCredentials(options.credentialsFile, env);
  const settings: ConnectOptions = {
    timeoutMs: options.timeout,
    retryForMs: RETRY_FOR_MS,
    ...(tls && { tls }),
    ...(credentials && { credentials }),
  };
  try {
    return connect(options.address, settings);
  } catch (error) {
    throw new InputError(`--address: ${(error as Error).message}`);
  }
}

function readCredentials(file: string | undefined, env: NodeJS.ProcessEnv) {
  const text = file === undefined ? env.SWITCHGEAR_CREDENTIALS : readText(file);
  if (!text) return undefined;
  const [, id, secret] = /^([^:\s]+):(\S+)$/.exec(text.trim()) ?? [];
  if (!id || !secret) throw new InputError(`${file ?? 'SWITCHGEAR_CREDENTIALS'} must hold ID:SECRET`);
  return { id, secret };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(`--credentials-file: ${(error as Error).message}`);
  }
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000 };

function duration(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(amount) * (UNIT_MS[unit as keyof typeof UNIT_MS] ?? Number.NaN);
  if (!(ms >= 1 && ms <= MAX_TIMEOUT_MS))
    throw new InvalidArgumentError('It must be a time from 1ms to 1m, such as 500ms, 10s or 1m.');
  return ms;
}
