/**
 * What the process measures about itself, in Prometheus' words: call durations by rpc and code, calls
 * and streams under way, and the process. Domains and stores register their own beside it.
 */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { LatencyHistogram, type RpcLatency } from './latency-histogram.js';

/** How often the lag of the event loop is sampled; it shows in the lag, as its least value. */
const LAG_SAMPLING_MS = 100;

/** What is read when somebody scrapes. */
export interface LoadReadings {
  callsInFlight(): number;
  streamsOpen(): number;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #latencies = new LatencyHistogram(this.registry);

  constructor() {
    // The library looks 100 times a second by default, which is most of what an idle process uses (1.2 % of a core).
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LAG_SAMPLING_MS });
  }

  latencyOf(rpc: string): RpcLatency {
    return this.#latencies.rpc(rpc);
  }

  /** Shows the load of one server. Once per registry. */
  showLoad(load: LoadReadings): void {
    this.#gauge('rpc_server_calls_in_flight', 'Calls under way, streams included.', () =>
      load.callsInFlight(),
    );
    this.#gauge('rpc_server_streams_open', 'Streams under way.', () => load.streamsOpen());
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }
}
