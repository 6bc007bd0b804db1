/** `switchgear client`: who may call, and what each may do; kept in the auth file of the server. */
import type { Command } from 'commander';
import {
  addClient,
  type ClientEntry,
  grantTo,
  listClients,
  removeClient,
  revokeFrom,
  rotateSecret,
} from '../auth/client-edits.js';
import { type Edit, onClients } from './client-files.js';
import { handOver, keepTime, withSecretTo } from './client-secrets.js';
import { clientFields, clientJson, clients } from './client-views.js';
import { InputError } from './exit.js';
import { type Io, leaf } from './invocation.js';

const DEFAULT_KEEP_MS = 24 * 3_600_000;

const GRANTS = `
A grant is SERVICE:VERB:NAME. Services and verbs: fsm read|write|manage, bus read|write|process|manage,
server read; * stands for all of them. In NAME * stands for any text: bus:write:order-*

A server that runs takes a change up by itself, within seconds.`;

export function addClientCommands(program: Command, io: Io): void {
  const client = program
    .command('client')
    .description('clients, their secrets and what they are granted: changes the auth file of a server');
  addAdd(client, io);
  addList(client, io);
  addRotate(client, io);
  addGrant(client, io);
  addRevoke(client, io);
  addRemove(client, io);
}

interface AddOptions {
  readonly grant?: readonly string[];
  readonly name?: readonly string[];
  readonly secret: boolean;
  readonly secretTo?: string;
}

function addAdd(client: Command, io: Io): void {
  const command = leaf(client, 'add', 'add a client and make its secret')
    .argument('<name>', 'its id: 1 to 64 of A-Z a-z 0-9 _ . @ -')
    .option('--grant <grant>', 'what it may do; may be given many times', collect)
    .option('--name <san>', 'a name in its certificate, such as DNS:orders.internal; many times', collect)
    .option('--no-secret', 'make none: it comes with a certificate')
    .addHelpText('after', GRANTS);
  withSecretTo(command);
  onClients(
    command,
    io,
    async (it: Edit, id: string, { grant = [], name = [], secret, secretTo }: AddOptions) => {
      if (!secret && secretTo !== undefined)
        throw new InputError('--secret-to: there is no secret to write with --no-secret');
      const add = (text?: string) => addClient(it.files, { id, grants: grant, names: name, secret: text });
      if (secret) await handOver(it, { id, secretTo }, add);
      else await show(it, await add());
      if (grant.length === 0) it.note(`${id} is granted nothing yet; \`switchgear client grant\` does it`);
      if (!secret && name.length === 0)
        it.note(`${id} has no secret and no name of a certificate yet: nobody can be it`);
    },
  );
}

function addList(client: Command, io: Io): void {
  const command = leaf(client, 'list', 'list clients, how they prove who they are, and their grants');
  onClients(command, io, async (it: Edit) => {
    await it.out.rows(listClients(it.files), clients);
  });
}

interface RotateOptions {
  readonly keep: number;
  readonly secretTo?: string;
}

function addRotate(client: Command, io: Io): void {
  const command = leaf(client, 'rotate', 'make a new secret; the one before stays good for a time')
    .argument('<name>', 'the client')
    .option(
      '--keep <time>',
      'how long the one before stays good (default: 24h); 0 ends it now',
      keepTime,
      DEFAULT_KEEP_MS,
    );
  withSecretTo(command);
  onClients(command, io, async (it: Edit, id: string, { keep, secretTo }: RotateOptions) => {
    await handOver(it, { id, secretTo }, (secret) => rotateSecret(it.files, { id, secret, keepMs: keep }));
  });
}

function addGrant(client: Command, io: Io): void {
  const command = leaf(client, 'grant', 'grant a client more')
    .argument('<name>', 'the client')
    .argument('<grants...>', 'such as bus:write:order-*')
    .addHelpText('after', GRANTS);
  onClients(command, io, async (it: Edit, id: string, grants: string[]) => {
    await show(it, await grantTo(it.files, id, grants));
  });
}

function addRevoke(client: Command, io: Io): void {
  const command = leaf(client, 'revoke', 'take grants from a client')
    .argument('<name>', 'the client')
    .argument('<grants...>', 'each as `client list` shows it');
  onClients(command, io, async (it: Edit, id: string, grants: string[]) => {
    await show(it, await revokeFrom(it.files, id, grants));
  });
}

function addRemove(client: Command, io: Io): void {
  const command = leaf(client, 'remove', 'remove a client with its secrets and grants').argument(
    '<name>',
    'the client',
  );
  onClients(command, io, async (it: Edit, id: string) => {
    await removeClient(it.files, id);
    await it.out.record({ client: id, removed: true }, [
      ['client', id],
      ['removed', 'yes'],
    ]);
  });
}

async function show({ out }: Edit, client: ClientEntry): Promise<void> {
  await out.record(clientJson(client), clientFields(client));
}

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
