/** Marks and longer deadlines: one job a call, whatever the stream holds. */
import { extend, settle } from '../../bus/delivery.js';
import type { BusStore } from '../../bus/store.js';
import type { Settlement } from '../../bus/verbs.js';
import type { BusContext } from './bus-context.js';

export class BusSettlements {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  settle(
    number: number,
    group: string,
    marks: readonly Settlement[],
    signal: AbortSignal,
  ): ReturnType<BusStore['settle']> {
    // A full store can still be worked off.
    const options = { weight: marks.length, grows: false };
    return this.#context.groupJob(number, group, signal, options, ({ delivery, log }, { nowMs }) => ({
      kind: 'settled' as const,
      answers: marks.map((mark) => settle(delivery, log, mark, nowMs)),
    }));
  }

  extend(
    number: number,
    group: string,
    leases: readonly { readonly seq: number; readonly lease: number }[],
    ackDeadlineMs: number | undefined,
    signal: AbortSignal,
  ): ReturnType<BusStore['extend']> {
    const options = { weight: leases.length, grows: false };
    return this.#context.groupJob(number, group, signal, options, ({ delivery }, { nowMs }) => {
      const deadlineMs = nowMs + (ackDeadlineMs ?? delivery.settings.ackDeadlineMs);
      return {
        kind: 'extended' as const,
        answers: extend(delivery, leases, deadlineMs, nowMs),
        deadlineMs,
      };
    });
  }
}
