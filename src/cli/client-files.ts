/**
 * How commands on clients are run: they change a file of the server's and talk to nobody, so they have
 * options for where it is in place of a connection. All that can be wrong with it ends here.
 */
import { type Command, Option } from 'commander';
import { AuthFileError, type ClientFiles, EditError } from '../auth/client-edits.js';
import { EXIT, type ExitCode, explain, InputError, OutputClosed } from './exit.js';
import type { Io } from './invocation.js';
import { type Format, Output } from './output.js';
import { printable } from './text.js';

/** One command on clients being run. */
export interface Edit {
  readonly files: ClientFiles;
  readonly out: Output;
  /** One line for people, on stderr. */
  note(line: string): void;
}

interface FileOptions {
  readonly authFile?: string;
  readonly authPepperFile?: string;
  readonly output: Format;
}

const EXIT_OF_KIND: Readonly<Record<EditError['kind'], ExitCode>> = {
  invalid: EXIT.usage,
  exists: EXIT.conflict,
  unknown: EXIT.notFound,
};

/** Makes `command` one that works on the auth file: adds its options, and `action` as what it does. */
export function onClients<A extends readonly unknown[]>(
  command: Command,
  io: Io,
  action: (it: Edit, ...args: A) => Promise<void>,
): void {
  const options = [
    new Option('--auth-file <file>', 'file with the clients; without it SWITCHGEAR_AUTH_FILE is taken'),
    new Option(
      '--auth-pepper-file <file>',
      'file with the pepper (default: the auth file with .pepper; SWITCHGEAR_AUTH_PEPPER_FILE)',
    ),
  ];
  for (const option of options) command.addOption(option.helpGroup('Files:'));
  // Commander passes the arguments, then the options, then the command.
  command.action(async (...passed: unknown[]) => {
    const args = passed.slice(0, -1) as unknown as A;
    io.exitCode = await run(io, command.opts<FileOptions>(), (it) => action(it, ...args));
  });
}

async function run(io: Io, options: FileOptions, action: (it: Edit) => Promise<void>): Promise<ExitCode> {
  const note = (line: string) => {
    io.stderr.write(`switchgear: ${line}\n`);
  };
  try {
    const out = new Output(options.output, io.stdout, () => {});
    await action({ files: filesOf(options, io.env), out, note });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof OutputClosed) return EXIT.ok;
    const { lines, exitCode } = whatWentWrong(error);
    for (const line of lines) note(line);
    return exitCode;
  }
}

function filesOf({ authFile, authPepperFile }: FileOptions, env: NodeJS.ProcessEnv): ClientFiles {
  // An empty variable says nothing, as for the server.
  const file = authFile ?? (env.SWITCHGEAR_AUTH_FILE || undefined);
  if (!file)
    throw new InputError(
      'which file the clients are in is not said; set --auth-file or SWITCHGEAR_AUTH_FILE',
    );
  return { authFile: file, pepperFile: authPepperFile ?? (env.SWITCHGEAR_AUTH_PEPPER_FILE || undefined) };
}

function whatWentWrong(error: unknown): { lines: readonly string[]; exitCode: ExitCode } {
  if (error instanceof AuthFileError) return { lines: error.complaints.map(printable), exitCode: EXIT.usage };
  if (error instanceof EditError) {
    const next = error.kind === 'unknown' ? '; `switchgear client list` shows what there is' : '';
    return { lines: [printable(error.message) + next], exitCode: EXIT_OF_KIND[error.kind] };
  }
  const { line, exitCode } = explain(error, '');
  return { lines: [line], exitCode };
}
