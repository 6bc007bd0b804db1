/**
 * From whatever was thrown to how the call fails. A Fault is taken at its word; anything else is
 * unforeseen, and the caller learns nothing of it but an id to ask for.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Status } from '../../gen/google/rpc/status_pb.js';
import { Fault } from '../fault.js';
import { type CodeName, codeOf, faultToStatus } from './status.js';

/** How a call failed, ready to be sent and to be logged. */
export interface Failure {
  readonly fault: Fault;
  readonly code: CodeName;
  readonly status: Status;
  /** The status' domain, for those who build the details again. */
  readonly domain: string;
}

export function toFailure(error: unknown, aborted: Fault | undefined, domain: string): Failure {
  const fault = toFault(error, aborted);
  return { fault, code: codeOf(fault), status: faultToStatus(fault, domain), domain };
}

/** For items of a batch that fail alone: the status of each, and a log line for what was unforeseen. */
export function itemStatus(log: Logger, domain: string): (error: unknown) => Status {
  return (error) => {
    const fault = toFault(error, undefined);
    if (fault.kind === 'internal') logUnforeseen(log, fault, { domain });
    return faultToStatus(fault, domain);
  };
}

/** One line for what nobody foresaw, with the id that the caller was given. */
export function logUnforeseen(log: Logger, fault: Fault, context: Record<string, unknown>): void {
  log.error({ ...context, reason: fault.reason, ...fault.facts, err: fault.cause }, fault.message);
}

function toFault(error: unknown, aborted: Fault | undefined): Fault {
  if (error instanceof Fault && error.kind !== 'internal') return error;
  // Drivers and Node's own waits answer an abort with an error of that name.
  if (aborted !== undefined && error instanceof Error && error.name === 'AbortError') return aborted;
  const id = randomUUID();
  const facts = { correlation_id: id };
  return new Fault('INTERNAL', `internal error, correlation id ${id}`, { facts, cause: error });
}
