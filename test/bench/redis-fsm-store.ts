/**
 * What the state machine store costs on Redis, without transports: events a second from one process,
 * Redis commands an event, the cost of a long history, and bytes for each machine and event. Starts a
 * Redis of its own.
 *
 *   npx tsc -p test/bench && cp -r src/stores/redis/scripts dist/src/stores/redis/ &&
 *   node dist/test/bench/redis-fsm-store.js [seconds per turn]
 */
import { randomUUID } from 'node:crypto';
import { bodyHash, type Command } from '../../src/fsm/machine.js';
import type { FsmStore } from '../../src/fsm/store.js';
import { FsmKeys } from '../../src/stores/redis/keys.js';
import { openRedis } from '../../src/stores/redis/open.js';
import { RedisServer } from '../support/redis-server.js';

const seconds = Number(process.argv[2] ?? 3);
const never = new AbortController().signal;
const NAME = 'orders';
const MACHINES = 10_000;
const SHARDS = 16;

function command(name: string): Command {
  const event = {
    eventId: randomUUID(),
    name,
    originator: 'bench',
    details: '{"n":1}',
    timestampUs: Date.now() * 1_000,
  };
  return { ...event, bodyHash: bodyHash(event) };
}

async function define(store: FsmStore): Promise<void> {
  const transitions = [
    { from: 'open', to: 'closed', event: 'toggle' },
    { from: 'closed', to: 'open', event: 'toggle' },
    { from: 'open', to: 'open', event: 'knock' },
  ];
  const definition = { name: NAME, version: 'v1', states: ['open', 'closed'], transitions };
  await store.createConfiguration({ ...definition, startingState: 'open', finalStates: [] }, never);
}

async function make(store: FsmStore, id: string): Promise<void> {
  const machine = {
    configurationName: NAME,
    configurationVersion: 'v1',
    id,
    uid: randomUUID(),
    state: 'open',
  };
  await store.createMachine({ ...machine, requestId: '', requestHash: '' }, never);
}

/** Runs `work` from `callers` at once for a while; calls a second. */
async function rate(callers: number, work: (call: number) => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let calls = 0;
  const caller = async () => {
    while (performance.now() - start < seconds * 1_000) await work(calls++);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return Math.round((calls / (performance.now() - start)) * 1_000);
}

async function usedMemory(redis: RedisServer): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(String(await redis.command('INFO', 'memory')))?.[1]);
}

/** Calls of each command since the statistics were reset, for each of `events`. */
async function commandsPerEvent(redis: RedisServer, events: number): Promise<string> {
  const stats = String(await redis.command('INFO', 'commandstats'));
  const lines = [...stats.matchAll(/cmdstat_(\S+):calls=(\d+),usec=(\d+)/g)];
  return lines
    .filter(([, , calls]) => Number(calls) >= events / 10)
    .map(
      ([, name, calls, usec]) =>
        `${name} ${(Number(calls) / events).toFixed(2)} (${(Number(usec) / Number(calls)).toFixed(1)} us)`,
    )
    .join(', ');
}

function print(what: string, figure: string | number): void {
  console.log(`${what.padEnd(58)} ${figure}`);
}

/** Two machines of one shard, so that nothing differs but the length of their histories. */
async function compareHistories(store: FsmStore): Promise<void> {
  const keys = new FsmKeys('bench', SHARDS);
  const isNeighbour = (id: string) => keys.shardOf(NAME, id) === keys.shardOf(NAME, 'short');
  const long = Array.from({ length: 1_000 }, (_, i) => `long-${i}`).find(isNeighbour) ?? '';
  for (const id of ['short', long]) await make(store, id);
  const batch = () => Array.from({ length: 100 }, () => command('knock'));
  for (let i = 0; i < 1_000; i++) await store.advance(NAME, long, batch(), never);
  const on = (id: string) => () => store.advance(NAME, id, [command('knock')], never);
  const ratios: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const first = await rate(32, on('short'));
    const second = await rate(32, on(long));
    ratios.push(first / second);
  }
  ratios.sort((a, b) => a - b);
  print('cost at 100,000 of history against a short one, median of 5', (ratios[2] ?? 0).toFixed(2));
}

async function main(): Promise<void> {
  const redis = await RedisServer.start();
  const engine = await openRedis({ url: redis.url, namespace: 'bench' });
  const store = engine.fsmStore({ shardCount: SHARDS });
  await define(store);

  const before = await usedMemory(redis);
  for (let i = 0; i < MACHINES; i += 100)
    await Promise.all(Array.from({ length: 100 }, (_, k) => make(store, `order-${i + k}`)));
  const withFeed = await usedMemory(redis);
  for (const { feed } of new FsmKeys('bench', SHARDS).shards(NAME)) await redis.command('DEL', feed);
  const idle = await usedMemory(redis);
  print(
    'bytes per idle machine (and in the feed while it is kept)',
    `${Math.round((idle - before) / MACHINES)} (+${Math.round((withFeed - idle) / MACHINES)})`,
  );

  const toggle = (i: number) => store.advance(NAME, `order-${i % MACHINES}`, [command('toggle')], never);
  await rate(64, toggle);
  await redis.command('CONFIG', 'RESETSTAT');
  const memoryBefore = await usedMemory(redis);
  let toggled = 0;
  print(
    'events/s, 200 callers, 10,000 machines, state changes',
    await rate(200, (i) => {
      toggled = i + 1;
      return toggle(i);
    }),
  );
  print('commands per event that changes the state', await commandsPerEvent(redis, toggled));
  const events = await usedMemory(redis);
  print('bytes per event: outcome, history and feed', Math.round((events - memoryBefore) / toggled));
  print('events/s, 1 caller', await rate(1, toggle));
  print(
    'events/s, one hot machine, 200 callers',
    await rate(200, () => store.advance(NAME, 'order-1', [command('knock')], never)),
  );
  print(
    'events/s, batches of 100 for one machine, 8 callers',
    (await rate(8, (i) =>
      store.advance(
        NAME,
        `order-${i % MACHINES}`,
        Array.from({ length: 100 }, () => command('knock')),
        never,
      ),
    )) * 100,
  );

  await compareHistories(store);
  await engine.close();
  await redis.stop();
}

await main();
