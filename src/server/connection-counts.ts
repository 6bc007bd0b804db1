/**
 * How many connections each network has open, up to a cap. The idea to hold: IPv6 gives everybody more addresses
 * than there are connections, so one /64 of it counts as one.
 */
import { networkOf } from '../auth/network.js';

export class ConnectionCounts {
  readonly #max: number;
  /** Those that have any, so at most as many as there are connections. */
  readonly #byNetwork = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Takes a place; false when an address has no more. */
  take(address: string): boolean {
    const network = networkOf(address);
    const count = (this.#byNetwork.get(network) ?? 0) + 1;
    if (count > this.#max) return false;
    this.#byNetwork.set(network, count);
    return true;
  }

  /** Gives back a place that was taken. */
  leave(address: string): void {
    const network = networkOf(address);
    const count = (this.#byNetwork.get(network) ?? 1) - 1;
    if (count > 0) this.#byNetwork.set(network, count);
    else this.#byNetwork.delete(network);
  }
}
