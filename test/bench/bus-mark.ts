/** What a mark costs in a long stream, of what it costs in a short one: event by event in turns. */
import { EventStatus, type LeasedEvent } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { busOf, fill, withStreams } from './bus-streams.js';
import { isShort, median, report } from './report.js';
import type { Store } from './servers.js';

const LONG = isShort ? 100_000 : 1_000_000;
const SHORT = 1_000;
const GROUP = 'workers';

export async function markCost(store: Store): Promise<void> {
  const bus = busOf(store);
  const [longMs, shortMs] = await withStreams(store, 2, async ([long = '', short = '']) => {
    await fill(store, long, LONG);
    await fill(store, short, SHORT);
    const leased = [await claimLast(store, long), await claimLast(store, short)];
    const timesMs: number[][] = [[], []];
    for (let i = 0; i < SHORT; i++)
      for (const [which, events] of leased.entries()) {
        const { event, leaseToken } = events[i] as LeasedEvent;
        const startMs = performance.now();
        const eventId = event?.eventId ?? '';
        await bus.markEvent({ eventId, leaseToken, status: EventStatus.PROCESSED });
        timesMs[which]?.push(performance.now() - startMs);
      }
    return timesMs.map(median);
  });
  const ratio = (longMs ?? Number.NaN) / (shortMs ?? Number.NaN);
  report({
    work: `A mark in a stream of ${LONG.toLocaleString('en')}, of one in a stream of 1,000, on ${store.label}`,
    figure: `${ratio.toFixed(2)} x`,
    gate: '1.2 x',
    goal: '1.0 x',
    holds: ratio <= 1.2,
    isRatio: true,
  });
}

/** The last thousand events of a stream, in a worker's hands. */
async function claimLast(store: Store, stream: string): Promise<LeasedEvent[]> {
  const bus = busOf(store);
  const { lastSeq } = await bus.getStreamInfo({ stream });
  const start = { position: { case: 'seq' as const, value: lastSeq - BigInt(SHORT) + 1n } };
  // Long enough for all marks, one after the other, also on a slow machine.
  const settings = { ackDeadline: { seconds: 600n } };
  await bus.createGroup({ stream, group: GROUP, settings, start });
  const events: LeasedEvent[] = [];
  for await (const frame of bus.processEvents({ stream, group: GROUP })) events.push(...frame.events);
  if (events.length !== SHORT) throw new Error(`${events.length} events were handed out`);
  return events;
}
