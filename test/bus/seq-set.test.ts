/** The sorted set of sequences, against a plain set that is sorted for every question. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeqSet } from '../../src/bus/seq-set.js';

const seqs = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3_000 }));
const acts = fc.array(
  fc.record({ act: fc.constantFrom('add', 'addMany', 'delete', 'deleteMany', 'takeBelow'), seq: seqs }),
  { maxLength: 60 },
);

function apply(act: string, seq: number, set: SeqSet, plain: Set<number>): void {
  if (act === 'add') expect(set.add(seq)).toBe(!plain.has(seq) && plain.add(seq) !== undefined);
  else if (act === 'delete') expect(set.delete(seq)).toBe(plain.delete(seq));
  else if (act === 'takeBelow') {
    const below = [...plain].filter((each) => each < seq).sort((a, b) => a - b);
    expect(set.takeBelow(seq)).toEqual(below);
    for (const each of below) plain.delete(each);
  } else
    for (let each = seq; each < seq + 900; each += 1 + (seq % 3)) {
      if (act === 'addMany') plain.add(each) && set.add(each);
      else plain.delete(each) && set.delete(each);
    }
}

function expectSame(set: SeqSet, plain: Set<number>, at: number): void {
  const sorted = [...plain].sort((a, b) => a - b);
  let absent = at;
  while (plain.has(absent)) absent++;
  expect(set.size).toBe(plain.size);
  expect(set.first).toBe(sorted[0]);
  expect(set.has(at)).toBe(plain.has(at));
  expect(set.next(at)).toBe(sorted.find((seq) => seq >= at));
  for (const from of [0, 20, at + 1])
    expect(set.countIn(from, at)).toBe(sorted.filter((seq) => seq >= from && seq < at).length);
  expect(set.nextAbsent(at)).toBe(absent);
}

describe('a set of sequences', () => {
  it('answers as a sorted set does, whatever was done to it', () => {
    fc.assert(
      fc.property(acts, seqs, (history, at) => {
        const set = new SeqSet();
        const plain = new Set<number>();
        for (const { act, seq } of history) {
          apply(act, seq, set, plain);
          expectSame(set, plain, seq);
        }
        expectSame(set, plain, at);
        expectSame(set, plain, 1);
      }),
      { numRuns: 150 },
    );
  });

  it('takes a hundred thousand in any order at once, and gives them back in order', () => {
    const set = new SeqSet();
    const count = 100_000;
    for (let i = 0; i < count; i++) set.add(((i * 7_919) % count) + 1);
    expect([set.size, set.first, set.nextAbsent(1)]).toEqual([count, 1, count + 1]);
    let expected = 1;
    for (let seq = set.first; seq !== undefined; seq = set.next(seq + 1))
      if (seq !== expected++) throw new Error(`${seq} is out of order`);
    for (let i = 0; i < count; i++) set.delete(((i * 7_919) % count) + 1);
    expect([set.size, set.first]).toEqual([0, undefined]);
  });
});
