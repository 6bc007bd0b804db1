import { describe, expect, it } from 'vitest';
import { CallList } from '../../src/server/call-list.js';

describe('the list of calls', () => {
  const made = (count: number) => Array.from({ length: count }, (_, id) => ({ id, place: -1 }));
  const ids = (list: CallList<{ id: number; place: number }>) =>
    list
      .all()
      .map(({ id }) => id)
      .sort();

  it('holds what was added and not removed, in whatever order they go', () => {
    const list = new CallList<{ id: number; place: number }>();
    const calls = made(5);
    for (const call of calls) list.add(call);
    for (const at of [1, 4, 0]) list.remove(calls[at]!);
    expect(ids(list)).toEqual([2, 3]);
    list.remove(calls[2]!);
    list.remove(calls[3]!);
    expect(list.size).toBe(0);
  });

  it('takes a second removal, and one of a call that never was in, as nothing', () => {
    const list = new CallList<{ id: number; place: number }>();
    const [one, two, stranger] = made(3);
    list.add(one!);
    list.add(two!);
    list.remove(one!);
    list.remove(one!);
    list.remove(stranger!);
    expect(ids(list)).toEqual([1]);
  });
});
