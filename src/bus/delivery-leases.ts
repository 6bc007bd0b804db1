/** What becomes of a lease after the claim: its deadline passes, moves, or it is given back. */
import { MAX_EXPIRIES } from './bounds.js';
import type { DeliveryGroup, LogView } from './delivery-group.js';
import type { Row } from './delivery-row.js';
import { backoffMs } from './event.js';

/** EXPIRE: at most MAX_EXPIRIES leases past their deadline, oldest first. */
export function expireDue(group: DeliveryGroup, log: LogView, nowMs: number): void {
  for (let count = 0; count < MAX_EXPIRIES && group.deadlines.isDue(nowMs); count++)
    expire(group, log, group.deadlines.first as Row, nowMs);
}

function expire(group: DeliveryGroup, log: LogView, row: Row, nowMs: number): void {
  const { attempts, dueMs: sinceMs } = row;
  if (isSpent(group, row)) giveUp(group, log, row, nowMs);
  else group.again(row, 'retry', { attempts, dueMs: sinceMs + backoffMs(group.settings, attempts), sinceMs });
}

/** Whether the attempt under way is the last. */
export function isSpent({ settings }: DeliveryGroup, { attempts }: Row): boolean {
  return settings.maxAttempts > 0 && attempts >= settings.maxAttempts;
}

/** A dead letter, or, of an event whose body retention took, nothing but a count. */
export function giveUp(group: DeliveryGroup, log: LogView, row: Row, nowMs: number): void {
  if (row.isReplayed || row.seq >= log.firstSeq) group.kill(row, nowMs);
  else group.lose(row, nowMs);
}

/** Whether the row is leased by exactly that lease and its deadline is ahead. */
export function isLive(row: Row | undefined, lease: number, nowMs: number): row is Row {
  return row?.lease?.number === lease && row.dueMs > nowMs;
}

export function accept(
  group: DeliveryGroup,
  request: { readonly consumer: string; readonly lease: number; readonly ackDeadlineMs: number | undefined },
  nowMs: number,
): void {
  const lease = group.leases.get(request.lease);
  if (lease?.consumer.name !== request.consumer) return;
  const dueMs = nowMs + (request.ackDeadlineMs ?? group.settings.ackDeadlineMs);
  for (const row of lease.rows) if (isLive(row, lease.number, nowMs)) group.setDeadline(row, dueMs);
}

export function extend(
  group: DeliveryGroup,
  leases: readonly { readonly seq: number; readonly lease: number }[],
  deadlineMs: number,
  nowMs: number,
): ('ok' | 'stale')[] {
  return leases.map(({ seq, lease }) => {
    const row = group.rows.get(seq);
    if (!isLive(row, lease, nowMs)) return 'stale';
    group.setDeadline(row, deadlineMs);
    return 'ok';
  });
}

export function release(group: DeliveryGroup, consumer: string, claimId: string, nowMs: number): void {
  const known = group.consumers.get(consumer);
  const lease = known?.claimId === claimId ? group.leases.get(known.lastLease) : undefined;
  for (const row of lease?.rows ?? [])
    if (row.lease === lease)
      group.again(row, 'ready', { attempts: row.attempts - 1, dueMs: nowMs, sinceMs: nowMs });
}
