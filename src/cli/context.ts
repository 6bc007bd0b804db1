/** `switchgear context`: servers by name, and which of them is meant when nobody says. Talks to nobody. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { checkAddress } from '../client/address.js';
import { type Contexts, contextsFile, isContextName, NAME_RULE, readContexts } from '../client/contexts.js';
import { removeContext, setContext, useContext } from './context-edits.js';
import { contextFields, contextJson, contextView, type NamedContext } from './context-views.js';
import { EXIT, type ExitCode, explain, InputError, OutputClosed } from './exit.js';
import { type Io, leaf } from './invocation.js';
import { type Format, Output } from './output.js';
import { nearest } from './text.js';

const PLACE = `
Contexts are kept in the file that SWITCHGEAR_CONTEXTS names, or in ~/.config/switchgear/contexts.yaml. It holds
paths and never secrets. --context NAME or SWITCHGEAR_CONTEXT picks one for a command. Options come before what it says, and
variables of the environment too unless --context names it. What it holds goes to its own server only, unless
--context and --address are given together.`;

/** One command on contexts being run. */
interface Edit {
  readonly file: string;
  readonly out: Output;
  note(line: string): void;
}

/** A context that is not there. */
class UnknownContext extends Error {}

export function addContextCommands(program: Command, io: Io): void {
  const context = program
    .command('context')
    .description('servers by name: address, TLS and credentials of each, for this command line and the SDK');
  addList(context, io);
  addShow(context, io);
  addSet(context, io);
  addUse(context, io);
  addRemove(context, io);
}

function addList(context: Command, io: Io): void {
  const command = leaf(context, 'list', 'list the contexts').addHelpText('after', PLACE);
  onContexts(command, io, async ({ file, out }) => {
    const contexts = readContexts(file);
    await out.rows(
      [...contexts.byName.keys()].map((name) => named(contexts, name)),
      contextView,
    );
  });
}

function addShow(context: Command, io: Io): void {
  const command = leaf(context, 'show', 'show one context').argument(
    '[name]',
    'which; the current one unless given',
  );
  onContexts(command, io, async ({ file, out }, name?: string) => {
    const contexts = readContexts(file);
    const asked = name ?? contexts.current;
    if (asked === undefined)
      throw new UnknownContext('no context is the current one; `switchgear context use NAME` makes one so');
    await show(out, named(contexts, asked));
  });
}

interface SetOptions {
  readonly address?: string;
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsServerName?: string;
  readonly credentialsFile?: string;
}

function addSet(context: Command, io: Io): void {
  const command = leaf(context, 'set', 'make a context, or change what is given of it')
    .argument('<name>', 'its name')
    .option('--address <host:port>', 'gRPC address of the server; a new context needs it')
    .option('--tls', 'use TLS with the CAs of the system')
    .option('--no-tls', 'use no TLS')
    .option('--tls-ca <file>', 'use TLS; CA that the server is checked against')
    .option('--tls-cert <file>', 'certificate of this client')
    .option('--tls-key <file>', 'key of that certificate')
    .option('--tls-server-name <name>', "name in the server's certificate")
    .option('--credentials-file <file>', 'holds ID:SECRET')
    .addHelpText('after', PLACE);
  onContexts(command, io, async ({ file, out, note }, name: string, options: SetOptions) => {
    if (!isContextName(name)) throw new InputError(`"${name}" is not a name; ${NAME_RULE}`);
    const before = readContexts(file);
    if (options.address === undefined && !before.byName.has(name))
      throw new InputError(`there is no context ${name} yet; a new one needs --address`);
    setContext(file, name, changeOf(options));
    const after = readContexts(file);
    await show(out, named(after, name));
    if (after.current === undefined) note(`\`switchgear context use ${name}\` makes it the current one`);
  });
}

function changeOf({ address, tls, tlsCa, tlsCert, tlsKey, tlsServerName, credentialsFile }: SetOptions) {
  if (address !== undefined) inputChecked('--address', () => checkAddress(address));
  if (tls === false && (tlsCa ?? tlsCert ?? tlsKey ?? tlsServerName) !== undefined)
    throw new InputError('--no-tls goes with none of --tls-ca, --tls-cert, --tls-key and --tls-server-name');
  return {
    ...(address !== undefined && { address }),
    ...(tls !== undefined && { tls }),
    tlsFiles: {
      ...(tlsCa && { caFile: resolve(tlsCa) }),
      ...(tlsCert && { certFile: resolve(tlsCert) }),
      ...(tlsKey && { keyFile: resolve(tlsKey) }),
      ...(tlsServerName && { serverName: tlsServerName }),
    },
    ...(credentialsFile && { credentialsFile: resolve(credentialsFile) }),
  };
}

function addUse(context: Command, io: Io): void {
  const command = leaf(context, 'use', 'make a context the current one').argument('<name>', 'which');
  onContexts(command, io, async ({ file, out }, name: string) => {
    named(readContexts(file), name);
    useContext(file, name);
    await show(out, named(readContexts(file), name));
  });
}

function addRemove(context: Command, io: Io): void {
  const command = leaf(context, 'remove', 'take a context away').argument('<name>', 'which');
  onContexts(command, io, async ({ file, out, note }, name: string) => {
    const { isCurrent } = named(readContexts(file), name);
    removeContext(file, name);
    await out.record({ context: name, removed: true }, [
      ['context', name],
      ['removed', 'yes'],
    ]);
    if (isCurrent) note('it was the current one; `switchgear context use NAME` makes another one so');
  });
}

async function show(out: Output, context: NamedContext): Promise<void> {
  await out.record(contextJson(context), contextFields(context));
}

/** @throws UnknownContext that names the one that was probably meant */
function named({ byName, current, file }: Contexts, name: string): NamedContext {
  const context = byName.get(name);
  if (context) return { name, context, isCurrent: name === current };
  const meant = nearest(name, [...byName.keys()]);
  const next = meant ? `did you mean ${meant}?` : '`switchgear context list` shows what there is';
  throw new UnknownContext(`there is no context ${name} in ${file}; ${next}`);
}

/** Makes `command` one that works on the contexts file. All that can be wrong with it ends here. */
function onContexts<A extends readonly unknown[]>(
  command: Command,
  io: Io,
  action: (it: Edit, ...args: A) => Promise<void>,
): void {
  // Commander passes the arguments, then the options, then the command.
  command.action(async (...passed: unknown[]) => {
    const args = passed.slice(0, -1) as unknown as A;
    const { output } = command.opts<{ output: Format }>();
    io.exitCode = await run(io, output, (it) => action(it, ...args));
  });
}

async function run(io: Io, format: Format, action: (it: Edit) => Promise<void>): Promise<ExitCode> {
  const note = (line: string) => void io.stderr.write(`switchgear: ${line}\n`);
  try {
    const out = new Output(format, io.stdout, () => {});
    await action({ file: contextsFile(io.env), out, note });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof OutputClosed) return EXIT.ok;
    const { line, exitCode } = explain(error, '');
    note(line);
    if (error instanceof UnknownContext) return EXIT.notFound;
    return error instanceof TypeError ? EXIT.usage : exitCode;
  }
}

function inputChecked(option: string, rule: () => void): void {
  try {
    rule();
  } catch (error) {
    throw new InputError(`${option}: ${(error as Error).message}`);
  }
}
