/** Times as people type and read them. */

export const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A time such as 500ms, 1.5s, 30s, 5m, 12h or 30d, in milliseconds; NaN = it is none. */
export function timeMs(text: string): number {
  const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  return unit === undefined ? Number.NaN : Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

/** A time in the largest unit that it is a whole number of. */
export function timeText(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, size] = Object.entries(UNIT_MS)
    .reverse()
    .find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
