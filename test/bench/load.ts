/**
 * As much load on one unary or streaming rpc as it takes, as bytes: what is measured is the server, so a request costs the
 * driver one copy of a template with the ids written into it. Loopback only, ended by time.
 */
import * as grpc from '@grpc/grpc-js';
import { connect } from './channel.js';

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
    this.#target = target;
    this.#shape = shape;
    if (target.authorization) this.#metadata.set('authorization', target.authorization);
    this.#clients = Array.from({ length: shape.connections }, () => connect(target.address));
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
    return summary(Float64Array.from(times), performance.now() - startMs);
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

/** Sorts the times. */
export function summary(times: Float64Array, elapsedMs: number): Measured {
  times.sort();
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? Number.NaN;
  return { perSecond: (times.length * 1_000) / elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}
