/**
 * Streams and groups in memory. There is one owner process, so what the database says of a stream that is
 * loaded is what these objects say, but for the batch on its way to the disk. Only jobs load and change
 * them; a job that throws and a batch that fails drop them, and the next job reads them again.
 */
import { DeliveryGroup, type LogView } from '../../bus/delivery.js';
import type { StoredEvent } from '../../bus/event.js';
import type { Batch } from './batch.js';
import {
  consumerIn,
  consumersIn,
  deadBodyKey,
  deadIn,
  deadSerialIn,
  eventKey,
  exceptionsIn,
  type GroupPlace,
  groupNameIn,
  groupsOf,
  headKey,
  replayedKey,
  seqIn,
  stateKey,
  streamKey,
} from './bus-keys.js';
import type { BusLedger } from './bus-ledger.js';
import {
  type ConsumerTuple,
  type DeadTuple,
  decodeDeath,
  decodeEvent,
  decodeGroup,
  decodeHead,
  decodeState,
  decodeStream,
  type EventTuple,
  type GroupRecord,
  type GroupTuple,
  type HeadTuple,
  newState,
  type StateTuple,
  type StreamRecord,
  type StreamState,
  type StreamTuple,
} from './bus-records.js';
import { loadRows } from './bus-rows.js';
import { allIn, type Database } from './environment.js';

export class LoadedStream {
  readonly number: number;
  record: StreamRecord;
  readonly state: StreamState;
  readonly groups = new Map<string, LoadedGroup>();
  /** To tell which was not used for the longest time. */
  lastUse = 0;
  /** Whether the job has changed `state`, and the groups it has used. */
  isChanged = false;
  readonly used = new Set<LoadedGroup>();

  constructor(record: StreamRecord, state: StreamState) {
    this.number = record.stream.number;
    this.record = record;
    this.state = state;
  }

  nextLease(): number {
    this.isChanged = true;
    return ++this.state.lastLease;
  }
}

/** A group, and what it sees of its stream. */
export class LoadedGroup implements LogView {
  record: GroupRecord;
  /** What is in flight; undefined = not loaded. */
  delivery: DeliveryGroup | undefined;
  readonly #db: Database;
  readonly #stream: LoadedStream;

  constructor(db: Database, stream: LoadedStream, record: GroupRecord) {
    this.#db = db;
    this.#stream = stream;
    this.record = record;
  }

  get place(): GroupPlace {
    return { stream: this.#stream.number, no: this.record.no, generation: this.record.group.generation };
  }

  get firstSeq(): number {
    return this.#stream.state.firstSeq;
  }

  get lastSeq(): number {
    return this.#stream.state.lastSeq;
  }

  event(seq: number): StoredEvent | undefined {
    return this.#eventAt(eventKey(this.#stream.number, seq), seq);
  }

  dead(seq: number): StoredEvent | undefined {
    return this.#eventAt(deadBodyKey(this.place, seq), seq);
  }

  replayed(seq: number): StoredEvent | undefined {
    return this.#eventAt(replayedKey(this.place, seq), seq);
  }

  #eventAt(key: Buffer, seq: number): StoredEvent | undefined {
    const tuple = this.#db.get(key) as EventTuple | undefined;
    return tuple && decodeEvent(seq, tuple);
  }
}

export function loadStream(
  db: Database,
  batch: Batch,
  ledger: BusLedger,
  number: number,
): LoadedStream | undefined {
  const tuple = batch.get<StreamTuple>(streamKey(number));
  if (!tuple) return undefined;
  const state = ledger.get<StateTuple>(stateKey(number));
  const stream = new LoadedStream(decodeStream(number, tuple), state ? decodeState(state) : newState());
  for (const { key, value } of allIn<GroupTuple>(db, groupsOf(number))) {
    const record = decodeGroup(groupNameIn(key), value);
    stream.groups.set(record.group.name, new LoadedGroup(db, stream, record));
  }
  return stream;
}

/** What is in flight in a group; costs as much as that is. */
export function loadDelivery(db: Database, ledger: BusLedger, loaded: LoadedGroup): DeliveryGroup {
  const { place, record } = loaded;
  const { settings, filter } = record.group;
  const head = ledger.get<HeadTuple>(headKey(place)) ?? [1, 0, 0, 0];
  const delivery = new DeliveryGroup(settings, filter, decodeHead(head));
  loadRows(db, place, delivery);
  for (const { key } of allIn(db, exceptionsIn(place))) delivery.exceptions.add(seqIn(key));
  for (const { key, value } of allIn<DeadTuple>(db, deadIn(place)))
    delivery.restoreDeath(decodeDeath(deadSerialIn(key), value));
  for (const { key, value } of allIn<ConsumerTuple>(db, consumersIn(place))) {
    const consumer = delivery.consumers.get(consumerIn(key));
    if (consumer) [consumer.claimId, consumer.lastLease] = value;
  }
  return delivery;
}
