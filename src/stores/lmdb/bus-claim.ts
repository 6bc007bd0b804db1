/**
 * Claims, and what becomes of a claim's frame. A claim that would change nothing is answered from memory:
 * readers look at every ring, and a look that finds nothing must not cost the disk anything.
 */
import { MAX_LOOK_EVENTS } from '../../bus/bounds.js';
import { accept, claim, idleClaim, release } from '../../bus/delivery.js';
import type { BusStore } from '../../bus/store.js';
import type { ClaimAnswer, ClaimRequest } from '../../bus/verbs.js';
import type { BusContext } from './bus-context.js';
import { read } from './environment.js';

export class BusClaims {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  async claim(number: number, request: ClaimRequest, signal: AbortSignal): Promise<ClaimAnswer> {
    const idle = await read(signal, () => this.#idle(number, request));
    if (idle) return idle;
    // A full store can still be worked off.
    const options = { weight: Math.min(request.maxEvents, MAX_LOOK_EVENTS), grows: false };
    return this.#context.groupJob(
      number,
      request.group,
      signal,
      options,
      ({ delivery, log }, job): ClaimAnswer => {
        const { nowMs, stream } = job;
        const outcome = claim(delivery, log, request, { nowMs, nextLease: () => stream.nextLease() });
        return outcome.kind === 'claimed' ? { nowMs, ...outcome } : outcome;
      },
    );
  }

  #idle(number: number, request: ClaimRequest): ClaimAnswer | undefined {
    const loaded = this.#context.inMemory(number)?.groups.get(request.group);
    if (!loaded?.delivery) return undefined;
    const nowMs = this.#context.clock.nowMs();
    const idle = idleClaim(loaded.delivery, loaded, request, nowMs);
    return idle && { nowMs, ...idle };
  }

  async accept(
    number: number,
    group: string,
    lease: Parameters<BusStore['accept']>[2],
    signal: AbortSignal,
  ): Promise<void> {
    await this.#onKnownGroup(number, group, signal, (delivery, nowMs) => accept(delivery, lease, nowMs));
  }

  async release(
    number: number,
    group: string,
    consumer: string,
    claimId: string,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#onKnownGroup(number, group, signal, (delivery, nowMs) =>
      release(delivery, consumer, claimId, nowMs),
    );
  }

  /** Without a group there is nothing to do, and it does not come to exist. */
  #onKnownGroup(
    number: number,
    name: string,
    signal: AbortSignal,
    act: (delivery: Parameters<typeof accept>[0], nowMs: number) => void,
  ): Promise<unknown> {
    const options = { weight: MAX_LOOK_EVENTS, grows: false };
    return this.#context.job(number, signal, options, (job) => {
      const loaded = job.stream.groups.get(name);
      if (loaded) act(this.#context.use(job, loaded).delivery, job.nowMs);
    });
  }
}
