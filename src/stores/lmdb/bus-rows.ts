/**
 * How the rows of a group lie in the database. A row that nobody has is a record of its own; those that a
 * claim leased share records, so that handing out a frame and marking it writes a few records and not one
 * for each event: 31.5 -> 28.6 us of the server for an event that is delivered and marked, and 33,000 -> 39,000
 * of them a second. Marks one by one cost what they did (143 and 138 us each).
 */
import type { DeliveryGroup, Row } from '../../bus/delivery.js';
import type { Batch } from './batch.js';
import { type GroupPlace, leaseIn, leaseKey, leasesIn, rowKey, rowsIn, seqIn } from './bus-keys.js';
import {
  decodeLease,
  decodeRow,
  encodeLease,
  encodeRow,
  type LeaseTuple,
  type RowTuple,
} from './bus-records.js';
import { allIn, type Database } from './environment.js';

/**
 * Of a record that is shared. When some of its rows go the others are written again, so it is kept below half
 * a page, above which LMDB gives a value pages of its own: some 64 rows without an ordering key.
 */
const MAX_SHARED_BYTES = 1_500;
/** Of a row, beside its key. */
const ROW_BYTES = 23;

/** A record that rows of one lease share; its key is told by its lease and the first of them. */
class Shared {
  readonly lease: number;
  readonly seq: number;
  rows: Row[] = [];
  #bytes = 0;

  constructor(lease: number, seq: number) {
    this.lease = lease;
    this.seq = seq;
  }

  /** Takes a row that is to be written with the others; false if there is no room for it. */
  offer(row: Row): boolean {
    const bytes = this.#bytes + ROW_BYTES + (row.key === '' ? 0 : Buffer.byteLength(row.key));
    if (this.rows.length > 0 && bytes > MAX_SHARED_BYTES) return false;
    this.#bytes = bytes;
    this.take(row);
    return true;
  }

  take(row: Row): void {
    this.rows.push(row);
    row.kept = this;
  }
}

/** Said by a row that has a record of its own. */
const OWN = {};

/** Writes what has changed of the rows, each as it stands now. */
export function putRows(batch: Batch, place: GroupPlace, { changes, rows }: DeliveryGroup): void {
  const touched = new Set<Shared>();
  let open: Shared | undefined;
  for (const row of changes.rows) {
    const isThere = rows.get(row.seq) === row;
    const lease = isThere ? row.lease : undefined;
    if (row.kept instanceof Shared) touched.add(row.kept);
    if (lease) {
      if (row.kept instanceof Shared && row.kept.lease === lease.number) continue;
      if (row.kept === OWN) batch.remove(rowKey(place, row.seq));
      // A job makes one claim and so one lease; rows of two would still be kept apart.
      if (open?.lease === lease.number && open.offer(row)) continue;
      open = new Shared(lease.number, row.seq);
      open.offer(row);
      touched.add(open);
    } else if (isThere) {
      batch.put(rowKey(place, row.seq), encodeRow(row));
      row.kept = OWN;
    } else {
      if (row.kept === OWN) batch.remove(rowKey(place, row.seq));
      row.kept = undefined;
    }
  }
  for (const shared of touched) putShared(batch, place, shared);
}

function putShared(batch: Batch, place: GroupPlace, shared: Shared): void {
  shared.rows = shared.rows.filter(({ kept }) => kept === shared);
  const key = leaseKey(place, shared.lease, shared.seq);
  const consumer = shared.rows[0]?.lease?.consumer.name;
  if (consumer === undefined) batch.remove(key);
  else batch.put(key, encodeLease(consumer, shared.rows));
}

/** Brings the rows of a group back into memory; costs as much as is in flight. */
export function loadRows(db: Database, place: GroupPlace, group: DeliveryGroup): void {
  for (const { key, value } of allIn<LeaseTuple>(db, leasesIn(place))) {
    const { consumer, rows } = decodeLease(value);
    const shared = new Shared(leaseIn(key), seqIn(key));
    for (const row of rows) {
      shared.take(row);
      group.restoreRow(row, { number: shared.lease, consumer });
    }
  }
  const waiting: Row[] = [];
  for (const { key, value } of allIn<RowTuple>(db, rowsIn(place))) {
    const row = decodeRow(seqIn(key), value);
    row.kept = OWN;
    if (row.state === 'waiting') waiting.push(row);
    else group.restoreRow(row, undefined);
  }
  // After those that hold their keys, in the order of their places.
  for (const row of waiting.sort((a, b) => a.place - b.place)) group.restoreRow(row, undefined);
}
