/**
 * What doctor learns of who we are: it asks each service that is served for one item of a list, and from what
 * it is answered follows whether the credentials were taken, and whether they may read there.
 */
import { type Credentials, readCredentialsFile } from '../client/credentials.js';
import { type ServiceHealth, SwitchgearError } from '../client/index.js';
import type { Settings } from '../client/settings.js';
import type { Invocation } from './invocation.js';

/** By the full name of the service: what it is called in grants, and the one call. */
const PROBES: Readonly<Record<string, readonly [string, (it: Invocation) => AsyncIterable<unknown>]>> = {
  'switchgear.fsm.v1.FsmService': [
    'fsm',
    ({ switchgear, signal }) => switchgear.fsm.listConfigurations({ signal, pageSize: 1 }),
  ],
  'switchgear.bus.v1.BusService': [
    'bus',
    ({ switchgear, signal }) => switchgear.bus.listStreams({ signal, pageSize: 1 }),
  ],
};

export interface Access {
  /** What we show for ourselves. */
  readonly shown: 'credentials' | 'certificate' | 'nothing';
  /** The client, as far as it is known: the id that was sent, or the one that the server named. */
  readonly client: string | undefined;
  readonly state: 'accepted' | 'not needed' | 'refused' | 'not tried';
  /** By service: whether it may be read, or the code of what else was answered. */
  readonly reads: Readonly<Record<string, string>>;
  /** Why we were refused, or may not read somewhere. */
  readonly refusals: readonly SwitchgearError[];
}

export async function tryAccess(it: Invocation, services: readonly ServiceHealth[]): Promise<Access> {
  const reads: Record<string, string> = {};
  const refusals: SwitchgearError[] = [];
  for (const { service, isServing } of services) {
    const [name, list] = PROBES[service] ?? [];
    if (!name || !list || !isServing) continue;
    const error = await failureOf(list(it));
    reads[name] = answerOf(error);
    if (error && ['UNAUTHENTICATED', 'PERMISSION_DENIED'].includes(error.code)) refusals.push(error);
    // The others would answer the same, and count it as one failure more.
    if (reads[name] === 'refused') break;
  }
  const shown = shownBy(it.settings);
  const named = refusals.find(({ metadata }) => metadata.client)?.metadata.client;
  const client = credentialsIn(it.settings)?.id ?? named;
  return { shown, client, state: stateOf(shown, reads), reads, refusals };
}

function stateOf(shown: Access['shown'], reads: Readonly<Record<string, string>>): Access['state'] {
  const answers = Object.values(reads);
  if (answers.includes('refused')) return 'refused';
  if (!answers.some((answer) => answer === 'yes' || answer === 'no')) return 'not tried';
  return shown === 'nothing' ? 'not needed' : 'accepted';
}

function answerOf(error: SwitchgearError | undefined): string {
  if (!error) return 'yes';
  if (error.code === 'PERMISSION_DENIED') return 'no';
  return error.code === 'UNAUTHENTICATED' ? 'refused' : error.code;
}

export function shownBy(settings: Settings): Access['shown'] {
  if (settings.credentials || settings.credentialsFile !== undefined) return 'credentials';
  return typeof settings.tls === 'object' && settings.tls.certFile ? 'certificate' : 'nothing';
}

/** The credentials that are sent; of a file that went meanwhile, none. */
function credentialsIn({ credentials, credentialsFile }: Settings): Credentials | undefined {
  if (credentialsFile === undefined) return credentials;
  try {
    return readCredentialsFile(credentialsFile);
  } catch {
    return undefined;
  }
}

async function failureOf(list: AsyncIterable<unknown>): Promise<SwitchgearError | undefined> {
  try {
    for await (const _ of list) break;
    return undefined;
  } catch (error) {
    if (error instanceof SwitchgearError) return error;
    throw error;
  }
}
