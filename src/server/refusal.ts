/**
 * Answers of the HTTP port that no handler gives: a Fault in the form of the protocol that the caller
 * speaks. gRPC and gRPC-Web read their status from headers, Connect's streams from their last frame, and
 * everybody else from the HTTP status and a body of JSON.
 */
import type { ServerResponse } from 'node:http';
import type { Status } from '../../gen/google/rpc/status_pb.js';
import type { Fault, FaultKind } from '../fault.js';
import type { Caller } from './caller.js';
import { errorJson } from './connect-errors.js';
import { OpenCall } from './open-call.js';
import type { Rpc } from './rpc.js';
import { faultToStatus, statusBytes } from './status.js';

/** For the faults that are found here; the words are Connect's. */
const HTTP_STATUS: Partial<Record<FaultKind, number>> = {
  unauthenticated: 401,
  denied: 403,
  deadline: 504,
  unimplemented: 404,
};
const END_OF_STREAM = 0b00000010;
const ENVELOPE_HEAD_BYTES = 5;

/** A call that ends before its request was read, most often for whose it is: counted and logged like any other. */
export class RefusedCall extends OpenCall {
  override readonly authorization: string | undefined;
  override readonly peer: Caller['peer'];

  constructor(rpc: Rpc, { authorization, peer, granted }: Caller, startMs?: number) {
    super(rpc, Number.POSITIVE_INFINITY, startMs);
    this.authorization = authorization;
    this.peer = peer;
    this.granted = granted;
  }

  protected override reply(): void {}
  protected override close(): void {}
}

export interface Form {
  readonly domain: string;
  /** The content type of the request; undefined = JSON is understood. */
  readonly type: string | undefined;
}

export function sendFault(response: ServerResponse, fault: Fault, { domain, type = '' }: Form): void {
  if (type.startsWith('application/grpc')) sendGrpcStatus(response, fault, domain, type);
  else if (type.startsWith('application/connect+'))
    response.writeHead(200, { 'content-type': type }).end(endOfStream({ error: errorJson(fault, domain) }));
  else sendJson(response, HTTP_STATUS[fault.kind] ?? 500, errorJson(fault, domain));
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function sendGrpcStatus(response: ServerResponse, fault: Fault, domain: string, type: string): void {
  response.writeHead(200, { 'content-type': type, ...grpcHeaders(faultToStatus(fault, domain)) }).end();
}

/** A status in headers, where it is the whole answer. */
export function grpcHeaders(status: Status): Record<string, string | number> {
  return {
    'grpc-status': status.code,
    'grpc-message': encodeURI(status.message),
    'grpc-status-details-bin': Buffer.from(statusBytes(status)).toString('base64'),
  };
}

function endOfStream(end: object): Buffer {
  const content = Buffer.from(JSON.stringify(end));
  const head = Buffer.alloc(ENVELOPE_HEAD_BYTES);
  head[0] = END_OF_STREAM;
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}
