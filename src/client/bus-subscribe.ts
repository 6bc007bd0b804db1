/**
 * A subscription that outlives its connection: it remembers the cursor of the last frame that was taken
 * and goes on from there. The idea to hold: "from now" is made a sequence before the first try, so that a
 * server that is lost before its first frame takes nothing with it.
 */
import type { Client } from '@connectrpc/connect';
import type { Event } from '../../gen/switchgear/bus/v1/bus_pb.js';
import type { BusService, SubscribeResponse } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { type EventFilterInit, filterOf, type PositionInit, positionOf } from './bus-settings.js';
import { SlowConsumerError } from './errors.js';
import { failing, toSwitchgearError } from './failure.js';
import { backOff, isLost } from './retry.js';

export interface SubscribeRequest {
  readonly stream: string;
  /** From where; from now unless given. */
  readonly from?: PositionInit;
  /** From an earlier subscription: go on after it. Not together with `from`. */
  readonly cursor?: string;
  /** Which events; all unless given. */
  readonly filter?: EventFilterInit;
}

export type SubscribeEvent =
  /** An event. A `cursor` goes on after everything so far; events that came together have it on the last. */
  | { readonly kind: 'event'; readonly event: Event; readonly cursor: string | undefined }
  /** Events from `fromSeq` to `toSeq` are gone: retention took them before they were read. */
  | { readonly kind: 'gap'; readonly fromSeq: bigint; readonly toSeq: bigint }
  /** Nothing of interest, but the stream went on: the newest cursor is kept the longest. */
  | { readonly kind: 'cursor'; readonly cursor: string };

/** Yields until the signal aborts or the consumer leaves. */
export async function* subscribe(
  rpc: Client<typeof BusService>,
  { stream, from, cursor: first = '', filter }: SubscribeRequest,
  signal?: AbortSignal,
): AsyncGenerator<SubscribeEvent> {
  if (from !== undefined && first !== '')
    throw new TypeError('a subscription has `from` or `cursor`, not both');
  const options = { ...(signal && { signal }), timeoutMs: 0 };
  const isFromNow = first === '' && (from === undefined || from === 'end');
  const start = isFromNow ? await endOf(rpc, stream, signal) : from;
  let cursor = first;
  let attempt = 0;
  for (;;) {
    const place = cursor !== '' ? { cursor } : start !== undefined ? { from: positionOf(start) } : {};
    try {
      const request = { stream, ...place, ...(filter && { filter: filterOf(filter) }) };
      for await (const frame of rpc.subscribe(request, options)) {
        yield* eventsOf(frame);
        if (frame.cursor !== '') cursor = frame.cursor;
        attempt = 0;
      }
    } catch (error) {
      if (signal?.aborted) return;
      const failure = toSwitchgearError(error);
      // Its cursor goes on, and this reader takes frames no faster than its consumer.
      if (!isLost(error) && !(failure instanceof SlowConsumerError && cursor !== '')) throw failure;
    }
    if (signal?.aborted) return;
    attempt += 1;
    await backOff(attempt, signal).catch(() => {});
  }
}

async function endOf(
  rpc: Client<typeof BusService>,
  stream: string,
  signal?: AbortSignal,
): Promise<PositionInit> {
  const { lastSeq } = await failing(rpc.getStreamInfo({ stream }, signal ? { signal } : {}));
  return { seq: lastSeq + 1n };
}

function* eventsOf({ events, gap, cursor }: SubscribeResponse): Generator<SubscribeEvent> {
  if (gap) yield { kind: 'gap', fromSeq: gap.fromSeq, toSeq: gap.toSeq };
  const last = events.length - 1;
  for (const [i, event] of events.entries())
    yield { kind: 'event', event, cursor: i === last ? cursor : undefined };
  if (last < 0 && cursor !== '') yield { kind: 'cursor', cursor };
}
