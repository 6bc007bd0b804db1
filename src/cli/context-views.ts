/** How contexts are printed: what the file says of each, paths made whole. It holds no secrets. */
import type { JsonValue } from '@bufbuild/protobuf';
import type { Context } from '../client/contexts.js';
import type { TlsOptions } from '../client/tls.js';
import type { View } from './output.js';

export interface NamedContext {
  readonly name: string;
  readonly isCurrent: boolean;
  readonly context: Context;
}

export const contextView: View<NamedContext> = {
  columns: ['CURRENT', 'NAME', 'ADDRESS', 'TLS', 'CREDENTIALS'],
  cells: ({ name, isCurrent, context }) => [
    isCurrent ? '*' : '',
    name,
    context.address,
    tlsText(context.tls),
    context.credentialsFile ?? '',
  ],
  json: contextJson,
};

export function contextJson({ name, isCurrent, context }: NamedContext): JsonValue {
  const { address, tls = false, credentialsFile = null } = context;
  return { name, current: isCurrent, address, tls: tlsJson(tls), credentialsFile };
}

export function contextFields({ name, isCurrent, context }: NamedContext): [string, string][] {
  return [
    ['context', name],
    ['current', isCurrent ? 'yes' : 'no'],
    ['address', context.address],
    ['tls', tlsText(context.tls)],
    ['credentials', context.credentialsFile ?? 'none'],
  ];
}

export function tlsText(tls: TlsOptions | boolean | undefined): string {
  if (!tls) return 'off';
  const said = tls === true ? [] : Object.entries(tlsJson(tls) as object);
  return said.length === 0 ? 'on' : `on, ${said.map(([key, value]) => `${key} ${value}`).join(', ')}`;
}

/** In the words of the contexts file. */
export function tlsJson(tls: TlsOptions | boolean): JsonValue {
  if (typeof tls === 'boolean') return tls;
  const { caFile, certFile, keyFile, serverName } = tls;
  return {
    ...(caFile && { ca: caFile }),
    ...(certFile && { cert: certFile }),
    ...(keyFile && { key: keyFile }),
    ...(serverName && { serverName }),
  };
}
