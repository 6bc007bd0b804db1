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
  return new Fault(reasonOf(error.code), error.rawMessage, { cause: error });
}

function reasonOf(code: number): Reason {
  if (code === CODES.INVALID_ARGUMENT) return 'MALFORMED_MESSAGE';
  if (code === CODES.RESOURCE_EXHAUSTED) return 'MESSAGE_TOO_LARGE';
  if (code === CODES.UNIMPLEMENTED) return 'NOT_SERVED';
  if (code === CODES.DEADLINE_EXCEEDED) return 'DEADLINE_EXCEEDED';
  return code === CODES.CANCELLED ? 'CANCELLED' : 'INTERNAL';
}

/** The response, with details added to an error that has none. */
export function withDetails(response: UniversalServerResponse, domain: string): UniversalServerResponse {
  const { body, header, trailer, status } = response;
  if (body === undefined) return response;
  if (status !== 200) return withDetailsInJson(response, domain);
  const isGrpcWeb = header?.get('content-type')?.startsWith('application/grpc-web') ?? false;
  return { ...response, body: detailing(body, isGrpcWeb, trailer, domain) };
}

/** A Connect unary error: its body is one JSON object. */
function withDetailsInJson(response: UniversalServerResponse, domain: string): UniversalServerResponse {
  const header = new Headers(response.header);
  // The length is about to change, and Node knows how to send a body without it.
  header.delete('content-length');
  const isJson = header.get('content-type') === 'application/json' && !header.has('content-encoding');
  if (!isJson || response.body === undefined) return response;
  return { ...response, header, body: mapped(response.body, (bytes) => detailJson(bytes, domain)) };
}

async function* mapped(body: AsyncIterable<Uint8Array>, map: (bytes: Uint8Array) => Uint8Array) {
  for await (const bytes of body) yield map(bytes);
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
  const code = Number(trailer?.get('grpc-status') ?? 0);
  if (code === 0 || trailer === undefined || trailer.has(DETAILS_HEADER)) return;
  trailer.set(DETAILS_HEADER, detailsHeader(code, trailer.get('grpc-message') ?? '', domain));
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
  const code = Number(/^grpc-status: *(\d+)/m.exec(text)?.[1] ?? 0);
  if (code === 0 || text.includes(DETAILS_HEADER)) return bytes;
  const message = /^grpc-message: *(.*?)\r?$/m.exec(text)?.[1] ?? '';
  return new TextEncoder().encode(`${text}${DETAILS_HEADER}: ${detailsHeader(code, message, domain)}\r\n`);
}

function detailEndOfStream(bytes: Uint8Array, domain: string): Uint8Array {
  const end = JSON.parse(new TextDecoder().decode(bytes));
  if (end.error === undefined || end.error.details !== undefined) return bytes;
  end.error.details = detailsOfCode(end.error.code, domain);
  return new TextEncoder().encode(JSON.stringify(end));
}

function detailJson(bytes: Uint8Array, domain: string): Uint8Array {
  const error = JSON.parse(new TextDecoder().decode(bytes));
  if (error.details !== undefined) return bytes;
  error.details = detailsOfCode(error.code, domain);
  return new TextEncoder().encode(JSON.stringify(error));
}

/** The details of an error of the library, of which only the code is known. */
function detailsOfCode(codeName: string, domain: string): JsonDetail[] {
  const name = codeName === 'canceled' ? 'CANCELLED' : codeName.toUpperCase();
  const code = CODES[name as keyof typeof CODES] ?? CODES.INTERNAL;
  return jsonDetails(new Fault(reasonOf(code), ''), domain);
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
  const status = faultToStatus(new Fault(reasonOf(code), decodeURIComponent(message)), domain);
  return base64Encode(statusBytes({ ...status, code }), 'std_raw');
}
