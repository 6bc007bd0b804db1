/**
 * Where a new secret goes: to standard output, the one time that it is shown at all, or into a file that
 * only its owner can read. The one idea: the file is made before anything is changed, so that there is no
 * client whose secret nobody got.
 */
import { rmSync } from 'node:fs';
import type { JsonObject } from '@bufbuild/protobuf';
import { type Command, InvalidArgumentError } from 'commander';
import { type ClientEntry, newSecret } from '../auth/client-edits.js';
import { createFile } from '../whole-file.js';
import type { Edit } from './client-files.js';
import { clientFields, clientJson } from './client-views.js';
import { InputError } from './exit.js';
import { timeMs, UNIT_MS } from './times.js';

export function withSecretTo(command: Command): Command {
  return command.option(
    '--secret-to <file>',
    'write ID:SECRET into this new file and do not print the secret',
  );
}

/** Makes a secret, has `change` put it in place, and hands it over. */
export async function handOver(
  it: Edit,
  { id, secretTo }: { id: string; secretTo: string | undefined },
  change: (secret: string) => Promise<ClientEntry>,
): Promise<void> {
  const secret = newSecret();
  if (secretTo === undefined) return print(it, await change(secret), secret);
  createSecretFile(secretTo, `${id}:${secret}`);
  const client = await change(secret).catch((error) => {
    rmSync(secretTo, { force: true });
    throw error;
  });
  await it.out.record({ ...clientJson(client), secretFile: secretTo }, [
    ...clientFields(client),
    ['written to', secretTo],
  ]);
}

async function print({ out, note }: Edit, client: ClientEntry, secret: string): Promise<void> {
  const { id } = client;
  const json: JsonObject = { ...clientJson(client), secret, credentials: `${id}:${secret}` };
  await out.record(json, [...clientFields(client), ['new secret', secret]]);
  note(`this is the only time the secret is shown; it is sent as SWITCHGEAR_CREDENTIALS=${id}:SECRET`);
}

function createSecretFile(path: string, text: string): void {
  try {
    createFile(path, text);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const what = code === 'EEXIST' ? `${path} is there already; name a new file` : message;
    throw new InputError(`--secret-to: ${what}`);
  }
}

const MAX_KEEP_DAYS = 365;

/** How long a secret that was replaced stays good, in milliseconds; 0 = not at all. */
export function keepTime(text: string): number {
  const ms = text === '0' ? 0 : timeMs(text);
  if (!(ms >= 0 && ms <= MAX_KEEP_DAYS * UNIT_MS.d))
    throw new InvalidArgumentError(`It must be 0, or a time up to ${MAX_KEEP_DAYS}d such as 90m, 24h or 2d.`);
  return Math.round(ms);
}
