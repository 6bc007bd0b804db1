/** The client that times are measured with: it shall tell what a server says, and nothing better. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FIRST_WINDOW_BYTES, FRAME, FrameReader, frame, LAST, PREFACE } from './http2-frames.js';
import { LeanClient } from './lean-client.js';

const same = (bytes: Buffer): Buffer => bytes;
const ECHO = '/test.Echo/Echo';
const REFUSE = '/test.Echo/Refuse';
const STREAM = '/test.Echo/Stream';
/** Far fewer than are made at once below; more than its limit and a hundred, and Node's server cuts a client off. */
const MOST_CALLS = 5;
/** Over what one frame of HTTP/2 holds. */
const LONG_BYTES = 100_000;
/** Smaller than a frame may be, and together far more than a server takes unasked. */
const REQUEST_BYTES = 10_000;
const REQUESTS = 10 * Math.ceil(FIRST_WINDOW_BYTES / REQUEST_BYTES);
const CALLS = 1_000;

let server: grpc.Server;
let client: LeanClient;
let address: string;

beforeAll(async () => {
  server = new grpc.Server({ 'grpc.max_concurrent_streams': MOST_CALLS });
  const echo = (call: { request: Buffer }, answer: grpc.sendUnaryData<Buffer>) => answer(null, call.request);
  const refuse = (_call: unknown, answer: grpc.sendUnaryData<Buffer>) =>
    answer({ code: grpc.status.ABORTED, details: 'no' });
  const stream = (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    call.write(Buffer.from('first'));
    call.write(Buffer.alloc(0));
    call.write(Buffer.alloc(LONG_BYTES, 'x'));
  };
  server.register(ECHO, echo as never, same, same, 'unary');
  server.register(REFUSE, refuse as never, same, same, 'unary');
  server.register(STREAM, stream as never, same, same, 'serverStream');
  const insecure = grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', insecure, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  address = `127.0.0.1:${port}`;
  client = new LeanClient(address);
});

afterAll(() => {
  client.close();
  server.forceShutdown();
});

const ask = (path: string, request: Buffer, by = client) =>
  new Promise<Error | undefined>((resolve) => by.unary(path, request, resolve));

async function clientOf(listener: Server): Promise<LeanClient> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return new LeanClient(`127.0.0.1:${(listener.address() as AddressInfo).port}`);
}

describe('the client that times are measured with', () => {
  it('tells a call that went well from one that did not', async () => {
    expect(await ask(ECHO, Buffer.from('x'))).toBeUndefined();
    expect(await ask(REFUSE, Buffer.from('x'))).toBeInstanceOf(Error);
    expect(await ask('/test.Echo/Unknown', Buffer.from('x'))).toBeInstanceOf(Error);
    expect(await ask(ECHO, Buffer.from('y'))).toBeUndefined();
  });

  it('waits with what the server does not take yet, and sends all of it', async () => {
    const calls = Array.from({ length: CALLS }, () => ask(ECHO, Buffer.alloc(REQUEST_BYTES)));
    expect(await Promise.all(calls)).toEqual(calls.map(() => undefined));
  });

  it('sends a server no more than it has said that it takes', async () => {
    let bytes = 0;
    const silent = createServer((socket) => {
      const reader = new FrameReader();
      let skipped = 0;
      socket.write(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          const preface = Math.min(chunk.length, PREFACE.length - skipped);
          skipped += preface;
          for (const { type, payload } of reader.read(chunk.subarray(preface))) {
            if (type === FRAME.data) bytes += payload.length;
            // By its answer to a ping, all that it sends unasked has come.
            else if (type === FRAME.ping) socket.destroy();
          }
        });
    });
    const victim = await clientOf(silent);
    await Promise.all(Array.from({ length: REQUESTS }, () => ask(ECHO, Buffer.alloc(REQUEST_BYTES), victim)));
    expect(bytes).toBeGreaterThan(FIRST_WINDOW_BYTES / 2);
    expect(bytes).toBeLessThanOrEqual(FIRST_WINDOW_BYTES);
    silent.close();
  });

  it('puts messages together from the frames they came in, until it is told to end', async () => {
    const answers: number[] = [];
    await new Promise<void>((resolve) => {
      const end = client.serverStream(STREAM, Buffer.alloc(0), ({ length }) => {
        answers.push(length);
        if (answers.length < 3) return;
        end();
        resolve();
      });
    });
    expect(answers).toEqual([5, 0, LONG_BYTES]);
    expect(await ask(ECHO, Buffer.from('x'))).toBeUndefined();
  });

  it('refuses a server that is not on this machine', () => {
    expect(() => new LeanClient('192.0.2.1:7398')).toThrow('this machine only');
  });

  it.each([
    ['goes away', (socket: Socket) => socket.destroy()],
    ['resets the call', (socket: Socket) => socket.write(frame(FRAME.reset, 0, 1, Buffer.alloc(4)))],
    [
      'answers without a status',
      (socket: Socket) => socket.write(frame(FRAME.data, LAST, 1, Buffer.alloc(5))),
    ],
    ['wants no more calls', (socket: Socket) => socket.write(frame(FRAME.goAway, 0, 0, Buffer.alloc(8)))],
  ])('fails the calls of a server that %s', async (_what, behave) => {
    const rude: Server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => behave(socket));
    });
    const victim = await clientOf(rude);
    expect(await ask(ECHO, Buffer.from('x'), victim)).toBeInstanceOf(Error);
    victim.close();
    rude.close();
  });
});
