/** Requests that several calls of the bus share, and how their answers are gone through. */
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { failing, toSwitchgearError } from './failure.js';

/** A stream, and a group of it; `default` unless given. */
export interface OfGroup {
  readonly stream: string;
  readonly group?: string;
}

/** What a caller takes without a worker. */
export interface TakeRequest extends OfGroup {
  /** Whose credit counts: calls with the same id share it. */
  readonly consumerId?: string;
  /** How many events, and bytes of them, may be leased; 1,000 and 3 MiB unless given. */
  readonly maxOutstandingMessages?: number;
  readonly maxOutstandingBytes?: bigint;
  /** How long each may take, in milliseconds; as the group is set unless given. */
  readonly ackDeadlineMs?: number;
}

/** Which dead letters: those named, or all of the group. */
export interface DeadLetterRequest extends OfGroup {
  readonly eventIds?: readonly string[];
  onStep?(count: bigint): void;
}

/** What each step of a long work answers. */
type Step = { count: bigint; done: boolean; nextToken: string };

/** Calls until nothing is left to do; the sum of the counts. */
export async function inSteps(
  { stream, group = '', eventIds = [], onStep }: DeadLetterRequest,
  call: (step: { stream: string; group: string; eventIds: string[]; nextToken: string }) => Promise<Step>,
): Promise<bigint> {
  let count = 0n;
  let nextToken = '';
  for (;;) {
    const step = await failing(call({ stream, group, eventIds: [...eventIds], nextToken }));
    count += step.count;
    onStep?.(count);
    if (step.done || eventIds.length > 0) return count;
    nextToken = step.nextToken;
  }
}

export function takeOf<T extends TakeRequest>({ ackDeadlineMs, ...request }: T) {
  return { ...request, ...(ackDeadlineMs !== undefined && { ackDeadline: durationFromMs(ackDeadlineMs) }) };
}

/** The events of all frames. */
export async function* leasedEvents(
  frames: AsyncIterable<{ events: LeasedEvent[] }>,
): AsyncGenerator<LeasedEvent> {
  try {
    for await (const { events } of frames) yield* events;
  } catch (error) {
    throw toSwitchgearError(error);
  }
}
