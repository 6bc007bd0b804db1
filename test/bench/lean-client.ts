/**
 * A gRPC client for unary calls and nothing else: bytes to bytes over Node's HTTP/2. The driver shares the
 * machine with what it measures, and a call by grpc-js costs it more than it costs the server. Loopback only.
 */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';

const HEAD_BYTES = 5;

export class LeanClient {
  readonly #session: ClientHttp2Session;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(address: string, authorization: string | undefined) {
    if (!address.startsWith('127.')) throw new Error('load goes to this machine only');
    this.#session = connect(`http://${address}`);
    // Calls fail by themselves.
    this.#session.on('error', () => {});
    this.#headers = {
      ':method': 'POST',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(authorization && { authorization }),
    };
  }

  close(): void {
    this.#session.close();
  }

  /** Calls back once, with an error unless the status is OK. */
  unary(path: string, request: Buffer, onEnd: (error: Error | undefined) => void): void {
    const stream = this.#session.request({ ...this.#headers, ':path': path });
    let status: string | undefined;
    const read = (headers: IncomingHttpHeaders): void => {
      status ??= headers['grpc-status'] as string | undefined;
    };
    stream.on('response', read).on('trailers', read);
    stream.on('error', () => {});
    stream.once('close', () => onEnd(status === '0' ? undefined : new Error(`${path} ended with ${status}`)));
    stream.resume();
    const frame = Buffer.allocUnsafe(HEAD_BYTES + request.length);
    frame[0] = 0;
    frame.writeUInt32BE(request.length, 1);
    request.copy(frame, HEAD_BYTES);
    stream.end(frame);
  }
}
