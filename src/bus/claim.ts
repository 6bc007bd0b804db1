/**
 * One claim, seen through to its end. A claim whose reply was lost may have leased events: it is asked
 * again under the same id, which answers the same events, and given back under that id when it cannot be
 * asked again or its events do not reach the caller. Nothing stays leased to nobody until its deadline,
 * as long as the store can be reached.
 */
import { randomUUID } from 'node:crypto';
import { Fault } from '../fault.js';
import { found } from './missing.js';
import type { BusStore } from './store.js';
import type { ClaimAnswer, ClaimRequest } from './verbs.js';

/**
 * A claim whose reply was lost is asked again until it is answered, for as long as a store that comes back
 * may take (operations: recovery within 2 s) and a little; what it leased is nobody's until then.
 */
const DOUBT_MS = 3_000;
const RETRY_AFTER_MS = 100;

/** Giving back is for a caller who has gone, and so ends by itself. */
const RELEASE_TIMEOUT_MS = 5_000;

/** A group of a stream. */
export interface GroupPlace {
  readonly number: number;
  /** The stream's name. */
  readonly stream: string;
  readonly group: string;
}

export type Ask = Omit<ClaimRequest, 'group' | 'claimId'>;

export interface Claim extends Extract<ClaimAnswer, { readonly kind: 'claimed' }> {
  readonly claimId: string;
  readonly consumer: string;
  /** When it was sent, by performance.now(): never after the store counted from. */
  readonly sentMs: number;
}

/** Claims once; rejects with a Fault, and then nothing is leased by it. */
export async function claimOnce(
  store: BusStore,
  place: GroupPlace,
  ask: Ask,
  signal: AbortSignal,
): Promise<Claim> {
  const { consumer } = ask;
  const claimId = randomUUID();
  // What is new stands before what is spread: after it, Node 20 makes a hidden class for every object.
  const request = { group: place.group, claimId, ...ask };
  let lostMs: number | undefined;
  for (;;) {
    const sentMs = performance.now();
    try {
      const answer = found(await store.claim(place.number, request, signal), place.stream, place.group);
      if (answer.kind === 'too_many_consumers') throw tooManyConsumers();
      // What a repeat answers is what was leased, and tells nothing of what else is there.
      return { claimId, consumer, sentMs, ...answer, more: answer.more || lostMs !== undefined };
    } catch (error) {
      if (isLost(error)) lostMs ??= sentMs;
      const isHopeful = error instanceof Fault && error.kind === 'unavailable' && !signal.aborted;
      if (lostMs === undefined || !isHopeful || performance.now() - lostMs > DOUBT_MS) {
        if (lostMs !== undefined) await giveBack(store, place, { consumer, claimId });
        throw signal.aborted ? signal.reason : error;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
    }
  }
}

function isLost(error: unknown): boolean {
  return error instanceof Fault && error.reason === 'EFFECT_UNKNOWN';
}

/** Gives back what a claim has leased, if it did. Never rejects: what cannot be given back expires. */
export async function giveBack(
  store: BusStore,
  { number, group }: GroupPlace,
  { consumer, claimId }: Pick<Claim, 'consumer' | 'claimId'>,
): Promise<void> {
  const signal = AbortSignal.timeout(RELEASE_TIMEOUT_MS);
  await store.release(number, group, consumer, claimId, signal).catch((error: unknown) => {
    if (!(error instanceof Fault)) throw error;
  });
}

function tooManyConsumers(): Fault {
  return new Fault('TOO_MANY_CONSUMERS', 'as many consumers of this group have leases as there may be');
}
