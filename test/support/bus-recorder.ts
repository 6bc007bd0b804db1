/**
 * Keeps the log that the checker judges: every call of a caller goes through here and is written down with
 * when it was begun and answered. A call that failed with nobody knowing its effect is written down so, and
 * the failure goes on to its caller.
 */
import { randomUUID } from 'node:crypto';
import type { LeasedEvent, Mark, NewEvent } from '../../src/bus/event.js';
import type { BusStore } from '../../src/bus/store.js';
import type { ClaimRequest, SettleAnswer } from '../../src/bus/verbs.js';
import type { BusEntry, GroupEnd } from './bus-checker.js';

type Said<T> = T extends BusEntry ? Omit<T, 'began' | 'ended'> : never;

/** What a caller says of its claim; the rest is the log's. */
export type ClaimOf = Omit<ClaimRequest, 'claimId' | 'retry'> & Partial<Pick<ClaimRequest, 'claimId'>>;

const never: AbortSignal = new AbortController().signal;

export class BusRecorder {
  readonly entries: BusEntry[] = [];
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  async write(store: BusStore, events: readonly NewEvent[]): Promise<void> {
    const options = { requestId: randomUUID(), requestHash: 'h', expectedSeq: undefined };
    await this.#during(
      () => store.write(this.#number, events, options, never),
      (answer) => {
        if (answer?.kind !== 'written') return [];
        const seqs = answer.events.map(({ seq }) => seq);
        return [{ kind: 'written', seqs, keys: events.map(({ orderingKey }) => orderingKey) }];
      },
    );
  }

  async claim(
    store: BusStore,
    request: ClaimOf,
  ): Promise<{ claimId: string; events: readonly LeasedEvent[] }> {
    const { claimId = randomUUID(), ...rest } = request;
    const { group, consumer } = request;
    const answer = await this.#during(
      () => store.claim(this.#number, { ...rest, claimId, retry: undefined }, never),
      (claimed) => {
        if (claimed?.kind !== 'claimed' || claimed.events.length === 0) return [];
        const events = claimed.events.map(({ event, ...lease }) => ({ seq: event.seq, ...lease }));
        return [{ kind: 'claimed', group, consumer, claimId, nowMs: claimed.nowMs, events }];
      },
    );
    if (answer.kind !== 'claimed') throw new Error(`claim: ${answer.kind}`);
    return { claimId, events: answer.events };
  }

  async accept(
    store: BusStore,
    group: string,
    accepted: { consumer: string; lease: number; ackDeadlineMs: number },
  ): Promise<void> {
    const { lease, ackDeadlineMs } = accepted;
    await this.#during(
      () => store.accept(this.#number, group, accepted, never),
      () => [{ kind: 'deadline', group, lease, seq: undefined, ackDeadlineMs }],
    );
  }

  async extend(
    store: BusStore,
    group: string,
    { seq, lease }: { seq: number; lease: number },
    ackDeadlineMs: number,
  ): Promise<void> {
    await this.#during(
      () => store.extend(this.#number, group, [{ seq, lease }], ackDeadlineMs, never),
      () => [{ kind: 'deadline', group, lease, seq, ackDeadlineMs }],
    );
  }

  async mark(
    store: BusStore,
    group: string,
    { seq, lease }: { seq: number; lease: number | undefined },
    mark: Mark,
    delayMs?: number,
  ): Promise<SettleAnswer> {
    const answer = await this.#during(
      () => store.settle(this.#number, group, [{ seq, lease, mark, delayMs }], never),
      (settled) => [
        {
          kind: 'marked',
          group,
          seq,
          lease,
          mark,
          answer: settled?.kind === 'settled' ? settled.answers[0] : undefined,
        },
      ],
    );
    if (answer.kind !== 'settled' || !answer.answers[0]) throw new Error(`settle: ${answer.kind}`);
    return answer.answers[0];
  }

  async release(store: BusStore, group: string, consumer: string, claimId: string): Promise<void> {
    await this.#during(
      () => store.release(this.#number, group, consumer, claimId, never),
      () => [{ kind: 'released', group, claimId }],
    );
  }

  /** Also what failed is written down, with `undefined` for its answer. */
  async #during<T>(call: () => Promise<T>, say: (answer: T | undefined) => Said<BusEntry>[]): Promise<T> {
    const began = performance.now();
    const writeDown = (answer: T | undefined) => {
      const ended = performance.now();
      for (const entry of say(answer)) this.entries.push({ ...entry, began, ended });
    };
    try {
      const answer = await call();
      writeDown(answer);
      return answer;
    } catch (error) {
      writeDown(undefined);
      throw error;
    }
  }
}

/** How a group stands, for the checker: read when all callers have ended. */
export async function endOf(store: BusStore, number: number, group: string): Promise<GroupEnd> {
  const answer = await store.getStreamFacts(number, never);
  const facts = answer.kind === 'facts' ? answer.groups.find((each) => each.group.name === group) : undefined;
  if (!facts) throw new Error(`no facts of group ${group}`);
  const processed: number[] = [];
  for (let from: number | undefined = 1; from !== undefined; ) {
    const page = await store.listEvents(number, group, undefined, from, 1_000, never);
    if (page.kind !== 'page') throw new Error(page.kind);
    for (const { event, status } of page.items) if (status === 'processed') processed.push(event.seq);
    from = page.nextSeq;
  }
  const dead: number[] = [];
  for (let after: string | undefined, more = true; more; ) {
    const page = await store.listDead(number, group, after, 1_000, never);
    if (page.kind !== 'page') throw new Error(page.kind);
    dead.push(...page.items.map(({ event }) => event.seq));
    after = page.next;
    more = after !== undefined;
  }
  const { maxAttempts } = facts.group.settings;
  return { group, maxAttempts, processed, dead, trimmedCount: facts.trimmedUnprocessed };
}
