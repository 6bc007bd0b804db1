/**
 * Load on one unary or streaming rpc, as bytes: what is measured is the server, so a request costs the
 * driver one copy of a template with the ids written into it. Loopback only, ended by time.
 */
import * as grpc from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;

/** How the load is spread. */
export interface Shape {
  readonly connections: number;
  /** Callers on each connection, each with one call under way. */
  readonly callers: number;
}

export interface Target {
  readonly address: string;
  /** `/package.Service/Method` */
  readonly path: string;
  /** The bytes of the next request. */
  next(): Buffer;
  /** Sent as the header of that name, if given. */
  readonly authorization?: string;
}

export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export class Load {
  readonly #clients: grpc.Client[];
  readonly #target: Target;
  readonly #shape: Shape;
  readonly #metadata = new grpc.Metadata();

  constructor(target: Target, shape: Shape) {
    if (!target.address.startsWith('127.')) throw new Error('load goes to this machine only');
    this.#target = target;
    this.#shape = shape;
    if (target.authorization) this.#metadata.set('authorization', target.authorization);
    this.#clients = Array.from({ length: shape.connections }, () => {
      const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_channelz': 0 };
      return new grpc.Client(target.address, grpc.credentials.createInsecure(), options);
    });
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  /** As many calls as the callers can make. */
  async full(seconds: number): Promise<Measured> {
    const times: number[] = [];
    const endMs = performance.now() + seconds * 1_000;
    const caller = async (client: grpc.Client) => {
      while (performance.now() < endMs) times.push(await this.#call(client));
    };
    const callers = this.#clients.flatMap((client) =>
      Array.from({ length: this.#shape.callers }, () => caller(client)),
    );
    const startMs = performance.now();
    await Promise.all(callers);
    return summary(times, performance.now() - startMs);
  }

  /** A fixed number of calls a second, whether or not earlier ones are answered. */
  async paced(perSecond: number, seconds: number): Promise<Measured> {
    // A full collection of what earlier turns left takes this process 100 ms, which would be read as the
    // server's. (`--expose-gc`)
    globalThis.gc?.();
    const times: number[] = [];
    const calls: Promise<void>[] = [];
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      const tick = setInterval(() => {
        const elapsedMs = performance.now() - startMs;
        const due = Math.min(elapsedMs, seconds * 1_000) * (perSecond / 1_000);
        while (calls.length < due) {
          const client = this.#clients[calls.length % this.#clients.length] as grpc.Client;
          calls.push(this.#call(client).then((ms) => void times.push(ms)));
        }
        if (elapsedMs < seconds * 1_000) return;
        clearInterval(tick);
        resolve();
      }, 1);
    });
    await Promise.all(calls);
    return summary(times, performance.now() - startMs);
  }

  /** Frames of `eventsPerFrame` events on one stream a connection, `window` frames under way on each. */
  async stream(seconds: number, window: number, eventsPerFrame: number): Promise<Measured> {
    const endMs = performance.now() + seconds * 1_000;
    let frames = 0;
    const startMs = performance.now();
    const one = (client: grpc.Client) =>
      new Promise<void>((resolve, reject) => {
        const call = client.makeBidiStreamRequest(this.#target.path, same, same);
        call.on('data', () => {
          frames++;
          if (performance.now() < endMs) call.write(this.#target.next());
          else call.end();
        });
        call.on('end', resolve).on('error', reject);
        for (let i = 0; i < window; i++) call.write(this.#target.next());
      });
    await Promise.all(this.#clients.map(one));
    const perSecond = (frames * eventsPerFrame * 1_000) / (performance.now() - startMs);
    return { perSecond, p50Ms: Number.NaN, p99Ms: Number.NaN };
  }

  /** One call; resolves with how long it took, in milliseconds. */
  #call(client: grpc.Client): Promise<number> {
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      const { path } = this.#target;
      client.makeUnaryRequest(path, same, same, this.#target.next(), this.#metadata, (error) =>
        error ? reject(error) : resolve(performance.now() - startMs),
      );
    });
  }
}

function summary(times: number[], elapsedMs: number): Measured {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? Number.NaN;
  return { perSecond: (times.length * 1_000) / elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}
