/**
 * The command line as a process: joins the command tree with the streams, the environment and the
 * signals. An interrupt ends what is running in order; a second one ends the process.
 */
import { EXIT, type ExitCode } from './exit.js';
import type { Io } from './invocation.js';
import { runCommandLine } from './program.js';

/** Runs one command line of this process, without the program's name; ends the process. */
export async function runCli(args: readonly string[]): Promise<never> {
  const io: Io = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signal: interrupted(),
    exitCode: EXIT.ok,
  };
  // Nobody reads errors any more: there is nobody to tell.
  process.stderr.on('error', () => {});
  process.stdout.on('error', () => {});
  const exitCode = await runCommandLine(args, io);
  await flushed();
  return end(exitCode);
}

/** A file on stdin that was not read to its end must not keep the process. */
function end(exitCode: ExitCode): never {
  process.exit(exitCode);
}

function flushed(): Promise<void> {
  return new Promise((resolve) => {
    if (process.stdout.destroyed || process.stdout.writableEnded) resolve();
    else process.stdout.write('', () => resolve());
  });
}

function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort();
    });
  return controller.signal;
}
