/**
 * Callers that keep sending events to some machines while a test does something to Redis, and the proof
 * afterwards that nothing was lost or done twice.
 */
import { expect } from 'vitest';
import { Fault, type Reason } from '../../src/fault.js';
import type { FsmStore } from '../../src/fsm/store.js';
import {
  audit,
  command,
  DOOR,
  getMachine,
  givenMachine,
  givenName,
  historyOf,
  never,
  send,
} from '../conformance/subject.js';

const EVENTS = ['open', 'close', 'knock'] as const;

export class Load {
  readonly name: string;
  /** How often each reason was met. */
  readonly faults = new Map<Reason, number>();
  sent = 0;
  readonly #store: FsmStore;
  readonly #ids: readonly string[];
  readonly #applied = new Map<string, number>();
  #isOver = false;
  #callers: Promise<unknown> = Promise.resolve();

  private constructor(store: FsmStore, name: string, ids: readonly string[]) {
    this.#store = store;
    this.name = name;
    this.#ids = ids;
  }

  /** Makes machines and starts two callers for each; every event is sent until it is answered. */
  static async start(store: FsmStore, machines = 16): Promise<Load> {
    const name = await givenName(store);
    const ids = Array.from({ length: machines }, (_, i) => `m${i}`);
    for (const id of ids) await givenMachine(store, name, id);
    const load = new Load(store, name, ids);
    load.#callers = Promise.all([...ids, ...ids].map((id) => load.#call(id)));
    return load;
  }

  /** Lets every caller finish what it is sending. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#callers;
  }

  /** Resolves once `count` more events were answered. */
  async answered(count: number): Promise<void> {
    const goal = this.sent + count;
    while (this.sent < goal) await new Promise(setImmediate);
  }

  /** Machines, histories, index and counts agree, and hold exactly what was answered as applied. */
  async expectNothingLostOrDoubled(): Promise<void> {
    const store = this.#store;
    for (const id of this.#ids) {
      const history = await historyOf(store, this.name, id, { limit: 1000 });
      const versions = history.map(({ version }) => version);
      expect(versions).toEqual(versions.map((_, i) => i + 1));
      expect(new Set(history.map(({ event }) => event.eventId)).size).toBe(history.length);
      expect((await getMachine(store, this.name, id))?.version).toBe(history.length);
      expect(history.length).toBe(this.#applied.get(id) ?? 0);
    }
    expect((await audit(store, this.name)).differences).toEqual([]);
    const counts = await store.countByState(this.name, DOOR.states, undefined, never);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(this.#ids.length);
  }

  async #call(id: string): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const event = command(EVENTS[i % EVENTS.length] ?? 'knock');
      if (await this.#isApplied(id, event)) this.#applied.set(id, (this.#applied.get(id) ?? 0) + 1);
      this.sent++;
    }
  }

  /** Sends one event until it is answered; a caller that stopped here would leave its effect unknown. */
  async #isApplied(id: string, event: ReturnType<typeof command>): Promise<boolean> {
    for (;;)
      try {
        const answer = await send(this.#store, this.name, id, event);
        return answer.kind === 'outcome' && answer.outcome.kind === 'applied';
      } catch (error) {
        if (!(error instanceof Fault) || error.kind === 'internal') throw error;
        this.faults.set(error.reason, (this.faults.get(error.reason) ?? 0) + 1);
        // Full, and nothing was changed: the event is given up.
        if (error.reason === 'STORE_FULL') return false;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
  }
}
