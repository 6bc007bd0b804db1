/**
 * Where Redis is, from the URL that the operator wrote: redis://, rediss:// (TLS), and redis+cluster://
 * or rediss+cluster:// with any number of entrances. Nothing here ever prints what stands before the @.
 */
import type { Address } from './node.js';

export interface Location {
  readonly addresses: readonly Address[];
  readonly isCluster: boolean;
  readonly isTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

const URL_PATTERN = /^(redis|rediss)(\+cluster)?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/(\d*))?$/;
const DEFAULT_PORT = 6379;

/** Reads a URL; throws an Error with one line that holds no secret. */
export function locationFrom(url: string): Location {
  const [, scheme, cluster, credentials = '', hosts = '', database = ''] = URL_PATTERN.exec(url) ?? [];
  if (scheme === undefined)
    throw new Error(
      'the Redis URL must look like redis://host:6379, rediss://user:password@host:6380/0 or redis+cluster://host1:6379,host2:6379',
    );
  const addresses = hosts.split(',').map(addressFrom);
  if (!cluster && addresses.length > 1)
    throw new Error('a Redis URL with several hosts must begin with redis+cluster://');
  if (cluster && Number(database) > 0) throw new Error('a Redis Cluster has no numbered databases');
  const at = credentials.indexOf(':');
  return {
    addresses,
    isCluster: cluster !== undefined,
    isTls: scheme === 'rediss',
    username: at > 0 ? decodeURIComponent(credentials.slice(0, at)) : undefined,
    password: credentials === '' ? undefined : decodeURIComponent(credentials.slice(at + 1)),
    database: Number(database),
  };
}

function addressFrom(text: string): Address {
  const [, host = '', port] = /^(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === '') throw new Error('the Redis URL names a host that cannot be read');
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? DEFAULT_PORT) };
}

/** For people: where it is, without credentials. */
export function describeAddresses(addresses: readonly Address[]): string {
  return addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
}
