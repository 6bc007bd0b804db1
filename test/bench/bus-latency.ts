/** How long it takes from a write to its delivery to a worker that waits, at a steady rate. */
import { PATH, timedWrites, timeIn } from './bus-requests.js';
import { withStream } from './bus-streams.js';
import { Workers } from './bus-workers.js';
import { Pace } from './pace.js';
import { DOCUMENTED_ECHO_PER_SECOND, median, rate, report, SECONDS, TURNS } from './report.js';
import type { Store } from './servers.js';
import { FULL } from './turns.js';

/** What is asked for on a machine whose bare echo does 28,000/s; as much of what this machine can do is asked here. */
const PER_SECOND_OF_ECHO = 5_000 / DOCUMENTED_ECHO_PER_SECOND;

export async function latency(store: Store, echoPerSecond: number): Promise<void> {
  const perSecond = PER_SECOND_OF_ECHO * echoPerSecond;
  const { p50Ms, p99Ms } = await withStream(store, async (stream) => {
    const target = { address: store.address, path: PATH.write, next: timedWrites(stream) };
    const pace = new Pace(target, FULL.connections);
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
    await pace.run(perSecond, SECONDS);
    const turns: number[][] = [];
    for (let i = 0; i < TURNS; i++) {
      timesMs = [];
      sinceMs = performance.now();
      await pace.run(perSecond, SECONDS);
      turns.push(timesMs.sort((a, b) => a - b));
    }
    workers.stop();
    pace.close();
    const at = (share: number) =>
      median(turns.map((times) => times[Math.floor(times.length * share)] ?? Number.NaN));
    return { p50Ms: at(0.5), p99Ms: at(0.99) };
  });
  report({
    work: `From a write to its delivery on ${store.label}, p99`,
    figure: `${p99Ms.toFixed(1)} ms (median ${p50Ms.toFixed(1)} ms, at ${rate(perSecond)})`,
    gate: '10 ms (at 5,000/s, scaled by the echo)',
    goal: '5 ms',
    holds: p99Ms <= 10,
    isRatio: false,
  });
}
