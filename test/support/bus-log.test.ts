/** The judge of the fault tests finds what is planted, and nothing in a log that is in order. */
import { describe, expect, it } from 'vitest';
import { breaches, type Delivered, type Fact, type Mark, type MarkResult } from './bus-log.js';

/** A log of events that are numbered from 1, written in this order. */
class Story {
  readonly facts: Fact[] = [];
  readonly events: { label: string; eventId: string; seq: number }[] = [];
  nowMs = 0;

  write(key = ''): number {
    const seq = this.events.length + 1;
    const event = { label: `e${seq}`, eventId: `1-${seq}`, seq };
    this.events.push(event);
    this.facts.push({ kind: 'written', key, ...event });
    return seq;
  }

  deliver(seq: number, attempt = 1, changes: Partial<Delivered> = {}): void {
    this.facts.push({
      kind: 'delivered',
      eventId: `1-${seq}`,
      label: `e${seq}`,
      key: '',
      seq,
      attempt,
      token: `t${attempt}`,
      worker: `w${attempt}`,
      deadlineMs: this.nowMs + 1_000,
      atMs: this.nowMs,
      ...changes,
    });
  }

  mark(seq: number, attempt = 1, result: MarkResult = 'OK', as: Mark = 'PROCESSED'): void {
    const handOut = { eventId: `1-${seq}`, token: `t${attempt}`, as };
    this.facts.push({ kind: 'mark_begun', ...handOut }, { kind: 'marked', ...handOut, result });
  }

  breaches(dead: string[] = [], maxAttempts = 0): string[] {
    return breaches(this.facts, { events: this.events, dead, maxAttempts });
  }
}

describe('the judge of a log', () => {
  it('finds nothing in a life with an expiry, a lost answer, a retry, a death and keys', () => {
    const story = new Story();
    for (const key of ['', 'k', 'k', '']) story.write(key);
    story.deliver(1);
    story.nowMs = 1_000;
    story.deliver(1, 2);
    story.mark(1, 1, 'STALE');
    story.mark(1, 2, 'UNKNOWN');
    story.deliver(2, 1, { key: 'k' });
    story.mark(2, 1, 'OK', 'RETRY');
    story.deliver(2, 2, { key: 'k' });
    story.mark(2, 2);
    story.deliver(3, 1, { key: 'k' });
    story.mark(3);
    story.deliver(4);
    story.mark(4, 1, 'OK', 'RETRY');
    expect(story.breaches(['1-4'], 2)).toEqual([]);
  });

  it.each<[string, RegExp, (story: Story) => void]>([
    ['a write that is lost', /answered OK and is lost/, (story) => story.events.pop()],
    [
      'a write that was repeated',
      /in the stream twice/,
      ({ events }) => events.push({ label: 'e1', eventId: '1-2', seq: 2 }),
    ],
    ['an event that nobody was handed', /neither processed nor dead/, (story) => story.write()],
    ['a delivery after an OK mark', /after it was processed/, (story) => story.deliver(1, 2)],
    [
      'two live leases',
      /while w1 had it/,
      (story) => {
        story.deliver(story.write());
        story.deliver(2, 2);
        story.mark(2, 2);
      },
    ],
    [
      'an OK to a mark that was fenced off',
      /marked OK by attempt 1, after 2 began/,
      (story) => {
        story.deliver(story.write());
        story.nowMs = 2_000;
        story.deliver(2, 2);
        story.mark(2);
      },
    ],
    [
      'two of a key at once',
      /same key was in flight/,
      (story) => {
        for (const seq of [story.write('k'), story.write('k')]) story.deliver(seq, 1, { key: 'k' });
        story.mark(2);
        story.mark(3);
      },
    ],
    [
      'a key out of order',
      /handed out after/,
      (story) => {
        for (const seq of [story.write('k'), story.write('k')].reverse()) {
          story.deliver(seq, 1, { key: 'k' });
          story.mark(seq);
        }
      },
    ],
    [
      'an attempt too many',
      /had attempt 3/,
      (story) => {
        story.deliver(story.write(), 3);
        story.mark(2, 3);
      },
    ],
  ])('finds %s', (_, breach, plant) => {
    const story = new Story();
    story.deliver(story.write());
    story.mark(1);
    plant(story);
    expect(story.breaches([], 2)).toContainEqual(expect.stringMatching(breach));
  });

  it('finds a dead letter that is there twice', () => {
    const story = new Story();
    story.write();
    expect(story.breaches(['1-1', '1-1'])).toEqual(['1-1 is a dead letter twice']);
  });
});
