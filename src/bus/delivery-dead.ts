/** Dead letters: replayed, forgotten, or dropped when they are old. */
import type { DeliveryGroup, LogView } from './delivery-group.js';
import type { Death } from './delivery-row.js';
import { revive } from './delivery-settle.js';

/** Those of the sequences that are dead letters. */
export function deathsOf(group: DeliveryGroup, seqs: readonly number[]): Death[] {
  const deaths = new Set<Death>();
  for (const seq of seqs) {
    const death = group.dead.get(seq);
    if (death) deaths.add(death);
  }
  return [...deaths];
}

export function replay(group: DeliveryGroup, log: LogView, deaths: readonly Death[], nowMs: number): void {
  for (const death of deaths) revive(group, log, death, nowMs);
}

export function purge(group: DeliveryGroup, deaths: readonly Death[]): void {
  for (const death of deaths) group.forget(death, { isCounted: false });
}

/** Drops at most `limit` that died before `beforeMs`, oldest first. */
export function dropOldDead(group: DeliveryGroup, beforeMs: number, limit: number): number {
  let count = 0;
  for (const death of group.dead.values()) {
    if (death.timeMs >= beforeMs || count >= limit) break;
    group.forget(death, { isCounted: true });
    count++;
  }
  return count;
}
