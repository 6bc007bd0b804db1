/**
 * What producers and workers of one group saw over the wire, in one order, and what in it breaks the
 * delivery contract. Unlike bus-checker.ts, which judges a log of everything that a store answered, it
 * knows that hand-outs die unseen with a server or a connection. The idea to hold: it proves a wrong only
 * where no crash and no honest delay explains it, so a lease counts as live until its deadline or until
 * somebody began to mark it, and an event as done only once the answer OK was there.
 */

/** An event as its producer knows it: `label` is its body, and names it before it has an id. */
export interface Written {
  readonly label: string;
  readonly key: string;
  readonly eventId: string;
  readonly seq: number;
}

export interface Delivered {
  readonly eventId: string;
  readonly label: string;
  readonly key: string;
  readonly seq: number;
  readonly attempt: number;
  readonly token: string;
  readonly worker: string;
  readonly deadlineMs: number;
  /** When it was received, by the clock that deadlines are of. */
  readonly atMs: number;
}

export type Mark = 'PROCESSED' | 'RETRY';
export type MarkResult = 'OK' | 'STALE' | 'UNKNOWN';

/** Which hand-out of which event. */
export interface HandOut {
  readonly eventId: string;
  readonly token: string;
}

export type Fact =
  | ({ readonly kind: 'written' } & Written)
  | ({ readonly kind: 'delivered' } & Delivered)
  | ({ readonly kind: 'mark_begun'; readonly as: Mark } & HandOut)
  | ({ readonly kind: 'marked'; readonly as: Mark; readonly result: MarkResult } & HandOut);

/** What the service says in the end, when nothing is left to hand out. */
export interface Outcome {
  /** Everything in the stream, in order. */
  readonly events: readonly { readonly label: string; readonly eventId: string; readonly seq: number }[];
  /** Ids of dead letters, as often as they were listed. */
  readonly dead: readonly string[];
  /** 0 = unlimited. */
  readonly maxAttempts: number;
}

interface Lease extends Delivered {
  isMarkBegun: boolean;
}

/** One line for every breach; empty = the contract was kept as far as anybody can tell. */
export function breaches(facts: readonly Fact[], outcome: Outcome): string[] {
  return [
    ...breachesOfWriting(facts, outcome),
    ...new Deliveries(outcome).read(facts),
    ...breachesOfDeath(outcome),
  ];
}

/** Every OK is in the stream once, where the answer said, and keys are in the order of their producers. */
function breachesOfWriting(facts: readonly Fact[], { events }: Outcome): string[] {
  const found: string[] = [];
  const byLabel = new Map<string, Outcome['events'][number]>();
  for (const [i, event] of events.entries()) {
    if (byLabel.has(event.label)) found.push(`${event.label} is in the stream twice`);
    else byLabel.set(event.label, event);
    if (event.seq !== i + 1) found.push(`sequence ${event.seq} stands at place ${i + 1}`);
  }
  const lastOfKey = new Map<string, number>();
  for (const fact of facts) {
    if (fact.kind !== 'written') continue;
    const event = byLabel.get(fact.label);
    if (!event) found.push(`${fact.label} was answered OK and is lost`);
    else if (event.eventId !== fact.eventId || event.seq !== fact.seq)
      found.push(`${fact.label} was answered as ${fact.eventId} and is ${event.eventId}`);
    if (fact.key === '') continue;
    if (fact.seq <= (lastOfKey.get(fact.key) ?? 0))
      found.push(`${fact.label} stands before an earlier write`);
    lastOfKey.set(fact.key, fact.seq);
  }
  return found;
}

function breachesOfDeath({ dead }: Outcome): string[] {
  return dead.filter((id, i) => dead.indexOf(id) !== i).map((id) => `${id} is a dead letter twice`);
}

/** Reads a log in order and keeps what each event and key has been through so far. */
class Deliveries {
  readonly #found: string[] = [];
  readonly #outcome: Outcome;
  readonly #dead: ReadonlySet<string>;
  readonly #leases = new Map<string, Lease[]>();
  /** Events that somebody began to mark PROCESSED, and those that may be so, since no answer denied it. */
  readonly #begun = new Set<string>();
  readonly #maybeDone = new Set<string>();
  /** By event, the attempt that was answered OK to PROCESSED. */
  readonly #done = new Map<string, number>();
  /** The events of each key that were handed out, in order. */
  readonly #handedOut = new Map<string, Delivered[]>();

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
    this.#dead = new Set(outcome.dead);
  }

  read(facts: readonly Fact[]): string[] {
    for (const fact of facts) {
      if (fact.kind === 'delivered') this.#deliver(fact);
      else if (fact.kind === 'mark_begun') this.#begin(fact);
      else if (fact.kind === 'marked') this.#mark(fact);
    }
    for (const { eventId, label } of this.#outcome.events)
      if (!this.#maybeDone.has(eventId) && !this.#dead.has(eventId))
        this.#found.push(`${label} is neither processed nor dead`);
    return this.#found;
  }

  #deliver(delivered: Delivered): void {
    const { eventId, label, attempt, token, atMs, worker } = delivered;
    const leases = this.#leases.get(eventId) ?? [];
    // A claim that was repeated, since its answer was lost, hands out the same again.
    if (leases.some((lease) => lease.token === token)) return;
    // A frame may be read late; then it is of an earlier attempt than one that was read before.
    for (const lease of leases.filter((each) => each.attempt <= attempt))
      if (!lease.isMarkBegun && atMs < lease.deadlineMs)
        this.#found.push(`${label} was handed out to ${worker} while ${lease.worker} had it`);
    if (attempt > (this.#done.get(eventId) ?? Number.MAX_VALUE))
      this.#found.push(`${label} was handed out to ${worker} after it was processed`);
    const { maxAttempts } = this.#outcome;
    if (maxAttempts > 0 && attempt > maxAttempts) this.#found.push(`${label} had attempt ${attempt}`);
    if (leases.length === 0) this.#first(delivered);
    this.#leases.set(eventId, [...leases, { ...delivered, isMarkBegun: false }]);
  }

  /** The first delivery of an event with a key: all that were handed out before are done, or dead by now. */
  #first(delivered: Delivered): void {
    const { key, label, seq } = delivered;
    if (key === '') return;
    const before = this.#handedOut.get(key) ?? [];
    for (const other of before) {
      if (other.seq > seq) this.#found.push(`${label} was handed out after ${other.label} of the same key`);
      if (!this.#begun.has(other.eventId) && !this.#dead.has(other.eventId))
        this.#found.push(`${label} was handed out while ${other.label} of the same key was in flight`);
    }
    this.#handedOut.set(key, [...before, delivered]);
  }

  #begin({ as, ...handOut }: Extract<Fact, { kind: 'mark_begun' }>): void {
    const lease = this.#leaseOf(handOut);
    if (!lease) return void this.#found.push(`${handOut.eventId} was marked by a lease that nobody has`);
    lease.isMarkBegun = true;
    if (as === 'PROCESSED') this.#begun.add(lease.eventId);
  }

  #mark({ as, result, ...handOut }: Extract<Fact, { kind: 'marked' }>): void {
    const lease = this.#leaseOf(handOut);
    if (!lease || as === 'RETRY' || result === 'STALE') return;
    const { eventId, label, attempt } = lease;
    this.#maybeDone.add(eventId);
    if (result === 'UNKNOWN') return;
    this.#done.set(eventId, attempt);
    const later = this.#leases.get(eventId)?.find((each) => each.attempt > attempt);
    if (later) this.#found.push(`${label} was marked OK by attempt ${attempt}, after ${later.attempt} began`);
  }

  #leaseOf({ eventId, token }: HandOut): Lease | undefined {
    return this.#leases.get(eventId)?.find((lease) => lease.token === token);
  }
}
