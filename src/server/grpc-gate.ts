/**
 * What is settled about a gRPC call by its headers, before grpc-js sees it: its deadline, whether it is served
 * at all, who calls, and how long its request may take. The one idea: grpc-js unpacks and parses a request
 * before it calls a handler, so a call that will not be served is sent to a handler of another path, which
 * answers without reading.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server, ServerDuplexStream } from '@grpc/grpc-js';
import type { Status } from '../../gen/google/rpc/status_pb.js';
import { Fault } from '../fault.js';
import { watchArrival } from './arrival.js';
import { authorizationIn } from './authorization.js';
import { takeTimeoutMs } from './deadline.js';
import { grpcStatus } from './grpc.js';
import { type Entry, entryOf, leaveEntry } from './grpc-entry.js';
import { peerOf } from './peers.js';
import { grpcHeaders } from './refusal.js';
import type { Rpc } from './rpc.js';
import { faultToStatus } from './status.js';

const ANSWER_PATH = '/switchgear.server/Answer';
/** Beside those that are no metadata, the headers that grpc-js reads. */
const NEEDED = new Set(['content-type', 'grpc-encoding', 'host']);

export interface GrpcGateOptions {
  readonly rpcs: readonly Rpc[];
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
    const entry: Entry = {
      timeoutMs: headers['grpc-timeout'] === undefined ? Number.POSITIVE_INFINITY : takeTimeoutMs(headers),
      authorization: this.#options.asksWho ? authorizationIn(rawHeaders) : undefined,
      peer: peerOf(stream.session),
      granted: undefined,
      answer: undefined,
    };
    leaveEntry(stream, entry);
    const rpc = this.#rpcs.get(headers[':path'] as string);
    entry.answer = rpc === undefined ? notServed(headers) : this.#admit(rpc, stream, entry);
    if (entry.answer !== undefined) divert(stream, headers);
    dropMetadata(headers);
  };

  /** Lets a call go on to be read, and watches over that; or tells what it is to be answered with instead. */
  #admit(rpc: Rpc, stream: ServerHttp2Stream, entry: Entry): Status | undefined {
    const { asksWho, requestTimeoutMs } = this.#options;
    const refused = asksWho ? rpc.refuse(entry) : undefined;
    if (refused !== undefined) return refused.status;
    const startMs = performance.now();
    watchArrival(rpc, stream, requestTimeoutMs, () => close(stream, rpc.overdue(entry, startMs).status));
    return undefined;
  }
}

/** No handler sees metadata, and grpc-js would check and copy each of them. */
function dropMetadata(headers: IncomingHttpHeaders): void {
  for (const name in headers) if (!name.startsWith(':') && !NEEDED.has(name)) delete headers[name];
}

function notServed(headers: IncomingHttpHeaders): Status {
  const method = (headers[':path'] ?? '').slice(1);
  const fault = new Fault('NOT_SERVED', `this server does not serve ${method}`, {
    facts: { method: method.slice(0, 256) },
  });
  return faultToStatus(fault, 'switchgear.server');
}

/** Has grpc-js answer a call, of which nothing is read. */
function divert(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  headers[':path'] = ANSWER_PATH;
  // The caller need not go on sending, nor hold a stream open.
  stream.once('finish', () => stream.close());
}

// A bidirectional handler is called before any message is read, so it answers a call of any shape.
function mountAnswers(server: Server): void {
  const same = (bytes: Buffer): Buffer => bytes;
  const handle = (call: ServerDuplexStream<Buffer, Buffer>): void => {
    const { answer } = entryOf(call);
    // A caller that asks for this path itself has one too: it is not among those that are served.
    call.emit('error', grpcStatus(answer as Status));
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
