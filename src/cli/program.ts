/**
 * The command tree, and how it is run. Everything that a person can type wrong ends here as one line on
 * stderr with the nearest right thing, and exit code 2.
 */
import { Command, CommanderError } from 'commander';
import { addBus } from './bus.js';
import { addClientCommands } from './client.js';
import { addCompletion } from './completion.js';
import { addContextCommands } from './context.js';
import { asDoctor } from './doctor.js';
import { EXIT, type ExitCode } from './exit.js';
import { addFsm } from './fsm.js';
import { type Io, leaf } from './invocation.js';

/** All commands. `serve` is in it to be seen; whoever starts the process handles it, and `--version`, before. */
export function buildProgram(io: Io): Command {
  const program = new Command('switchgear')
    .description('shared state for a team of services, behind one gRPC API')
    .helpOption('--help', 'show this');
  program.configureOutput({
    writeOut: (text) => io.stdout.write(text),
    writeErr: (text) => io.stderr.write(text),
  });
  program
    .command('serve')
    .description('run the service; also without any command; `serve --help` lists options');
  addFsm(program, io);
  addBus(program, io);
  addClientCommands(program, io);
  addContextCommands(program, io);
  asDoctor(leaf(program, 'doctor', 'show whether the server can be reached, and what it serves'), io);
  addCompletion(program, io);
  for (const command of allCommands(program)) settle(command);
  return program;
}

/** A command and everything below it. */
export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function settle(command: Command): void {
  command.exitOverride().helpOption('--help', 'show this').helpCommand(false).showSuggestionAfterError();
  command.configureOutput({
    outputError: (text, write) => write(`switchgear: ${complaint(command, text)}\n`),
  });
}

/** Runs one command line; resolves with the exit code and never rejects for what a user did. */
export async function runCommandLine(args: readonly string[], io: Io): Promise<ExitCode> {
  try {
    await buildProgram(io).parseAsync([...args], { from: 'user' });
    return io.exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

/** What commander says, `error: ...` with a suggestion on a line of its own, as one line that helps. */
function complaint(command: Command, text: string): string {
  const line = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ');
  if (/argument/.test(line) && !line.startsWith('option')) return `${line}; usage: ${usageOf(command)}`;
  const isHelped = line.includes('Did you mean') || line.includes('argument');
  return isHelped ? line : `${line}; \`${pathOf(command)} --help\` shows what there is`;
}

function usageOf(command: Command): string {
  return `${pathOf(command)} ${command.usage()}`;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
