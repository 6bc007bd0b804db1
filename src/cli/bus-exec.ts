/**
 * A command that is run for an event. The idea to hold: what the user typed is the command, and what comes
 * with the event is data: the body on stdin and the facts in the environment, never a part of the command
 * line. It runs in a process group of its own, so that an interrupt of this process lets it finish.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { bodyBytes, type Delivery } from '../client/index.js';

/** For a command that was told to end. */
const KILL_AFTER_MS = 5_000;

/** How a command ended: its exit code, or 128 and the number of the signal that ended it. */
export class ExitError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) endGroup(child, 'SIGKILL');
});

/** Runs `command` with an event; resolves when it has exited with 0. Its output goes to `output`. */
export async function execute(
  command: string,
  delivery: Delivery,
  output: NodeJS.WritableStream,
): Promise<void> {
  const { event, signal } = delivery;
  signal.throwIfAborted();
  const child = spawn('/bin/sh', ['-c', command], {
    env: { ...process.env, ...facts(delivery) },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      if (output.write(chunk)) return;
      stream.pause();
      output.once('drain', () => stream.resume());
    });
  // A command need not read its input.
  child.stdin.on('error', () => {});
  child.stdin.end(bodyBytes(event));
  const end = () => {
    endGroup(child, 'SIGTERM');
    setTimeout(() => running.has(child) && endGroup(child, 'SIGKILL'), KILL_AFTER_MS).unref();
  };
  signal.addEventListener('abort', end, { once: true });
  try {
    await exited(child);
  } finally {
    signal.removeEventListener('abort', end);
    running.delete(child);
  }
}

function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new ExitError(127, `cannot run /bin/sh: ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else if (code !== null) reject(new ExitError(code, `exit code ${code}`));
      else reject(new ExitError(128, `ended by ${signal}`));
    });
  });
}

function facts({ event, attempt }: Delivery): Record<string, string> {
  return {
    SWITCHGEAR_EVENT_ID: event.eventId,
    SWITCHGEAR_EVENT_TYPE: settable(event.type),
    SWITCHGEAR_EVENT_KEY: settable(event.orderingKey),
    SWITCHGEAR_EVENT_SEQ: String(event.seq),
    SWITCHGEAR_EVENT_ATTEMPT: String(attempt),
  };
}

/** A variable of the environment ends at a NUL, which a type or key may hold. */
function settable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

function endGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has ended already.
  }
}
