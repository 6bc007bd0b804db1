/**
 * Judges a log of what was asked of a bus and answered, by the contract of delivery. Many callers write
 * into one log, each entry when its answer is there; the idea to hold: the store's lease numbers rise with
 * every claim, so they order the claims of an event whatever the order of the answers was, and an act can
 * have come between two claims only if it was begun before the second was answered. Times of the store
 * (deadlines, and when a claim was made) are compared with each other alone. What nobody knows the effect
 * of (`answer: undefined`) may have happened: it excuses, and it proves nothing.
 */

/** Of one stream. `began` and `ended` are of one clock of the one who keeps the log. */
interface Spent {
  readonly began: number;
  readonly ended: number;
}

export type BusEntry = Spent &
  (
    | { readonly kind: 'written'; readonly seqs: readonly number[]; readonly keys: readonly string[] }
    | {
        readonly kind: 'claimed';
        readonly group: string;
        readonly consumer: string;
        readonly claimId: string;
        readonly nowMs: number;
        readonly events: readonly {
          readonly seq: number;
          readonly lease: number;
          readonly attempt: number;
          readonly deadlineMs: number;
        }[];
      }
    /** The deadlines of a lease, or of one event of it, were set to this much from the act. */
    | {
        readonly kind: 'deadline';
        readonly group: string;
        readonly lease: number;
        readonly seq: number | undefined;
        readonly ackDeadlineMs: number;
      }
    | {
        readonly kind: 'marked';
        readonly group: string;
        readonly seq: number;
        /** Undefined = without a token. */
        readonly lease: number | undefined;
        readonly mark: 'processed' | 'retry' | 'unprocessed';
        /** Undefined = nobody knows. */
        readonly answer: 'ok' | 'stale' | 'not_found' | 'expired' | 'full' | undefined;
      }
    | { readonly kind: 'released'; readonly group: string; readonly claimId: string }
    /** A seek, or a replay of dead letters: anything may come again. */
    | { readonly kind: 'revived'; readonly group: string }
  );

/** How a group stands when all is over. */
export interface GroupEnd {
  readonly group: string;
  /** 0 = unlimited. */
  readonly maxAttempts: number;
  readonly processed: readonly number[];
  readonly dead: readonly number[];
  /** Events that retention took; their number is only known as a count. */
  readonly trimmedCount: number;
}

type Of<K extends BusEntry['kind']> = Extract<BusEntry, { kind: K }>;

/** One hand-out of one event. */
interface Delivery extends Spent {
  readonly seq: number;
  readonly lease: number;
  readonly attempt: number;
  readonly claimId: string;
  /** When it was made, by the store. */
  readonly nowMs: number;
  /** The earliest it can have run out, by the store. */
  endsMs: number;
}

/** Everything in the log that the contract forbids, one line each; empty = none. */
export function violations(log: readonly BusEntry[], ends: readonly GroupEnd[]): string[] {
  const keys = new Map<number, string>();
  for (const entry of log)
    if (entry.kind === 'written')
      for (const [i, seq] of entry.seqs.entries()) keys.set(seq, entry.keys[i] ?? '');
  return [...repeatedSeqs(log), ...ends.flatMap((end) => new GroupTrial(log, end, keys).violations())];
}

function repeatedSeqs(log: readonly BusEntry[]): string[] {
  const seen = new Set<number>();
  const found: string[] = [];
  for (const seq of log.flatMap((entry) => (entry.kind === 'written' ? entry.seqs : []))) {
    if (seen.has(seq)) found.push(`two events were written as ${seq}`);
    seen.add(seq);
  }
  return found;
}

class GroupTrial {
  readonly #end: GroupEnd;
  readonly #keys: ReadonlyMap<number, string>;
  readonly #marks: readonly Of<'marked'>[];
  readonly #marksOf = new Map<number, Of<'marked'>[]>();
  readonly #releases: readonly Of<'released'>[];
  readonly #revivals: readonly Of<'revived'>[];
  /** By sequence, in the order of their leases. */
  readonly #deliveries = new Map<number, Delivery[]>();
  readonly #found: string[] = [];

  constructor(log: readonly BusEntry[], end: GroupEnd, keys: ReadonlyMap<number, string>) {
    const mine = <K extends BusEntry['kind']>(kind: K) =>
      log.filter(
        (entry): entry is Of<K> => entry.kind === kind && 'group' in entry && entry.group === end.group,
      );
    this.#end = end;
    this.#keys = keys;
    this.#marks = mine('marked');
    for (const each of this.#marks)
      this.#marksOf.set(each.seq, [...(this.#marksOf.get(each.seq) ?? []), each]);
    this.#releases = mine('released');
    this.#revivals = mine('revived');
    const all = mine('claimed').flatMap(({ events, began, ended, claimId, nowMs }) =>
      events.map(({ deadlineMs, ...rest }) => ({
        ...rest,
        began,
        ended,
        claimId,
        nowMs,
        endsMs: deadlineMs,
      })),
    );
    for (const deadline of mine('deadline'))
      for (const each of all)
        if (each.lease === deadline.lease && (deadline.seq ?? each.seq) === each.seq)
          each.endsMs = Math.min(each.endsMs, each.nowMs + deadline.ackDeadlineMs);
    for (const each of all.sort((a, b) => a.lease - b.lease)) this.#addDelivery(each);
  }

  violations(): string[] {
    for (const [seq, deliveries] of this.#deliveries) {
      if (!this.#keys.has(seq)) this.#find(`${seq} was handed out and never written`);
      for (const [i, each] of deliveries.entries()) {
        const next = deliveries[i + 1];
        if (next) this.#checkNext(each, next);
        if (this.#end.maxAttempts > 0 && each.attempt > this.#end.maxAttempts)
          this.#find(`${seq} was handed out for the ${each.attempt}th time of ${this.#end.maxAttempts}`);
      }
    }
    this.#checkProcessed();
    this.#checkTokens();
    this.#checkKeys();
    this.#checkFirsts();
    this.#checkEnd();
    return this.#found;
  }

  #find(what: string): void {
    this.#found.push(`${this.#end.group}: ${what}`);
  }

  /** A claim that is repeated answers the same lease again: one delivery. */
  #addDelivery(delivery: Delivery): void {
    const known = this.#deliveries.get(delivery.seq) ?? [];
    const last = known.at(-1);
    this.#deliveries.set(delivery.seq, known);
    if (last?.lease !== delivery.lease) known.push(delivery);
    else if (last.claimId !== delivery.claimId)
      this.#find(`${delivery.seq} was handed to two claims in one lease`);
    else last.endsMs = Math.min(last.endsMs, delivery.endsMs);
  }

  /** Marks that took effect on an event, or may have. */
  #effects(seq: number, ...marks: readonly Of<'marked'>['mark'][]): Of<'marked'>[] {
    return (this.#marksOf.get(seq) ?? []).filter(
      (each) => marks.includes(each.mark) && (each.answer === 'ok' || each.answer === undefined),
    );
  }

  /** Why the first was over when the second was made, or nothing. */
  #checkNext(first: Delivery, next: Delivery): void {
    const { seq } = first;
    const between = (act: Spent) => act.began <= next.ended && act.ended >= first.began;
    const marks = this.#effects(seq, 'retry', 'unprocessed').filter(between);
    const isMarked = marks.some(({ lease }) => lease === undefined || lease === first.lease);
    const isReleased = this.#releases.some((each) => each.claimId === first.claimId && between(each));
    const isRevived = this.#revivals.some(between);
    const isOver = next.nowMs >= first.endsMs;
    if (!isMarked && !isReleased && !isRevived && !isOver)
      this.#find(`${seq} had two live leases, ${first.lease} and ${next.lease}`);
    const startsAgain = isRevived || marks.some(({ mark }) => mark === 'unprocessed');
    const most = first.attempt + 1;
    const least = isReleased
      ? first.attempt
      : startsAgain || this.#effects(seq, 'processed').some(between)
        ? 1
        : most;
    if (next.attempt > most || next.attempt < least)
      this.#find(`${seq} went from attempt ${first.attempt} to ${next.attempt}`);
  }

  /** After a mark PROCESSED that was answered OK nothing is handed out again, unless something revived it. */
  #checkProcessed(): void {
    for (const mark of this.#marks.filter(({ mark, answer }) => mark === 'processed' && answer === 'ok')) {
      const later = (this.#deliveries.get(mark.seq) ?? []).filter(
        ({ began, lease }) => began >= mark.ended || (mark.lease !== undefined && lease > mark.lease),
      );
      for (const each of later) {
        const acts = [...this.#effects(mark.seq, 'retry', 'unprocessed'), ...this.#revivals];
        if (!acts.some((act) => act.ended >= mark.began && act.began <= each.ended))
          this.#find(`${mark.seq} was handed out (${each.lease}) after it was marked PROCESSED`);
      }
    }
  }

  /** A token is good for its own lease, until the next. */
  #checkTokens(): void {
    for (const { seq, lease, answer, began } of this.#marks) {
      if (lease === undefined || answer !== 'ok') continue;
      const deliveries = this.#deliveries.get(seq) ?? [];
      const newer = deliveries.find((each) => each.lease > lease && each.ended <= began);
      if (newer) this.#find(`${seq}: the token of ${lease} was taken after ${newer.lease} was handed out`);
      if (!deliveries.some((each) => each.lease === lease))
        this.#find(`${seq}: the token of ${lease}, which nobody was given, was taken`);
    }
    const taken = new Set<string>();
    for (const { seq, lease, answer } of this.#marks) {
      if (lease === undefined || answer !== 'ok') continue;
      const token = `${seq} (${lease})`;
      if (taken.has(token)) this.#find(`the token of ${token} was taken twice`);
      taken.add(token);
    }
  }

  /** Of one key, the next event is handed out only when the one before it is processed or dead. */
  #checkKeys(): void {
    for (const deliveries of this.#byKey())
      for (const [i, each] of deliveries.entries()) {
        const before = deliveries[i - 1];
        if (!before || before.seq === each.seq) continue;
        const isDone = this.#effects(before.seq, 'processed').some(({ began }) => began <= each.ended);
        const isDead =
          this.#end.maxAttempts > 0 &&
          before.attempt >= this.#end.maxAttempts &&
          this.#end.dead.includes(before.seq);
        const isRevived = this.#revivals.some(({ began }) => began <= each.ended);
        if (!isDone && !isDead && !isRevived && this.#end.trimmedCount === 0)
          this.#find(`${before.seq} and ${each.seq} of one key were in flight together`);
      }
  }

  #byKey(): Delivery[][] {
    const byKey = new Map<string, Delivery[]>();
    for (const [seq, deliveries] of this.#deliveries) {
      const key = this.#keys.get(seq) ?? '';
      if (key !== '') byKey.set(key, [...(byKey.get(key) ?? []), ...deliveries]);
    }
    return [...byKey.values()].map((all) => all.sort((a, b) => a.lease - b.lease));
  }

  /** First deliveries are in the order of writing: of a key, and of all that have none. */
  #checkFirsts(): void {
    if (this.#revivals.length > 0) return;
    const last = new Map<string, number>();
    const firsts = [...this.#deliveries.values()].flatMap(([first]) => (first ? [first] : []));
    for (const { seq } of firsts.sort((a, b) => a.lease - b.lease || a.seq - b.seq)) {
      const key = this.#keys.get(seq) ?? '';
      const isMoved = (this.#marksOf.get(seq) ?? []).some(({ lease }) => lease === undefined);
      const before = last.get(key) ?? 0;
      if (seq < before && !isMoved) this.#find(`${seq} was first handed out after ${before}`);
      if (!isMoved) last.set(key, Math.max(seq, before));
    }
  }

  /** Every event written is processed, dead or counted; the dead had all their attempts, and are so once. */
  #checkEnd(): void {
    const { processed, dead, trimmedCount, maxAttempts } = this.#end;
    const known = new Set([...processed, ...dead]);
    const missing = [...this.#keys.keys()].filter((seq) => !known.has(seq));
    if (missing.length > trimmedCount)
      this.#find(`${missing.length - trimmedCount} events were lost, one of them ${missing[0]}`);
    if (new Set(dead).size < dead.length) this.#find('an event is a dead letter twice');
    for (const seq of dead) {
      if (processed.includes(seq)) this.#find(`${seq} is dead and processed`);
      const attempts = this.#deliveries.get(seq)?.at(-1)?.attempt;
      if (maxAttempts === 0 || attempts === undefined || attempts < maxAttempts)
        this.#find(`${seq} died after ${attempts ?? 0} attempts`);
    }
    for (const seq of processed)
      if (!this.#effects(seq, 'processed').length) this.#find(`${seq} is processed, and nobody said so`);
  }
}
