/** What a group holds of an event in flight, of a lease, of a consumer and of a dead letter. */

export type RowState = 'leased' | 'retry' | 'ready' | 'waiting';

/** An event in flight. The fields are of the law (delivery.ts); only DeliveryGroup moves rows about. */
export interface Row {
  readonly seq: number;
  /** The event's ordering key; empty = none. */
  readonly key: string;
  /** What it counts against credit. */
  readonly bytes: number;
  /** It was a dead letter: the group has the event itself, and retention does not take it. */
  readonly isReplayed: boolean;
  state: RowState;
  attempts: number;
  /** Deadline of a lease, or when it comes (again); of no meaning while it waits. */
  dueMs: number;
  /** Since when it is a retry. */
  sinceMs: number;
  lease: Lease | undefined;
  /** In its key's line, while it waits: the least is first. */
  place: number;
  /** Index in the queue that it is in. */
  at: number;
  /** Where a store has written it; nothing to the rules. */
  kept: object | undefined;
}

/** What one claim handed out. */
export interface Lease {
  readonly number: number;
  readonly consumer: Consumer;
  /**
   * In the order handed out, of a lease that was read back in some order; a row is of this lease only while
   * it says so itself.
   */
  readonly rows: Row[];
  /** How many still are. */
  live: number;
}

/** Who has something leased. */
export interface Consumer {
  readonly name: string;
  messages: number;
  bytes: number;
  /** Of the last claim that handed out something. */
  claimId: string;
  lastLease: number;
}

/** An event that was given up. */
export interface Death {
  readonly seq: number;
  /** Position in the order of death; never used twice in a group. */
  readonly serial: number;
  readonly attempts: number;
  readonly timeMs: number;
}

export type NewRow = Pick<Row, 'seq' | 'key' | 'bytes'> & Partial<Omit<Row, 'seq' | 'key' | 'bytes'>>;

export function newRow(row: NewRow): Row {
  return {
    seq: row.seq,
    key: row.key,
    bytes: row.bytes,
    isReplayed: row.isReplayed ?? false,
    state: row.state ?? 'ready',
    attempts: row.attempts ?? 0,
    dueMs: row.dueMs ?? 0,
    sinceMs: row.sinceMs ?? 0,
    lease: row.lease,
    place: row.place ?? 0,
    at: -1,
    kept: undefined,
  };
}
