#!/usr/bin/env node
/**
 * The process: read the configuration, open the stores, listen, and stop in order on a signal. Logs go
 * to standard output, the banner and everything else for people to standard error.
 */
import { readFileSync } from 'node:fs';
import { ConfigError, describeSettings, readConfig } from './config.js';
import { Fault } from './fault.js';
import { serve } from './server/serve.js';

const HELP = `switchgear: shared state for a team of services, behind one gRPC API

usage: switchgear [serve] [options]

${describeSettings()}
  --help, --version

Every option is also SWITCHGEAR_<NAME> in the environment, and <name> in the file.
`;

/** How a start that was refused ends; 2 = it was asked for wrongly. */
const EXIT = { failed: 1, usage: 2 } as const;

async function main(args: string[]): Promise<void> {
  const release = readRelease();
  if (args.includes('--help')) return void process.stdout.write(HELP);
  if (args.includes('--version')) return void process.stdout.write(`${release}\n`);
  const options = args[0] === 'serve' ? args.slice(1) : args;
  await serve({ config: readConfig(options, process.env), release });
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
  const lines = error instanceof ConfigError ? error.complaints : [oneLine(error)];
  for (const line of lines) process.stderr.write(`switchgear: ${line}\n`);
  process.exitCode = error instanceof ConfigError ? EXIT.usage : EXIT.failed;
  // A store that was half opened must not keep a refused process alive.
  setTimeout(() => process.exit(), 1_000).unref();
}

function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error instanceof Fault && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`.replaceAll('\n', ' ');
}

main(process.argv.slice(2)).catch(refuse);
