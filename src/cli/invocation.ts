/**
 * One command being run: its connection, its output and the signal that ends it. Every command of the
 * tree is made by `leaf`, so that all have the same options, and run by `run`, so that all end alike.
 */
import { type Command, Option } from 'commander';
import type { Switchgear } from '../client/index.js';
import type { Settings } from '../client/settings.js';
import { type ConnectionOptions, open, settingsOf, withConnection } from './connection.js';
import { EXIT, type ExitCode, explain, OutputClosed } from './exit.js';
import { FORMATS, type Format, Output } from './output.js';
import { Progress } from './progress.js';

/** What the process gives. */
export interface Io {
  readonly stdin: AsyncIterable<string | Buffer>;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Set by the command that ran. */
  exitCode: ExitCode;
}

export interface Invocation {
  readonly switchgear: Switchgear;
  readonly address: string;
  /** What was connected to, as whom, and where each of it was said. */
  readonly settings: Settings;
  readonly out: Output;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly stdin: Io['stdin'];
  /** One line for people, on stderr. */
  note(line: string): void;
}

interface CommonOptions extends ConnectionOptions {
  readonly output: Format;
}

/** What a command answers with. */
export type Answer = Promise<ExitCode>;

/** Adds a command: `usage` is its name and arguments, as in `get <config> [id]`. */
export function leaf(parent: Command, usage: string, description: string): Command {
  return withOutput(parent.command(usage).description(description));
}

/** Adds the option that every command has. */
export function withOutput(command: Command): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'how results are printed').choices(FORMATS).default('table'),
  );
}

/** Makes `command` one that talks to a server: adds its options, and `action` as what it does. */
export function connected<A extends readonly unknown[]>(
  command: Command,
  io: Io,
  action: (it: Invocation, ...args: A) => Answer | Promise<void>,
): Command {
  withConnection(command);
  // Commander passes the arguments, then the options, then the command.
  command.action(async (...passed: unknown[]) => {
    const args = passed.slice(0, -1) as unknown as A;
    const options = command.opts<CommonOptions>();
    io.exitCode = await run(io, options, (it) => action(it, ...args));
  });
  return command;
}

async function run(
  io: Io,
  options: CommonOptions,
  action: (it: Invocation) => Answer | Promise<void>,
): Promise<ExitCode> {
  const progress = new Progress(io.stderr);
  const note = (line: string) => {
    progress.clear();
    io.stderr.write(`switchgear: ${line}\n`);
  };
  let switchgear: Switchgear | undefined;
  let address = '';
  try {
    const settings = settingsOf(options, io.env);
    ({ address } = settings);
    switchgear = open(settings, options);
    const out = new Output(options.output, io.stdout, () => progress.clear());
    const { signal, stdin } = io;
    return (await action({ switchgear, address, settings, out, progress, signal, stdin, note })) ?? EXIT.ok;
  } catch (error) {
    if (error instanceof OutputClosed) return EXIT.ok;
    const { line, exitCode } = explain(error, address);
    note(line);
    return exitCode;
  } finally {
    progress.clear();
    switchgear?.close();
  }
}
