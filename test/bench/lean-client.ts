/**
 * A gRPC client with one request a call and nothing else: bytes to bytes over Node's HTTP/2. The driver shares
 * the machine with what it measures, and a call by grpc-js costs it more than it costs the server. Loopback only.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from 'node:http2';
import { framed } from '../support/raw-call.js';

const HEAD_BYTES = 5;

export class LeanClient {
  readonly #session: ClientHttp2Session;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(address: string, authorization?: string) {
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
    const stream = this.#open(path, request);
    let status: string | undefined;
    const read = (headers: IncomingHttpHeaders): void => {
      status ??= headers['grpc-status'] as string | undefined;
    };
    stream.on('response', read).on('trailers', read);
    stream.once('close', () => onEnd(status === '0' ? undefined : new Error(`${path} ended with ${status}`)));
    stream.resume();
  }

  /** Calls back for each answer of a stream, whose end is no error; returns what ends it. */
  serverStream(path: string, request: Buffer, onAnswer: (answer: Buffer) => void): () => void {
    const stream = this.#open(path, request);
    let rest: Buffer = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= HEAD_BYTES) {
        const end = HEAD_BYTES + rest.readUInt32BE(1);
        if (rest.length < end) return;
        onAnswer(rest.subarray(HEAD_BYTES, end));
        rest = rest.subarray(end);
      }
    });
    return () => stream.close();
  }

  #open(path: string, request: Buffer): ClientHttp2Stream {
    const stream = this.#session.request({ ...this.#headers, ':path': path });
    // How a call ended is told by its status.
    stream.on('error', () => {});
    stream.end(framed(request));
    return stream;
  }
}
