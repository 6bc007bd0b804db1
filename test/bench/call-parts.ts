/**
 * What the parts of a call cost that were written here instead of taken from the platform or a library,
 * each beside what it replaces.
 *
 *   npx tsc -p test/bench && node dist/test/bench/call-parts.js
 */
import { Histogram, Registry } from 'prom-client';
import { CallSignal } from '../../src/server/call-signal.js';
import { LatencyHistogram } from '../../src/server/latency-histogram.js';
import { TimerWheel, WheelEntry } from '../../src/server/timer-wheel.js';

const ROUNDS = 300_000;

class Entry extends WheelEntry {
  override expire(): void {}
}

function report(title: string, run: () => void): void {
  for (let i = 0; i < ROUNDS / 10; i++) run();
  const startMs = performance.now();
  for (let i = 0; i < ROUNDS; i++) run();
  console.log(
    `${title.padEnd(36)} ${(((performance.now() - startMs) * 1e6) / ROUNDS).toFixed(0).padStart(6)} ns`,
  );
}

const listener = (): void => {};
report('AbortController, signal, listener', () =>
  new AbortController().signal.addEventListener('abort', listener),
);
report('CallSignal, listener', () => new CallSignal().addEventListener('abort', listener));

const wheel = new TimerWheel();
// Like a server at work, the wheel is never empty.
wheel.add(new Entry(), performance.now() + 60_000);
const entry = new Entry();
report('setTimeout and clearTimeout', () => clearTimeout(setTimeout(listener, 60_000)));
report('TimerWheel add and remove', () => {
  wheel.add(entry, 60_000);
  wheel.remove(entry);
});
wheel.close();

const labels = ['switchgear.fsm.v1.FsmService/SendEvent', 'OK'] as const;
const library = new Histogram({ name: 'h', help: 'h', labelNames: ['a', 'b'], registers: [] }).labels(
  ...labels,
);
const ours = new LatencyHistogram(new Registry()).rpc(labels[0]);
report('prom-client observe', () => library.observe(0.002));
report('RpcLatency observe', () => ours.observe('OK', 2));
