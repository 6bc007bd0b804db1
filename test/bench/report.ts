/**
 * What a run of benchmarks says: a row for each figure with its gate and goal, a line as soon as it is
 * known, and in the end the table. The idea to hold: a time or a rate depends on the machine, so only a
 * figure that is a ratio or a count within the run can fail it.
 */
import { cpus } from 'node:os';

/** For CI: the same figures from shorter turns. */
export const isShort = process.argv.includes('--short');
export const SECONDS = isShort ? 2 : 5;
export const TURNS = isShort ? 3 : 5;

/**
 * What the bare echo did on the machine whose figures are documented. Machines differ and drift, so a rate that
 * was set there is asked for here as a share of the echo of this run.
 */
export const DOCUMENTED_ECHO_PER_SECOND = 28_000;

export interface Row {
  readonly work: string;
  readonly figure: string;
  /** Empty = there is no gate. */
  readonly gate: string;
  readonly goal: string;
  readonly holds: boolean;
  /** Whether it can fail the run: it is a ratio or a count within the run. */
  readonly isRatio: boolean;
}

const rows: Row[] = [];

export function report(row: Row): void {
  rows.push(row);
  console.error(`${row.holds ? '  ' : '! '}${row.work}: ${row.figure}`);
}

/** Prints the table below what it was measured on, and says by the exit code whether the gates held. */
export function printTable(conditions: readonly string[]): void {
  const [cpu] = cpus();
  console.log(
    `\n${cpus().length} x ${cpu?.model}, Node ${process.version}, ${SECONDS} s a turn, ${TURNS} turns`,
  );
  for (const line of conditions) console.log(line);
  console.log('\n| work | figure | gate | goal |\n|---|---|---|---|');
  for (const { work, figure, gate, goal } of rows) console.log(`| ${work} | ${figure} | ${gate} | ${goal} |`);
  const failed = rows.filter(({ holds }) => !holds);
  for (const { work, figure, gate } of failed) console.error(`below its gate of ${gate}: ${work}: ${figure}`);
  process.exitCode = failed.some(({ isRatio }) => isRatio) ? 1 : 0;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export const rate = (perSecond: number): string => `${Math.round(perSecond).toLocaleString('en')}/s`;
export const percent = (share: number): string => `${Math.round(share * 100)} %`;
