/**
 * How many lines of the log callers who are refused may have written, so that nobody fills it who may do
 * nothing else: so many a second for each address of those that nobody knows, and for each client that is
 * denied. What is left out is counted, and the count is one more line when the second is over. The metrics
 * count every call.
 */
import { networkOf } from '../auth/network.js';
import type { Limits } from './limits.js';
import type { CodeName } from './status.js';

const WINDOW_MS = 1_000;
/** Shares of one second. Beyond it all that come anew have one share among them. */
const MAX_SHARES = 1_000;

/** Who called, as the log names it; client null = nobody knows. */
interface Who {
  readonly client: string | null;
  readonly address: string;
}

/** Lines that were left out, and whose. */
export interface LeftOut {
  readonly client?: string;
  /** An address, or a network of them. */
  readonly address?: string;
  readonly suppressed: number;
}

interface Share {
  readonly of: Omit<LeftOut, 'suppressed'>;
  lines: number;
  suppressed: number;
}

export type LineLimits = Pick<Limits, 'refusedLinesPerAddress' | 'deniedLinesPerClient'>;

export class LineShares {
  readonly #limits: LineLimits;
  readonly #tell: (left: LeftOut) => void;
  readonly #shares = new Map<string, Share>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: LineLimits, tell: (left: LeftOut) => void) {
    this.#limits = limits;
    this.#tell = tell;
  }

  /** Whether a call that ended so may have its line; only refusals are counted. */
  take(code: CodeName, who: Who): boolean {
    if (code === 'UNAUTHENTICATED') return this.takeOfAddress(who.address);
    return code !== 'PERMISSION_DENIED' || who.client === null || this.#takeOfClient(who.client);
  }

  /** Whether a caller that nobody knows may have a line. */
  takeOfAddress(address: string): boolean {
    const network = networkOf(address);
    return this.#take(`address ${network}`, { address: network }, this.#limits.refusedLinesPerAddress);
  }

  /** Tells what is still untold. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { of, suppressed } of this.#shares.values())
      if (suppressed > 0) this.#tell({ ...of, suppressed });
    this.#shares.clear();
  }

  #takeOfClient(client: string): boolean {
    return this.#take(`client ${client}`, { client }, this.#limits.deniedLinesPerClient);
  }

  #take(key: string, of: Share['of'], maxLines: number): boolean {
    this.#timer ??= setTimeout(() => this.close(), WINDOW_MS).unref();
    const share = this.#shares.get(key) ?? this.#open(key, of);
    if (share.lines < maxLines) {
      share.lines += 1;
      return true;
    }
    share.suppressed += 1;
    return false;
  }

  #open(key: string, of: Share['of']): Share {
    if (this.#shares.size >= MAX_SHARES) return this.#shares.get('') ?? this.#add('', {});
    return this.#add(key, of);
  }

  #add(key: string, of: Share['of']): Share {
    const share = { of, lines: 0, suppressed: 0 };
    this.#shares.set(key, share);
    return share;
  }
}
