/** How long it takes from a write to its delivery to a worker that waits, at a steady rate. */
import { PATH, timedBatches, timedWrites, timeIn } from './bus-requests.js';
import { withStream } from './bus-streams.js';
import { Workers } from './bus-workers.js';
import type { Target } from './load.js';
import { Pace } from './pace.js';
import { DOCUMENTED_ECHO_PER_SECOND, median, rate, report, SECONDS, TURNS } from './report.js';
import type { Store } from './servers.js';
import { FULL } from './turns.js';

/** What is asked for on the machine whose bare echo does 28,000 calls a second. */
const EVENTS_PER_SECOND = 5_000;

/** As the client's writer gathers events by default. */
const LINGER_MS = 2;

/** Events that are written one by one, as many as this machine can do of what is asked for. */
export async function latencyOfWrites(store: Store, echoPerSecond: number): Promise<void> {
  const perSecond = (EVENTS_PER_SECOND / DOCUMENTED_ECHO_PER_SECOND) * echoPerSecond;
  const next = (stream: string) => ({ path: PATH.write, next: timedWrites(stream) });
  reportTimes('a write', store, await measure(store, next, perSecond), perSecond, ', scaled by the echo');
}

/** All that is asked for, through writers that gather what comes within the time of theirs. */
export async function latencyOfBatches(store: Store): Promise<void> {
  const callsPerSecond = 1_000 / LINGER_MS;
  const events = EVENTS_PER_SECOND / callsPerSecond;
  const next = (stream: string) => ({
    path: PATH.writeMany,
    next: timedBatches(stream, events, LINGER_MS),
  });
  const times = await measure(store, next, callsPerSecond);
  reportTimes(`a writer that gathers for ${LINGER_MS} ms`, store, times, EVENTS_PER_SECOND, '');
}

interface Times {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The times of the median turn; `writes` are called at the given rate. */
async function measure(
  store: Store,
  writes: (stream: string) => Pick<Target, 'path' | 'next'>,
  callsPerSecond: number,
): Promise<Times> {
  return withStream(store, async (stream) => {
    const pace = new Pace({ address: store.address, ...writes(stream) }, FULL.connections);
    let timesMs: number[] = [];
    let sinceMs = Number.POSITIVE_INFINITY;
    const onBody = (frame: Buffer, from: number) => {
      const writtenMs = timeIn(frame, from);
      // Not what an earlier turn has left, which waited for this process to collect its garbage.
      if (writtenMs >= sinceMs) timesMs.push(performance.now() - writtenMs);
    };
    const workers = new Workers({
      address: store.address,
      stream,
      connections: 2,
      workersPerConnection: 2,
      onBody,
    });
    workers.start();
    // The first seconds are spent on compiling.
    await pace.run(callsPerSecond, SECONDS);
    const turns: number[][] = [];
    for (let i = 0; i < TURNS; i++) {
      timesMs = [];
      sinceMs = performance.now();
      await pace.run(callsPerSecond, SECONDS);
      turns.push(timesMs.sort((a, b) => a - b));
    }
    workers.stop();
    pace.close();
    const at = (share: number) =>
      median(turns.map((times) => times[Math.floor(times.length * share)] ?? Number.NaN));
    return { p50Ms: at(0.5), p99Ms: at(0.99) };
  });
}

function reportTimes(
  from: string,
  { label }: Store,
  { p50Ms, p99Ms }: Times,
  perSecond: number,
  scaled: string,
): void {
  report({
    work: `From ${from} to the delivery on ${label}, p99`,
    figure: `${p99Ms.toFixed(1)} ms (median ${p50Ms.toFixed(1)} ms, at ${rate(perSecond)})`,
    gate: `10 ms (at 5,000/s${scaled})`,
    goal: '5 ms',
    holds: p99Ms <= 10,
    isRatio: false,
  });
}
