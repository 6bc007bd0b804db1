/**
 * What an import did: counts by kind, and what it could not bring with the reason for each. Everything
 * is counted; of a long list of reasons the first are kept, so that a source full of damage cannot fill
 * the memory.
 */
import type { JsonValue } from '@bufbuild/protobuf';
import { grouped } from '../text.js';

/** What is brought; `refusals` are outcomes of events that were not allowed. */
export const KINDS = ['configurations', 'machines', 'transitions', 'refusals'] as const;
export type Kind = (typeof KINDS)[number];

/** How many reasons of a sort are listed. */
const LISTED = 10_000;

/** Thrown where it is found that one thing cannot be brought; the import goes on with the next. */
export class LeftOut extends Error {}

interface Remark {
  readonly key: string;
  readonly reason: string;
}

interface Count {
  brought: number;
  there: number;
}

export class Report {
  readonly #isDryRun: boolean;
  readonly #counts = Object.fromEntries(KINDS.map((kind) => [kind, { brought: 0, there: 0 }])) as Record<
    Kind,
    Count
  >;
  readonly #leftOut = new Remarks();
  readonly #notes = new Remarks();

  constructor(isDryRun: boolean) {
    this.#isDryRun = isDryRun;
  }

  add(kind: Kind, isNew: boolean, count = 1): void {
    this.#counts[kind][isNew ? 'brought' : 'there'] += count;
  }

  /** `key` of the source, or what it holds, stays behind. */
  leaveOut(key: string, reason: string): void {
    this.#leftOut.add({ key, reason });
  }

  /** `key` was brought in a form that differs from the source's, or needs no bringing. */
  note(key: string, reason: string): void {
    this.#notes.add({ key, reason });
  }

  get isComplete(): boolean {
    return this.#leftOut.count === 0;
  }

  /** For the line that tells how far it has come. */
  get text(): string {
    const { machines, transitions } = this.#counts;
    const done = [machines, transitions].map(({ brought, there }) => grouped(brought + there));
    return `${done[0]} machines, ${done[1]} transitions, ${grouped(this.#leftOut.count)} left out`;
  }

  toJson(): JsonValue {
    return {
      dryRun: this.#isDryRun,
      ...Object.fromEntries(
        KINDS.map((kind) => [kind, { brought: this.#counts[kind].brought, there: this.#counts[kind].there }]),
      ),
      leftOutCount: this.#leftOut.count,
      leftOut: this.#leftOut.listed.map(({ key, reason }) => ({ key, reason })),
      noteCount: this.#notes.count,
      notes: this.#notes.listed.map(({ key, reason }) => ({ key, reason })),
    };
  }

  /** As lines of label and value. */
  toFields(): [label: string, value: string][] {
    const verb = this.#isDryRun ? 'would be brought' : 'brought';
    return [
      ...KINDS.map((kind): [string, string] => {
        const { brought, there } = this.#counts[kind];
        return [kind, `${grouped(brought)} ${verb}, ${grouped(there)} there already`];
      }),
      ...this.#leftOut.toFields('left out'),
      ...this.#notes.toFields('notes'),
    ];
  }
}

class Remarks {
  readonly listed: Remark[] = [];
  count = 0;

  add(remark: Remark): void {
    this.count += 1;
    if (this.listed.length < LISTED) this.listed.push(remark);
  }

  toFields(label: string): [string, string][] {
    const unlisted = this.count - this.listed.length;
    return [
      [label, grouped(this.count)],
      ...this.listed.map(({ key, reason }): [string, string] => ['', `${key}: ${reason}`]),
      ...(unlisted > 0 ? [['', `and ${grouped(unlisted)} more`] as [string, string]] : []),
    ];
  }
}
