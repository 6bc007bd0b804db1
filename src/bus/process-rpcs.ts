/**
 * The rpcs that hand out events: proto in, frames out. A claim is made only when the transport asks for a
 * frame, so a slow reader pauses its stream.
 */
import { randomUUID } from 'node:crypto';
import type * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { MAX_PAGE_BYTES } from '../page.js';
import { type Ask, claimOnce, type GroupPlace } from './claim.js';
import type { Dispatcher } from './dispatcher.js';
import { DEFAULT_GROUP } from './event.js';
import { cutFrame } from './frames.js';
import { type Consumer, claimBytes, type Frame, handOut, itemBytes } from './hand-out.js';
import { peekedMessage } from './messages.js';
import { found, mustGetStream } from './missing.js';
import { durationMs } from './numbers.js';
import type { BusStore } from './store.js';

type ProcessRpc = 'processEvents' | 'retryEvents';

/** What both requests say. */
type Request = Pick<
  pb.ProcessEventsRequest,
  | 'stream'
  | 'group'
  | 'consumerId'
  | 'maxOutstandingMessages'
  | 'maxOutstandingBytes'
  | 'maxFrameEvents'
  | 'ackDeadline'
>;

const DEFAULT_OUTSTANDING_EVENTS = 1_000;
const DEFAULT_FRAME_EVENTS = 100;

export interface ProcessOptions {
  readonly store: BusStore;
  readonly dispatcher: Dispatcher;
  /** Told how many events a frame hands out. */
  readonly onHandedOut: (count: number) => void;
  /** Told when a stream that hands out begins and when it ends. */
  readonly onStream: (change: 1 | -1) => void;
}

export function processRpcs(options: ProcessOptions): Pick<Handlers<typeof pb.BusService>, ProcessRpc> {
  return {
    async *processEvents(request, { signal }) {
      if (request.peek && request.follow)
        throw Fault.invalidField('peek', 'cannot be combined with follow; leave one out');
      const frames = request.peek ? peek : request.follow ? follow : claimAll;
      for await (const events of counted(options, frames(options, request, signal)))
        yield { $typeName: 'switchgear.bus.v1.ProcessEventsResponse', events };
    },

    async *retryEvents(request, { signal }) {
      for await (const events of counted(options, claimRetries(options, request, signal)))
        yield { $typeName: 'switchgear.bus.v1.RetryEventsResponse', events };
    },
  };
}

async function* counted(
  { onStream, onHandedOut }: ProcessOptions,
  frames: AsyncGenerator<Frame>,
): AsyncGenerator<Frame> {
  onStream(1);
  try {
    for await (const frame of frames) {
      if (frame[0]?.leaseToken) onHandedOut(frame.length);
      yield frame;
    }
  } finally {
    onStream(-1);
  }
}

/** Until the caller leaves: waits for more when nothing can be claimed. */
async function* follow(
  { store, dispatcher }: ProcessOptions,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const consumer = await consumerOf(store, request, signal);
  const ask = askOf(request, consumer);
  const line = dispatcher.join(consumer.place);
  try {
    for (;;) yield* handOut(store, consumer, await line.claim(ask, signal));
  } finally {
    line.leave();
  }
}

/** What can be claimed now, as far as the credit goes. */
async function* claimAll(
  { store }: ProcessOptions,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const consumer = await consumerOf(store, request, signal);
  const ask = askOf(request, consumer);
  for (;;) {
    const claim = await claimOnce(store, consumer.place, ask, signal);
    yield* handOut(store, consumer, claim);
    if (!claim.more || claim.creditSpent) return;
  }
}

/** What is RETRY at the first claim, which tells the time by the store's clock. */
async function* claimRetries(
  { store }: ProcessOptions,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const consumer = await consumerOf(store, request, signal);
  const ask = askOf(request, consumer);
  let beganMs: number | undefined;
  let afterSeq = 0;
  for (;;) {
    const retry = { afterSeq, beganMs: beganMs ?? Number.MAX_SAFE_INTEGER };
    const claim = await claimOnce(store, consumer.place, { ...ask, retry }, signal);
    const last = claim.events.at(-1);
    if (last === undefined) return;
    yield* handOut(store, consumer, claim);
    beganMs ??= claim.nowMs;
    afterSeq = last.event.seq;
  }
}

/** What is UNPROCESSED, from the first to the last, without leasing it. */
async function* peek(
  { store }: ProcessOptions,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const { place } = await consumerOf(store, request, signal);
  const { number, stream: name, group } = place;
  const limit = request.maxFrameEvents || DEFAULT_FRAME_EVENTS;
  let fromSeq: number | undefined = 1;
  while (fromSeq !== undefined) {
    const answer = await store.listEvents(number, group, 'unprocessed', fromSeq, limit, signal);
    const { items, nextSeq } = found(answer, name, group);
    const shown = cutFrame(items, ({ event }) => event, itemBytes(place));
    if (shown.length > 0) yield shown.map((listed) => peekedMessage(listed, place));
    fromSeq = items[shown.length]?.event.seq ?? nextSeq;
  }
}

async function consumerOf(store: BusStore, request: Request, signal: AbortSignal): Promise<Consumer> {
  const { number } = await mustGetStream(store, request.stream, signal);
  const place: GroupPlace = { number, stream: request.stream, group: request.group || DEFAULT_GROUP };
  const { ackDeadline } = request;
  return {
    place,
    id: request.consumerId || randomUUID(),
    ackDeadlineMs: ackDeadline && durationMs(ackDeadline),
  };
}

function askOf(request: Request, { place, id, ackDeadlineMs }: Consumer): Ask {
  const maxEvents = request.maxFrameEvents || DEFAULT_FRAME_EVENTS;
  return {
    consumer: id,
    maxEvents,
    maxBytes: claimBytes(place, maxEvents),
    credit: {
      messages: request.maxOutstandingMessages || DEFAULT_OUTSTANDING_EVENTS,
      bytes: Number(request.maxOutstandingBytes) || MAX_PAGE_BYTES,
    },
    ackDeadlineMs,
    retry: undefined,
  };
}
