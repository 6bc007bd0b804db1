#!/usr/bin/env -S node --min-semi-space-size=16 --max-semi-space-size=16 --initial-old-space-size=256 --no-allocation-site-pretenuring
/**
 * The process. The first word says what it is to be: the service (`serve`, or no word), or one command
 * of the command line. Each is loaded only when it is asked for, so that a service carries no command
 * line and a command does not wait for a service to load.
 *
 * What Node is started with, here and by `npm start`, keeps its collector out of the way of calls. A young
 * generation larger than V8's own takes 13-18 % off the processor time of an event (measured at 32 MiB), and of
 * 8, 16, 32 and 64 MiB the p99 is best with 16. It does not shrink, and the old one has room, so that neither is
 * collected for its size. Pretenuring is off: once V8 had seen a burst of calls outlive a scavenge it made their
 * objects in the old generation from then on, where a dead one keeps its whole call alive. A third of all that was
 * allocated was then copied for nothing, in pauses of 8 ms and full collections of 60; without, they are 1 to
 * 3 ms, and p99 at 2,000 events a second on Redis fell from 20-120 to 7-18 ms.
 */
import { readFileSync } from 'node:fs';

/** How a start that was refused ends; 2 = it was asked for wrongly. */
const EXIT = { failed: 1, usage: 2 } as const;

async function main(args: string[]): Promise<void> {
  const release = readRelease();
  const [noun = ''] = args;
  if (noun === '--version') return void process.stdout.write(`${release}\n`);
  if (noun === '--help') return void process.stdout.write(await overview());
  if (noun === 'serve') return serve(args.slice(1), release);
  if (noun === '' || noun.startsWith('-')) return serve(args, release);
  const { runCli } = await import('./cli/main.js');
  await runCli(args);
}

/** Logs go to standard output, the banner and everything else for people to standard error. */
async function serve(args: string[], release: string): Promise<void> {
  if (args.includes('--help'))
    return void process.stdout.write(`usage: switchgear [serve] [options]\n\n${await options()}`);
  if (args.includes('--check')) return check(args);
  const { readConfig } = await import('./config.js');
  const config = readConfig(args, process.env);
  const server = await import('./server/serve.js');
  await server.serve({ config, release });
}

async function check(args: string[]): Promise<void> {
  const { checkConfig } = await import('./config-report.js');
  await checkConfig(args, process.env, (text) => void process.stdout.write(text));
}

async function overview(): Promise<string> {
  return `switchgear: shared state for a team of services, behind one gRPC API

usage: switchgear [serve] [options]      run the service
       switchgear fsm COMMAND            state machines: configurations, machines, events
       switchgear bus COMMAND            event bus: streams, events, groups of workers
       switchgear client COMMAND         who may call, and what each may do
       switchgear context COMMAND        servers by name, and which of them is meant
       switchgear doctor                 can the server be reached, and what does it serve
       switchgear completion SHELL       completion for bash, zsh or fish

\`switchgear fsm --help\` and \`switchgear bus --help\` list their commands. Options of the service:

${await options()}`;
}

async function options(): Promise<string> {
  const { describeSettings } = await import('./config.js');
  return `${describeSettings()}
  --check [-o json]
      print every setting and where it comes from, say all that is wrong with them, and start nothing
  --help, --version

Every option is also SWITCHGEAR_<NAME> in the environment, and <name> in the file.
`;
}

/** The version of the package that this file is in, compiled (dist/src) or not (src). */
function readRelease(): string {
  for (const path of ['../../package.json', '../package.json'])
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (name === 'switchgear') return version;
    } catch {
      // Not there: the other place has it.
    }
  return 'unknown';
}

function refuse(error: unknown): void {
  const complaints =
    error instanceof Error && 'complaints' in error ? (error.complaints as string[]) : undefined;
  for (const line of complaints ?? [oneLine(error)]) process.stderr.write(`switchgear: ${line}\n`);
  process.exitCode = complaints ? EXIT.usage : EXIT.failed;
  // A store that was half opened must not keep a refused process alive.
  setTimeout(() => process.exit(), 1_000).unref();
}

function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.name === 'Fault' && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`.replaceAll('\n', ' ');
}

main(process.argv.slice(2)).catch(refuse);
