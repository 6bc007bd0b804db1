/** Who may join a deployment, and what is recorded when they do. */
import { describe, expect, it } from 'vitest';
import {
  admit,
  type DeploymentRecord,
  FORMAT_VERSION,
  join,
  type Placement,
  PlacementRefusal,
  type PlacementStore,
} from '../src/placement.js';

const ON_REDIS: Placement = { homes: { fsm: 'redis' }, shardCounts: { fsm: 16 } };

function record(changes: Partial<DeploymentRecord> = {}): DeploymentRecord {
  return {
    deploymentId: 'd',
    formatVersion: FORMAT_VERSION,
    homes: { fsm: 'redis' },
    shardCounts: { fsm: 16 },
    ...changes,
  };
}

describe('admission', () => {
  it('of the first process founds a deployment with an id of its own', () => {
    const [one, two] = [admit(undefined, ON_REDIS), admit(undefined, ON_REDIS)];
    expect(one).toEqual({
      ...ON_REDIS,
      deploymentId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      formatVersion: FORMAT_VERSION,
    });
    expect(one.deploymentId).not.toBe(two.deploymentId);
  });

  it('of an equal process changes nothing', () => {
    expect(admit(record(), ON_REDIS)).toEqual(record());
  });

  it('keeps the shard counts that were recorded first', () => {
    expect(admit(record(), { ...ON_REDIS, shardCounts: { fsm: 4 } }).shardCounts).toEqual({ fsm: 16 });
  });

  it('adds a service that was not placed yet, and keeps those that this process leaves out', () => {
    const joined = admit(record(), { homes: { bus: 'embedded' }, shardCounts: { bus: 8 } });
    expect(joined.homes).toEqual({ fsm: 'redis', bus: 'embedded' });
    expect(joined.shardCounts).toEqual({ fsm: 16, bus: 8 });
  });

  it.each([
    ['redis', 'embedded', /fsm.*on redis.*embedded/],
    ['embedded', 'redis', /fsm.*embedded.*on redis/],
    ['redis', 'mongo', /fsm.*on redis.*on mongo/],
  ] as const)(
    'refuses a service recorded on %s that would be put on %s, in one line',
    (recorded, wanted, line) => {
      const attempt = () =>
        admit(record({ homes: { fsm: recorded } }), { homes: { fsm: wanted }, shardCounts: {} });
      expect(attempt).toThrow(PlacementRefusal);
      expect(attempt).toThrow(line);
      expect(attempt).not.toThrow(/\n/);
    },
  );

  it('refuses data of a newer format, and reads older', () => {
    const newer = record({ formatVersion: FORMAT_VERSION + 1 });
    expect(() => admit(newer, ON_REDIS)).toThrow(PlacementRefusal);
    expect(() => admit(record({ formatVersion: FORMAT_VERSION - 1 }), ON_REDIS)).not.toThrow();
  });
});

/** A record in memory; `before` runs between a process's look and its write, as another process might. */
class MemoryPlacement implements PlacementStore {
  text: string | undefined;
  writes = 0;
  before: (() => void) | undefined;

  async load(): Promise<string | undefined> {
    return this.text;
  }

  async replace(expected: string | undefined, next: string): Promise<boolean> {
    const { before } = this;
    this.before = undefined;
    before?.();
    if (this.text !== expected) return false;
    this.text = next;
    this.writes++;
    return true;
  }
}

describe('joining', () => {
  it('writes the record once, and reads it after', async () => {
    const store = new MemoryPlacement();
    const first = await join(store, ON_REDIS);
    const second = await join(store, { ...ON_REDIS, shardCounts: { fsm: 99 } });
    expect(second).toEqual(first);
    expect(store.writes).toBe(1);
  });

  it('of two at once makes one deployment', async () => {
    const store = new MemoryPlacement();
    const [one, two] = await Promise.all([
      join(store, ON_REDIS),
      join(store, { homes: { bus: 'redis' }, shardCounts: {} }),
    ]);
    expect(one.deploymentId).toBe(two.deploymentId);
    expect(JSON.parse(store.text ?? '')).toMatchObject({ homes: { fsm: 'redis', bus: 'redis' } });
  });

  it('sees what another wrote between its look and its write, and is refused by it', async () => {
    const store = new MemoryPlacement();
    store.before = () => {
      store.text = JSON.stringify(record({ homes: { fsm: 'embedded' } }));
    };
    await expect(join(store, ON_REDIS)).rejects.toThrow(PlacementRefusal);
    expect(JSON.parse(store.text ?? '')).toMatchObject({ homes: { fsm: 'embedded' } });
  });

  it('that is refused writes nothing', async () => {
    const store = new MemoryPlacement();
    store.text = JSON.stringify(record());
    await expect(join(store, { homes: { fsm: 'embedded' }, shardCounts: {} })).rejects.toThrow(
      PlacementRefusal,
    );
    expect(store.writes).toBe(0);
  });
});
