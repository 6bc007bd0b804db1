/**
 * Workers of a group as lean as load.ts: each keeps one ProcessEvents open and marks every frame with
 * one MarkEvents, as bytes. Loopback only.
 */
import type * as grpc from '@grpc/grpc-js';
import { marksOf } from './bus-frames.js';
import { PATH, processRequest, type WorkerShape } from './bus-requests.js';
import { connect } from './channel.js';

const same = (bytes: Buffer): Buffer => bytes;

/** A stream of frames as bytes. Ending it, by either side, is no error. */
export function openStream(client: grpc.Client, path: string, request: Buffer) {
  const call = client.makeServerStreamRequest(path, same, same, request);
  return call.on('error', () => {});
}

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
  readonly #clients: grpc.Client[];
  readonly #calls: { cancel(): void }[] = [];
  #onMarked = (): void => {};
  #failure: Error | undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.connections }, () => connect(options.address));
  }

  start(): void {
    const request = processRequest(this.#options);
    for (const client of this.#clients)
      for (let i = 0; i < this.#options.workersPerConnection; i++) {
        const call = openStream(client, PATH.process, request);
        call.on('data', (frame: Buffer) => this.#mark(client, frame));
        this.#calls.push(call);
      }
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
    for (const call of this.#calls) call.cancel();
    for (const client of this.#clients) client.close();
  }

  #mark(client: grpc.Client, frame: Buffer): void {
    const { onBody } = this.#options;
    const { request, count } = marksOf(frame, onBody && ((from) => onBody(frame, from)));
    client.makeUnaryRequest(PATH.mark, same, same, request, (error) => {
      if (error) this.#failure ??= error;
      this.marked += count;
      this.#onMarked();
    });
  }
}
