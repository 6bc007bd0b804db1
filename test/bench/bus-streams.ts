/** The streams that figures of the bus are measured on: made for a figure, filled, deleted after it. */
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { batches, PATH } from './bus-requests.js';
import { connect } from './channel.js';
import { isShort } from './report.js';
import { type Measurable, quiet } from './servers.js';

export type Bus = Client<typeof BusService>;

export function busOf({ address }: Measurable): Bus {
  return createClient(BusService, createGrpcTransport({ baseUrl: `http://${address}` }));
}

let streams = 0;

/**
 * Runs `work` with streams of its own. They are deleted after it and not between its turns: what they hold is
 * swept in the background, which would slow down what is measured then, and so that is waited for as well.
 */
export async function withStreams<T>(
  server: Measurable,
  count: number,
  work: (streams: readonly string[]) => Promise<T>,
): Promise<T> {
  const bus = busOf(server);
  const names = Array.from({ length: count }, () => `orders-${String(streams++).padStart(4, '0')}`);
  await Promise.all(names.map((name) => bus.createStream({ name })));
  try {
    return await work(names);
  } finally {
    await Promise.all(names.map((name) => bus.deleteStream({ name })));
    // The short turns of CI tell no more than a multiple apart.
    if (!isShort) await quiet(server);
  }
}

/** Runs `work` with one stream of its own. */
export function withStream<T>(server: Measurable, work: (stream: string) => Promise<T>): Promise<T> {
  return withStreams(server, 1, ([stream = '']) => work(stream));
}

/** Events of one write: as many as it may be. */
const BATCH_EVENTS = 1_000;

/** Writes this many events, a thousand at a time. */
export async function fill(
  { address }: Measurable,
  stream: string,
  events: number,
  bodyBytes?: number,
): Promise<void> {
  const client = connect(address);
  const next = batches(stream, BATCH_EVENTS, bodyBytes);
  const same = (bytes: Buffer): Buffer => bytes;
  const write = () =>
    new Promise<void>((resolve, reject) => {
      const done = (error: Error | null) => (error ? reject(error) : resolve());
      client.makeUnaryRequest(PATH.writeMany, same, same, next(), done);
    });
  let left = events / BATCH_EVENTS;
  const caller = async () => {
    for (; left > 0; left -= 1) await write();
  };
  await Promise.all([caller(), caller()]);
  client.close();
}
