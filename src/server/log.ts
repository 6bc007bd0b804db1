/**
 * The process's log: JSON lines on standard output, or readable ones on a terminal. Credentials that a
 * caller sends never reach it: only what is named here of a call is logged at all.
 */
import { destination, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export function openLog(level: string): Logger {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  if (process.stdout.isTTY) return pino(options, pretty({ sync: true, colorize: true }));
  // Synchronous: a line is out before the process can be killed, and there is none per successful call.
  return pino(options, destination({ fd: 1, sync: true }));
}
