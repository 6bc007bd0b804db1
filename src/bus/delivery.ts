/**
 * The law of delivery: what becomes of an event in one group when it is claimed, accepted, marked,
 * released, extended, when its lease expires, and when the group seeks. Written once here, for the
 * embedded store, and once in Lua; a model test runs random histories against both and compares every
 * answer. Pure: no clock, no store, values in and values out.
 *
 * An event with a ROW is in flight:
 *
 * | row     | means                                                     | has                                |
 * |---------|-----------------------------------------------------------|------------------------------------|
 * | leased  | a consumer has it until its deadline                      | lease, consumer, attempts, dueMs   |
 * | retry   | it comes again once due                                   | attempts, dueMs, sinceMs           |
 * | ready   | it comes (again) now, as if new                           | attempts, dueMs                    |
 * | waiting | it stands in the line of a key that is busy               | attempts, place in the line        |
 *
 * `attempts` counts hand-outs, the one under way included.
 *
 * CLAIM. 0. The consumer's last claim id again, while any event of that lease is still leased by it: those
 * events, as they are. 1. At most MAX_EXPIRIES leases past their deadline are expired, oldest first. 2. The
 * consumer's credit is what it may have less what it has leased (count and bytes, rows leased). 3. Rows
 * `retry` and `ready` that are due, oldest due first (ties by seq). 4. Events from the cursor on: an
 * exception is taken off the exceptions and passed over; one that the filter refuses is passed over; one
 * whose key is busy joins the key's line (with MAX_WAITING waiting, the cursor stops there and the group is
 * blocked by that key); any other is leased. At most MAX_LOOK_EVENTS entries are looked at. A cursor below
 * the first sequence kept moves there, and what lies between (less exceptions) counts as trimmed
 * unprocessed. A row whose event retention took is dropped when it comes up and counted likewise (its key
 * comes free). Every event handed out: row leased, attempts + 1, lease = the claim's one new number from
 * the stream's counter, dueMs = now + ack deadline + ACCEPT_GRACE_MS; its key is busy.
 *
 * EXPIRE of a leased row. With attempts >= max attempts (0 = unlimited) it becomes a dead letter, else
 * a row `retry` due at its deadline + backoff(attempts), since its deadline. Its consumer's credit is free.
 *
 * SETTLE, by what the mark asks. First 'never written' = not_found. Then, with a lease: unless the row is
 * leased by exactly that lease and its deadline is ahead, stale (nothing changes). Without a lease: whatever
 * stands; a live lease ends, and its token is stale from then on. No row, no dead letter and body trimmed =
 * expired (nothing changes); a row whose event was trimmed is settled like any other.
 * - processed: a row goes (leased, retry, ready, waiting), its key comes free if it was busy with it. A dead
 *   letter stays dead, answer ok. At or after the cursor without a row: becomes an exception (MAX_EXCEPTIONS
 *   reached = full). Else nothing changes. ok.
 * - retry: leased: attempts >= max = dead letter; else row retry, due now + delay (or backoff(attempts)),
 *   since now. Row retry, ready: becomes retry with the new due time, attempts kept. Waiting: stays, ok.
 *   Dead: stays, ok. No row (processed, or at or after the cursor): a row retry with attempts 0 is made, due
 *   now + delay (or minBackoff), and at or after the cursor an exception too (full if there is no room). If
 *   its key is busy with another event it goes to the FRONT of the key's line instead, answer ok.
 * - unprocessed: like retry, but the row is `ready`, due now, attempts 0; never dead. A dead letter becomes
 *   `ready` too and is a dead letter no more. At or after the cursor without row or exception: nothing.
 *   An exception without a row (marked ahead) is taken off.
 *
 * RELEASE. Each event still leased by that claim: row `ready`, due now, attempts - 1.
 * ACCEPT and EXTEND. Deadline = now + ack deadline, for rows leased by that lease whose deadline is ahead.
 * A KEY COMES FREE when its busy row goes (processed, dead, trimmed): the first of its line becomes `ready`,
 * due now, attempts kept, and the key is busy with it. A row that goes from leased to retry or ready keeps
 * its key busy.
 * SEEK. A cursor below the first sequence kept is counted as in a claim. Rows (not dead letters), lines, busy
 * keys, exceptions and consumers' credit go; generation + 1.
 * REPLAY of a dead letter: row `ready`, due now, attempts 0, or the front of its key's line if that is busy.
 */
export { type Claimed, type ClaimOutcome, claim, idleClaim } from './delivery-claim.js';
export { deathsOf, dropOldDead, purge, replay } from './delivery-dead.js';
export { attemptsOf, factsOf, nextWithStatus, statusOf } from './delivery-facts.js';
export { DeliveryGroup, type GroupHead, type LogView } from './delivery-group.js';
export { accept, expireDue, extend, release } from './delivery-leases.js';
export { type Death, newRow, type Row, type RowState } from './delivery-row.js';
export { settle } from './delivery-settle.js';
