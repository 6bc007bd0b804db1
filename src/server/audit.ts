/**
 * The audit: one line for every call of an rpc that manages something, whatever became of it, and for
 * every change of what clients may do. It is part of the log, marked `audit`, and written at every log
 * level but `silent`. Of those that are refused it writes so many a second and counts the others
 * (line-shares.ts): nobody has anything done by them.
 */
import type { Logger } from 'pino';
import { DEFAULT_LIMITS } from './limits.js';
import { type LineLimits, LineShares } from './line-shares.js';
import type { CodeName } from './status.js';

/** An administrative act that was done, or refused. */
export interface Act {
  readonly rpc: string;
  /** Null = nobody was asked, or nobody could show who it is. */
  readonly client: string | null;
  readonly address: string;
  /** What it was about; null when it was refused before its request was looked at. */
  readonly name: string | null;
  readonly code: CodeName;
  readonly duration_ms: number;
}

/** A name that keeps to its proto is shorter; those of v1beta are checked later. */
const MAX_NAME_CHARS = 256;

export class Audit {
  readonly #log: Logger;
  readonly #shares: LineShares;
  #made: Logger | undefined;

  constructor(log: Logger, limits: LineLimits = DEFAULT_LIMITS) {
    this.#log = log;
    this.#shares = new LineShares(limits, (left) => this.#lines.info(left, 'more was refused than is told'));
  }

  act({ name, ...act }: Act): void {
    if (!this.#shares.take(act.code, act)) return;
    this.#lines.info({ ...act, name: name === null ? null : name.slice(0, MAX_NAME_CHARS) }, 'managed');
  }

  /** Something else that changes who may do what, such as a new auth file. */
  change(facts: object, message: string): void {
    this.#lines.info(facts, message);
  }

  /** Tells what was left out so far. */
  close(): void {
    this.#shares.close();
  }

  get #lines(): Logger {
    const log = this.#log;
    this.#made ??= log.level === 'silent' ? log : log.child({ audit: true }, { level: 'info' });
    return this.#made;
  }
}
