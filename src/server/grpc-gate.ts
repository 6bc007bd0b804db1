/**
 * What is settled about a gRPC call by its headers, before grpc-js sees it: its deadline, whether it is served
 * at all, who calls, and how long its request may take. The one idea: grpc-js unpacks and parses a request
 * before it calls a handler, so a call that will not be served is sent to a handler of another path, which
 * answers without reading.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { fromBinary } from '@bufbuild/protobuf';
import type { Server, ServerDuplexStream } from '@grpc/grpc-js';
import { type Status, StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { Fault } from '../fault.js';
import { watchArrival } from './arrival.js';
import { authorizationIn } from './authorization.js';
import type { Caller } from './caller.js';
import { takeTimeoutMs } from './deadline.js';
import { grpcStatus, TIMEOUT_HEADER } from './grpc.js';
import { NOBODY, PEER_HEADER, type Peers, peerOf } from './peers.js';
import { grpcHeaders } from './refusal.js';
import type { Rpc } from './rpc.js';
import { faultToStatus, statusBytes } from './status.js';

const ANSWER_PATH = '/switchgear.server/Answer';
/** What a call that is sent there is answered with; what a caller sends under this name never arrives. */
const ANSWER_HEADER = 'switchgear-answer-bin';

export interface GrpcGateOptions {
  readonly rpcs: readonly Rpc[];
  readonly peers: Peers;
  /** Whether callers are asked who they are. */
  readonly asksWho: boolean;
  readonly requestTimeoutMs: number;
}

export class GrpcGate {
  readonly #options: GrpcGateOptions;
  readonly #rpcs: ReadonlyMap<string, Rpc>;

  constructor(server: Server, options: GrpcGateOptions) {
    this.#options = options;
    this.#rpcs = new Map(options.rpcs.map((rpc) => [`/${rpc.name}`, rpc]));
    mountAnswers(server);
  }

  /** For the event of a new call; what it changes in the headers, grpc-js finds changed. */
  readonly enter = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    rawHeaders: readonly string[] = [],
  ): void => {
    passTimeout(headers);
    markPeer(headers, this.#options.peers.numberOf(stream));
    const rpc = this.#rpcs.get(headers[':path'] as string);
    const status = rpc === undefined ? notServed(headers) : this.#admit(rpc, stream, rawHeaders);
    if (status !== undefined) answer(stream, headers, status);
  };

  /** Lets a call go on to be read, and watches over that; or tells what it is to be answered with instead. */
  #admit(rpc: Rpc, stream: ServerHttp2Stream, rawHeaders: readonly string[]): Status | undefined {
    const { asksWho, requestTimeoutMs } = this.#options;
    const refused = asksWho ? rpc.refuse(this.#callerOf(stream, rawHeaders)) : undefined;
    if (refused !== undefined) return refused.status;
    const startMs = performance.now();
    watchArrival(rpc, stream, requestTimeoutMs, () =>
      close(stream, rpc.overdue(this.#callerOf(stream, rawHeaders), startMs).status),
    );
    return undefined;
  }

  #callerOf(stream: ServerHttp2Stream, rawHeaders: readonly string[]): Caller {
    const { peers } = this.#options;
    const number = peers.numberOf(stream);
    // Where connections are numbered there is no need to go through what Node shows in the place of a socket.
    const peer = number === undefined ? peerOf(stream.session?.socket) : (peers.get(number) ?? NOBODY);
    return { authorization: authorizationIn(rawHeaders), peer };
  }
}

/** Puts the number of a call's connection in the place of whatever was sent under that name. */
function markPeer(headers: IncomingHttpHeaders, number: string | undefined): void {
  if (number !== undefined) headers[PEER_HEADER] = number;
  else if (headers[PEER_HEADER] !== undefined) delete headers[PEER_HEADER];
}

function passTimeout(headers: IncomingHttpHeaders): void {
  delete headers[TIMEOUT_HEADER];
  const timeoutMs = headers['grpc-timeout'] === undefined ? undefined : takeTimeoutMs(headers);
  if (timeoutMs !== undefined) headers[TIMEOUT_HEADER] = String(timeoutMs);
}

function notServed(headers: IncomingHttpHeaders): Status {
  const method = (headers[':path'] ?? '').slice(1);
  const fault = new Fault('NOT_SERVED', `this server does not serve ${method}`, {
    facts: { method: method.slice(0, 256) },
  });
  return faultToStatus(fault, 'switchgear.server');
}

/** Has grpc-js answer a call, of which nothing is read. */
function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, status: Status): void {
  headers[':path'] = ANSWER_PATH;
  headers[ANSWER_HEADER] = Buffer.from(statusBytes(status)).toString('base64');
  // The caller need not go on sending, nor hold a stream open.
  stream.once('finish', () => stream.close());
}

// A bidirectional handler is called before any message is read, so it answers a call of any shape.
function mountAnswers(server: Server): void {
  const same = (bytes: Buffer): Buffer => bytes;
  const handle = (call: ServerDuplexStream<Buffer, Buffer>): void => {
    const [bytes] = call.metadata.get(ANSWER_HEADER);
    call.emit('error', grpcStatus(fromBinary(StatusSchema, bytes as Buffer)));
  };
  server.register(ANSWER_PATH, handle, same, same, 'bidi');
}

/** Ends a call that grpc-js is still reading. */
function close(stream: ServerHttp2Stream, status: Status): void {
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc+proto', ...grpcHeaders(status) },
    { endStream: true },
  );
  stream.close();
}
