/**
 * What has changed of a group since a store last asked: which of its facts, not how. A store writes each
 * as it stands then, so that a row that came and went in between is one removal.
 */
import type { Death, Row } from './delivery-row.js';

export class GroupChanges {
  head = false;
  /** By how much the head's count of events trimmed unprocessed has grown. */
  trimmed = 0;
  /** Those that came, moved or went; of two of one sequence the one that went is first. */
  readonly rows = new Set<Row>();
  readonly exceptions = new Set<number>();
  readonly consumers = new Set<string>();
  /** With whether the event is the group's own copy. */
  readonly died = new Map<Death, boolean>();
  readonly forgotten = new Set<Death>();
  /** Copies of replayed events: to be made from the dead letter, or no longer needed. */
  readonly copies = new Map<number, boolean>();
  /** Something may have become deliverable, or an earlier time may be due. */
  wakes = false;

  get isEmpty(): boolean {
    return (
      !this.head &&
      this.rows.size === 0 &&
      this.exceptions.size === 0 &&
      this.consumers.size === 0 &&
      this.died.size === 0 &&
      this.forgotten.size === 0 &&
      this.copies.size === 0
    );
  }

  reset(): void {
    this.head = false;
    this.trimmed = 0;
    for (const each of [this.rows, this.exceptions, this.consumers, this.died, this.forgotten, this.copies])
      each.clear();
    this.wakes = false;
  }
}
