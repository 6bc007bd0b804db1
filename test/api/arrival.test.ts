/** How long a request may take to arrive, over real HTTP/2 connections. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { watchArrival } from '../../src/server/arrival.js';
import type { Rpc } from '../../src/server/rpc.js';
import { TimerWheel } from '../../src/server/timer-wheel.js';
import { eventually } from '../support/waiting.js';

let server: Http2Server;
let client: ClientHttp2Session;
let wheel: TimerWheel;
let overdue: number;
let timeoutMs: number;

beforeEach(async () => {
  wheel = new TimerWheel();
  overdue = 0;
  timeoutMs = 60_000;
  server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    const rpc = { method: { methodKind: 'server_streaming' }, pipeline: { wheel } } as unknown as Rpc;
    watchArrival(rpc, stream, timeoutMs, () => {
      overdue += 1;
    });
    stream.on('error', () => {});
    stream.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterEach(() => {
  client.destroy();
  server.close();
  wheel.close();
});

/** A request of which so much has been sent, and which goes on. */
function begun(bytes: string) {
  const request = client.request({ ':method': 'POST' }, { endStream: false });
  request.on('error', () => {});
  request.write(bytes);
  return request;
}

describe('a request of one message', () => {
  it('that does not arrive is told about, once', async () => {
    timeoutMs = 100;
    begun('half');
    await eventually(() => overdue === 1, 'it is overdue');
    expect([wheel.size, overdue]).toEqual([0, 1]);
  });

  it('is not watched any more once it is there, however long its answers take', async () => {
    const request = begun('half');
    await eventually(() => wheel.size === 1, 'it is watched');
    request.end('whole');
    await eventually(() => wheel.size === 0, 'it is not watched any more');
    expect([request.closed, overdue]).toEqual([false, 0]);
  });

  it('is not watched any more once its caller has gone', async () => {
    const request = begun('half');
    await eventually(() => wheel.size === 1, 'it is watched');
    request.close();
    await eventually(() => wheel.size === 0, 'it is not watched any more');
    expect(overdue).toBe(0);
  });
});
