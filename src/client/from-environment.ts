/** Connects with what the environment and the contexts file say, so that a program need not. */
import { type ConnectOptions, connect, type Switchgear } from './connect.js';
import { type GivenSettings, gatherSettings, givenTls, type Settings } from './settings.js';

export interface EnvironmentOptions extends ConnectOptions {
  /** `host:port` of the gRPC port. */
  readonly address?: string;
  /** A context of the contexts file. */
  readonly context?: string;
  /** `process.env` unless given. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Connects as these options say, and where they say nothing as the environment does (`SWITCHGEAR_ADDRESS`,
 * `SWITCHGEAR_TLS` = `true`, `SWITCHGEAR_TLS_CA`, `_CERT`, `_KEY` and `_SERVER_NAME`, `SWITCHGEAR_CREDENTIALS` =
 * `ID:SECRET` or `SWITCHGEAR_CREDENTIALS_FILE`), then as the context that `SWITCHGEAR_CONTEXT` names or that
 * is the current one in the contexts file (`SWITCHGEAR_CONTEXTS`, or `~/.config/switchgear/contexts.yaml`), and
 * else to 127.0.0.1:7398. The option `context` comes before the environment, address and all. A context that
 * nobody named is left aside when an address is given elsewhere, and one that the environment names is refused
 * then: what it holds is for its own server.
 * @throws TypeError as `connect`, and when a setting cannot be used; the message says where it came from
 */
export function connectFromEnvironment(options: EnvironmentOptions = {}): Switchgear {
  const { address, context, env = process.env, tls, credentials, credentialsFile, ...rest } = options;
  const isTold = credentials !== undefined || credentialsFile !== undefined;
  const given: GivenSettings = {
    ...(address !== undefined && { address }),
    ...(context !== undefined && { context }),
    ...(tls !== undefined && { tls: tls !== false }),
    ...(typeof tls === 'object' && givenTls(tls)),
    // They may be a function; what is not used must not be complained about either.
    ...(isTold && { credentials: '' }),
  };
  const settings = gatherSettings(given, (name) => `option ${name}`, env);
  const who = isTold
    ? { ...(credentials && { credentials }), ...(credentialsFile !== undefined && { credentialsFile }) }
    : whoWeAre(settings);
  return connect(settings.address, { ...rest, tls: settings.tls, ...who });
}

/** The options with which credentials are sent that were found. */
export function whoWeAre({ credentials, credentialsFile }: Settings): ConnectOptions {
  if (credentialsFile !== undefined) return { credentialsFile };
  return credentials ? { credentials } : {};
}
