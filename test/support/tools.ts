/** Foreign tools that tests speak through, looked up where their installers put them; never installed. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export type ToolName = 'grpcurl' | 'python3' | 'go' | 'curl' | 'openssl';

/** The tool's path, or undefined with one line said about what is skipped for want of it. */
export function findTool(name: ToolName): string | undefined {
  const path = searchPath()
    .map((directory) => join(directory, name))
    .find((candidate) => isExecutable(candidate) && isComplete(name, candidate));
  if (path === undefined) {
    const why = name === 'python3' ? 'python3 with grpcio and grpcio-tools' : name;
    if (process.env.SWITCHGEAR_REQUIRE_BACKENDS === 'all') throw new Error(`${why} was not found`);
    console.warn(`${why} was not found: the tests that call through it are skipped`);
  }
  return path;
}

function searchPath(): string[] {
  const goPath = process.env.GOPATH ?? join(homedir(), 'go');
  const directories = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  return [...directories, ...goPath.split(delimiter).map((root) => join(root, 'bin')), '/usr/local/go/bin'];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A Python without the gRPC packages is of no use here. */
function isComplete(name: ToolName, path: string): boolean {
  if (name !== 'python3') return true;
  try {
    execFileSync(path, ['-c', 'import grpc, grpc_tools'], { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}
