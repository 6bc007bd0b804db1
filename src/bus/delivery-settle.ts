/** SETTLE: what a mark makes of an event, whatever stands there. */
import type { DeliveryGroup, LogView } from './delivery-group.js';
import { giveUp, isLive, isSpent } from './delivery-leases.js';
import { type Death, newRow, type Row } from './delivery-row.js';
import { backoffMs, eventBytes } from './event.js';
import type { SettleAnswer, Settlement } from './verbs.js';

export function settle(group: DeliveryGroup, log: LogView, mark: Settlement, nowMs: number): SettleAnswer {
  const { seq, lease } = mark;
  if (seq < 1 || seq > log.lastSeq) return 'not_found';
  const row = group.rows.get(seq);
  if (lease !== undefined && !isLive(row, lease, nowMs)) return 'stale';
  if (row) return settleRow(group, log, row, mark, nowMs);
  const death = group.dead.get(seq);
  if (death) return settleDead(group, log, death, mark, nowMs);
  if (seq < log.firstSeq) return 'expired';
  return seq >= group.head.cursor
    ? settleAhead(group, log, mark, nowMs)
    : settleProcessed(group, log, mark, nowMs);
}

function settleRow(
  group: DeliveryGroup,
  log: LogView,
  row: Row,
  { mark, delayMs }: Settlement,
  nowMs: number,
): SettleAnswer {
  if (mark === 'processed') group.drop(row, nowMs);
  else if (row.state === 'waiting') return 'ok';
  else if (mark === 'unprocessed') group.again(row, 'ready', { attempts: 0, dueMs: nowMs, sinceMs: nowMs });
  else if (row.state === 'leased' && isSpent(group, row)) giveUp(group, log, row, nowMs);
  else {
    const { attempts } = row;
    const dueMs = nowMs + (delayMs ?? backoffMs(group.settings, Math.max(attempts, 1)));
    group.again(row, 'retry', { attempts, dueMs, sinceMs: nowMs });
  }
  return 'ok';
}

function settleDead(
  group: DeliveryGroup,
  log: LogView,
  death: Death,
  { mark }: Settlement,
  nowMs: number,
): SettleAnswer {
  if (mark === 'unprocessed') revive(group, log, death, nowMs);
  return 'ok';
}

/** A dead letter becomes `ready`, with no attempts counted. */
export function revive(group: DeliveryGroup, log: LogView, death: Death, nowMs: number): void {
  const { seq } = death;
  const event = log.dead(seq) ?? log.replayed(seq) ?? log.event(seq);
  group.revive(death, { key: event?.orderingKey ?? '', bytes: event ? eventBytes(event) : 0 }, nowMs);
}

/** Not looked at yet, or marked ahead. */
function settleAhead(group: DeliveryGroup, log: LogView, mark: Settlement, nowMs: number): SettleAnswer {
  if (mark.mark === 'unprocessed') {
    if (group.unexcept(mark.seq)) group.changes.wakes = true;
    return 'ok';
  }
  group.catchUp(log);
  if (!group.except(mark.seq)) return 'full';
  return mark.mark === 'processed' ? 'ok' : settleProcessed(group, log, mark, nowMs);
}

/** Dealt with and out of flight: unless that is how it is to be, it comes again. */
function settleProcessed(
  group: DeliveryGroup,
  log: LogView,
  { seq, mark, delayMs }: Settlement,
  nowMs: number,
): SettleAnswer {
  if (mark === 'processed') return 'ok';
  const event = log.event(seq);
  if (!event) return 'expired';
  const delay = mark === 'retry' ? (delayMs ?? group.settings.minBackoffMs) : 0;
  const state = mark === 'retry' ? 'retry' : 'ready';
  const row = { seq, key: event.orderingKey, bytes: eventBytes(event), state, dueMs: nowMs + delay } as const;
  group.bring(newRow({ ...row, sinceMs: nowMs }));
  return 'ok';
}
