/**
 * The audit: one line for every call of an rpc that manages something, whatever became of it, and for
 * every change of what clients may do. It is part of the log, marked `audit`, and written at every log
 * level but `silent`.
 */
import type { Logger } from 'pino';
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
  #made: Logger | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  act({ name, ...act }: Act): void {
    this.#lines.info({ ...act, name: name === null ? null : name.slice(0, MAX_NAME_CHARS) }, 'managed');
  }

  /** Something else that changes who may do what, such as a new auth file. */
  change(facts: object, message: string): void {
    this.#lines.info(facts, message);
  }

  get #lines(): Logger {
    const log = this.#log;
    this.#made ??= log.level === 'silent' ? log : log.child({ audit: true }, { level: 'info' });
    return this.#made;
  }
}
