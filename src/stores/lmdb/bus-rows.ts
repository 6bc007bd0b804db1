/**
 * How the rows of a group lie in the database. A row that nobody has is a record of its own; those that a
 * claim leased share records, so that handing out a frame and marking it writes a few records and not one
 * for each event: that was 10 of the 37 us that an event took to be delivered and marked.
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
 * Rows of a lease that share a record. When some of them go the others are written again, so they are few:
 * at some 20 bytes each they stay below half a page, above which LMDB gives a value pages of its own.
 */
const MAX_SHARED = 64;

/** A record that rows of one lease share; its key is told by its lease and the first of them. */
class Shared {
  readonly lease: number;
  readonly seq: number;
  rows: Row[] = [];

  constructor(lease: number, seq: number) {
    this.lease = lease;
    this.seq = seq;
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
      if (open?.lease !== lease.number || open.rows.length >= MAX_SHARED) {
        open = new Shared(lease.number, row.seq);
        touched.add(open);
      }
      open.take(row);
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
