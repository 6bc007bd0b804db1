/**
 * Brings waiting consumers and events together: one line for each group that somebody waits on, one timer
 * for all of them, and no poll. A stream that waits costs its place in a line, nothing else.
 */
import { Alarm } from './alarm.js';
import type { Ask, Claim, GroupPlace } from './claim.js';
import { Line } from './line.js';
import type { BusStore } from './store.js';

/** One stream's place in a line. */
export interface LinePlace {
  /** Claims in its turn, and waits until there is something. */
  claim(ask: Ask, signal: AbortSignal): Promise<Claim>;
  leave(): void;
}

export class Dispatcher {
  readonly #store: BusStore;
  readonly #alarm = new Alarm();
  readonly #lines = new Map<string, Line>();

  constructor(store: BusStore) {
    this.#store = store;
  }

  /** Joins the line of a group, until `leave`. */
  join(place: GroupPlace): LinePlace {
    const key = `${place.number}:${place.group}`;
    const line = this.#lines.get(key) ?? new Line(this.#store, this.#alarm, place);
    this.#lines.set(key, line);
    line.holders += 1;
    return {
      claim: (ask, signal) => line.claim(ask, signal),
      leave: () => {
        line.holders -= 1;
        if (line.holders > 0) return;
        line.close();
        this.#lines.delete(key);
      },
    };
  }
}
