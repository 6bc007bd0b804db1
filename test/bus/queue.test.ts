/** A queue against a plain array, whoever comes and goes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Queue, type Queued } from '../../src/bus/queue.js';

interface Member extends Queued<Member> {
  readonly name: number;
}

const newMember = (name: number): Member => ({
  name,
  queue: undefined,
  before: undefined,
  after: undefined,
});

describe('a queue', () => {
  it('has who came first first, whoever leaves in between', () => {
    const acts = fc.array(fc.oneof(fc.constant('shift' as const), fc.nat(7)), { maxLength: 60 });
    fc.assert(
      fc.property(acts, (history) => {
        const members = Array.from({ length: 8 }, (_, name) => newMember(name));
        const queue = new Queue<Member>();
        const expected: Member[] = [];
        for (const act of history) {
          if (act === 'shift') expect(queue.shift()).toBe(expected.shift());
          else {
            const member = members[act] as Member;
            const at = expected.indexOf(member);
            expect(queue.remove(member)).toBe(at >= 0);
            if (at >= 0) expected.splice(at, 1);
            else {
              queue.add(member);
              expected.push(member);
            }
          }
          expect(queue.size).toBe(expected.length);
        }
        for (const member of expected) expect(queue.shift()).toBe(member);
        expect(queue.shift()).toBeUndefined();
      }),
    );
  });

  it('keeps nobody reachable from one who has left', () => {
    const queue = new Queue<Member>();
    const [first, second, third] = [newMember(1), newMember(2), newMember(3)];
    for (const each of [first, second, third]) queue.add(each);
    queue.remove(second);
    queue.shift();
    expect([first, second]).toEqual([newMember(1), newMember(2)]);
    expect(new Queue<Member>().remove(third)).toBe(false);
    expect([queue.size, queue.shift()]).toEqual([1, third]);
  });
});
