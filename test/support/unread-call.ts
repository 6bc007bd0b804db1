/**
 * A gRPC call from whose answer nothing is read until somebody asks: what a caller looks like that hangs.
 * By hand on HTTP/2, since a grpc-js client takes everything that comes until it is first asked for a
 * message, and 16 messages ahead from then on.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';

/** Before every message: a byte of flags and four of length. */
const PREFIX_BYTES = 5;

export class UnreadCall {
  readonly #session: ClientHttp2Session;
  readonly #call: ClientHttp2Stream;

  /** Sends one message, on a connection of its own. Its end, by either side, is no error. */
  constructor(address: string, path: string, message: Uint8Array) {
    this.#session = connect(`http://${address}`).on('error', () => {});
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
    this.#call = this.#session.request(headers).on('error', () => {});
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.byteLength, 1);
    this.#call.end(Buffer.concat([prefix, message]));
  }

  /** Begins to read: the messages that come, as bytes. */
  async *messages(): AsyncGenerator<Buffer> {
    let rest = Buffer.alloc(0);
    for await (const chunk of this.#call as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, chunk]);
      for (let end = endOfFirst(rest); end <= rest.length; end = endOfFirst(rest)) {
        yield rest.subarray(PREFIX_BYTES, end);
        rest = rest.subarray(end);
      }
    }
  }

  close(): void {
    this.#session.destroy();
  }
}

/** Where the first message ends, if it is all there. */
function endOfFirst(bytes: Buffer): number {
  return bytes.length < PREFIX_BYTES ? Number.POSITIVE_INFINITY : PREFIX_BYTES + bytes.readUInt32BE(1);
}
