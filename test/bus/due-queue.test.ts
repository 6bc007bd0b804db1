/** The queue of what is due, against a list that is sorted for every question. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newRow, type Row } from '../../src/bus/delivery.js';
import { DueQueue } from '../../src/bus/due-queue.js';

const acts = fc.array(
  fc.record({
    act: fc.constantFrom('add', 'add', 'remove', 'move'),
    pick: fc.nat(),
    dueMs: fc.integer({ min: 0, max: 30 }),
  }),
  { maxLength: 80 },
);

function sorted(rows: readonly Row[]): Row[] {
  return [...rows].sort((a, b) => a.dueMs - b.dueMs || a.seq - b.seq);
}

function expectSame(queue: DueQueue, rows: readonly Row[], nowMs: number): void {
  const due: Row[] = [];
  queue.eachDue(nowMs, (row) => void due.push(row));
  expect(queue.size).toBe(rows.length);
  expect(queue.first).toBe(sorted(rows)[0]);
  expect(queue.isDue(nowMs)).toBe(rows.some(({ dueMs }) => dueMs <= nowMs));
  expect(sorted(due)).toEqual(sorted(rows.filter(({ dueMs }) => dueMs <= nowMs)));
}

describe('a queue of rows', () => {
  it('has the one that is due first at its head, whoever came, went or was moved', () => {
    fc.assert(
      fc.property(acts, (history) => {
        const queue = new DueQueue();
        let rows: Row[] = [];
        let seq = 0;
        for (const { act, pick, dueMs } of history) {
          const row = rows[pick % Math.max(rows.length, 1)];
          if (act === 'add') {
            const added = newRow({ seq: ++seq, key: '', bytes: 1, dueMs });
            rows.push(added);
            queue.add(added);
          } else if (row && act === 'remove') {
            rows = rows.filter((each) => each !== row);
            queue.remove(row);
          } else if (row) {
            row.dueMs = dueMs;
            queue.moved(row);
          }
          expectSame(queue, rows, dueMs);
        }
        for (const row of sorted(rows)) {
          expect(queue.first).toBe(row);
          queue.remove(row);
        }
        expect(queue.size).toBe(0);
      }),
    );
  });
});
