/**
 * Workers of a group, as lean as can be: each keeps one ProcessEvents open and marks every frame with one
 * MarkEvents, as bytes. By grpc-js they took so much of the processors that a fifth fewer events went through.
 */
import { marksOf } from './bus-frames.js';
import { PATH, processRequest, type WorkerShape } from './bus-requests.js';
import { LeanClient } from './lean-client.js';

export interface WorkersOptions extends WorkerShape {
  readonly address: string;
  readonly connections: number;
  readonly workersPerConnection: number;
  /** Called as soon as a frame is there, with where the bytes of each body begin. */
  onBody?(frame: Buffer, from: number): void;
}

export class Workers {
  /** Events that were marked and whose answer came. */
  marked = 0;
  readonly #options: WorkersOptions;
  readonly #clients: LeanClient[];
  readonly #ends: (() => void)[] = [];
  #onMarked = (): void => {};
  #failure: Error | undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
    const { address, connections } = options;
    this.#clients = Array.from({ length: connections }, () => new LeanClient(address));
  }

  start(): void {
    const request = processRequest(this.#options);
    for (const client of this.#clients)
      for (let i = 0; i < this.#options.workersPerConnection; i++)
        this.#ends.push(client.serverStream(PATH.process, request, (frame) => this.#mark(client, frame)));
  }

  /** Resolves when so many events in all were marked. */
  async markedAll(count: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#onMarked = () => {
        if (this.#failure) reject(this.#failure);
        else if (this.marked >= count) resolve();
      };
      this.#onMarked();
    });
  }

  stop(): void {
    this.#onMarked = () => {};
    for (const end of this.#ends) end();
    for (const client of this.#clients) client.close();
  }

  #mark(client: LeanClient, frame: Buffer): void {
    const { onBody } = this.#options;
    const { request, count } = marksOf(frame, onBody && ((from) => onBody(frame, from)));
    client.unary(PATH.mark, request, (error) => {
      if (error) this.#failure ??= error;
      this.marked += count;
      this.#onMarked();
    });
  }
}
