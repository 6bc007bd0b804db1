/**
 * As much load on one unary rpc as it takes, as bytes: what is measured is the server, so a request costs the
 * driver one copy of a template with the ids written into it. Loopback only, ended by time.
 */
import { GrpcJsClient } from './channel.js';
import { LeanClient } from './lean-client.js';

/** How the load is spread. */
export interface Shape {
  readonly connections: number;
  /** Callers on each connection, each with one call under way. */
  readonly callers: number;
  /** Whether they take as little of the processor as they can; otherwise they call by grpc-js. */
  readonly isLean?: boolean;
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

type Client = GrpcJsClient | LeanClient;

export class Load {
  readonly #clients: Client[];
  readonly #target: Target;
  readonly #shape: Shape;

  constructor(target: Target, shape: Shape) {
    const { address, authorization } = target;
    this.#target = target;
    this.#shape = shape;
    this.#clients = Array.from({ length: shape.connections }, () =>
      shape.isLean ? new LeanClient(address, authorization) : new GrpcJsClient(address, authorization),
    );
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  /** As many calls as the callers can make. */
  async full(seconds: number): Promise<Measured> {
    const times: number[] = [];
    const endMs = performance.now() + seconds * 1_000;
    const caller = async (client: Client) => {
      while (performance.now() < endMs) times.push(await this.#call(client));
    };
    const callers = this.#clients.flatMap((client) =>
      Array.from({ length: this.#shape.callers }, () => caller(client)),
    );
    const startMs = performance.now();
    await Promise.all(callers);
    return summary(Float64Array.from(times), performance.now() - startMs);
  }

  /** One call; resolves with how long it took, in milliseconds. */
  #call(client: Client): Promise<number> {
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      client.unary(this.#target.path, this.#target.next(), (error) =>
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
