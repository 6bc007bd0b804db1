/**
 * Values as people read them on a terminal. Names, ids and details come from anywhere: what could steer
 * the terminal or break a line is shown as an escape and never written as it is.
 */
import type { AppliedTransition } from '../client/index.js';

/** Text that stays on its line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    const escaped = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }[character];
    return escaped ?? `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
}

type Timestamp = NonNullable<AppliedTransition['applyTime']>;

/** A time in the zone of the reader (TZ), to the second. */
export function localTime(time: Timestamp | undefined): string {
  if (!time) return '';
  const date = new Date(Number(time.seconds) * 1_000);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** 1,234,567 */
export function grouped(count: number | bigint): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** The candidate that was probably meant: within a third of its letters; undefined when none is near. */
export function nearest(text: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(text.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(1, best.candidate.length / 3) ? best.candidate : undefined;
}

/** Levenshtein's, on names of at most 40 letters; longer ones are cut. */
function editDistance(a: string, b: string): number {
  const [from, to] = [a.slice(0, 40), b.slice(0, 40)];
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next[j] = Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
