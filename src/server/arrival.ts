/**
 * How long a request of one message may take to arrive over HTTP/2, on both ports: the libraries read it to
 * its end before they call a handler, and no deadline runs until then. (Node does the same for HTTP/1.1.)
 * Streams of requests have a handler from the start, and their own limits.
 */
import type { ServerHttp2Stream } from 'node:http2';
import type { Rpc } from './rpc.js';
import { WheelEntry } from './timer-wheel.js';

/** Calls back once if the request of a call has not arrived `timeoutMs` from now, and nothing was answered. */
export function watchArrival(
  rpc: Rpc,
  stream: ServerHttp2Stream,
  timeoutMs: number,
  onOverdue: () => void,
): void {
  const { methodKind } = rpc.method;
  if (methodKind !== 'unary' && methodKind !== 'server_streaming') return;
  const { wheel } = rpc.pipeline;
  const arrival = new Arrival(stream, onOverdue);
  wheel.add(arrival, performance.now() + timeoutMs);
  // A stream of answers stays open after its request has come: what is left on the wheel keeps it turning.
  const stop = (): void => wheel.remove(arrival);
  stream.once('end', stop);
  stream.once('close', stop);
}

class Arrival extends WheelEntry {
  readonly #stream: ServerHttp2Stream;
  readonly #onOverdue: () => void;

  constructor(stream: ServerHttp2Stream, onOverdue: () => void) {
    super();
    this.#stream = stream;
    this.#onOverdue = onOverdue;
  }

  override expire(): void {
    const { readableEnded, headersSent, destroyed } = this.#stream;
    if (!readableEnded && !headersSent && !destroyed) this.#onOverdue();
  }
}
