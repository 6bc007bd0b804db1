/** Builds the product for tests that start it as a process, once a run and only when its sources changed. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const HERE = new URL('../..', import.meta.url).pathname;
/** The folder of package.json; benchmarks run compiled, from `dist`. */
export const ROOT = HERE.endsWith('/dist/') ? join(HERE, '..') : HERE;
export const MAIN = join(ROOT, 'dist/src/main.js');

/** Empty when the product stands in dist, else why it does not. Only tests that need it fail on that. */
export async function buildProduct(): Promise<string> {
  if (!existsSync(join(ROOT, 'src/main.ts'))) return 'src/main.ts does not exist';
  const sourceMs = Math.max(...['src', 'gen'].map((folder) => newestMs(join(ROOT, folder))));
  if (existsSync(MAIN) && builtMs() >= sourceMs) return '';
  try {
    await promisify(execFile)('npm', ['run', 'build', '--silent'], { cwd: ROOT });
    return '';
  } catch (error) {
    const { stdout = '', message } = error as Error & { stdout?: string };
    return `npm run build failed: ${stdout || message}`;
  }
}

/** The compiler leaves unchanged files alone and writes its notes last. */
function builtMs(): number {
  const notes = join(ROOT, 'dist/.tsbuildinfo');
  return existsSync(notes) ? statSync(notes).mtimeMs : 0;
}

function newestMs(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files.reduce(
    (newest, file) => Math.max(newest, statSync(join(file.parentPath, file.name)).mtimeMs),
    0,
  );
}

/** How `npm start` starts the product, without npm: the command and its arguments. */
export function startCommand(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: { start: string };
  };
  const [, flags = ''] = /^exec node (.*)dist\/src\/main\.js$/.exec(scripts.start) ?? [];
  return [process.execPath, ...flags.split(' ').filter((flag) => flag !== ''), MAIN];
}
