/** How long it takes from a write to its delivery to a worker that waits, at a steady rate. */
import { PATH, timedWrites, timeIn } from './bus-requests.js';
import { withStream } from './bus-streams.js';
import { Workers } from './bus-workers.js';
import { Load } from './load.js';
import { Pace } from './pace.js';
import { isShort, median, rate, report, SECONDS, TURNS } from './report.js';
import type { Store } from './servers.js';
import { FULL } from './turns.js';

const WANTED_PER_SECOND = 5_000;

export async function latency(store: Store): Promise<void> {
  const { perSecond, p50Ms, p99Ms } = await withStream(store, async (stream) => {
    const target = { address: store.address, path: PATH.write, next: timedWrites(stream) };
    const load = new Load(target, FULL);
    const pace = new Pace(target, FULL.connections);
    let timesMs: number[] = [];
    const onBody = (frame: Buffer, from: number) =>
      void timesMs.push(performance.now() - timeIn(frame, from));
    const workers = new Workers({
      address: store.address,
      stream,
      connections: 2,
      workersPerConnection: 2,
      onBody,
    });
    workers.start();
    const most = await load.full(isShort ? 2 : 3);
    // Half of what writing, delivering and marking together can do here, if that is less.
    const perSecond = Math.min(WANTED_PER_SECOND, most.perSecond / 2);
    const turns: number[][] = [];
    for (let i = 0; i < TURNS; i++) {
      timesMs = [];
      await pace.run(perSecond, SECONDS);
      turns.push(timesMs.sort((a, b) => a - b));
    }
    workers.stop();
    load.close();
    pace.close();
    const at = (share: number) =>
      median(turns.map((times) => times[Math.floor(times.length * share)] ?? Number.NaN));
    return { perSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
  });
  report({
    work: `From a write to its delivery on ${store.label}, p99`,
    figure: `${p99Ms.toFixed(1)} ms (median ${p50Ms.toFixed(1)} ms, at ${rate(perSecond)})`,
    gate: '10 ms (at 5,000/s)',
    goal: '5 ms',
    holds: p99Ms <= 10,
    isRatio: false,
  });
}
