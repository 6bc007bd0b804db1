/** The deployment record: one key, replaced by compare-and-set (src/placement.ts). */
import type { PlacementStore } from '../../placement.js';
import type { Client } from './client.js';
import { placementKeys } from './keys.js';
import { loadScript } from './scripts.js';

const REPLACE = loadScript('placement_replace-1');

export class RedisPlacementStore implements PlacementStore {
  readonly #client: Client;
  readonly #keys: ReturnType<typeof placementKeys>;

  constructor(client: Client, namespace: string) {
    this.#client = client;
    this.#keys = placementKeys(namespace);
  }

  async load(): Promise<string | undefined> {
    const { slot, deployment } = this.#keys;
    return ((await this.#client.read(slot, 'get', [deployment])) as string | null) ?? undefined;
  }

  async replace(expected: string | undefined, next: string): Promise<boolean> {
    const { slot, deployment } = this.#keys;
    const args = [expected === undefined ? '0' : '1', expected ?? '', next];
    return (await this.#client.run(REPLACE, slot, [deployment], args)) === 1;
  }
}
