/**
 * The gRPC port: a grpc-js server behind our own listening port. grpc-js sets Node's memory and header
 * limits to the largest integer, knows no handshake timeout, reads far deadlines wrongly and answers
 * some errors without details; what it has no option for is set on the HTTP/2 server that it makes.
 */
import type { Http2Server, ServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import {
  type ServerOptions as GrpcOptions,
  Server,
  ServerCredentials,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { mountGrpc } from './grpc.js';
import { GrpcGate } from './grpc-gate.js';
import type { Limits } from './limits.js';
import { adoptPeer } from './peers.js';
import { Port } from './port.js';
import type { Rpc } from './rpc.js';
import { careForSessions, type SessionCare } from './session-care.js';
import type { Tls } from './tls.js';

/** The parts of grpc-js's Server that have no option: a new release is checked for them at start. */
interface ServerInside {
  readonly commonServerOptions: ServerOptions;
  createHttp2Server(credentials: ServerCredentials): Http2Server;
}

/** The parts of a call of grpc-js that have no option of their own: they are the same for every rpc. */
interface CallInside {
  maxReceiveMessageSize: number;
  readonly decoder: { maxReadMessageLength: number };
}

export interface GrpcPortOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: Limits;
  readonly rpcs: readonly Rpc[];
  /** Undefined = plaintext. */
  readonly tls?: Tls | undefined;
  /** Whether callers are asked who they are. */
  readonly asksWho: boolean;
}

export class GrpcPort {
  readonly #port: Port;
  readonly #server: Server;
  readonly #care: SessionCare;

  constructor({ host, port, limits, rpcs, tls, asksWho }: GrpcPortOptions) {
    this.#server = new Server(grpcOptions(limits, rpcs));
    const { injector, made } = seizeHttp2Server(this.#server, limits);
    mountGrpc(this.#server, rpcs, limits.sendMaxBytes);
    const { requestTimeoutMs } = limits;
    const gate = new GrpcGate(this.#server, { rpcs, asksWho, requestTimeoutMs });
    made.on('session', adoptPeer);
    made.prependListener('stream', gate.enter);
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

function grpcOptions(limits: Limits, rpcs: readonly Rpc[]): GrpcOptions {
  return {
    interceptors: [narrowing(limits, rpcs)],
    'grpc.max_receive_message_length': limits.receiveMaxBytes,
    // Answers are measured before grpc-js sees them (grpc.ts).
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': limits.streamsPerConnection,
    'grpc-node.max_session_memory': limits.sessionMemoryMb,
    // Bookkeeping for every call that nothing here reads.
    'grpc.enable_channelz': 0,
  };
}

/** Makes grpc-js buffer and unpack less for the rpcs that anybody may call. */
function narrowing({ openReceiveMaxBytes }: Limits, rpcs: readonly Rpc[]): ServerInterceptor {
  const paths = new Set(rpcs.filter(({ rule }) => rule.kind === 'open').map(({ name }) => `/${name}`));
  return ({ path }, call) => {
    const inside = call as unknown as CallInside;
    if (paths.has(path)) {
      inside.maxReceiveMessageSize = openReceiveMaxBytes;
      inside.decoder.maxReadMessageLength = openReceiveMaxBytes;
    }
    return call as ReturnType<ServerInterceptor>;
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
