/**
 * A gRPC client with one request a call and nothing else: bytes to bytes over a socket, the frames laid out by
 * itself. The driver shares the machine with what it measures. By grpc-js a call costs it more than it costs the
 * server, by Node's HTTP/2 still half of a processor at half load, and its collections stopped both. Loopback only.
 */
import { connect as connectTo, type Socket } from 'node:net';
import { framed } from '../support/raw-call.js';
import {
  call,
  callHeaders,
  FIRST_WINDOW_BYTES,
  FRAME,
  type Frame,
  FrameReader,
  frame,
  hello,
  LAST,
  mostCallsIn,
  reset,
  tellsOk,
  windowUpdate,
} from './http2-frames.js';

/** Before each message: whether it is packed, and its length. */
const MESSAGE_HEAD_BYTES = 5;
/** The server may send twice this before it must be told that it may send more. */
const TAKEN_BYTES = 2 ** 30;

/** What comes on a call. */
interface Call {
  onBytes?(bytes: Buffer): void;
  onEnd(isOk: boolean): void;
}

export class LeanClient {
  readonly #address: string;
  readonly #authorization: string | undefined;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #headers = new Map<string, Buffer>();
  readonly #calls = new Map<number, Call>();
  #nextStreamId = 1;
  /** What the server takes before it tells that it takes more, how many calls it takes, and what waits for that. */
  #windowBytes = FIRST_WINDOW_BYTES;
  #mostCalls = Number.POSITIVE_INFINITY;
  readonly #waiting: { streamId: number; headers: Buffer; body: Buffer }[] = [];
  #takenBytes = 0;

  constructor(address: string, authorization?: string) {
    if (!address.startsWith('127.')) throw new Error('load goes to this machine only');
    this.#address = address;
    this.#authorization = authorization;
    const [host = '', port] = address.split(':');
    this.#socket = connectTo({ host, port: Number(port), noDelay: true });
    this.#socket.write(hello());
    this.#socket.on('data', (chunk: Buffer) => {
      for (const each of this.#reader.read(chunk)) this.#take(each);
    });
    // Why a connection ended does not matter; that its calls have does.
    this.#socket.on('error', () => {}).on('close', () => this.#endAll());
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Calls back once, with an error unless the status is OK. */
  unary(path: string, request: Buffer, onEnd: (error: Error | undefined) => void): void {
    this.#open(path, request, {
      onEnd: (isOk) => onEnd(isOk ? undefined : new Error(`${path} did not end with OK`)),
    });
  }

  /** Calls back for each answer of a stream, whose end is no error; returns what ends it. */
  serverStream(path: string, request: Buffer, onAnswer: (answer: Buffer) => void): () => void {
    let rest: Buffer = Buffer.alloc(0);
    const onBytes = (bytes: Buffer): void => {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      while (rest.length >= MESSAGE_HEAD_BYTES) {
        const end = MESSAGE_HEAD_BYTES + rest.readUInt32BE(1);
        if (rest.length < end) return;
        onAnswer(rest.subarray(MESSAGE_HEAD_BYTES, end));
        rest = rest.subarray(end);
      }
    };
    const streamId = this.#open(path, request, { onBytes, onEnd: () => {} });
    return () => {
      if (!this.#calls.delete(streamId)) return;
      const at = this.#waiting.findIndex((each) => each.streamId === streamId);
      if (at >= 0) this.#waiting.splice(at, 1);
      else this.#socket.write(reset(streamId));
      this.#send();
    };
  }

  #open(path: string, request: Buffer, what: Call): number {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#calls.set(streamId, what);
    this.#waiting.push({ streamId, headers: this.#headersOf(path), body: framed(request) });
    this.#send();
    return streamId;
  }

  #headersOf(path: string): Buffer {
    const known = this.#headers.get(path);
    if (known) return known;
    const headers = callHeaders(this.#address, path, this.#authorization);
    this.#headers.set(path, headers);
    return headers;
  }

  #send(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const underWay = this.#calls.size - this.#waiting.length;
      if (underWay >= this.#mostCalls || next.body.length > this.#windowBytes) return;
      this.#windowBytes -= next.body.length;
      this.#waiting.shift();
      this.#socket.write(call(next.streamId, next.headers, next.body));
    }
  }

  #take({ type, flags, streamId, payload }: Frame): void {
    switch (type) {
      case FRAME.data:
        this.#allowMore(payload.length);
        this.#calls.get(streamId)?.onBytes?.(payload);
        if (flags & LAST) this.#end(streamId, false);
        return;
      case FRAME.headers:
        if (flags & LAST) this.#end(streamId, tellsOk(payload));
        return;
      case FRAME.reset:
        this.#end(streamId, false);
        return;
      case FRAME.windowUpdate:
        if (streamId === 0) this.#windowBytes += payload.readUInt32BE(0);
        this.#send();
        return;
      case FRAME.settings:
        if (flags & LAST) return;
        this.#mostCalls = mostCallsIn(payload) ?? this.#mostCalls;
        this.#socket.write(frame(type, LAST, 0, EMPTY));
        return;
      case FRAME.ping:
        if (!(flags & LAST)) this.#socket.write(frame(type, LAST, 0, payload));
        return;
      case FRAME.goAway:
        this.#socket.end();
    }
  }

  #allowMore(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes < TAKEN_BYTES) return;
    this.#socket.write(windowUpdate(this.#takenBytes));
    this.#takenBytes = 0;
  }

  #end(streamId: number, isOk: boolean): void {
    const what = this.#calls.get(streamId);
    this.#calls.delete(streamId);
    what?.onEnd(isOk);
    this.#send();
  }

  #endAll(): void {
    this.#waiting.length = 0;
    for (const streamId of this.#calls.keys()) this.#end(streamId, false);
  }
}

const EMPTY = Buffer.alloc(0);
