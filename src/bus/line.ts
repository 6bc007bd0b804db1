/**
 * The line of those who wait for events of one group. One claim is under way at a time, for the first in
 * line; who was served comes back at its end. They wait for one of three things:
 *
 * | where              | for what                                                     |
 * |--------------------|--------------------------------------------------------------|
 * | in line            | their turn                                                   |
 * | in line, line idle | a look or the time when something comes due: a claim found   |
 * |                    | nothing, and so would every other                            |
 * | spent              | a look or that time: their own credit is used, others go on  |
 *
 * A look while a claim is under way makes its answer an old one, and the line does not go idle on that.
 */
import type { Alarm, Sleeper } from './alarm.js';
import { type Ask, type Claim, claimOnce, type GroupPlace } from './claim.js';
import { Queue, type Queued } from './queue.js';
import type { BusStore } from './store.js';

/**
 * So many are asked at every look; more of them only after a pause for each, or a thousand idle workers
 * would make of every mark a thousand claims.
 */
const SPENT_AT_ONCE = 8;
const SPENT_PAUSE_MS = 0.2;

/**
 * When all that is due waits for credit, the time that comes next is hidden behind it: the deadline of a
 * lease whose end would free some. So it is looked for now and then.
 */
const HIDDEN_DEADLINE_MS = 1_000;

interface Waiter extends Queued<Waiter> {
  readonly ask: Ask;
  readonly signal: AbortSignal;
  resolve(claim: Claim): void;
  reject(error: unknown): void;
}

export class Line implements Sleeper {
  /** How many streams hold it. */
  holders = 0;
  readonly #store: BusStore;
  readonly #alarm: Alarm;
  readonly #place: GroupPlace;
  readonly #stopListening: () => void;
  readonly #line = new Queue<Waiter>();
  readonly #spent = new Queue<Waiter>();
  #spentAskedMs = Number.NEGATIVE_INFINITY;
  #isIdle = false;
  #isClaiming = false;
  #looks = 0;

  constructor(store: BusStore, alarm: Alarm, place: GroupPlace) {
    this.#store = store;
    this.#alarm = alarm;
    this.#place = place;
    this.#stopListening = store.listen(place.number, () => this.wake());
  }

  close(): void {
    this.#stopListening();
    this.#alarm.clear(this);
  }

  /** The next events for a consumer, in its turn. Rejects with the signal's reason, or the claim's Fault. */
  claim(ask: Ask, signal: AbortSignal): Promise<Claim> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const leave = () => this.#leave(waiter);
      const settled =
        <T>(settle: (outcome: T) => void) =>
        (outcome: T) => {
          signal.removeEventListener('abort', leave);
          settle(outcome);
        };
      const nowhere = { queue: undefined, before: undefined, after: undefined };
      const waiter: Waiter = { ask, signal, resolve: settled(resolve), reject: settled(reject), ...nowhere };
      signal.addEventListener('abort', leave);
      this.#line.add(waiter);
      void this.#serve();
    });
  }

  /** Something may have become deliverable. */
  wake(): void {
    this.#looks += 1;
    this.#isIdle = false;
    this.#askSpent();
    void this.#serve();
  }

  /** Puts those whose credit was used in line again, since nobody says whose credit a mark has freed. */
  #askSpent(): void {
    const pauseMs = (this.#spent.size - SPENT_AT_ONCE) * SPENT_PAUSE_MS;
    const waitMs = this.#spentAskedMs + pauseMs - performance.now();
    if (waitMs > 0) {
      this.#alarm.set(this, waitMs);
      return;
    }
    this.#spentAskedMs = performance.now();
    for (let each = this.#spent.shift(); each; each = this.#spent.shift()) this.#line.add(each);
  }

  /** Somebody has gone; if a claim is under way for it, that ends by the same signal. */
  #leave(waiter: Waiter): void {
    const isWaiting = this.#line.remove(waiter) || this.#spent.remove(waiter);
    if (isWaiting) waiter.reject(waiter.signal.reason);
  }

  async #serve(): Promise<void> {
    if (this.#isClaiming) return;
    this.#isClaiming = true;
    while (!this.#isIdle) {
      const first = this.#line.shift();
      if (first === undefined) break;
      await this.#serveOne(first);
    }
    this.#isClaiming = false;
  }

  async #serveOne(waiter: Waiter): Promise<void> {
    const looks = this.#looks;
    try {
      const claim = await claimOnce(this.#store, this.#place, waiter.ask, waiter.signal);
      if (claim.nextDueMs !== undefined) this.#alarm.set(this, pauseUntilDueMs(claim, claim.nextDueMs));
      if (claim.events.length > 0) waiter.resolve(claim);
      else if (waiter.signal.aborted) waiter.reject(waiter.signal.reason);
      else this.#waitOn(waiter, claim, looks === this.#looks);
    } catch (error) {
      waiter.reject(error);
    }
  }

  /** For a waiter who got nothing. `isNews` = nobody has said since that there may be something. */
  #waitOn(waiter: Waiter, { more, creditSpent }: Claim, isNews: boolean): void {
    if (creditSpent && isNews) this.#spent.add(waiter);
    else this.#line.add(waiter);
    if (!creditSpent && !more && isNews) this.#isIdle = true;
  }
}

function pauseUntilDueMs({ creditSpent, nowMs }: Claim, nextDueMs: number): number {
  return creditSpent && nextDueMs <= nowMs ? HIDDEN_DEADLINE_MS : nextDueMs - nowMs;
}
