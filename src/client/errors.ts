/**
 * What a failed call throws: one class for each reason that the service states, so that callers branch
 * with `instanceof` and never on text. Whatever has no reason is a plain SwitchgearError with its code.
 */
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import type { Status } from '../../gen/google/rpc/status_pb.js';

/** A field that was wrong: its path in the request, in the proto's names, and what to do about it. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ErrorFacts {
  readonly message: string;
  /** The gRPC code's name in upper snake case, e.g. `NOT_FOUND`. */
  readonly code: string;
  /** The reason, e.g. `FSM_NOT_FOUND`; empty when the service did not state one. */
  readonly reason: string;
  /** Facts beside the reason, e.g. `{ fsm_id: 'o-1' }`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  /** When it makes sense to try again, in milliseconds from now; undefined when the service did not say. */
  readonly retryAfterMs: number | undefined;
  readonly cause?: unknown;
}

/** Every failure of a call. */
export class SwitchgearError extends Error {
  readonly code: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(facts: ErrorFacts) {
    super(facts.message, { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code;
    this.reason = facts.reason;
    this.metadata = facts.metadata;
    this.violations = facts.violations;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

/** A request field is wrong; `violations` says which and why. */
export class InvalidFieldError extends SwitchgearError {}
/** The request is not a message of its type. */
export class MalformedMessageError extends SwitchgearError {}
export class ConfigurationNotFoundError extends SwitchgearError {}
export class FsmNotFoundError extends SwitchgearError {}
export class EventNotFoundError extends SwitchgearError {}
export class OutcomeNotFoundError extends SwitchgearError {}
export class ServiceUnknownError extends SwitchgearError {}
/** A configuration with this name and version exists with other content. */
export class ConfigurationExistsError extends SwitchgearError {}
/** A machine with this id exists and was not made by this request. */
export class FsmExistsError extends SwitchgearError {}
/** The event id was used for another event of the same machine. */
export class EventIdReusedError extends SwitchgearError {}
export class ConfigurationMissingError extends SwitchgearError {}
export class UidMismatchError extends SwitchgearError {}
export class FieldMissingError extends SwitchgearError {}
export class RevisionMismatchError extends SwitchgearError {}
export class PageTokenExpiredError extends SwitchgearError {}
/** What the cursor points at is no longer kept: start over with a snapshot. */
export class CursorExpiredError extends SwitchgearError {}
/** The store has no room; nothing was changed. */
export class StoreFullError extends SwitchgearError {}
export class MessageTooLargeError extends SwitchgearError {}
export class SlowConsumerError extends SwitchgearError {}
export class TooManyRequestsError extends SwitchgearError {}
/** The store cannot be reached; nothing was changed. */
export class StoreUnavailableError extends SwitchgearError {}
/** The effect may have happened: send it again with the same id, and it has one effect. */
export class EffectUnknownError extends SwitchgearError {}
/** The server is stopping; another one, or the same one started again, will answer. */
export class DrainingError extends SwitchgearError {}
/** The HTTP port does not serve pages of this origin. */
export class OriginRefusedError extends SwitchgearError {}
export class NotServedError extends SwitchgearError {}
export class CancelledError extends SwitchgearError {}
export class DeadlineExceededError extends SwitchgearError {}
/** Unforeseen; `metadata.correlation_id` finds it in the server's log. */
export class InternalError extends SwitchgearError {}

/** By reason; a test keeps it complete. */
export const ERROR_CLASSES: Readonly<Record<string, new (facts: ErrorFacts) => SwitchgearError>> = {
  INVALID_FIELD: InvalidFieldError,
  MALFORMED_MESSAGE: MalformedMessageError,
  CONFIGURATION_NOT_FOUND: ConfigurationNotFoundError,
  FSM_NOT_FOUND: FsmNotFoundError,
  EVENT_NOT_FOUND: EventNotFoundError,
  OUTCOME_NOT_FOUND: OutcomeNotFoundError,
  SERVICE_UNKNOWN: ServiceUnknownError,
  CONFIGURATION_EXISTS: ConfigurationExistsError,
  FSM_EXISTS: FsmExistsError,
  EVENT_ID_REUSED: EventIdReusedError,
  CONFIGURATION_MISSING: ConfigurationMissingError,
  UID_MISMATCH: UidMismatchError,
  FIELD_MISSING: FieldMissingError,
  REVISION_MISMATCH: RevisionMismatchError,
  PAGE_TOKEN_EXPIRED: PageTokenExpiredError,
  CURSOR_EXPIRED: CursorExpiredError,
  STORE_FULL: StoreFullError,
  MESSAGE_TOO_LARGE: MessageTooLargeError,
  SLOW_CONSUMER: SlowConsumerError,
  TOO_MANY_REQUESTS: TooManyRequestsError,
  STORE_UNAVAILABLE: StoreUnavailableError,
  EFFECT_UNKNOWN: EffectUnknownError,
  DRAINING: DrainingError,
  ORIGIN_REFUSED: OriginRefusedError,
  NOT_SERVED: NotServedError,
  CANCELLED: CancelledError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  INTERNAL: InternalError,
};

/** What the library threw, as an error of ours. @internal */
export function toSwitchgearError(error: unknown): SwitchgearError {
  if (error instanceof SwitchgearError) return error;
  const from = ConnectError.from(error);
  const [info] = from.findDetails(ErrorInfoSchema);
  const [retry] = from.findDetails(RetryInfoSchema);
  const { seconds = 0n, nanos = 0 } = retry?.retryDelay ?? {};
  return build({
    message: from.rawMessage,
    code: codeName(from.code),
    reason: info?.reason || reasonOfCode(from.code),
    metadata: info?.metadata ?? {},
    violations: from
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) =>
        fieldViolations.map(({ field, description }) => ({ field, description })),
      ),
    retryAfterMs: retry ? Number(seconds) * 1_000 + nanos / 1_000_000 : undefined,
    cause: error,
  });
}

/** Resolves as the call does; what it throws is an error of ours. @internal */
export async function failing<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw toSwitchgearError(error);
  }
}

/** The status of one item of a batch, as the error a call of its own would have thrown. @internal */
export function statusError(status: Status): SwitchgearError {
  const details = status.details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
    value,
  }));
  const error = new ConnectError(status.message, status.code);
  error.details = details;
  return toSwitchgearError(error);
}

function build(facts: ErrorFacts): SwitchgearError {
  return new (ERROR_CLASSES[facts.reason] ?? SwitchgearError)(facts);
}

/** For failures that arise on this side, where nobody states a reason. */
function reasonOfCode(code: Code): string {
  if (code === Code.Canceled) return 'CANCELLED';
  return code === Code.DeadlineExceeded ? 'DEADLINE_EXCEEDED' : '';
}

function codeName(code: Code): string {
  if (code === Code.Canceled) return 'CANCELLED';
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}
