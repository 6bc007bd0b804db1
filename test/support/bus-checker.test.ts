/** The checker of the bus is shown what it must find: small logs, each with one thing that is forbidden. */
import { describe, expect, it } from 'vitest';
import { type BusEntry, type GroupEnd, violations } from './bus-checker.js';

const GROUP = 'g';

/** A log in which every act is over before the next begins; `during` the one before if it says so. */
class Log {
  readonly entries: BusEntry[] = [];
  #at = 0;
  #claims = 0;

  #add(entry: Record<string, unknown>): this {
    const [began, ended] = [this.#at, this.#at + 5];
    this.#at += 10;
    this.entries.push({ began, ended, ...entry } as unknown as BusEntry);
    return this;
  }

  written(seqs: number[], keys: string[] = []): this {
    return this.#add({ kind: 'written', seqs, keys: seqs.map((_, i) => keys[i] ?? '') });
  }

  claimed(
    lease: number,
    seqs: number[],
    { attempt = 1, nowMs = 1_000, deadlineMs = 2_000, claimId = `claim-${this.#claims++}`, ...spent } = {},
  ): this {
    const events = seqs.map((seq) => ({ seq, lease, attempt, deadlineMs }));
    return this.#add({ kind: 'claimed', group: GROUP, consumer: 'c', claimId, nowMs, events, ...spent });
  }

  marked(
    seq: number,
    lease: number | undefined,
    mark = 'processed',
    answer: string | undefined = 'ok',
  ): this {
    return this.#add({ kind: 'marked', group: GROUP, seq, lease, mark, answer });
  }

  unknown(seq: number, lease: number | undefined, mark: string): this {
    return this.#add({ kind: 'marked', group: GROUP, seq, lease, mark, answer: undefined });
  }

  deadline(lease: number, ackDeadlineMs: number): this {
    return this.#add({ kind: 'deadline', group: GROUP, lease, seq: undefined, ackDeadlineMs });
  }

  released(claimId: string): this {
    return this.#add({ kind: 'released', group: GROUP, claimId });
  }

  revived(): this {
    return this.#add({ kind: 'revived', group: GROUP });
  }

  /** What the checker says of it; by default everything written is processed at the end. */
  found(end: Partial<GroupEnd> = {}): string[] {
    const seqs = this.entries.flatMap((entry) => (entry.kind === 'written' ? entry.seqs : []));
    const dead = end.dead ?? [];
    const processed = [...new Set(seqs)].filter((seq) => !dead.includes(seq));
    return violations(this.entries, [
      { group: GROUP, maxAttempts: 3, processed, dead, trimmedCount: 0, ...end },
    ]);
  }
}

const log = () => new Log();

describe('the checker of the bus', () => {
  it.each<[string, string[]]>([
    ['nothing at all', log().found()],
    ['work in order', log().written([1, 2]).claimed(1, [1, 2]).marked(1, 1).marked(2, 1).found()],
    [
      'a retry',
      log()
        .written([1])
        .claimed(1, [1])
        .marked(1, 1, 'retry')
        .claimed(2, [1], { attempt: 2 })
        .marked(1, 2)
        .found(),
    ],
    [
      'a retry that nobody knows of',
      log()
        .written([1])
        .claimed(1, [1])
        .unknown(1, 1, 'retry')
        .claimed(2, [1], { attempt: 2 })
        .marked(1, 2)
        .found(),
    ],
    [
      'an expiry',
      log().written([1]).claimed(1, [1]).claimed(2, [1], { attempt: 2, nowMs: 2_000 }).marked(1, 2).found(),
    ],
    [
      'an expiry of a deadline that was brought forward',
      log()
        .written([1])
        .claimed(1, [1])
        .deadline(1, 100)
        .claimed(2, [1], { attempt: 2, nowMs: 1_100 })
        .marked(1, 2)
        .found(),
    ],
    [
      'a release',
      log().written([1]).claimed(1, [1], { claimId: 'a' }).released('a').claimed(2, [1]).marked(1, 2).found(),
    ],
    [
      'a claim that was repeated',
      log()
        .written([1])
        .claimed(1, [1], { claimId: 'a' })
        .claimed(1, [1], { claimId: 'a' })
        .marked(1, 1)
        .found(),
    ],
    [
      'a seek',
      log().written([1]).claimed(1, [1]).marked(1, 1).revived().claimed(2, [1]).marked(1, 2).found(),
    ],
    [
      'a key in order',
      log()
        .written([1, 2, 3], ['k', '', 'k'])
        .claimed(1, [1, 2])
        .marked(1, 1)
        .claimed(2, [3])
        .marked(3, 2)
        .marked(2, 1)
        .found(),
    ],
    [
      'a dead letter, and the next of its key',
      log()
        .written([1, 2], ['k', 'k'])
        .claimed(1, [1], { attempt: 1 })
        .marked(1, 1, 'retry')
        .claimed(2, [2])
        .marked(2, 2)
        .found({ dead: [1], maxAttempts: 1 }),
    ],
    [
      'events that retention took',
      log()
        .written([1, 2])
        .claimed(1, [2])
        .marked(2, 1)
        .found({ processed: [2], trimmedCount: 1 }),
    ],
    [
      'a mark that was too late',
      log()
        .written([1])
        .claimed(1, [1])
        .claimed(2, [1], { attempt: 2, nowMs: 3_000 })
        .marked(1, 1, 'processed', 'stale')
        .marked(1, 2)
        .found(),
    ],
  ])('lets %s pass', (_, found) => expect(found).toEqual([]));

  it.each<[string, RegExp, string[]]>([
    [
      'two live leases',
      /two live leases, 1 and 2/,
      log().written([1]).claimed(1, [1]).claimed(2, [1], { attempt: 2, nowMs: 1_999 }).marked(1, 2).found(),
    ],
    [
      'two live leases, told of in the wrong order',
      /two live leases, 1 and 2/,
      log().written([1]).claimed(2, [1], { attempt: 2, nowMs: 1_500 }).claimed(1, [1]).marked(1, 2).found(),
    ],
    [
      "a lease that did not end by another's retry",
      /two live leases, 2 and 3/,
      log()
        .written([1])
        .claimed(1, [1])
        .marked(1, 1, 'retry')
        .claimed(2, [1], { attempt: 2 })
        .claimed(3, [1], { attempt: 3 })
        .marked(1, 3)
        .found(),
    ],
    [
      'two claims in one lease',
      /two claims in one lease/,
      log().written([1]).claimed(1, [1]).claimed(1, [1]).marked(1, 1).found(),
    ],
    [
      'a delivery after PROCESSED',
      /handed out \(2\) after it was marked PROCESSED/,
      log().written([1]).claimed(1, [1]).marked(1, 1).claimed(2, [1], { attempt: 2, nowMs: 5_000 }).found(),
    ],
    [
      'a delivery after PROCESSED without a token',
      /handed out \(1\) after it was marked PROCESSED/,
      log().written([1]).marked(1, undefined).claimed(1, [1]).found(),
    ],
    [
      'an old token that was taken',
      /the token of 1 was taken after 2/,
      log().written([1]).claimed(1, [1]).claimed(2, [1], { attempt: 2, nowMs: 5_000 }).marked(1, 1).found(),
    ],
    [
      'a token that was taken twice',
      /the token of 1 \(1\) was taken twice/,
      log().written([1]).claimed(1, [1]).marked(1, 1).marked(1, 1).found(),
    ],
    [
      'a token that nobody was given',
      /which nobody was given/,
      log().written([1]).claimed(1, [1]).marked(1, 7).found(),
    ],
    [
      'an attempt too many',
      /for the 4th time of 3/,
      log().written([1]).claimed(1, [1], { attempt: 4 }).marked(1, 1).found(),
    ],
    [
      'an attempt that was not counted',
      /from attempt 1 to 1/,
      log().written([1]).claimed(1, [1]).marked(1, 1, 'retry').claimed(2, [1]).marked(1, 2).found(),
    ],
    [
      'an attempt that was counted twice',
      /from attempt 1 to 3/,
      log()
        .written([1])
        .claimed(1, [1])
        .marked(1, 1, 'retry')
        .claimed(2, [1], { attempt: 3 })
        .marked(1, 2)
        .found(),
    ],
    [
      'two of one key in flight',
      /1 and 2 of one key/,
      log().written([1, 2], ['k', 'k']).claimed(1, [1]).claimed(2, [2]).marked(1, 1).marked(2, 2).found(),
    ],
    [
      'two of one key in one claim',
      /1 and 2 of one key/,
      log().written([1, 2], ['k', 'k']).claimed(1, [1, 2]).marked(1, 1).marked(2, 1).found(),
    ],
    [
      'a key that went on while its event was to be retried',
      /1 and 2 of one key/,
      log()
        .written([1, 2], ['k', 'k'])
        .claimed(1, [1])
        .marked(1, 1, 'retry')
        .claimed(2, [2])
        .marked(2, 2)
        .claimed(3, [1], { attempt: 2 })
        .marked(1, 3)
        .found(),
    ],
    [
      'a key out of order',
      /1 was first handed out after 2/,
      log().written([1, 2], ['k', 'k']).claimed(1, [2]).marked(2, 1).claimed(2, [1]).marked(1, 2).found(),
    ],
    [
      'events without a key out of order',
      /1 was first handed out after 2/,
      log().written([1, 2]).claimed(1, [2]).claimed(2, [1]).marked(1, 2).marked(2, 1).found(),
    ],
    [
      'a lost event',
      /1 events were lost, one of them 2/,
      log()
        .written([1, 2])
        .claimed(1, [1])
        .marked(1, 1)
        .found({ processed: [1] }),
    ],
    [
      'an event that died too early',
      /died after 1 attempts/,
      log()
        .written([1])
        .claimed(1, [1])
        .marked(1, 1, 'retry')
        .found({ dead: [1] }),
    ],
    [
      'an event that died twice',
      /a dead letter twice/,
      log()
        .written([1])
        .claimed(1, [1])
        .found({ dead: [1, 1], maxAttempts: 1 }),
    ],
    ['an event that is processed of itself', /nobody said so/, log().written([1]).claimed(1, [1]).found()],
    ['an event that nobody wrote', /never written/, log().claimed(1, [1]).marked(1, 1).found()],
    [
      'a sequence that was given twice',
      /two events were written as 1/,
      log().written([1]).written([1]).claimed(1, [1]).marked(1, 1).found(),
    ],
  ])('finds %s', (_, expected, found) => expect(found.join('\n')).toMatch(expected));
});
