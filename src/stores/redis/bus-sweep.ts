/**
 * What is no longer kept goes in the background, in steps of bounded size: of streams that are written to
 * the writes let it go; this is for the others. Every process goes round all streams, a few at a time; what
 * one has swept costs the next a look.
 */
import { Rounds } from '../rounds.js';
import type { Dead } from './bus-dead.js';
import type { Groups } from './bus-groups.js';
import type { BusKeys } from './bus-keys.js';
import { loadBusScript } from './bus-scripts.js';
import type { Streams } from './bus-streams.js';

const SWEEP = loadBusScript('bus_sweep-5');

/**
 * Streams looked at in one round, which comes once a second: a tenth of a percent of a core. (With 20 an idle
 * server came near the one percent that it may take.)
 */
const STREAMS_A_ROUND = 5;
/** Steps on one stream before the others have their turn. */
const MAX_STEPS = 50;
const ROUND_TIMEOUT_MS = 5_000;

export class Sweep {
  readonly #streams: Streams;
  readonly #keys: BusKeys;
  readonly #groups: Groups;
  readonly #dead: Dead;
  readonly #rounds = new Rounds(() => this.#round());
  /** The name looked at last, in its encoded form; undefined = from the first on. */
  #after: string | undefined;
  #count = 0;

  constructor(streams: Streams, keys: BusKeys, groups: Groups, dead: Dead) {
    this.#streams = streams;
    this.#keys = keys;
    this.#groups = groups;
    this.#dead = dead;
  }

  close(): void {
    this.#rounds.close();
  }

  async #round(): Promise<void> {
    const signal = AbortSignal.timeout(ROUND_TIMEOUT_MS);
    const page = await this.#streams.list(this.#after, STREAMS_A_ROUND, signal);
    this.#after = page.next;
    // Letters have their turn with one stream of a round: they cost a look at every group.
    const turn = this.#count++ % STREAMS_A_ROUND;
    for (const [i, { number }] of page.items.entries()) {
      for (let step = 0; step < MAX_STEPS && !this.#rounds.isClosed; step++)
        if (!(await this.#step(number, signal))) break;
      if (i === turn) await this.#letters(number, signal);
    }
  }

  /** Every step on a group drops a bounded number of dead letters past their time: here one that does no more. */
  async #letters(number: number, signal: AbortSignal): Promise<void> {
    const listed = await this.#groups.list(number, signal);
    if (listed.kind === 'gone') return;
    for (const { name } of listed.groups) {
      if (this.#rounds.isClosed) return;
      await this.#dead.step('purge', number, name, { kind: 'some', seqs: [] }, signal);
    }
  }

  /** False = there is nothing more to let go. */
  async #step(number: number, signal: AbortSignal): Promise<boolean> {
    const { facts, log, flag, ids, idTimes } = this.#keys.stream(number);
    const keys = [facts, log, flag, ids, idTimes];
    const reply = await this.#streams.runOn<string>(SWEEP, number, keys, [this.#keys.wakeChannel], signal);
    return reply?.[1] === '1';
  }
}
