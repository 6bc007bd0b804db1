/**
 * Marks and lease extensions: what a caller says, the message that is sent, and what became of each. A
 * mark that carries a lease token is safe to repeat: once it took effect the lease has ended, and the same
 * again changes nothing.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import {
  type BusService,
  type MarkAnswer,
  type MarkEventRequestSchema,
  MarkAnswer_Result as Result,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { SwitchgearError } from './errors.js';
import { statusError } from './failure.js';
import { backOff } from './retry.js';
import { type CallControl, present } from './sending.js';

/** What a mark makes of an event: done with, to come again after a pause, or as if nobody had had it. */
export type Mark = 'processed' | 'retry' | 'unprocessed';

export interface MarkInit {
  readonly eventId: string;
  readonly status: Mark;
  /** The group that it is marked for; the token's, or `default`, unless given. */
  readonly group?: string;
  /** From the hand-out that the mark is about; without it the mark acts on whatever stands. */
  readonly leaseToken?: string;
  /** For `retry`: not before this has passed, in milliseconds; the group's backoff unless given. */
  readonly retryDelayMs?: number;
}

/** A lease on an event. */
export interface LeaseInit {
  readonly eventId: string;
  readonly leaseToken: string;
}

/**
 * What became of a mark or an extension: `ok`, `stale` (the lease had ended), `not_found` (never written, or
 * its stream or group is gone), `expired` (retention took it), `full` (too many marks ahead of the cursor).
 */
export type MarkWord = 'ok' | 'stale' | 'not_found' | 'expired' | 'full';
/** One of these words, or why it could not be tried. */
export type MarkResult = { readonly result: MarkWord } | { readonly error: SwitchgearError };

const STATUS: Readonly<Record<Mark, EventStatus>> = {
  processed: EventStatus.PROCESSED,
  retry: EventStatus.RETRY,
  unprocessed: EventStatus.UNPROCESSED,
};

const WORDS: Readonly<Partial<Record<Result, MarkWord>>> = {
  [Result.OK]: 'ok',
  [Result.STALE]: 'stale',
  [Result.NOT_FOUND]: 'not_found',
  [Result.EXPIRED]: 'expired',
  [Result.FULL]: 'full',
};

export function markRequest(mark: MarkInit): MessageInitShape<typeof MarkEventRequestSchema> {
  const { eventId, status, group = '', leaseToken = '', retryDelayMs } = mark;
  const delay = retryDelayMs === undefined ? {} : { retryDelay: durationFromMs(retryDelayMs) };
  return { eventId, status: STATUS[status], group, leaseToken, ...delay };
}

export function markResult({ result, error }: MarkAnswer): MarkResult {
  const word = WORDS[result];
  return word ? { result: word } : { error: statusError(present(error)) };
}

/**
 * Sends up to 1,000 marks until each has an answer of its own or the time is over: those that answered
 * UNAVAILABLE and carry a token are sent again. Answers in the order given.
 */
export async function markAll(
  rpc: Client<typeof BusService>,
  marks: readonly MarkInit[],
  { signal, timeoutMs }: CallControl & { readonly timeoutMs: number },
): Promise<MarkResult[]> {
  const endMs = performance.now() + timeoutMs;
  const items = marks.map((mark) => ({ mark, result: undefined as MarkResult | undefined }));
  let open = items;
  for (let attempt = 1; open.length > 0; attempt += 1) {
    const leftMs = Math.max(1, Math.ceil(endMs - performance.now()));
    const request = { marks: open.map(({ mark }) => markRequest(mark)) };
    const { answers } = await rpc.markEvents(request, { ...(signal && { signal }), timeoutMs: leftMs });
    for (const [i, item] of open.entries()) item.result = markResult(present(answers[i]));
    open = open.filter(({ mark, result }) => mark.leaseToken && result && isOpen(result));
    if (performance.now() >= endMs || signal?.aborted) break;
    if (open.length > 0) await backOff(attempt, signal).catch(() => {});
  }
  return items.map(({ result }) => present(result));
}

function isOpen(result: MarkResult): boolean {
  return 'error' in result && result.error.code === 'UNAVAILABLE';
}
