/**
 * What the adapter's verbs send commands through. Adds to the router what every command needs: a bound
 * on what is under way, an end when the caller's signal ends, and errors as Faults.
 */
import { Fault } from '../../fault.js';
import { onAbort } from './abort.js';
import { type Effect, effectUnknown, faultFrom, unavailable } from './errors.js';
import type { Argument, Command, Router } from './router.js';
import type { Script } from './scripts.js';

export class Client {
  readonly router: Router;
  readonly #maxInFlight: number;
  #inFlight = 0;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(router: Router, maxInFlight: number) {
    this.router = router;
    this.#maxInFlight = maxInFlight;
  }

  /** Runs a script whose keys are all in `slot`. */
  run(
    script: Script,
    slot: number,
    keys: readonly string[],
    args: readonly Argument[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    const all = [script.sha, String(keys.length), ...keys, ...args];
    return this.#send({ slot, name: 'evalsha', args: all, script }, script.effect, signal);
  }

  /** Runs a command that writes. */
  write(slot: number, name: string, args: readonly string[], signal?: AbortSignal): Promise<unknown> {
    return this.#send({ slot, name, args }, 'write', signal);
  }

  /** Runs a command that reads. */
  read(slot: number, name: string, args: readonly string[], signal?: AbortSignal): Promise<unknown> {
    return this.#send({ slot, name, args }, 'read', signal);
  }

  /** Resolves when every server that holds data answers. */
  async ping(signal: AbortSignal): Promise<void> {
    const slots = this.router.slotOfEachServer();
    if (slots.length === 0) throw unavailable();
    await Promise.all(slots.map((slot) => this.read(slot, 'ping', [], signal)));
  }

  /** Resolves when nothing is under way any more, or after `graceMs`; nothing is taken on from here. */
  async drain(graceMs: number): Promise<void> {
    this.#closing = true;
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #send(command: Command, effect: Effect, signal: AbortSignal | undefined): Promise<unknown> {
    if (this.#closing || signal?.aborted) return Promise.reject(unavailable(signal?.reason));
    if (this.#inFlight >= this.#maxInFlight)
      return Promise.reject(
        new Fault('TOO_MANY_REQUESTS', 'too many requests wait for the store', { retryAfterMs: 200 }),
      );
    this.#inFlight++;
    return new Promise((resolve, reject) => {
      // Given up by its caller, a command still counts as under way until it is answered or lost.
      const giveUp = () =>
        reject(effect === 'write' ? effectUnknown(signal?.reason) : unavailable(signal?.reason));
      const stopWaiting = signal && onAbort(signal, giveUp);
      const settled = () => {
        stopWaiting?.();
        if (--this.#inFlight === 0) this.#idle?.();
      };
      this.router.send(command).then(
        (reply) => {
          settled();
          resolve(reply);
        },
        (error) => {
          settled();
          reject(faultFrom(error, effect));
        },
      );
    });
  }
}
