/**
 * A worker of a group as a process of its own, for tests that kill or freeze it. It says on stdout what it
 * was handed and what became of its marks. Plain JavaScript, because nothing compiles it.
 *
 *   ADDRESS STREAM GROUP   takes what there is, holds it for a while, marks it PROCESSED with its token:
 *                          `got EVENT_ID ATTEMPT`, `EVENT_ID OK|STALE`. Does not wait for more, or it would
 *                          be handed the same again while it is frozen.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { EventStatus } from '../../dist/gen/switchgear/bus/v1/bus_pb.js';
import { BusService, MarkAnswer_Result } from '../../dist/gen/switchgear/bus/v1/bus_service_pb.js';

/** From the hand-out to the mark; a test freezes or kills it in between. */
const HOLD_MS = 300;

const [address, stream, group] = process.argv.slice(2);
const bus = createClient(BusService, createGrpcTransport({ baseUrl: `http://${address}` }));
const say = (line) => writeSync(1, `${line}\n`);

async function work(events) {
  for (const { event, attempt } of events) say(`got ${event.eventId} ${attempt}`);
  await sleep(HOLD_MS);
  const marks = events.map(({ event, leaseToken }) => ({
    eventId: event.eventId,
    leaseToken,
    status: EventStatus.PROCESSED,
  }));
  const { answers } = await bus.markEvents({ marks });
  const words = { [MarkAnswer_Result.OK]: 'OK', [MarkAnswer_Result.STALE]: 'STALE' };
  for (const [i, { result }] of answers.entries()) say(`${marks[i].eventId} ${words[result] ?? result}`);
}

for await (const { events } of bus.processEvents({ stream, group })) void work(events);
