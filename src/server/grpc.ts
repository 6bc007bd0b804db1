/**
 * gRPC on grpc-js: bytes to message and back, nothing else. There is no bridge from protobuf-es services
 * to grpc-js, so this walks a service's methods and registers each with its shape. Messages are
 * serialised here and not by grpc-js, which gets the bytes: only so can an answer that is too large, or
 * that cannot be written, still become a status with details.
 */
import { fromBinary, type Message } from '@bufbuild/protobuf';
import {
  Metadata,
  type Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import type { Status } from '../../gen/google/rpc/status_pb.js';
import type { Peer } from '../auth/peer.js';
import { Fault } from '../fault.js';
import { encode } from './encoding.js';
import type { Failure } from './failure.js';
import { type Entry, entryOf } from './grpc-entry.js';
import { OpenCall } from './open-call.js';
import { Malformed, type Rpc } from './rpc.js';
import { statusBytes } from './status.js';

type Reader = ServerReadableStream<unknown, Buffer> | ServerDuplexStream<unknown, Buffer>;
type Writer = ServerWritableStream<unknown, Buffer> | ServerDuplexStream<unknown, Buffer>;
type Answered = ServerUnaryCall<unknown, Buffer> | ServerReadableStream<unknown, Buffer>;

/** Registers every rpc with a grpc-js server. Who calls is what the gate has left on the call's stream. */
export function mountGrpc(server: Server, rpcs: readonly Rpc[], sendMaxBytes: number): void {
  for (const rpc of rpcs) {
    const path = `/${rpc.name}`;
    const { handle, type } = shapeOf(rpc, sendMaxBytes);
    server.register(path, handle as never, (bytes: Buffer) => bytes, deserializer(rpc), type);
  }
}

function shapeOf(rpc: Rpc, sendMaxBytes: number): { handle: unknown; type: string } {
  switch (rpc.method.methodKind) {
    case 'unary':
      return { handle: unary(rpc, sendMaxBytes), type: 'unary' };
    case 'client_streaming':
      return { handle: clientStream(rpc, sendMaxBytes), type: 'clientStream' };
    case 'server_streaming':
      return { handle: serverStream(rpc, sendMaxBytes), type: 'serverStream' };
    case 'bidi_streaming':
      return { handle: bidi(rpc, sendMaxBytes), type: 'bidi' };
  }
}

// grpc-js would answer INTERNAL to a deserialiser that throws.
function deserializer({ method }: Rpc): (bytes: Buffer) => unknown {
  const { input } = method;
  return (bytes) => {
    try {
      return fromBinary(input, bytes);
    } catch (error) {
      return new Malformed(error);
    }
  };
}

function unary(rpc: Rpc, sendMaxBytes: number) {
  return (grpcCall: ServerUnaryCall<unknown, Buffer>, callback: sendUnaryData<Buffer>): void => {
    const call = new AnsweredCall(rpc, grpcCall, callback, sendMaxBytes);
    grpcCall.once('cancelled', () => call.cancel());
    void rpc.unary(call, grpcCall.request);
  };
}

function clientStream(rpc: Rpc, sendMaxBytes: number) {
  return (grpcCall: ServerReadableStream<unknown, Buffer>, callback: sendUnaryData<Buffer>): void => {
    const call = new AnsweredCall(rpc, grpcCall, callback, sendMaxBytes);
    grpcCall.once('cancelled', () => call.cancel());
    void rpc.clientStream(call, new Requests(grpcCall));
  };
}

function serverStream(rpc: Rpc, sendMaxBytes: number) {
  return (grpcCall: ServerWritableStream<unknown, Buffer>): void => {
    const call = new StreamedCall(rpc, grpcCall, sendMaxBytes);
    void call.pump(rpc.serverStream(call, grpcCall.request));
  };
}

function bidi(rpc: Rpc, sendMaxBytes: number) {
  return (grpcCall: ServerDuplexStream<unknown, Buffer>): void => {
    const call = new StreamedCall(rpc, grpcCall, sendMaxBytes);
    void call.pump(rpc.bidi(call, new Requests(grpcCall)));
  };
}

/**
 * Requests, one at a time as they are asked for. Node's own iterator destroys the stream when an error is
 * set on it, which is how grpc-js wants to be told a status, and the status would never leave.
 */
class Requests implements AsyncIterableIterator<unknown, undefined> {
  readonly #reader: Reader;
  #waiting: ((step: IteratorResult<unknown, undefined>) => void) | undefined;
  #isOver = false;

  constructor(reader: Reader) {
    this.#reader = reader;
    // grpc-js would read 16 ahead, of 4 MiB each.
    (reader as unknown as { _readableState: { highWaterMark: number } })._readableState.highWaterMark = 1;
    reader.pause();
    reader.on('data', (value: unknown) => {
      reader.pause();
      this.#waiting?.({ value });
    });
    reader.once('end', () => this.#end());
    // How the call ended is told by 'cancelled'.
    reader.on('error', () => this.#end());
    reader.once('close', () => this.#end());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      if (this.#isOver) this.#end();
      else this.#reader.resume();
    });
  }

  #end(): void {
    this.#isOver = true;
    this.#waiting?.({ done: true, value: undefined });
  }
}

/** What both kinds of calls know of their caller. */
abstract class GrpcCall extends OpenCall {
  override readonly authorization: string | undefined;
  override readonly peer: Peer;
  protected readonly sendMaxBytes: number;

  constructor(rpc: Rpc, { authorization, peer, timeoutMs }: Entry, sendMaxBytes: number) {
    super(rpc, timeoutMs);
    this.authorization = authorization;
    this.peer = peer;
    this.sendMaxBytes = sendMaxBytes;
  }
}

/** A call with one answer. */
class AnsweredCall extends GrpcCall {
  readonly #callback: sendUnaryData<Buffer>;

  constructor(rpc: Rpc, grpcCall: Answered, callback: sendUnaryData<Buffer>, sendMaxBytes: number) {
    super(rpc, entryOf(grpcCall), sendMaxBytes);
    this.#callback = callback;
  }

  protected override reply(response: unknown): void {
    const bytes = serialize(this.rpc, response, this.sendMaxBytes);
    this.#callback(null, bytes, trailersOf(this));
  }

  protected override close(failure: Failure | undefined): void {
    if (failure !== undefined) this.#callback(statusOf(failure, this));
  }
}

/** A call with a stream of answers. */
class StreamedCall extends GrpcCall {
  readonly #writer: Writer;
  #onWritable: (() => void) | undefined;

  constructor(rpc: Rpc, writer: Writer, sendMaxBytes: number) {
    super(rpc, entryOf(writer), sendMaxBytes);
    this.#writer = writer;
    writer.on('drain', () => this.#resume());
    writer.once('cancelled', () => this.cancel());
  }

  /** Sends the answers, no faster than they are read. */
  async pump(responses: AsyncIterable<unknown>): Promise<void> {
    for await (const response of responses) {
      try {
        await this.#write(serialize(this.rpc, response, this.sendMaxBytes));
      } catch (error) {
        this.fail(error);
      }
    }
  }

  protected override reply(): void {}

  protected override close(failure: Failure | undefined): void {
    this.#resume();
    if (failure === undefined) this.#writer.end(trailersOf(this));
    else this.#writer.emit('error', statusOf(failure, this));
  }

  // grpc-js counts messages, not bytes, and takes 16: a large one is therefore waited for by itself.
  #write(bytes: Buffer): Promise<void> | undefined {
    const isTaken = this.#writer.write(bytes, bytes.length > LARGE_BYTES ? () => this.#resume() : undefined);
    if ((isTaken && bytes.length <= LARGE_BYTES) || this.ended) return undefined;
    return new Promise((resolve) => {
      this.#onWritable = resolve;
    });
  }

  #resume(): void {
    this.#onWritable?.();
    this.#onWritable = undefined;
  }
}

const LARGE_BYTES = 64 * 1024;

/** A view on the serialised bytes, not a copy. Throws a Fault when they are too many. */
function serialize({ method }: Rpc, response: unknown, maxBytes: number): Buffer {
  const bytes = encode(method.output, response as Message);
  if (bytes.byteLength > maxBytes) throw tooLarge(bytes.byteLength, maxBytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tooLarge(bytes: number, maxBytes: number): Fault {
  const facts = { bytes: String(bytes), max_bytes: String(maxBytes) };
  return new Fault('MESSAGE_TOO_LARGE', `the answer has ${bytes} bytes, at most ${maxBytes} are sent`, {
    facts,
  });
}

function trailersOf({ trailers }: OpenCall): Metadata | undefined {
  if (trailers === undefined) return undefined;
  const metadata = new Metadata();
  for (const [name, value] of trailers) metadata.add(name, value);
  return metadata;
}

function statusOf(failure: Failure, call: OpenCall) {
  return grpcStatus(failure.status, trailersOf(call));
}

/** A status as grpc-js takes it: the code, and the whole status with its details as a trailer. */
export function grpcStatus(status: Status, metadata = new Metadata()) {
  metadata.set('grpc-status-details-bin', Buffer.from(statusBytes(status)));
  return {
    code: status.code as number,
    details: status.message,
    metadata,
    name: 'Failure',
    message: status.message,
  };
}
