/** How Subscribe treats readers that stand still and stores that fail: the handler itself. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  SubscribeRequestSchema,
  type SubscribeResponse,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { BusStore } from '../../src/bus/store.js';
import { subscribe } from '../../src/bus/subscribe.js';
import { Fault } from '../../src/fault.js';
import { type LmdbEngine, openLmdb } from '../../src/stores/lmdb/open.js';
import { createStream, newEvents, write } from '../conformance/bus/subject.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';

const FROM_FIRST = { position: { case: 'seq', value: 1n } } as const;
const FRAME_EVENTS = 500;

const dataDir = temporaryDirectory('bus');
let engine: LmdbEngine;
let store: BusStore;
let stream: { name: string; number: number };

beforeAll(async () => {
  engine = await openLmdb({ dataDir, durability: 'relaxed' });
  store = engine.busStore();
});
afterAll(async () => {
  await engine.close();
  removeDirectory(dataDir);
});
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  stream = await createStream(store);
});
afterEach(() => {
  vi.useRealTimers();
});

function open(request: MessageInitShape<typeof SubscribeRequestSchema>, from: BusStore = store) {
  const message = create(SubscribeRequestSchema, { stream: stream.name, ...request });
  const leaving = new AbortController();
  return { frames: subscribe(from, message, leaving.signal), leaving };
}

const sizeOf = (frame: IteratorResult<SubscribeResponse>) =>
  (frame.value as SubscribeResponse | undefined)?.events.length;

describe('a reader that stands still', () => {
  it('is told to go on from its cursor when it is more than a frame behind', async () => {
    for (let i = 0; i < 3; i += 1) await write(store, stream.number, newEvents(FRAME_EVENTS));
    const { frames } = open({ from: FROM_FIRST });
    const first = await frames.next();
    expect(sizeOf(first)).toBe(FRAME_EVENTS);
    vi.advanceTimersByTime(31_000);
    const { cursor } = first.value as SubscribeResponse;
    await expect(frames.next()).rejects.toMatchObject({ reason: 'SLOW_CONSUMER', facts: { cursor } });
    const resumed = await open({ cursor }).frames.next();
    expect((resumed.value as SubscribeResponse).events[0]?.seq).toBe(BigInt(FRAME_EVENTS + 1));
  });

  it.each([
    ['briefly', 29_000, 3],
    ['but is not behind', 3_600_000, 2],
  ])('%s goes on', async (_, ms, batches) => {
    for (let i = 0; i < batches; i += 1) await write(store, stream.number, newEvents(FRAME_EVENTS));
    const { frames } = open({ from: FROM_FIRST });
    await frames.next();
    vi.advanceTimersByTime(ms);
    expect(sizeOf(await frames.next())).toBe(FRAME_EVENTS);
    await frames.return(undefined);
  });
});

describe('a store that fails', () => {
  it('ends the stream with the cursor', async () => {
    await write(store, stream.number, newEvents(1));
    let fails = false;
    const read: BusStore['read'] = (...args) =>
      fails ? Promise.reject(new Fault('STORE_UNAVAILABLE', 'down')) : store.read(...args);
    const over = new Proxy(store, {
      get: (target, name) =>
        name === 'read' ? read : (Reflect.get(target, name) as () => void).bind(target),
    });
    const { frames } = open({ from: FROM_FIRST }, over);
    const first = await frames.next();
    fails = true;
    const next = frames.next();
    await write(store, stream.number, newEvents(1));
    const { cursor } = first.value as SubscribeResponse;
    await expect(next).rejects.toMatchObject({ reason: 'STORE_UNAVAILABLE', facts: { cursor } });
  });
});

describe('a reader that leaves', () => {
  it('leaves nothing behind', async () => {
    let listeners = 0;
    const listen: BusStore['listen'] = (...args) => {
      listeners += 1;
      const end = store.listen(...args);
      return () => {
        listeners -= 1;
        end();
      };
    };
    const over = new Proxy(store, {
      get: (target, name) =>
        name === 'listen' ? listen : (Reflect.get(target, name) as () => void).bind(target),
    });
    const { frames, leaving } = open({}, over);
    await frames.next();
    expect(listeners).toBe(1);
    const next = frames.next();
    leaving.abort(new Fault('CANCELLED', 'gone'));
    await expect(next).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect(listeners).toBe(0);
  });
});
