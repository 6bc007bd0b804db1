/**
 * The gRPC port: a grpc-js server behind our own listening port. grpc-js sets Node's memory and header
 * limits to the largest integer, knows no handshake timeout, reads far deadlines wrongly and answers
 * some errors without details; what it has no option for is set on the HTTP/2 server that it makes.
 */
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream, ServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import { type Metadata, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { Fault } from '../fault.js';
import { takeTimeoutMs } from './deadline.js';
import { grpcStatus, mountGrpc, TIMEOUT_HEADER } from './grpc.js';
import type { Limits } from './limits.js';
import { PEER_HEADER, Peers } from './peers.js';
import type { Rpc } from './pipeline.js';
import { Port } from './port.js';
import { careForSessions, type SessionCare } from './session-care.js';
import { faultToStatus } from './status.js';
import type { Tls } from './tls.js';

/** The parts of grpc-js's Server that have no option: a new release is checked for them at start. */
interface ServerInside {
  readonly commonServerOptions: ServerOptions;
  createHttp2Server(credentials: ServerCredentials): Http2Server;
}

const NOT_SERVED_PATH = '/switchgear.server/NotServed';
const ASKED_PATH_HEADER = 'switchgear-asked-path';

export interface GrpcPortOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: Limits;
  readonly rpcs: readonly Rpc[];
  /** Undefined = plaintext. */
  readonly tls?: Tls | undefined;
  /** Whether calls shall tell whose they are; otherwise they are spared the header. */
  readonly asksWho: boolean;
}

export class GrpcPort {
  readonly #port: Port;
  readonly #server: Server;
  readonly #care: SessionCare;

  constructor({ host, port, limits, rpcs, tls, asksWho }: GrpcPortOptions) {
    this.#server = new Server(grpcOptions(limits));
    const { injector, made } = seizeHttp2Server(this.#server, limits);
    const peers = new Peers();
    mountGrpc(this.#server, rpcs, limits.sendMaxBytes, peers);
    mountNotServed(this.#server);
    if (asksWho) made.on('session', (session) => peers.adopt(session));
    const paths = new Set(rpcs.map((rpc) => `/${rpc.name}`));
    made.prependListener('stream', (stream, headers: IncomingHttpHeaders) => {
      prepare(headers, paths);
      markPeer(headers, stream, peers);
    });
    this.#care = careForSessions(made, limits);
    const onSocket = (socket: Socket) => injector.injectConnection(socket);
    this.#port = new Port({ host, port, limits, tls, protocols: ['h2'], onSocket });
  }

  listen(): Promise<string> {
    return this.#port.listen();
  }

  /** No new connections, and GOAWAY on those there are. */
  drain(): void {
    this.#port.stopListening();
    this.#care.drain();
  }

  /** Resolves when no connection is left. */
  whenIdle(): Promise<void> {
    return this.#port.whenIdle();
  }

  async close(): Promise<void> {
    this.#server.forceShutdown();
    await this.#port.close();
  }
}

function grpcOptions(limits: Limits): Record<string, number> {
  return {
    'grpc.max_receive_message_length': limits.receiveMaxBytes,
    // Answers are measured before grpc-js sees them (grpc.ts).
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': limits.streamsPerConnection,
    'grpc-node.max_session_memory': limits.sessionMemoryMb,
    // Bookkeeping for every call that nothing here reads.
    'grpc.enable_channelz': 0,
  };
}

function seizeHttp2Server(server: Server, limits: Limits) {
  const inside = server as unknown as Partial<ServerInside>;
  const { commonServerOptions, createHttp2Server } = inside;
  if (commonServerOptions === undefined || createHttp2Server === undefined)
    throw new Error('this release of grpc-js is built differently; limits cannot be set on it');
  // Above its own list size Node answers a request with ENHANCE_YOUR_CALM, which clients know as
  // RESOURCE_EXHAUSTED, and well-behaved ones do not send it.
  commonServerOptions.settings = {
    ...commonServerOptions.settings,
    maxHeaderListSize: limits.metadataMaxBytes,
  };
  let made: Http2Server | undefined;
  inside.createHttp2Server = (credentials) => {
    made = createHttp2Server.call(server, credentials);
    return made;
  };
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  if (made === undefined)
    throw new Error('this release of grpc-js is built differently; it made no HTTP/2 server');
  return { injector, made: made as Http2Server };
}

/** Runs before grpc-js sees a call. */
function prepare(headers: IncomingHttpHeaders, paths: ReadonlySet<string>): void {
  delete headers[TIMEOUT_HEADER];
  const timeoutMs = headers['grpc-timeout'] === undefined ? undefined : takeTimeoutMs(headers);
  if (timeoutMs !== undefined) headers[TIMEOUT_HEADER] = String(timeoutMs);
  const path = headers[':path'] as string;
  if (paths.has(path)) return;
  headers[ASKED_PATH_HEADER] = path;
  headers[':path'] = NOT_SERVED_PATH;
}

/** The number of the call's connection in the place of whatever the caller sent under that name. */
function markPeer(headers: IncomingHttpHeaders, stream: ServerHttp2Stream, peers: Peers): void {
  const number = peers.numberOf(stream);
  if (number !== undefined) headers[PEER_HEADER] = number;
  else if (headers[PEER_HEADER] !== undefined) delete headers[PEER_HEADER];
}

// A bidirectional handler is called before any message is read, so it answers a call of any shape.
function mountNotServed(server: Server): void {
  const same = (bytes: Buffer): Buffer => bytes;
  const handle = (call: ServerDuplexStream<Buffer, Buffer>): void => {
    call.emit('error', grpcStatus(faultToStatus(notServed(call.metadata), 'switchgear.server')));
  };
  server.register(NOT_SERVED_PATH, handle, same, same, 'bidi');
}

function notServed(metadata: Metadata): Fault {
  const method = String(metadata.get(ASKED_PATH_HEADER)[0] ?? '').slice(1);
  return new Fault('NOT_SERVED', `this server does not serve ${method}`, {
    facts: { method: method.slice(0, 256) },
  });
}
