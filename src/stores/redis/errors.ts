/**
 * What a failure of Redis or of the way to it means to a caller. The one distinction that matters: a
 * command that Redis refused, or that never left this process, had no effect; a write whose reply is
 * missing may have had one, and says so.
 */
import { Fault } from '../../fault.js';

/** Whether a command changes anything, which decides what a missing reply means. */
export type Effect = 'read' | 'write';

/** The command was not sent: nothing can have happened. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

/** An error that Redis answered: by what rule did it refuse? */
export function replyCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined;
  return error.message.split(' ', 1)[0];
}

/** Refusals that end by themselves, or when an operator acts; nothing ran. */
const PASSING = new Set([
  'READONLY',
  'LOADING',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'MOVED',
  'ASK',
  'BUSY',
  'NOREPLICAS',
  'MISCONF',
]);

/** The Fault for an error of a command. */
export function faultFrom(error: unknown, effect: Effect): Fault {
  if (error instanceof Fault) return error;
  const code = replyCode(error);
  const cause = bareCause(error);
  if (code === 'OOM') return new Fault('STORE_FULL', 'the store is full; nothing was changed', { cause });
  if (error instanceof NotSent || (code !== undefined && PASSING.has(code))) return unavailable(cause);
  if (code !== undefined) return new Fault('INTERNAL', 'the store refused a command', { cause });
  return effect === 'write' ? effectUnknown(cause) : unavailable(cause);
}

export function unavailable(cause?: unknown): Fault {
  return new Fault('STORE_UNAVAILABLE', 'the store cannot be reached; nothing was changed', {
    cause,
    retryAfterMs: 500,
  });
}

export function effectUnknown(cause?: unknown): Fault {
  return new Fault(
    'EFFECT_UNKNOWN',
    'the store did not answer and may have done it; send it again with the same id',
    { cause, retryAfterMs: 500 },
  );
}

/** The driver hangs a command's arguments on its errors; those hold users' data and do not go to logs. */
export function bareCause(error: unknown): Error {
  const bare = new Error(error instanceof Error ? error.message : String(error));
  bare.name = error instanceof Error ? error.name : 'Error';
  return bare;
}
