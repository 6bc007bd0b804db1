/** How a failure becomes one of our errors: from what the library threw, and from the status of an item. */
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import type { Status } from '../../gen/google/rpc/status_pb.js';
import { ERROR_CLASSES, type ErrorFacts, SwitchgearError } from './errors.js';

/** What the library threw, as an error of ours. */
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
    domain: info?.domain ?? '',
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

/** Resolves as the call does; what it throws is an error of ours. */
export async function failing<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw toSwitchgearError(error);
  }
}

/** The status of one item of a batch, as the error a call of its own would have thrown. */
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
