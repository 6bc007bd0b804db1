/**
 * Calls of a unary rpc at a steady rate, whether or not earlier ones are answered: what a caller waits when the
 * server is not full. The driver shares the processors with what it measures, and whatever stops it is read as
 * the server's; so it is as little as can be (lean-client.ts), and nothing of a call is kept but its time.
 * Loopback only, ended by count.
 */
import { LeanClient } from './lean-client.js';
import { type Measured, summary, type Target } from './load.js';

export class Pace {
  readonly #clients: readonly LeanClient[];
  readonly #target: Target;

  constructor(target: Target, connections: number) {
    const { address, authorization } = target;
    this.#target = target;
    this.#clients = Array.from({ length: connections }, () => new LeanClient(address, authorization));
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async run(perSecond: number, seconds: number): Promise<Measured> {
    // A full collection of what earlier turns left would take 100 ms of a turn. (`--expose-gc`)
    globalThis.gc?.();
    const times = new Float64Array(Math.ceil(perSecond * seconds));
    const startMs = performance.now();
    await new Promise<void>((resolve, reject) => {
      let sent = 0;
      let answered = 0;
      const onAnswer = (error: Error | undefined, ms: number): void => {
        if (error) reject(error);
        times[answered++] = ms;
        if (answered === times.length) resolve();
      };
      const tick = setInterval(() => {
        const due = Math.min(times.length, (performance.now() - startMs) * (perSecond / 1_000));
        while (sent < due) this.#send(sent++, onAnswer);
        if (sent === times.length) clearInterval(tick);
      }, 1);
    });
    return summary(times, performance.now() - startMs);
  }

  #send(turn: number, onAnswer: (error: Error | undefined, ms: number) => void): void {
    const client = this.#clients[turn % this.#clients.length] as LeanClient;
    const startMs = performance.now();
    client.unary(this.#target.path, this.#target.next(), (error) =>
      onAnswer(error, performance.now() - startMs),
    );
  }
}
