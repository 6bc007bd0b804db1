/**
 * The only table from Fault to gRPC status, and what a status carries: google.rpc.ErrorInfo always,
 * BadRequest for wrong fields, RetryInfo where trying again makes sense, and never a cause, a stack or
 * the text of something unforeseen. Both transports send what is built here.
 */
import { create, type Message, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { type Status, StatusSchema } from '../../gen/google/rpc/status_pb.js';
import type { Fault, FaultKind, FieldViolation } from '../fault.js';

/** gRPC's code numbers, by name. */
export const CODES = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

export type CodeName = keyof typeof CODES;

const CODE_OF_KIND: Readonly<Record<FaultKind, CodeName>> = {
  invalid: 'INVALID_ARGUMENT',
  not_found: 'NOT_FOUND',
  already_exists: 'ALREADY_EXISTS',
  precondition: 'FAILED_PRECONDITION',
  aborted: 'ABORTED',
  out_of_range: 'OUT_OF_RANGE',
  exhausted: 'RESOURCE_EXHAUSTED',
  unavailable: 'UNAVAILABLE',
  unauthenticated: 'UNAUTHENTICATED',
  denied: 'PERMISSION_DENIED',
  unimplemented: 'UNIMPLEMENTED',
  cancelled: 'CANCELLED',
  deadline: 'DEADLINE_EXCEEDED',
  internal: 'INTERNAL',
};

// A status travels in headers, and many clients take 8 KiB of those: what a caller's own input could
// make long is cut. Facts are the domains' own and stay whole.
const MESSAGE_MAX_CHARS = 1024;
const VIOLATIONS_MAX_COUNT = 16;
const FIELD_MAX_CHARS = 128;
const DESCRIPTION_MAX_CHARS = 160;

/** The code that a fault becomes. */
export function codeOf(fault: Fault): CodeName {
  return CODE_OF_KIND[fault.kind];
}

/** `switchgear.<service>` for a proto package or the full name of something in it. */
export function domainOf(protoName: string): string {
  const [first, second] = protoName.split('.');
  if (first === 'switchgear' && second !== undefined) return `switchgear.${second}`;
  return first === 'statemachine' ? 'switchgear.fsm' : 'switchgear.server';
}

/** The status of a fault: what a failed call answers, and an item of a batch that failed alone. */
export function faultToStatus(fault: Fault, domain: string): Status {
  return create(StatusSchema, {
    code: CODES[codeOf(fault)],
    message: sendable(fault.message, MESSAGE_MAX_CHARS),
    details: detailsOf(fault, domain).map(({ desc, value }) => anyPack(desc, value)),
  });
}

/** A status as the bytes of `grpc-status-details-bin`. */
export function statusBytes(status: Status): Uint8Array {
  return toBinary(StatusSchema, status);
}

/** A detail beside the code and the message. */
export interface StatusDetail {
  readonly desc: GenMessage<Message>;
  readonly value: Message;
}

export function detailsOf(fault: Fault, domain: string): StatusDetail[] {
  const info = { reason: fault.reason, domain, metadata: sendableFacts(fault.facts) };
  const details: StatusDetail[] = [{ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) }];
  if (fault.violations.length > 0) {
    const fieldViolations = fault.violations.slice(0, VIOLATIONS_MAX_COUNT).map(toFieldViolation);
    details.push({ desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) });
  }
  if (fault.retryAfterMs !== undefined) {
    const retryDelay = durationOf(fault.retryAfterMs);
    details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return details;
}

function toFieldViolation({ field, description, rule = '' }: FieldViolation) {
  return {
    field: sendable(field, FIELD_MAX_CHARS),
    description: sendable(description, DESCRIPTION_MAX_CHARS),
    reason: rule,
  };
}

function durationOf(ms: number): { seconds: bigint; nanos: number } {
  const whole = Math.max(0, Math.ceil(ms));
  return { seconds: BigInt(Math.floor(whole / 1000)), nanos: (whole % 1000) * 1_000_000 };
}

function sendableFacts(facts: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, wellFormed(String(value))]));
}

function sendable(text: string, maxChars: number): string {
  return wellFormed(text.length <= maxChars ? text : `${text.slice(0, maxChars - 1)}…`);
}

/** Half a surrogate pair (a name cut in two) has no UTF-8, and the transports would throw on it. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}
