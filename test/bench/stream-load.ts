/** As many frames on a stream of both directions as it takes, as bytes. Loopback only, ended by time. */
import type * as grpc from '@grpc/grpc-js';
import { connect } from './channel.js';
import type { Target } from './load.js';

/** Frames under way on each stream. */
const WINDOW_FRAMES = 8;

const same = (bytes: Buffer): Buffer => bytes;

/** One stream on each connection; how many frames were answered in a second. */
export async function streamLoad(target: Target, connections: number, seconds: number): Promise<number> {
  const clients = Array.from({ length: connections }, () => connect(target.address));
  const startMs = performance.now();
  const frames = await Promise.all(
    clients.map((client) => framesOf(client, target, startMs + seconds * 1_000)),
  );
  const perSecond = (frames.reduce((sum, count) => sum + count) * 1_000) / (performance.now() - startMs);
  for (const client of clients) client.close();
  return perSecond;
}

function framesOf(client: grpc.Client, { path, next }: Target, endMs: number): Promise<number> {
  let frames = 0;
  return new Promise((resolve, reject) => {
    const call = client.makeBidiStreamRequest(path, same, same);
    call.on('data', () => {
      frames++;
      if (performance.now() < endMs) call.write(next());
      else call.end();
    });
    call.on('end', () => resolve(frames)).on('error', reject);
    for (let i = 0; i < WINDOW_FRAMES; i++) call.write(next());
  });
}
