/**
 * CLAIM. What may be handed out is bounded from three sides (the request, the consumer's credit, what one
 * step looks at); an answer with `more` says that it was a bound that ended it and not want of events.
 */
import { ACCEPT_GRACE_MS, MAX_CLAIM_EVENTS, MAX_CONSUMERS, MAX_LOOK_EVENTS, MAX_WAITING } from './bounds.js';
import type { DeliveryGroup, LogView } from './delivery-group.js';
import { expireDue } from './delivery-leases.js';
import { type Lease, newRow, type Row } from './delivery-row.js';
import { eventBytes, type LeasedEvent, matches, type StoredEvent } from './event.js';
import type { ClaimRequest } from './verbs.js';

export interface Claimed {
  readonly kind: 'claimed';
  readonly events: readonly LeasedEvent[];
  readonly more: boolean;
  readonly creditSpent: boolean;
  readonly nextDueMs: number | undefined;
}

export type ClaimOutcome = Claimed | { readonly kind: 'too_many_consumers' };

export interface ClaimMoment {
  readonly nowMs: number;
  /** The stream's next lease number; asked for if something is handed out. */
  readonly nextLease: () => number;
}

export function claim(
  group: DeliveryGroup,
  log: LogView,
  request: ClaimRequest,
  moment: ClaimMoment,
): ClaimOutcome {
  const { nowMs } = moment;
  const repeated = repeat(group, log, request, nowMs);
  if (repeated) return answer(group, repeated);
  expireDue(group, log, nowMs);
  group.catchUp(log);
  const hands = new Hands(group, request, moment);
  if (hands.creditSpent) return answer(group, [], { creditSpent: true });
  if (!group.consumers.has(request.consumer) && group.consumers.size >= MAX_CONSUMERS)
    return { kind: 'too_many_consumers' };
  const isCutShort = request.retry
    ? takeRetries(group, log, hands, request.retry, nowMs)
    : takeDue(group, log, hands, nowMs) || takeNew(group, log, hands);
  return answer(group, hands.events, { more: isCutShort || hands.isFull || group.deadlines.isDue(nowMs) });
}

/** What the claim would answer if that changes nothing; undefined = it is to be made. */
export function idleClaim(
  group: DeliveryGroup,
  { firstSeq, lastSeq }: LogView,
  request: ClaimRequest,
  nowMs: number,
): Claimed | undefined {
  const { cursor } = group.head;
  if (group.deadlines.isDue(nowMs) || cursor < firstSeq) return undefined;
  const consumer = group.consumers.get(request.consumer);
  if (consumer?.claimId === request.claimId) return undefined;
  const { messages, bytes } = request.credit;
  if (messages <= (consumer?.messages ?? 0) || bytes <= (consumer?.bytes ?? 0))
    return answer(group, [], { creditSpent: true });
  const hasSome = request.retry
    ? group.inState.retry.next(request.retry.afterSeq + 1) !== undefined
    : group.due.isDue(nowMs) || (cursor <= lastSeq && !isBlocked(group));
  return hasSome ? undefined : answer(group, []);
}

/** A waiting line stops the cursor, as the last claim found. */
function isBlocked({ blockedByKey, inState, lines }: DeliveryGroup): boolean {
  return blockedByKey !== undefined && inState.waiting.size >= MAX_WAITING && lines.isBusy(blockedByKey);
}

function answer(
  { deadlines, due }: DeliveryGroup,
  events: readonly LeasedEvent[],
  { more = false, creditSpent = false } = {},
): Claimed {
  const next = [deadlines.first, due.first].flatMap((row) => (row ? [row.dueMs] : []));
  return {
    kind: 'claimed',
    events,
    more,
    creditSpent,
    nextDueMs: next.length > 0 ? Math.min(...next) : undefined,
  };
}

/** The events of the consumer's last claim, if this is it again and it lives. */
function repeat(
  group: DeliveryGroup,
  log: LogView,
  { consumer, claimId }: ClaimRequest,
  nowMs: number,
): LeasedEvent[] | undefined {
  const known = group.consumers.get(consumer);
  const lease = known?.claimId === claimId ? group.leases.get(known.lastLease) : undefined;
  if (!lease) return undefined;
  const events: LeasedEvent[] = [];
  for (const row of lease.rows) {
    const event = row.lease === lease && row.dueMs > nowMs ? eventOf(log, row) : undefined;
    if (event) events.push(leasedEvent(row, lease, event));
  }
  return events.length > 0 ? events : undefined;
}

/** True if it stopped at a bound. */
function takeDue(group: DeliveryGroup, log: LogView, hands: Hands, nowMs: number): boolean {
  for (let lost = 0; group.due.isDue(nowMs); ) {
    const row = group.due.first as Row;
    const event = eventOf(log, row);
    if (event === undefined) {
      group.lose(row, nowMs);
      if (++lost >= MAX_LOOK_EVENTS) return true;
    } else if (!hands.fits(row.bytes)) return true;
    else group.hand(row, hands.take(row, event));
  }
  return false;
}

function takeRetries(
  group: DeliveryGroup,
  log: LogView,
  hands: Hands,
  { afterSeq, beganMs }: NonNullable<ClaimRequest['retry']>,
  nowMs: number,
): boolean {
  // Those whose expiry nobody has run yet may come before others, and each is passed once.
  if (group.deadlines.isDue(nowMs)) return true;
  const { retry } = group.inState;
  for (let seq = retry.next(afterSeq + 1); seq !== undefined; seq = retry.next(seq + 1)) {
    const row = group.rows.get(seq) as Row;
    if (row.sinceMs > beganMs) continue;
    const event = eventOf(log, row);
    if (event === undefined) group.lose(row, nowMs);
    else if (!hands.fits(row.bytes)) return true;
    else group.hand(row, hands.take(row, event));
  }
  return false;
}

/** True if it stopped at a bound. */
function takeNew(group: DeliveryGroup, log: LogView, hands: Hands): boolean {
  group.blockedByKey = undefined;
  const end = Math.min(log.lastSeq + 1, group.head.cursor + MAX_LOOK_EVENTS);
  let seq = group.head.cursor;
  while (seq < end && !hands.isFull && passes(group, log, hands, seq)) {
    group.unexcept(seq);
    seq++;
  }
  if (seq !== group.head.cursor) group.moveCursor(seq);
  return seq <= log.lastSeq && group.blockedByKey === undefined;
}

/** Whether the cursor passes the event, handed out or not. */
function passes(group: DeliveryGroup, log: LogView, hands: Hands, seq: number): boolean {
  if (group.isDealtWith(seq)) return true;
  const event = log.event(seq);
  if (event === undefined || !matches(group.filter, event)) return true;
  const key = event.orderingKey;
  const isBusy = key !== '' && group.lines.isBusy(key);
  if (isBusy && group.inState.waiting.size >= MAX_WAITING) group.blockedByKey = key;
  if (group.blockedByKey !== undefined) return false;
  const bytes = eventBytes(event);
  if (!isBusy && !hands.fits(bytes)) return false;
  const row = newRow({ seq, key, bytes });
  group.admit(row, isBusy ? undefined : hands.take(row, event));
  return true;
}

function eventOf(log: LogView, { seq, isReplayed }: Row): StoredEvent | undefined {
  if (isReplayed) return log.replayed(seq);
  return seq < log.firstSeq ? undefined : log.event(seq);
}

function leasedEvent({ attempts, dueMs }: Row, { number }: Lease, event: StoredEvent): LeasedEvent {
  return { event, attempt: attempts, lease: number, deadlineMs: dueMs };
}

/** What one claim may take, and has taken. */
class Hands {
  readonly events: LeasedEvent[] = [];
  readonly creditSpent: boolean;
  readonly #group: DeliveryGroup;
  readonly #request: ClaimRequest;
  readonly #nextLease: () => number;
  readonly #deadlineMs: number;
  #messages: number;
  #bytes: number;
  #lease: Lease | undefined;

  constructor(group: DeliveryGroup, request: ClaimRequest, { nowMs, nextLease }: ClaimMoment) {
    const { messages, bytes } = group.consumers.get(request.consumer) ?? { messages: 0, bytes: 0 };
    const { credit, maxEvents, maxBytes } = request;
    this.#group = group;
    this.#request = request;
    this.#nextLease = nextLease;
    this.#deadlineMs = nowMs + (request.ackDeadlineMs ?? group.settings.ackDeadlineMs) + ACCEPT_GRACE_MS;
    this.creditSpent = credit.messages <= messages || credit.bytes <= bytes;
    this.#messages = Math.min(maxEvents, MAX_CLAIM_EVENTS, credit.messages - messages);
    this.#bytes = Math.min(maxBytes, credit.bytes - bytes);
  }

  get isFull(): boolean {
    return this.#messages <= 0;
  }

  /** The first event always fits in bytes, or it would never be handed to anyone. */
  fits(bytes: number): boolean {
    return this.#messages > 0 && (this.events.length === 0 || bytes <= this.#bytes);
  }

  /** The lease that the row, which fits, is to be under. */
  take(row: Row, event: StoredEvent): Lease {
    const { consumer, claimId } = this.#request;
    this.#lease ??= this.#group.openLease(this.#nextLease(), this.#group.consumer(consumer), claimId);
    this.#messages--;
    this.#bytes -= row.bytes;
    row.dueMs = this.#deadlineMs;
    this.events.push({
      event,
      attempt: row.attempts + 1,
      lease: this.#lease.number,
      deadlineMs: this.#deadlineMs,
    });
    return this.#lease;
  }
}
