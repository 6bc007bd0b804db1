/**
 * A reply of Redis that is lost between execution and answer, for every rpc of the bus that changes
 * something: the caller learns that the effect is unknown, and the same call again has one effect in all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventStatus, type LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { MarkAnswer_Result } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { loadBusScript } from '../../src/stores/redis/bus-scripts.js';
import { engineUrl } from '../support/backends.js';
import { FlakyProxy } from '../support/flaky-proxy.js';
import { RedisServer } from '../support/redis-server.js';
import { ServerProcess } from '../support/server-process.js';
import { again, type Bus, busAt, reasonOf } from './bus-load.js';

const GROUP = 'workers';
const OUTAGE_MS = 400;
const { PROCESSED, RETRY } = EventStatus;

describe.skipIf(!engineUrl('redis'))('a reply of Redis that is lost after execution', () => {
  let redis: RedisServer;
  let proxy: FlakyProxy;
  let server: ServerProcess;
  let bus: Bus;
  beforeAll(async () => {
    redis = await RedisServer.start();
    proxy = await FlakyProxy.start({ port: redis.port });
    server = await ServerProcess.start({ flags: ['--redis', `redis://127.0.0.1:${proxy.port}`] });
    bus = busAt(server.grpcAddress);
    await useEverything();
  });
  afterAll(async () => {
    await server?.dispose();
    await proxy?.stop();
    await redis?.stop();
  });

  /** Every script once: a "no such script" that is lost would prove nothing. */
  async function useEverything(): Promise<void> {
    const stream = await givenStream('warm');
    await bus.updateStream({ name: stream, settings: { maxEvents: 1_000n } });
    const [first] = await givenLeased(stream, 2, { maxAttempts: 1 });
    const eventId = first?.event?.eventId ?? '';
    await bus.extendLeases({ leases: [{ eventId, leaseToken: first?.leaseToken }] });
    await bus.markEvent({ eventId, group: GROUP, status: RETRY });
    await bus.replayDeadLetters({ stream, group: GROUP });
    await bus.purgeDeadLetters({ stream, group: GROUP });
    await bus.updateGroup({ stream, group: GROUP, settings: { maxAttempts: 7 } });
    await bus.seekGroup({ stream, group: GROUP, to: { position: { case: 'beginning', value: {} } } });
    await bus.deleteGroup({ stream, group: GROUP });
    await bus.deleteStream({ name: stream });
  }

  async function givenStream(name: string): Promise<string> {
    await again(() => bus.createStream({ name, requestId: name }));
    return name;
  }

  /** Events in the hands of a worker. */
  async function givenLeased(stream: string, count: number, settings = {}): Promise<LeasedEvent[]> {
    const ackDeadline = { seconds: 60n };
    await bus.createGroup({ stream, group: GROUP, settings: { ackDeadline, ...settings } });
    await bus.writeEvents({ stream, events: Array.from({ length: count }, () => ({ type: 'order' })) });
    return take(stream);
  }

  async function take(stream: string): Promise<LeasedEvent[]> {
    const taken: LeasedEvent[] = [];
    for await (const { events } of bus.processEvents({ stream, group: GROUP })) taken.push(...events);
    return taken;
  }

  async function givenDead(stream: string): Promise<void> {
    const leased = await givenLeased(stream, 3, { maxAttempts: 1 });
    await bus.markEvents({ marks: leased.map((each) => markOf(each, RETRY)) });
  }

  function markOf({ event, leaseToken }: LeasedEvent, status: EventStatus) {
    return { eventId: event?.eventId ?? '', leaseToken, status };
  }

  async function groupInfo(stream: string) {
    const { groups } = await bus.getStreamInfo({ stream });
    return groups.find(({ group }) => group?.name === GROUP);
  }

  async function lastSeq(stream: string): Promise<bigint> {
    return (await bus.getStreamInfo({ stream })).lastSeq;
  }

  /** The reply of the next run of a script is thrown away. */
  function losing(script: string): Promise<void> {
    const { sha } = loadBusScript(script);
    return proxy.dropNextReply((bytes) => bytes.includes(sha));
  }

  /** Redis cannot be reached for a while, so that what is done about a loss has to be done again. */
  async function outage(): Promise<void> {
    proxy.mode = 'refuse';
    await sleep(OUTAGE_MS);
    proxy.mode = 'pass';
  }

  /** What the call answers when it is made again; the first time its reply is lost. */
  async function lostThenRepeated<T>(script: string, call: () => Promise<T>): Promise<T> {
    const lost = losing(script);
    const reason = await call().then(() => 'it was answered', reasonOf);
    expect(reason).toBe('EFFECT_UNKNOWN');
    await lost;
    return again(call);
  }

  it('of CreateStream: again with its request id it is the stream that was made', async () => {
    const request = { name: 'created', requestId: 'r' };
    const { stream } = await lostThenRepeated('bus_create-3', () => bus.createStream(request));
    expect(stream).toEqual((await bus.getStream({ name: 'created' })).stream);
    expect((await bus.listStreams({})).streams.filter(({ name }) => name === 'created')).toHaveLength(1);
  });

  it('of UpdateStream: with the revision expected it is seen to have been done', async () => {
    const name = await givenStream('updated');
    const request = { name, settings: { maxEvents: 9n }, expectedRevision: 1n };
    const repeated = lostThenRepeated('bus_update-1', () => bus.updateStream(request));
    await expect(repeated.catch(reasonOf)).resolves.toBe('REVISION_MISMATCH');
    const { stream } = await bus.getStream({ name });
    expect(stream).toMatchObject({ revision: 2n, settings: { maxEvents: 9n } });
  });

  it('of DeleteStream: again it does not exist, and its name is free', async () => {
    const name = await givenStream('deleted');
    const { uid } = (await bus.getStream({ name })).stream ?? {};
    await lostThenRepeated('bus_delete-2', () => bus.deleteStream({ name, uid }));
    expect((await bus.createStream({ name })).stream?.uid).not.toBe(uid);
  });

  it('of WriteEvent: again with its dedupe id it is the first event', async () => {
    const stream = await givenStream('written');
    const request = { stream, event: { type: 'order', dedupeId: 'd' } };
    const { event } = await lostThenRepeated('bus_write-5', () => bus.writeEvent(request));
    expect(event).toMatchObject({ seq: 1n, duplicate: true });
    expect(await lastSeq(stream)).toBe(1n);
  });

  it('of WriteEvents: again with its request id it is the first answer', async () => {
    const stream = await givenStream('written-many');
    const events = Array.from({ length: 50 }, () => ({ type: 'order' }));
    const request = { stream, events, requestId: 'r' };
    const answer = await lostThenRepeated('bus_write-5', () => bus.writeEvents(request));
    expect(answer.events.map(({ seq }) => Number(seq))).toEqual(events.map((_, i) => i + 1));
    expect(await lastSeq(stream)).toBe(50n);
  });

  it('of a claim: its stream hands out the same events, once, as their first attempt', async () => {
    const stream = await givenStream('claimed');
    await bus.createGroup({ stream, group: GROUP });
    await bus.writeEvents({ stream, events: Array.from({ length: 3 }, () => ({ type: 'order' })) });
    const lost = losing('bus_claim-17').then(outage);
    const taken = await again(() => take(stream));
    await lost;
    expect(taken.map(({ event, attempt }) => [Number(event?.seq), attempt])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
    expect(await groupInfo(stream)).toMatchObject({ leased: 3n, unprocessed: 0n });
    const { answers } = await bus.markEvents({ marks: taken.map((each) => markOf(each, PROCESSED)) });
    expect(answers.map(({ result }) => result)).toEqual(answers.map(() => MarkAnswer_Result.OK));
  });

  it('of a claim of RetryEvents: likewise', async () => {
    const stream = await givenStream('retried');
    const leased = await givenLeased(stream, 3);
    await bus.markEvents({ marks: leased.map((each) => markOf(each, RETRY)) });
    const lost = losing('bus_claim-17').then(outage);
    const attempts = await again(async () => {
      const taken: number[] = [];
      for await (const { events } of bus.retryEvents({ stream, group: GROUP }))
        taken.push(...events.map(({ attempt }) => attempt));
      return taken;
    });
    await lost;
    expect(attempts).toEqual([2, 2, 2]);
    expect(await groupInfo(stream)).toMatchObject({ leased: 3n, retrying: 0n });
  });

  it('of MarkEvent: again its lease has ended, and the event is processed', async () => {
    const stream = await givenStream('marked');
    const [leased] = await givenLeased(stream, 1);
    const request = markOf(leased as LeasedEvent, PROCESSED);
    const repeated = lostThenRepeated('bus_settle-17', () => bus.markEvent(request));
    await expect(repeated.catch(reasonOf)).resolves.toBe('LEASE_STALE');
    expect(await groupInfo(stream)).toMatchObject({ leased: 0n, unprocessed: 0n, retrying: 0n });
    await bus.markEvent({ ...request, leaseToken: '', group: GROUP });
  });

  it('of MarkEvents without tokens: again it is OK, and the events come once more', async () => {
    const stream = await givenStream('marked-many');
    const leased = await givenLeased(stream, 3);
    const retryDelay = { nanos: 0 };
    const marks = leased.map((each) => ({
      ...markOf(each, RETRY),
      leaseToken: '',
      group: GROUP,
      retryDelay,
    }));
    // The error of its one step is that of each item.
    const lost = losing('bus_settle-17');
    const { answers } = await bus.markEvents({ marks });
    await lost;
    expect(answers.map(({ error }) => error?.code)).toEqual([14, 14, 14]);
    const isDone = async () => {
      const again = await bus.markEvents({ marks });
      return again.answers.every(({ result }) => result === MarkAnswer_Result.OK);
    };
    await expect.poll(isDone).toBe(true);
    expect((await take(stream)).map(({ attempt }) => attempt)).toEqual([2, 2, 2]);
    expect(await take(stream)).toEqual([]);
  });

  it('of ExtendLeases: again it is OK, with the same token', async () => {
    const stream = await givenStream('extended');
    const [leased] = (await givenLeased(stream, 1)) as [LeasedEvent];
    const { eventId, leaseToken } = markOf(leased, PROCESSED);
    const request = { leases: [{ eventId, leaseToken }], ackDeadline: { seconds: 600n } };
    const lost = losing('bus_extend-17');
    await bus.extendLeases(request);
    await lost;
    const isDone = async () => (await bus.extendLeases(request)).answers[0]?.result === MarkAnswer_Result.OK;
    await expect.poll(isDone).toBe(true);
    await bus.markEvent(markOf(leased, PROCESSED));
  });

  it('of CreateGroup: again with its request id it is the group that was made', async () => {
    const stream = await givenStream('group-created');
    const request = { stream, group: GROUP, requestId: 'r' };
    const { group } = await lostThenRepeated('bus_group_create-5', () => bus.createGroup(request));
    expect(group).toMatchObject({ name: GROUP, revision: 1n });
    expect((await bus.listGroups({ stream })).groups).toEqual([group]);
  });

  it('of UpdateGroup: with the revision expected it is seen to have been done', async () => {
    const stream = await givenStream('group-updated');
    await bus.createGroup({ stream, group: GROUP });
    const request = { stream, group: GROUP, settings: { maxAttempts: 9 }, expectedRevision: 1n };
    const repeated = lostThenRepeated('bus_group_update-5', () => bus.updateGroup(request));
    await expect(repeated.catch(reasonOf)).resolves.toBe('REVISION_MISMATCH');
    expect((await groupInfo(stream))?.group).toMatchObject({ revision: 2n, settings: { maxAttempts: 9 } });
  });

  it('of DeleteGroup: again it does not exist', async () => {
    const stream = await givenStream('group-deleted');
    await givenLeased(stream, 3);
    const request = { stream, group: GROUP };
    const { existed } = await lostThenRepeated('bus_group_delete-17', () => bus.deleteGroup(request));
    expect(existed).toBe(false);
    expect((await bus.listGroups({ stream })).groups).toEqual([]);
  });

  it('of SeekGroup: again it is at the same place, and hands out each event once', async () => {
    const stream = await givenStream('sought');
    await givenLeased(stream, 3);
    const to = { position: { case: 'seq' as const, value: 2n } };
    const { cursor } = await lostThenRepeated('bus_group_seek-17', () =>
      bus.seekGroup({ stream, group: GROUP, to }),
    );
    expect(cursor).toBe(2n);
    expect((await take(stream)).map(({ event }) => event?.seq)).toEqual([2n, 3n]);
  });

  it('of ReplayDeadLetters: again there is nothing to replay, and each comes once', async () => {
    const stream = await givenStream('replayed');
    await givenDead(stream);
    const answer = await lostThenRepeated('bus_dead-17', () =>
      bus.replayDeadLetters({ stream, group: GROUP }),
    );
    expect(answer).toMatchObject({ count: 0n, done: true });
    expect(await groupInfo(stream)).toMatchObject({ dead: 0n });
    expect((await take(stream)).map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
  });

  it('of PurgeDeadLetters: again there is nothing to purge', async () => {
    const stream = await givenStream('purged');
    await givenDead(stream);
    const answer = await lostThenRepeated('bus_dead-17', () =>
      bus.purgeDeadLetters({ stream, group: GROUP }),
    );
    expect(answer).toMatchObject({ count: 0n, done: true });
    expect(await groupInfo(stream)).toMatchObject({ dead: 0n, retrying: 0n, unprocessed: 0n });
  });
});
