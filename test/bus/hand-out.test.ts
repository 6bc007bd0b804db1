/** When a frame counts as accepted: the handlers themselves, pulled as a transport pulls. */
import { create } from '@bufbuild/protobuf';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ProcessEventsRequestSchema,
  type ProcessEventsResponse,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { type BusServiceOptions, busService } from '../../src/bus/service.js';
import type { BusStore } from '../../src/bus/store.js';
import { EVERYTHING } from '../../src/call.js';
import { Fault } from '../../src/fault.js';
import { type LmdbEngine, openLmdb } from '../../src/stores/lmdb/open.js';
import { createStream, groupFacts, never, newEvents, statuses, write } from '../conformance/bus/subject.js';
import { FakeClock } from '../support/fake-clock.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';

const GROUP = 'default';
const dataDir = temporaryDirectory('bus');
const clock = new FakeClock();
let engine: LmdbEngine;
let store: BusStore;
let stream: { name: string; number: number };

beforeAll(async () => {
  engine = await openLmdb({ dataDir, durability: 'relaxed', clock });
  store = engine.busStore();
});
afterAll(async () => {
  await engine.close();
  removeDirectory(dataDir);
});
beforeEach(async () => {
  stream = await createStream(store);
  await write(store, stream.number, newEvents(4));
});

/** The handlers over a store of which some verbs are replaced. */
function open(
  request: { follow?: boolean; consumerId?: string; maxFrameEvents?: number },
  replaced: Partial<BusStore> = {},
) {
  const over = new Proxy(store, {
    get: (target, name) =>
      Reflect.get(replaced, name) ?? (Reflect.get(target, name) as () => void).bind(target),
  });
  const options: BusServiceOptions = {
    store: over,
    durability: '',
    statusOf: () => {
      throw new Error('not asked');
    },
  };
  const leaving = new AbortController();
  const message = create(ProcessEventsRequestSchema, { stream: stream.name, maxFrameEvents: 2, ...request });
  const call = { signal: leaving.signal, access: EVERYTHING, setTrailer() {} };
  const frames = busService(options).processEvents(message, call)[Symbol.asyncIterator]();
  return { frames: frames as AsyncGenerator<ProcessEventsResponse>, leaving };
}

const seqsOf = (frame: IteratorResult<ProcessEventsResponse>) =>
  (frame.value as ProcessEventsResponse | undefined)?.events.map(({ event }) => Number(event?.seq));

describe('a frame', () => {
  it.each([true, false])(
    'that was not accepted goes back at once, its attempt uncounted (follow: %s)',
    async (follow) => {
      const { frames } = open({ follow });
      expect(seqsOf(await frames.next())).toEqual([1, 2]);
      expect(await statuses(store, stream.number, GROUP)).toEqual([
        'leased',
        'leased',
        'unprocessed',
        'unprocessed',
      ]);
      await frames.return(undefined);
      expect(new Set(await statuses(store, stream.number, GROUP))).toEqual(new Set(['unprocessed']));
      const again = await open({}).frames.next();
      expect((again.value as ProcessEventsResponse).events.map(({ attempt }) => attempt)).toEqual([1, 1]);
    },
  );

  it('that was accepted keeps its lease when the stream breaks at the next', async () => {
    const { frames } = open({ follow: true });
    await frames.next();
    await frames.next();
    await frames.return(undefined);
    expect(await statuses(store, stream.number, GROUP)).toEqual([
      'leased',
      'leased',
      'unprocessed',
      'unprocessed',
    ]);
  });

  it('that the caller did not wait for is given back', async () => {
    const { frames, leaving } = open({ follow: true });
    const first = frames.next();
    leaving.abort(new Fault('CANCELLED', 'gone'));
    await first.catch(() => undefined);
    await frames.return(undefined);
    expect(new Set(await statuses(store, stream.number, GROUP))).toEqual(new Set(['unprocessed']));
  });

  it('is accepted by the pull that a drain ends', async () => {
    const { frames, leaving } = open({ follow: true });
    await frames.next();
    leaving.abort(new Fault('DRAINING', 'stopping'));
    await expect(frames.next()).rejects.toMatchObject({ reason: 'DRAINING' });
    expect((await groupFacts(store, stream.number, GROUP)).leased).toBe(2);
  });

  it('that was accepted late has its deadlines counted from then', async () => {
    const accepted: object[] = [];
    const accept: BusStore['accept'] = async (...args) => {
      accepted.push(args[2]);
      await store.accept(...args);
    };
    const { frames } = open({ consumerId: 'me', maxFrameEvents: 1 }, { accept });
    const first = await frames.next();
    await frames.next();
    expect(accepted).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 900));
    await frames.next();
    expect(accepted).toMatchObject([{ consumer: 'me', ackDeadlineMs: undefined }]);
    expect(seqsOf(first)).toEqual([1]);
    await frames.return(undefined);
  });
});

describe('a claim whose reply was lost', () => {
  it('is asked again, and its events are handed out once', async () => {
    let lost = 1;
    const claim: BusStore['claim'] = async (...args) => {
      const answer = await store.claim(...args);
      if (lost-- > 0) throw new Fault('EFFECT_UNKNOWN', 'lost');
      return answer;
    };
    const { frames } = open({}, { claim });
    expect(seqsOf(await frames.next())).toEqual([1, 2]);
    expect(seqsOf(await frames.next())).toEqual([3, 4]);
    expect((await frames.next()).done).toBe(true);
  });

  it('leaves nothing leased when it stays lost', async () => {
    const claim: BusStore['claim'] = async (...args) => {
      await store.claim(...args);
      throw new Fault('EFFECT_UNKNOWN', 'lost');
    };
    const { frames } = open({ follow: true }, { claim });
    await expect(frames.next()).rejects.toMatchObject({ reason: 'EFFECT_UNKNOWN' });
    expect((await groupFacts(store, stream.number, GROUP)).leased).toBe(0);
  });
});

describe('the store', () => {
  it('is asked for no more than the transport wants', async () => {
    let claims = 0;
    const claim: BusStore['claim'] = (...args) => {
      claims += 1;
      return store.claim(...args);
    };
    const { frames } = open({ follow: true }, { claim });
    await frames.next();
    await store.write(
      stream.number,
      newEvents(2),
      { requestId: '', requestHash: '', expectedSeq: undefined },
      never,
    );
    expect(claims).toBe(1);
    await frames.return(undefined);
  });
});
