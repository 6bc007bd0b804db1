/** Calls by HTTP/2 itself, for what no library would send: half a request, bytes that are no message. */
import http2 from 'node:http2';
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';

export interface RawAnswer {
  readonly httpStatus: number;
  /** Of gRPC; undefined = none was sent. */
  readonly code: number | undefined;
  /** Of the ErrorInfo in the details. */
  readonly reason: string | undefined;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  /** Whether the request ends after the body; otherwise more of it could come. */
  readonly ends?: boolean;
}

/** One connection. */
export class RawCaller {
  readonly session: http2.ClientHttp2Session;

  constructor(url: string) {
    this.session = http2.connect(url);
    this.session.on('error', () => {});
  }

  /** Resolves to the answer once it is complete, whether the request was or not. */
  call(path: string, request: RawRequest = {}): Promise<RawAnswer> {
    return answerOf(this.open(path, request));
  }

  open(path: string, { headers, body, ends = true }: RawRequest = {}): http2.ClientHttp2Stream {
    const stream = this.session.request({
      ':path': path,
      ':method': 'POST',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    // How it ended is told by the status, if there was one.
    stream.on('error', () => {});
    if (body !== undefined) stream.write(body);
    if (ends) stream.end();
    return stream;
  }

  close(): void {
    this.session.destroy();
  }
}

export function answerOf(stream: http2.ClientHttp2Stream): Promise<RawAnswer> {
  let all: http2.IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on('response', (headers) => {
    all = { ...all, ...headers };
  });
  stream.on('trailers', (headers) => {
    all = { ...all, ...headers };
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    const done = (): void => resolve(toAnswer(all, Buffer.concat(chunks)));
    stream.once('end', done).once('close', done);
  });
}

function toAnswer(headers: http2.IncomingHttpHeaders, body: Buffer): RawAnswer {
  const code = headers['grpc-status'];
  return {
    httpStatus: Number(headers[':status']),
    code: code === undefined ? undefined : Number(code),
    reason: reasonIn(headers['grpc-status-details-bin']),
    body,
  };
}

function reasonIn(base64: string | string[] | undefined): string | undefined {
  if (typeof base64 !== 'string') return undefined;
  const { details } = fromBinary(StatusSchema, Buffer.from(base64, 'base64'));
  return details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find((info) => info !== undefined)
    ?.reason;
}

/** A message as gRPC and Connect's streams frame it; `promised` bytes, of which more may be missing. */
export function framed(bytes: Uint8Array, { isPacked = false, promised = bytes.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = isPacked ? 1 : 0;
  head.writeUInt32BE(promised, 1);
  return Buffer.concat([head, bytes]);
}
