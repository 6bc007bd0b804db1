/**
 * What a job has changed of a group, written: each row, exception and dead letter as it stands when the
 * job is over. The one thing that is read here is the body of an event that dies or is replayed, which
 * lies where earlier jobs left it.
 */
import type { DeliveryGroup } from '../../bus/delivery.js';
import type { Batch } from './batch.js';
import {
  consumerKey,
  deadBodyKey,
  deadKey,
  eventKey,
  exceptionKey,
  type GroupPlace,
  headKey,
  replayedKey,
} from './bus-keys.js';
import type { BusLedger } from './bus-ledger.js';
import type { LoadedGroup } from './bus-loaded.js';
import { encodeDeath, encodeHead } from './bus-records.js';
import { putRows } from './bus-rows.js';

/** True if something may have become deliverable. */
export function journal(batch: Batch, ledger: BusLedger, { place, delivery }: LoadedGroup): boolean {
  if (!delivery) return false;
  const { changes } = delivery;
  if (!changes.isEmpty) {
    putRows(batch, place, delivery);
    putRest(batch, place, delivery);
    putDead(batch, place, delivery);
    if (changes.head) ledger.putLate(headKey(place), encodeHead(delivery.head));
    ledger.trimmedUnprocessed += changes.trimmed;
  }
  const { wakes } = changes;
  changes.reset();
  return wakes;
}

function putRest(batch: Batch, place: GroupPlace, { changes, exceptions, consumers }: DeliveryGroup): void {
  for (const seq of changes.exceptions) {
    if (exceptions.has(seq)) batch.put(exceptionKey(place, seq), true);
    else batch.remove(exceptionKey(place, seq));
  }
  for (const name of changes.consumers) {
    const consumer = consumers.get(name);
    if (consumer) batch.put(consumerKey(place, name), [consumer.claimId, consumer.lastLease]);
    else batch.remove(consumerKey(place, name));
  }
}

function putDead(batch: Batch, place: GroupPlace, { changes, dead }: DeliveryGroup): void {
  // Bodies first come and then go, and what goes is read before anything is written.
  for (const [seq, isKept] of changes.copies) if (isKept) keepReplayed(batch, place, seq);
  for (const death of changes.forgotten) {
    batch.remove(deadKey(place, death.serial));
    batch.remove(deadBodyKey(place, death.seq));
  }
  for (const [death, isReplayed] of changes.died) {
    if (dead.get(death.seq) !== death) continue;
    const body = batch.get(isReplayed ? replayedKey(place, death.seq) : eventKey(place.stream, death.seq));
    batch.put(deadKey(place, death.serial), encodeDeath(death));
    if (body !== undefined) batch.put(deadBodyKey(place, death.seq), body);
  }
  for (const [seq, isKept] of changes.copies) if (!isKept) batch.remove(replayedKey(place, seq));
}

/** What died in this very job has no body of its own yet. */
function keepReplayed(batch: Batch, place: GroupPlace, seq: number): void {
  const died = batch.get(deadBodyKey(place, seq)) ?? batch.get(replayedKey(place, seq));
  const body = died ?? batch.get(eventKey(place.stream, seq));
  if (body !== undefined) batch.put(replayedKey(place, seq), body);
}
