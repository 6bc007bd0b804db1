/** Between the times and counts of the messages and the numbers that the store counts in. */
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';

/** What is below a millisecond counts as one: nothing ends before it was asked to. */
export function durationMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + Math.ceil(nanos / 1_000_000);
}

export function durationFromMs(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
}

/** The first millisecond at or after a time, within what is a time at all. */
export function timestampMs({ seconds, nanos }: Timestamp): number {
  const ms = Number(seconds) * 1_000 + Math.ceil(nanos / 1_000_000);
  return Math.min(Math.max(ms, 0), Number.MAX_SAFE_INTEGER);
}

/** Sequences and revisions are safe integers inside; no larger one was ever given. */
export function countFrom(count: bigint): number {
  return Math.min(Number(count), Number.MAX_SAFE_INTEGER);
}
