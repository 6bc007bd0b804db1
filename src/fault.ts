/**
 * The closed list of ways the product can fail. A Fault is thrown once, where the fact is known, and
 * becomes a status in one table (server/status.ts). Outcomes that callers branch on are return values,
 * not faults.
 */

/** What a fault means to a caller; each kind is one gRPC code (server/status.ts). */
export type FaultKind =
  | 'invalid'
  | 'not_found'
  | 'already_exists'
  | 'precondition'
  | 'aborted'
  | 'out_of_range'
  | 'exhausted'
  | 'unavailable'
  | 'unauthenticated'
  | 'denied'
  | 'unimplemented'
  | 'cancelled'
  | 'deadline'
  | 'internal';

/** Every reason a caller may meet, with its kind. A reason is part of the API: add, never rename. */
export const REASONS = {
  INVALID_FIELD: 'invalid',
  MALFORMED_MESSAGE: 'invalid',

  CONFIGURATION_NOT_FOUND: 'not_found',
  FSM_NOT_FOUND: 'not_found',
  EVENT_NOT_FOUND: 'not_found',
  OUTCOME_NOT_FOUND: 'not_found',
  SERVICE_UNKNOWN: 'not_found',
  STREAM_NOT_FOUND: 'not_found',
  GROUP_NOT_FOUND: 'not_found',

  CONFIGURATION_EXISTS: 'already_exists',
  FSM_EXISTS: 'already_exists',
  EVENT_ID_REUSED: 'already_exists',
  STREAM_EXISTS: 'already_exists',
  GROUP_EXISTS: 'already_exists',
  DEDUPE_ID_REUSED: 'already_exists',
  REQUEST_ID_REUSED: 'already_exists',

  CONFIGURATION_MISSING: 'precondition',
  UID_MISMATCH: 'precondition',
  FIELD_MISSING: 'precondition',

  REVISION_MISMATCH: 'aborted',
  SEQ_MISMATCH: 'aborted',
  LEASE_STALE: 'aborted',

  PAGE_TOKEN_EXPIRED: 'out_of_range',
  CURSOR_EXPIRED: 'out_of_range',
  SEQ_OUT_OF_RANGE: 'out_of_range',
  EVENT_EXPIRED: 'out_of_range',

  STORE_FULL: 'exhausted',
  MESSAGE_TOO_LARGE: 'exhausted',
  TOO_MANY_REQUESTS: 'exhausted',
  STREAM_FULL: 'exhausted',
  DEDUPE_FULL: 'exhausted',
  GROUP_FULL: 'exhausted',
  TOO_MANY_GROUPS: 'exhausted',
  TOO_MANY_CONSUMERS: 'exhausted',
  SLOW_CONSUMER: 'exhausted',

  STORE_UNAVAILABLE: 'unavailable',
  EFFECT_UNKNOWN: 'unavailable',
  DRAINING: 'unavailable',

  CREDENTIALS_MISSING: 'unauthenticated',
  CREDENTIALS_MALFORMED: 'unauthenticated',
  CREDENTIALS_INVALID: 'unauthenticated',
  TOO_MANY_FAILURES: 'unauthenticated',
  CERTIFICATE_REFUSED: 'unauthenticated',
  CERTIFICATE_UNKNOWN: 'unauthenticated',

  ORIGIN_REFUSED: 'denied',
  GRANT_MISSING: 'denied',

  NOT_SERVED: 'unimplemented',
  CANCELLED: 'cancelled',
  DEADLINE_EXCEEDED: 'deadline',
  INTERNAL: 'internal',
} as const satisfies Record<string, FaultKind>;

export type Reason = keyof typeof REASONS;

/** A field that is wrong: its path as in the proto, and what to do about it. */
export interface FieldViolation {
  field: string;
  description: string;
  /** The rule that it broke, if it has a name (protovalidate's rule id). */
  rule?: string;
}

export interface FaultDetail {
  /** Facts for programs; sent as ErrorInfo.metadata. */
  facts?: Record<string, string>;
  /** For kind `invalid`: the fields; sent as BadRequest. */
  violations?: FieldViolation[];
  /** When trying again makes sense; sent as RetryInfo. */
  retryAfterMs?: number;
  /** Logged, never sent. */
  cause?: unknown;
}

export class Fault extends Error {
  readonly kind: FaultKind;
  readonly reason: Reason;
  readonly facts: Record<string, string>;
  readonly violations: FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, detail: FaultDetail = {}) {
    super(message, { cause: detail.cause });
    this.name = 'Fault';
    this.kind = REASONS[reason];
    this.reason = reason;
    this.facts = detail.facts ?? {};
    this.violations = detail.violations ?? [];
    this.retryAfterMs = detail.retryAfterMs;
  }

  /** A request field that is wrong. `field` is its path in the proto's names, e.g. `event.name`. */
  static invalidField(field: string, description: string): Fault {
    return new Fault('INVALID_FIELD', `${field}: ${description}`, { violations: [{ field, description }] });
  }
}

/** A stream that the service ends tells where to go on. */
export function withCursor(error: unknown, cursor: string): unknown {
  if (!(error instanceof Fault) || error.kind !== 'unavailable') return error;
  const { reason, message, cause, retryAfterMs } = error;
  return new Fault(reason, message, {
    facts: { ...error.facts, cursor },
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
