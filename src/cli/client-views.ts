/** How clients are shown: what they may do and how they prove who they are, and never a hash. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { ClientEntry } from '../auth/client-edits.js';
import type { View } from './output.js';
import { localTime } from './text.js';

export const clients: View<ClientEntry> = {
  columns: ['NAME', 'SECRETS', 'CERTIFICATES', 'GRANTS'],
  cells: ({ id, secrets, names, grants }) => [
    id,
    secrets.map(secretInWords).join('; ') || 'none',
    names.join(' ') || 'none',
    grants.map(({ text }) => text).join(' ') || 'none',
  ],
  json: clientJson,
};

type Fields = (readonly [label: string, value: string])[];

export function clientFields({ id, secrets, names, grants }: ClientEntry): Fields {
  return [
    ['client', id],
    ...(secrets.length === 0
      ? [['secrets', 'none'] as const]
      : secrets.map((secret) => ['secret', secretInWords(secret)] as const)),
    ...names.map((name) => ['certificate', name] as const),
    ...(grants.length === 0
      ? [['grants', 'none'] as const]
      : grants.map(({ text }) => ['grant', text] as const)),
  ];
}

export function clientJson({ id, secrets, names, grants }: ClientEntry): JsonObject {
  return {
    client: id,
    grants: grants.map(({ text }) => text),
    names: [...names],
    secrets: secrets.map(({ createdMs, expiresMs }) => ({
      createTime: new Date(createdMs).toISOString(),
      ...(expiresMs === undefined ? {} : { expireTime: new Date(expiresMs).toISOString() }),
    })),
  };
}

function secretInWords({ createdMs, expiresMs }: ClientEntry['secrets'][number]): string {
  const made = `made ${shownTime(createdMs)}`;
  if (expiresMs === undefined) return made;
  return `${made}, ${expiresMs > Date.now() ? 'expires' : 'expired'} ${shownTime(expiresMs)}`;
}

function shownTime(ms: number): string {
  return localTime({ seconds: BigInt(Math.floor(ms / 1_000)) } as Parameters<typeof localTime>[0]);
}
