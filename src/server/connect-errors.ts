/**
 * Faults as Connect errors, and Connect's own errors as Faults. The library finds some errors before any
 * handler runs (bytes that are no message, a message too large, an encoding it does not know) and answers
 * them without details; `withDetails` adds what every error of ours carries, in the form of the protocol
 * that the caller speaks.
 */
import { toBinary, toJson } from '@bufbuild/protobuf';
import { base64Encode } from '@bufbuild/protobuf/wire';
import { type Code, ConnectError } from '@connectrpc/connect';
import type { UniversalServerResponse } from '@connectrpc/connect/protocol';
import { Fault, type Reason } from '../fault.js';
import { CODES, codeOf, detailsOf, faultToStatus, statusBytes } from './status.js';

const END_OF_CONNECT_STREAM = 0b00000010;
const END_OF_GRPC_WEB = 0b10000000;
const ENVELOPE_HEAD_BYTES = 5;
const HTTP_BAD_REQUEST = 400;
const DETAILS_HEADER = 'grpc-status-details-bin';

export function connectError(fault: Fault, domain: string): ConnectError {
  const { message } = faultToStatus(fault, domain);
  const code = CODES[codeOf(fault)] as number as Code;
  return new ConnectError(message, code, undefined, detailsOf(fault, domain) as never);
}

/** A detail as Connect writes it in JSON. */
interface JsonDetail {
  readonly type: string;
  readonly value: string;
  readonly debug: unknown;
}

/** The body of a Connect error that no rpc answers. */
export function errorJson(fault: Fault, domain: string): Record<string, unknown> {
  const code = codeOf(fault).toLowerCase();
  return { code, message: fault.message, details: jsonDetails(fault, domain) };
}

/** What an error of the library means. */
export function faultOf(error: ConnectError): Fault {
  return new Fault(reasonOf(corrected(error.code, error.rawMessage)), error.rawMessage, { cause: error });
}

/** How the library begins what it says of bytes that are no message, to which it gives the code INTERNAL. */
const MALFORMED = 'parse binary: ';

function corrected(code: number, message: string): number {
  return code === CODES.INTERNAL && message.startsWith(MALFORMED) ? CODES.INVALID_ARGUMENT : code;
}

function reasonOf(code: number): Reason {
  if (code === CODES.INVALID_ARGUMENT) return 'MALFORMED_MESSAGE';
  if (code === CODES.RESOURCE_EXHAUSTED) return 'MESSAGE_TOO_LARGE';
  if (code === CODES.UNIMPLEMENTED) return 'NOT_SERVED';
  if (code === CODES.DEADLINE_EXCEEDED) return 'DEADLINE_EXCEEDED';
  return code === CODES.CANCELLED ? 'CANCELLED' : 'INTERNAL';
}

/** The response, with details added to an error that has none. */
export async function withDetails(
  response: UniversalServerResponse,
  domain: string,
): Promise<UniversalServerResponse> {
  const { body, header, trailer, status } = response;
  if (body === undefined) return response;
  if (status !== 200) return withDetailsInJson(response, domain);
  const isGrpcWeb = header?.get('content-type')?.startsWith('application/grpc-web') ?? false;
  return { ...response, body: detailing(body, isGrpcWeb, trailer, domain) };
}

/** A Connect unary error: its body is one JSON object. */
async function withDetailsInJson(
  response: UniversalServerResponse,
  domain: string,
): Promise<UniversalServerResponse> {
  const header = new Headers(response.header);
  // The length is about to change, and Node knows how to send a body without it.
  header.delete('content-length');
  const isJson = header.get('content-type') === 'application/json' && !header.has('content-encoding');
  if (!isJson || response.body === undefined) return response;
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const error = JSON.parse(Buffer.concat(chunks).toString());
  const { code } = error;
  detail(error, domain);
  const status = error.code === code ? response.status : HTTP_BAD_REQUEST;
  return { ...response, status, header, body: only(Buffer.from(JSON.stringify(error))) };
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A stream's chunks are envelopes, one each; the last one, or for gRPC the trailers, tell of an error. */
async function* detailing(
  body: AsyncIterable<Uint8Array>,
  isGrpcWeb: boolean,
  trailer: Headers | undefined,
  domain: string,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const flags = chunk[0];
    if (isGrpcWeb && flags === END_OF_GRPC_WEB)
      yield reenvelope(chunk, (bytes) => detailTrailers(bytes, domain));
    else if (flags === END_OF_CONNECT_STREAM)
      yield reenvelope(chunk, (bytes) => detailEndOfStream(bytes, domain));
    else yield chunk;
  }
  const found = Number(trailer?.get('grpc-status') ?? 0);
  if (found === 0 || trailer === undefined || trailer.has(DETAILS_HEADER)) return;
  const message = decodeURIComponent(trailer.get('grpc-message') ?? '');
  const code = corrected(found, message);
  trailer.set('grpc-status', String(code));
  trailer.set(DETAILS_HEADER, detailsHeader(code, message, domain));
}

function reenvelope(chunk: Uint8Array, map: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const content = chunk.subarray(ENVELOPE_HEAD_BYTES);
  const mappedContent = map(content);
  if (mappedContent === content) return chunk;
  const envelope = new Uint8Array(ENVELOPE_HEAD_BYTES + mappedContent.byteLength);
  envelope[0] = chunk[0] as number;
  new DataView(envelope.buffer).setUint32(1, mappedContent.byteLength);
  envelope.set(mappedContent, ENVELOPE_HEAD_BYTES);
  return envelope;
}

function detailTrailers(bytes: Uint8Array, domain: string): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const found = Number(/^grpc-status: *(\d+)/m.exec(text)?.[1] ?? 0);
  if (found === 0 || text.includes(DETAILS_HEADER)) return bytes;
  const message = decodeURIComponent(/^grpc-message: *(.*?)\r?$/m.exec(text)?.[1] ?? '');
  const code = corrected(found, message);
  const status = text.replace(/^grpc-status: *\d+/m, `grpc-status: ${code}`);
  return Buffer.from(`${status}${DETAILS_HEADER}: ${detailsHeader(code, message, domain)}\r\n`);
}

function detailEndOfStream(bytes: Uint8Array, domain: string): Uint8Array {
  const end = JSON.parse(new TextDecoder().decode(bytes));
  if (end.error === undefined || end.error.details !== undefined) return bytes;
  detail(end.error, domain);
  return Buffer.from(JSON.stringify(end));
}

/** Adds details to an error of the library, of which only the code is known; others have them. */
function detail(error: { code: string; message?: string; details?: JsonDetail[] }, domain: string): void {
  if (error.details !== undefined) return;
  const name = error.code === 'canceled' ? 'CANCELLED' : error.code.toUpperCase();
  const found = CODES[name as keyof typeof CODES] ?? CODES.INTERNAL;
  const fault = new Fault(reasonOf(corrected(found, error.message ?? '')), '');
  if (fault.reason === 'MALFORMED_MESSAGE') error.code = codeOf(fault).toLowerCase();
  error.details = jsonDetails(fault, domain);
}

function jsonDetails(fault: Fault, domain: string): JsonDetail[] {
  return detailsOf(fault, domain).map(({ desc, value }) => {
    return {
      type: desc.typeName,
      value: base64Encode(toBinary(desc, value), 'std_raw'),
      debug: toJson(desc, value),
    };
  });
}

function detailsHeader(code: number, message: string, domain: string): string {
  const status = faultToStatus(new Fault(reasonOf(code), message), domain);
  return base64Encode(statusBytes({ ...status, code }), 'std_raw');
}
