/**
 * From a claim to frames in the caller's hands. The transport asking for the next frame is what tells that
 * one was accepted. A claim that was not is given back at once; one that was accepted late has its
 * deadlines corrected, which the grace of the claim makes a rare thing.
 */
import type { LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { ACCEPT_GRACE_MS } from './bounds.js';
import { type Claim, type GroupPlace, giveBack } from './claim.js';
import { cutFrame, frameBytes } from './frames.js';
import { leasedMessage } from './messages.js';
import type { BusStore } from './store.js';

/** The events of a frame. */
export type Frame = LeasedEvent[];

/** To whom events are handed out, and how. */
export interface Consumer {
  readonly place: GroupPlace;
  readonly id: string;
  readonly ackDeadlineMs: number | undefined;
}

/** What is late: the rest of the grace is for the correction's way to the store. */
const LATE_MS = ACCEPT_GRACE_MS * 0.8;
const ACCEPT_TIMEOUT_MS = 5_000;

/** Of a leased event's message, beside what its event and the names take. */
const LEASE_BYTES = 60;

/** Of each event of a frame, beside the event. */
export function itemBytes({ stream, group }: GroupPlace): number {
  return LEASE_BYTES + Buffer.byteLength(stream) + encodeURIComponent(group).length;
}

/** How many bytes of events, as eventBytes counts them, a claim for one frame asks for. */
export function claimBytes(place: GroupPlace, maxEvents: number): number {
  return frameBytes(maxEvents, itemBytes(place));
}

/**
 * Yields a claim's events: one frame, or a few when bodies written as JSON take more than their text. Of
 * those the first decides for all: what is not accepted after it keeps its deadline.
 */
export async function* handOut(store: BusStore, consumer: Consumer, claim: Claim): AsyncGenerator<Frame> {
  const { place } = consumer;
  const [first] = claim.events;
  if (first === undefined) return;
  let rest = claim.events;
  let isAccepted = false;
  try {
    while (rest.length > 0) {
      const shown = cutFrame(rest, ({ event }) => event, itemBytes(place));
      rest = rest.slice(shown.length);
      yield shown.map((leased) => leasedMessage(leased, place));
      isAccepted = true;
    }
  } finally {
    if (!isAccepted) await giveBack(store, place, claim);
  }
  if (performance.now() - claim.sentMs > LATE_MS) await accept(store, consumer, first.lease);
}

/** Also for a caller who is told to go: what it has accepted it may work on. */
async function accept(store: BusStore, { place, id, ackDeadlineMs }: Consumer, lease: number): Promise<void> {
  const accepted = { consumer: id, lease, ackDeadlineMs };
  await store.accept(place.number, place.group, accepted, AbortSignal.timeout(ACCEPT_TIMEOUT_MS));
}
