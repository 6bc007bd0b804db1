/**
 * What a failed call throws: one class for each reason that the service states, so that callers branch
 * with `instanceof` and never on text. Whatever has no reason is a plain SwitchgearError with its code.
 */

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
  /** Whose reason it is, e.g. `switchgear.bus`; empty when there is none. */
  readonly domain: string;
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
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(facts: ErrorFacts) {
    super(facts.message, { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code;
    this.reason = facts.reason;
    this.domain = facts.domain;
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
export class StreamNotFoundError extends SwitchgearError {}
export class GroupNotFoundError extends SwitchgearError {}
/** A configuration with this name and version exists with other content. */
export class ConfigurationExistsError extends SwitchgearError {}
/** A machine with this id exists and was not made by this request. */
export class FsmExistsError extends SwitchgearError {}
/** The event id was used for another event of the same machine. */
export class EventIdReusedError extends SwitchgearError {}
/** A stream of this name exists and was not made by this request. */
export class StreamExistsError extends SwitchgearError {}
/** A group of this name exists in the stream and was not made by this request. */
export class GroupExistsError extends SwitchgearError {}
/** The dedupe id was used for another event of the stream; nothing was written. */
export class DedupeIdReusedError extends SwitchgearError {}
/** The request id was used for another request; nothing was done. */
export class RequestIdReusedError extends SwitchgearError {}
export class ConfigurationMissingError extends SwitchgearError {}
export class UidMismatchError extends SwitchgearError {}
export class FieldMissingError extends SwitchgearError {}
export class RevisionMismatchError extends SwitchgearError {}
/** The stream's last sequence is not the one expected; nothing was written. */
export class SeqMismatchError extends SwitchgearError {}
/** The lease had ended, by its deadline or by a mark; nothing was changed. */
export class LeaseStaleError extends SwitchgearError {}
export class PageTokenExpiredError extends SwitchgearError {}
/** What the cursor points at is no longer kept: start over with a snapshot. */
export class CursorExpiredError extends SwitchgearError {}
/** A sequence that the stream does not keep. */
export class SeqOutOfRangeError extends SwitchgearError {}
/** Retention took the event. */
export class EventExpiredError extends SwitchgearError {}
/** The store has no room; nothing was changed. */
export class StoreFullError extends SwitchgearError {}
export class MessageTooLargeError extends SwitchgearError {}
export class TooManyRequestsError extends SwitchgearError {}
/** The stream is at its cap and rejects; nothing was written. */
export class StreamFullError extends SwitchgearError {}
/** The stream remembers as many dedupe ids as it can; `retryAfterMs` says when there is room. */
export class DedupeFullError extends SwitchgearError {}
/** Too many events are marked ahead of the group's cursor; nothing was changed. */
export class GroupFullError extends SwitchgearError {}
export class TooManyGroupsError extends SwitchgearError {}
export class TooManyConsumersError extends SwitchgearError {}
/** The reader took too long for what came: a cursor goes on. */
export class SlowConsumerError extends SwitchgearError {}
/** The store cannot be reached; nothing was changed. */
export class StoreUnavailableError extends SwitchgearError {}
/** The effect may have happened: send it again with the same id, and it has one effect. */
export class EffectUnknownError extends SwitchgearError {}
/** The server is stopping; another one, or the same one started again, will answer. */
export class DrainingError extends SwitchgearError {}
/** The call carries no credentials, and the server asks for some. */
export class CredentialsMissingError extends SwitchgearError {}
/** The `authorization` header is not `Basic` with an id and a secret. */
export class CredentialsMalformedError extends SwitchgearError {}
/** No such client, or not its secret: which of the two is not told. */
export class CredentialsInvalidError extends SwitchgearError {}
/** Credentials were wrong too often from this address; `retryAfterMs` says when they are looked at again. */
export class TooManyFailuresError extends SwitchgearError {}
/** The certificate of this client has expired, or is of a CA that the server does not trust. */
export class CertificateRefusedError extends SwitchgearError {}
/** The certificate of this client is good, but no client of the server goes by a name in it. */
export class CertificateUnknownError extends SwitchgearError {}
/** This client may not do this; `metadata.grant` says what it lacks. */
export class GrantMissingError extends SwitchgearError {}
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
  STREAM_NOT_FOUND: StreamNotFoundError,
  GROUP_NOT_FOUND: GroupNotFoundError,
  CONFIGURATION_EXISTS: ConfigurationExistsError,
  FSM_EXISTS: FsmExistsError,
  EVENT_ID_REUSED: EventIdReusedError,
  STREAM_EXISTS: StreamExistsError,
  GROUP_EXISTS: GroupExistsError,
  DEDUPE_ID_REUSED: DedupeIdReusedError,
  REQUEST_ID_REUSED: RequestIdReusedError,
  CONFIGURATION_MISSING: ConfigurationMissingError,
  UID_MISMATCH: UidMismatchError,
  FIELD_MISSING: FieldMissingError,
  REVISION_MISMATCH: RevisionMismatchError,
  SEQ_MISMATCH: SeqMismatchError,
  LEASE_STALE: LeaseStaleError,
  PAGE_TOKEN_EXPIRED: PageTokenExpiredError,
  CURSOR_EXPIRED: CursorExpiredError,
  SEQ_OUT_OF_RANGE: SeqOutOfRangeError,
  EVENT_EXPIRED: EventExpiredError,
  STORE_FULL: StoreFullError,
  MESSAGE_TOO_LARGE: MessageTooLargeError,
  TOO_MANY_REQUESTS: TooManyRequestsError,
  STREAM_FULL: StreamFullError,
  DEDUPE_FULL: DedupeFullError,
  GROUP_FULL: GroupFullError,
  TOO_MANY_GROUPS: TooManyGroupsError,
  TOO_MANY_CONSUMERS: TooManyConsumersError,
  SLOW_CONSUMER: SlowConsumerError,
  STORE_UNAVAILABLE: StoreUnavailableError,
  EFFECT_UNKNOWN: EffectUnknownError,
  DRAINING: DrainingError,
  CREDENTIALS_MISSING: CredentialsMissingError,
  CREDENTIALS_MALFORMED: CredentialsMalformedError,
  CREDENTIALS_INVALID: CredentialsInvalidError,
  TOO_MANY_FAILURES: TooManyFailuresError,
  CERTIFICATE_REFUSED: CertificateRefusedError,
  CERTIFICATE_UNKNOWN: CertificateUnknownError,
  ORIGIN_REFUSED: OriginRefusedError,
  GRANT_MISSING: GrantMissingError,
  NOT_SERVED: NotServedError,
  CANCELLED: CancelledError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  INTERNAL: InternalError,
};
