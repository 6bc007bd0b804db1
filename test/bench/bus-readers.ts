/**
 * What readers cost that do nothing: the memory of the server for those that do not read, and connections
 * and processor time for those that wait.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnreadCall } from '../support/unread-call.js';
import { PATH, processRequest, subscribeRequest } from './bus-requests.js';
import { busOf, fill, withStreams } from './bus-streams.js';
import { connect, openStream } from './channel.js';
import { isShort, report } from './report.js';
import { cpuSeconds, memoryBytes, type Store, wakeUps } from './servers.js';

/** So many that what the server has to spare, which hides part of their cost, is little for each. */
const STALLED_STREAMS = 4;
const STALLED_ON_EACH = 50;
const BODY_BYTES = 2_048;
/** Of each stream: twice what a reader may cost, so that one that is not held back shows. */
const STREAM_EVENTS = 8_000;
/** As much as a worker may ask for. */
const CREDIT = { messages: 100_000, bytes: 2 ** 30 };
const MIB = 2 ** 20;

const WAITING = 2_000;
const STREAMS = 500;
const CONNECTIONS = 20;
/** Of one process: for commands, for wake-ups, and a few to spare. */
const MOST_CONNECTIONS = 8;
const MOST_WAKE_UPS_PER_SECOND = 60;

/** Each worker has a group of its own, so that there is plenty for all of them. */
export async function stalledReaders(store: Store): Promise<void> {
  const [worker, subscriber] = await withStreams(store, STALLED_STREAMS, async (streams) => {
    for (const stream of streams) await fill(store, stream, STREAM_EVENTS, BODY_BYTES);
    const groups = await Promise.all(streams.map((stream) => givenGroups(store, stream)));
    const workers = groups.flat().map((place) => processRequest({ ...place, credit: CREDIT }));
    const subscribers = groups.flat().map(({ stream }) => subscribeRequest(stream));
    return [await costOf(store, PATH.process, workers), await costOf(store, PATH.subscribe, subscribers)];
  });
  const most = Math.max(worker ?? Number.NaN, subscriber ?? Number.NaN);
  report({
    work: `A reader that does not read costs the server on ${store.label}: ProcessEvents, Subscribe`,
    figure: `${(worker ?? Number.NaN).toFixed(1)} MB, ${(subscriber ?? Number.NaN).toFixed(1)} MB`,
    gate: '8 MB',
    goal: '2 MB',
    holds: most <= 8,
    isRatio: false,
  });
}

async function givenGroups(store: Store, stream: string): Promise<{ stream: string; group: string }[]> {
  const places = Array.from({ length: STALLED_ON_EACH }, (_, i) => ({ stream, group: `g-${i}` }));
  await Promise.all(places.map((place) => busOf(store).createGroup(place)));
  return places;
}

/** The most memory that the server took for each of these calls while nobody read, in MiB. */
async function costOf(store: Store, path: string, requests: readonly Buffer[]): Promise<number> {
  const pid = store.pids.server as number;
  await sleep(1_000);
  const before = memoryBytes(pid);
  const calls = requests.map((request) => new UnreadCall(store.address, path, request));
  let most = before;
  const endMs = performance.now() + 4_000;
  while (performance.now() < endMs) {
    await sleep(50);
    most = Math.max(most, memoryBytes(pid));
  }
  for (const call of calls) call.close();
  return (most - before) / MIB / requests.length;
}

export async function idleStreams(store: Store): Promise<void> {
  await withStreams(store, STREAMS, async (streams) => {
    const clients = Array.from({ length: CONNECTIONS }, () => connect(store.address));
    const calls = Array.from({ length: WAITING }, (_, i) => {
      const request = processRequest({ stream: streams[i % STREAMS] as string });
      return openStream(clients[i % CONNECTIONS] as never, PATH.process, request).resume();
    });
    // What opening them took has settled by then.
    await sleep(6_000);
    const seconds = isShort ? 5 : 20;
    const pid = store.pids.server as number;
    const before = { usedSeconds: cpuSeconds(pid), wakeUps: wakeUps(pid) };
    await sleep(seconds * 1_000);
    const share = (cpuSeconds(pid) - before.usedSeconds) / seconds;
    const wakeUpsPerSecond = (wakeUps(pid) - before.wakeUps) / seconds;
    const connections = await store.connections?.();
    for (const call of calls) call.cancel();
    for (const client of clients) client.close();
    reportIdle(store, { share, wakeUpsPerSecond, connections });
  });
}

interface Idle {
  /** Of a core. */
  readonly share: number;
  readonly wakeUpsPerSecond: number;
  readonly connections: number | undefined;
}

function reportIdle({ label }: Store, { share, wakeUpsPerSecond, connections }: Idle): void {
  const waiting = `${WAITING.toLocaleString('en')} open ProcessEvents on ${STREAMS} streams`;
  if (connections !== undefined)
    report({
      work: `${waiting}: connections of the server to ${label}`,
      figure: String(connections),
      gate: String(MOST_CONNECTIONS),
      goal: '',
      holds: connections <= MOST_CONNECTIONS,
      isRatio: true,
    });
  report({
    work: `${waiting} on ${label}: processor time of the idle server`,
    figure: `${(share * 100).toFixed(1)} % of a core`,
    gate: '1 %',
    goal: '',
    holds: share < 0.01,
    isRatio: false,
  });
  // What a machine makes of a wake-up differs; a timer that turns for every stream shows in their number.
  report({
    work: `${waiting} on ${label}: wake-ups of the idle server`,
    figure: `${Math.round(wakeUpsPerSecond)} a second`,
    gate: String(MOST_WAKE_UPS_PER_SECOND),
    goal: '',
    holds: wakeUpsPerSecond <= MOST_WAKE_UPS_PER_SECOND,
    isRatio: true,
  });
}
