/**
 * A gRPC server that looks at who calls and at nothing else: what it answers is decided by the path and the
 * `authorization` header. It counts the calls, so that a client which never gives up is seen.
 */
import { once } from 'node:events';
import type { SecureServerOptions } from 'node:http2';
import {
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack, durationFromMs } from '@bufbuild/protobuf/wkt';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';

export interface SeenCall {
  /** The rpc, such as `ListStreams`. */
  readonly rpc: string;
  /** What the `authorization` header holds, decoded: `id:secret`; empty = there is none. */
  readonly credentials: string;
  /** The common name in the certificate of the caller; empty = it showed none. */
  readonly certificate: string;
}

export interface Refusal {
  readonly reason: string;
  readonly retryAfterMs?: number;
  /** After one message of the answer, as when a client is taken away in the middle. */
  readonly isLate?: boolean;
}

/** Undefined = one empty message, and a good end. */
export type Decide = (call: SeenCall) => Refusal | undefined;

const CODES: Readonly<Record<string, number>> = { GRANT_MISSING: 7, STORE_UNAVAILABLE: 14 };
const UNAUTHENTICATED = 16;
/** A message of no bytes: every field at its default. */
const EMPTY_MESSAGE = Buffer.alloc(5);

export class RefusingServer {
  readonly calls: SeenCall[] = [];
  decide: Decide;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  private constructor(server: Http2Server, decide: Decide) {
    this.#server = server;
    this.decide = decide;
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session)).on('error', () => {});
    });
    server.on('stream', (stream, headers) => this.#answer(stream, headers));
  }

  static async start(decide: Decide, tls?: SecureServerOptions): Promise<RefusingServer> {
    const server = tls ? (createSecureServer(tls) as unknown as Http2Server) : createServer();
    const started = new RefusingServer(server, decide);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return started;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The connections that are there. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Ends every connection, so that clients make new ones. */
  cut(): void {
    for (const session of this.#sessions) session.destroy();
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }

  #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const [, encoded = ''] = /^Basic (.*)$/.exec(headers.authorization ?? '') ?? [];
    const rpc = String(headers[':path']).split('/').at(-1) ?? '';
    const socket = stream.session?.socket as Partial<TLSSocket> | undefined;
    const certificate = String(socket?.getPeerCertificate?.().subject?.CN ?? '');
    const call = { rpc, credentials: Buffer.from(encoded, 'base64').toString(), certificate };
    this.calls.push(call);
    stream.on('error', () => {}).resume();
    const refusal = this.decide(call);
    const start = { ':status': 200, 'content-type': 'application/grpc' };
    if (refusal && !refusal.isLate) {
      stream.respond({ ...start, ...statusOf(refusal) }, { endStream: true });
      return;
    }
    stream.respond(start, { waitForTrailers: true });
    stream.on('wantTrailers', () =>
      stream.sendTrailers(refusal ? statusOf(refusal) : { 'grpc-status': '0' }),
    );
    stream.end(EMPTY_MESSAGE);
    stream.on('close', () => stream.close(constants.NGHTTP2_NO_ERROR));
  }
}

function statusOf({ reason, retryAfterMs }: Refusal): Record<string, string> {
  const code = CODES[reason] ?? UNAUTHENTICATED;
  const info = create(ErrorInfoSchema, { reason, domain: 'switchgear' });
  const details = [anyPack(ErrorInfoSchema, info)];
  if (retryAfterMs !== undefined)
    details.push(
      anyPack(
        RetryInfoSchema,
        create(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(retryAfterMs)) }),
      ),
    );
  const status = create(StatusSchema, { code, message: 'refused', details });
  return {
    'grpc-status': String(code),
    'grpc-message': 'refused',
    'grpc-status-details-bin': Buffer.from(toBinary(StatusSchema, status)).toString('base64'),
  };
}
