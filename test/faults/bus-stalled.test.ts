/**
 * Readers that stop reading: they cost the server a bounded amount of memory and hold no more events than
 * that, everybody else goes on, and when they read again they have missed nothing.
 */
import { readFileSync } from 'node:fs';
import { create, type DescMethod, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import {
  BusService,
  ProcessEventsResponseSchema,
  SubscribeResponseSchema,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { ServerProcess } from '../support/server-process.js';
import { UnreadCall } from '../support/unread-call.js';
import { eventually } from '../support/waiting.js';
import { type Bus, busAt } from './bus-load.js';

const { processEvents, subscribe } = BusService.method;
/** Of each kind. */
const READERS = 4;
const BODY_BYTES = 8_192;
const EVENTS = 3_000;
const BATCH_EVENTS = 300;
const STREAM = 'orders';
/** What one reader may cost at most, and what a server takes by itself when it has much to do. */
const READER_BYTES = 8 * 2 ** 20;
const SERVER_BYTES = 48 * 2 ** 20;

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** Memory of its own, without pages of files. */
function memoryBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}

async function fill(bus: Bus): Promise<void> {
  await bus.createStream({ name: STREAM });
  const event = { type: 'order', body: { case: 'data' as const, value: Buffer.alloc(BODY_BYTES, 'x') } };
  const events = Array.from({ length: BATCH_EVENTS }, () => event);
  for (let i = 0; i < EVENTS / BATCH_EVENTS; i++) await bus.writeEvents({ stream: STREAM, events });
}

function unread<M extends DescMethod>(
  { grpcAddress }: ServerProcess,
  method: M,
  request: MessageInitShape<M['input']>,
): UnreadCall {
  const path = `/${method.parent.typeName}/${method.name}`;
  const call = new UnreadCall(grpcAddress, path, toBinary(method.input, create(method.input, request)));
  opened.push(() => call.close());
  return call;
}

/** Takes everything there is, for a group that has all of it before it. */
async function workOff(bus: Bus): Promise<number> {
  let count = 0;
  for await (const { events } of bus.processEvents({ stream: STREAM, follow: true })) {
    const marks = events.map(({ event, leaseToken }) => {
      return { eventId: event?.eventId ?? '', leaseToken, status: EventStatus.PROCESSED };
    });
    await bus.markEvents({ marks });
    count += events.length;
    if (count >= EVENTS) break;
  }
  return count;
}

/** Reads until the last event; the sequences that came. */
async function readAll(
  call: UnreadCall | undefined,
  seqsOf: (message: Buffer) => (bigint | undefined)[],
): Promise<number[]> {
  const seqs: number[] = [];
  for await (const message of call?.messages() ?? []) {
    seqs.push(...seqsOf(message).map(Number));
    if (seqs.length >= EVENTS) break;
  }
  return seqs;
}

const stores: [string, string | undefined][] = [
  ['the embedded store', ''],
  ['Redis', engineUrl('redis')],
];

describe.skipIf(process.platform !== 'linux').each(stores)('readers on %s that stop reading', (_, url) => {
  if (url === undefined) return it.skip('needs Redis', () => {});
  const flags = () => (url === '' ? [] : ['--redis', url, '--namespace', randomNamespace()]);

  it('cost little, hold little, are in nobody’s way and miss nothing', { timeout: 60_000 }, async () => {
    const server = await ServerProcess.start({ flags: flags() });
    opened.push(() => server.dispose());
    const bus = busAt(server.grpcAddress);
    await fill(bus);
    const groups = Array.from({ length: READERS }, (_, i) => `g-${i}`);
    // So long that nothing is handed out for a second time meanwhile.
    const settings = { ackDeadline: { seconds: 600n } };
    for (const group of groups) await bus.createGroup({ stream: STREAM, group, settings });
    const before = memoryBytes(server.pid);
    const credit = { maxOutstandingMessages: 100_000, maxOutstandingBytes: 2n ** 30n };
    const workers = groups.map((group) =>
      unread(server, processEvents, { stream: STREAM, group, follow: true, ...credit }),
    );
    const from = { position: { case: 'beginning' as const, value: {} } };
    const subscribers = groups.map(() => unread(server, subscribe, { stream: STREAM, from }));

    /** Bytes of events in the hands of each worker. */
    const held = async () => {
      const info = await bus.getStreamInfo({ stream: STREAM });
      return info.groups
        .filter(({ group }) => groups.includes(group?.name ?? ''))
        .map(({ leased }) => Number(leased) * BODY_BYTES);
    };
    await eventually(async () => (await held()).every((bytes) => bytes > 0), 'each worker has begun');
    expect(await workOff(bus)).toBe(EVENTS);
    expect(Math.max(...(await held()))).toBeLessThan(READER_BYTES);
    expect(memoryBytes(server.pid) - before).toBeLessThan(2 * READERS * READER_BYTES + SERVER_BYTES);

    const all = Array.from({ length: EVENTS }, (_, i) => i + 1);
    const worked = (message: Buffer) =>
      fromBinary(ProcessEventsResponseSchema, message).events.map(({ event }) => event?.seq);
    expect(await readAll(workers[0], worked)).toEqual(all);
    const told = (message: Buffer) =>
      fromBinary(SubscribeResponseSchema, message).events.map(({ seq }) => seq);
    expect(await readAll(subscribers[0], told)).toEqual(all);
  });
});
