/**
 * Workers that die or freeze with events in their hands: another gets the events once their deadline is
 * past, as a further attempt, and the marks of one that wakes up too late are STALE.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { EventStatus, type LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { Process } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';
import { type Bus, busAt } from './bus-load.js';

const WORKER = new URL('bus-worker.js', import.meta.url).pathname;
const EVENTS = 10;
const STREAM = 'orders';
const GROUP = 'workers';
/** The deadline of the group, what a lease gets on top until its frame is accepted, and some for slowness. */
const ACK_DEADLINE_MS = 1_000;
const EXPIRED_MS = 3 * ACK_DEADLINE_MS;

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A stream with ten events, all of them in the hands of a worker process. */
async function givenWorker(flags: readonly string[]): Promise<{ bus: Bus; worker: Process }> {
  const server = await ServerProcess.start({ flags });
  opened.push(() => server.dispose());
  const bus = busAt(server.grpcAddress);
  await bus.createStream({ name: STREAM });
  const settings = { ackDeadline: { seconds: 1n }, minBackoff: { nanos: 0 }, maxBackoff: { nanos: 0 } };
  await bus.createGroup({ stream: STREAM, group: GROUP, settings });
  await bus.writeEvents({
    stream: STREAM,
    events: Array.from({ length: EVENTS }, () => ({ type: 'order' })),
  });
  const worker = await Process.start(process.execPath, [WORKER, server.grpcAddress, STREAM, GROUP]);
  opened.push(() => worker.kill());
  await worker.outputWith((output) => output.split('got ').length > EVENTS || undefined);
  return { bus, worker };
}

/** What a worker of the test is handed until `count` events came or the time is up. */
async function take(bus: Bus, count: number, timeoutMs: number): Promise<LeasedEvent[]> {
  const taken: LeasedEvent[] = [];
  const leave = new AbortController();
  const timer = setTimeout(() => leave.abort(), timeoutMs);
  try {
    const request = { stream: STREAM, group: GROUP, follow: true };
    for await (const { events } of bus.processEvents(request, { signal: leave.signal })) {
      taken.push(...events);
      if (taken.length >= count) break;
    }
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return taken;
}

async function markAll(bus: Bus, events: readonly LeasedEvent[]): Promise<void> {
  for (const { event, leaseToken } of events)
    await bus.markEvent({ eventId: event?.eventId ?? '', leaseToken, status: EventStatus.PROCESSED });
}

const stores: [string, string | undefined][] = [
  ['the embedded store', ''],
  ['Redis', engineUrl('redis')],
];

describe.each(stores)('a worker on %s', (_, url) => {
  if (url === undefined) return it.skip('needs Redis', () => {});
  const flags = () => (url === '' ? [] : ['--redis', url, '--namespace', randomNamespace()]);

  it('that is killed loses its events to another, not before their deadline', async () => {
    const { bus, worker } = await givenWorker(flags());
    const killedMs = performance.now();
    await worker.kill();
    const taken = await take(bus, EVENTS, EXPIRED_MS);
    // Accepted before the kill, and at most as long before as it took to be killed.
    expect(performance.now() - killedMs).toBeGreaterThan(ACK_DEADLINE_MS / 2);
    expect(taken.map(({ attempt }) => attempt)).toEqual(taken.map(() => 2));
    expect(new Set(taken.map(({ event }) => event?.eventId)).size).toBe(EVENTS);
    await markAll(bus, taken);
    const { groups } = await bus.getStreamInfo({ stream: STREAM });
    expect(groups[0]).toMatchObject({ unprocessed: 0n, leased: 0n, retrying: 0n, dead: 0n });
  });

  it('that is frozen past its deadline is STALE when it wakes, and changes nothing', async () => {
    const { bus, worker } = await givenWorker(flags());
    worker.pause();
    const taken = await take(bus, EVENTS, EXPIRED_MS);
    expect(taken.map(({ attempt }) => attempt)).toEqual(taken.map(() => 2));
    expect(taken).toHaveLength(EVENTS);
    worker.resume();
    await worker.outputWith((output) => output.split(' STALE\n').length > EVENTS || undefined);
    expect(worker.output).not.toContain(' OK\n');
    // The marks that count are those of the new leases.
    await markAll(bus, taken);
    const { groups } = await bus.getStreamInfo({ stream: STREAM });
    expect(groups[0]).toMatchObject({ unprocessed: 0n, leased: 0n, retrying: 0n });
    expect(await take(bus, 1, 200)).toEqual([]);
  });
});
