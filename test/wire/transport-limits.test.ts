/** What the ports do with callers that do not behave, on raw sockets: memory and bystanders are spared. */
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import {
  FsmService,
  RenderConfigurationRequestSchema,
  RenderConfigurationResponseSchema,
  WatchTransitionsRequestSchema,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { ConnectionCounts } from '../../src/server/connection-counts.js';
import { GrpcClient } from '../support/grpc-client.js';
import { startTestServer, type TestServer, type TestServerOptions } from '../support/transports.js';
import { eventually } from '../support/waiting.js';

const MIB = 1024 * 1024;
const { method } = FsmService;
const PATH = '/switchgear.fsm.v1.FsmService/RenderConfiguration';

let server: TestServer;

async function start(options: TestServerOptions = {}): Promise<void> {
  server = await startTestServer({
    ...options,
    fsm: {
      renderConfiguration: async ({ name }) => create(RenderConfigurationResponseSchema, { mermaid: name }),
      ...options.fsm,
    },
  });
}

afterEach(() => server.stop());

function open(address: string): Socket {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => {});
  return socket;
}

/** Resolves when a connection is gone, by an end or by a reset. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Sends what is given and resolves to all that comes back, once the server has closed. */
async function exchange(address: string, text: string): Promise<string> {
  const socket = open(address);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  socket.write(text);
  await closing(socket);
  return received;
}

async function works(): Promise<void> {
  const client = new GrpcClient(server.grpcAddress);
  const request = create(RenderConfigurationRequestSchema, { name: 'works' });
  expect(await client.unary(method.renderConfiguration, request)).toMatchObject({ mermaid: 'works' });
  client.close();
  const response = await fetch(`${server.httpUrl}${PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"works"}',
  });
  expect(await response.json()).toEqual({ mermaid: 'works' });
}

describe('a connection', () => {
  it.each([
    ['says nothing', ''],
    ['says one letter', 'P'],
    ['begins the HTTP/2 preface and stops', 'PRI * HTTP/2.0\r\n'],
    ['begins an HTTP/1.1 request and stops', 'POST / HTTP/1.1\r\nHost: x\r\n'],
  ])('that %s is closed in time, on both ports', async (_, text) => {
    await start({ limits: { handshakeTimeoutMs: 200 } });
    await Promise.all([exchange(server.grpcAddress, text), exchange(server.httpAddress, text)]);
    await works();
  });

  it.each(['grpcAddress', 'httpAddress'] as const)(
    'beyond the cap per address is closed at once on %s',
    async (port) => {
      await start({ limits: { connectionsPerAddress: 3 } });
      const sockets = [open(server[port]), open(server[port]), open(server[port])];
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      const fourth = open(server[port]);
      await closing(fourth);
      for (const socket of sockets) expect(socket.destroyed).toBe(false);
      sockets[0]?.destroy();
      await eventually(async () => {
        const socket = open(server[port]);
        const isOpen = await Promise.race([
          closing(socket).then(() => false),
          new Promise<boolean>((resolve) => setTimeout(resolve, 100, true)),
        ]);
        return isOpen;
      }, 'the place of the one that left is free');
    },
  );

  it('beyond the cap in all is closed', async () => {
    await start({ limits: { connections: 2 } });
    const sockets = [open(server.grpcAddress), open(server.grpcAddress)];
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    await closing(open(server.grpcAddress));
  });

  it('that is idle too long, or too old, is told to go', async () => {
    await start({ limits: { keepaliveIntervalMs: 50, idleMs: 100 } });
    for (const url of [server.grpcUrl, server.httpUrl]) {
      const session = http2.connect(url);
      session.on('error', () => {});
      await once(session, 'goaway');
      session.destroy();
    }
    await server.stop();
    await start({ limits: { connectionAgeMs: 100, connectionAgeGraceMs: 100 } });
    const session = http2.connect(server.grpcUrl);
    await once(session, 'goaway');
  });

  it('over HTTP/1.1 that is too old says so with its next answer', async () => {
    await start({ limits: { connectionAgeMs: 300 } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = () =>
      new Promise<[string | undefined, number | undefined]>((resolve, reject) => {
        const request = get(`${server.httpUrl}/healthz`, { agent }, (response) => {
          const port = request.socket?.localPort;
          response.resume().once('end', () => resolve([response.headers.connection, port]));
        });
        request.once('error', reject);
      });
    const [first, port] = await call();
    expect([first, await call()]).toEqual(['keep-alive', ['keep-alive', port]]);
    await new Promise((done) => setTimeout(done, 400));
    expect(await call()).toEqual(['close', port]);
    const [again, another] = await call();
    expect([again, another === port]).toEqual(['keep-alive', false]);
    agent.destroy();
  });

  it('over HTTP/1.1 that is too old is closed after a grace, whatever is under way', async () => {
    await start({
      limits: { connectionAgeMs: 100, connectionAgeGraceMs: 200 },
      fsm: {
        watchTransitions: async function* (_, { signal }) {
          yield create(WatchTransitionsResponseSchema, { cursor: 'first' });
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        },
      },
    });
    const body = '\0\0\0\0\x19{"configurationName":"x"}';
    const headers = `host: x\r\ncontent-type: application/connect+json\r\ncontent-length: ${body.length}`;
    const path = '/switchgear.fsm.v1.FsmService/WatchTransitions';
    const startMs = performance.now();
    const text = await exchange(server.httpAddress, `POST ${path} HTTP/1.1\r\n${headers}\r\n\r\n${body}`);
    expect(text).toContain('first');
    expect(performance.now() - startMs).toBeGreaterThan(250);
  });

  it('that answers no ping is closed', async () => {
    await start({ limits: { keepaliveIntervalMs: 50, keepaliveTimeoutMs: 50 } });
    for (const address of [server.grpcAddress, server.httpAddress]) {
      const socket = open(address);
      // The preface and empty settings, and then nothing, not even an answer to a ping.
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      socket.resume();
      await closing(socket);
    }
  });
});

describe('the connections of an address', () => {
  it('count by IPv4 address, and by /64 of IPv6', () => {
    const counts = new ConnectionCounts(2);
    const takes = (...addresses: string[]) => addresses.map((address) => counts.take(address));
    expect(takes('10.0.0.1', '10.0.0.2', '::ffff:10.0.0.1', '10.0.0.1')).toEqual([true, true, true, false]);
    expect(takes('2001:db8::1', '2001:db8::ffff:0:0:2', '2001:db8:0:0:9::', '2001:db8:0:1::1')).toEqual([
      true,
      true,
      false,
      true,
    ]);
    counts.leave('2001:db8::1');
    expect(takes('2001:db8::77', '2001:db8::78')).toEqual([true, false]);
  });
});

describe('a request that makes no sense', () => {
  it.each([
    [
      'without a host',
      `POST ${PATH} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
    ],
    [
      'with a host that is none',
      `POST ${PATH} HTTP/1.1\r\nHost: [\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
    ],
    ['with headers beyond 8 KiB', `GET / HTTP/1.1\r\nHost: x\r\nfiller: ${'x'.repeat(9000)}\r\n\r\n`],
    [
      'with an absurd timeout',
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nconnection: close\r\nconnect-timeout-ms: soon\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"name":"x"}`,
    ],
  ])('%s is answered with a 4xx, and the process lives', async (_, text) => {
    await start();
    expect(await exchange(server.httpAddress, text)).toMatch(/^HTTP\/1\.1 4\d\d /);
    await works();
  });

  it('without an authority over HTTP/2 is answered, and the process lives', async () => {
    await start();
    const session = http2.connect(server.httpUrl);
    const stream = session.request({
      ':path': PATH,
      ':method': 'POST',
      ':authority': '[',
      'content-type': 'application/json',
    });
    stream.end('{}');
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(400);
    session.destroy();
    await works();
  });
});

describe('memory', () => {
  const grown = () => process.memoryUsage().rss;

  it('stays flat under compressed messages that unpack to a gibibyte', async () => {
    await start();
    const packed = gzipSync(Buffer.alloc(256 * MIB), { level: 9 });
    const frame = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), packed]);
    frame.writeUInt32BE(packed.length, 1);
    const before = grown();
    for (const url of [server.grpcUrl, server.httpUrl]) {
      const session = http2.connect(url);
      session.on('error', () => {});
      for (let i = 0; i < 4; i++)
        expect(await sendGrpc(session, frame)).toBe(String(grpc.status.RESOURCE_EXHAUSTED));
      session.destroy();
    }
    expect(grown() - before).toBeLessThan(64 * MIB);
    await works();
  });

  it('is spared by a stream whose reader stops: its handler is not asked for more', async () => {
    let sent = 0;
    const kibibyte = 'x'.repeat(1024);
    await start({
      fsm: {
        watchTransitions: async function* () {
          for (; sent < 1_000_000; sent++) yield create(WatchTransitionsResponseSchema, { cursor: kibibyte });
        },
      },
    });
    for (const url of [server.grpcUrl, server.httpUrl]) {
      sent = 0;
      const session = http2.connect(url);
      const stream = session.request({
        ':path': '/switchgear.fsm.v1.FsmService/WatchTransitions',
        ':method': 'POST',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      stream.end(Buffer.from([0, 0, 0, 0, 3, 0x0a, 1, 0x61]));
      await once(stream, 'response');
      let last = -1;
      await eventually(async () => {
        if (sent === last && sent > 0) return true;
        last = sent;
        await new Promise((done) => setTimeout(done, 200));
        return false;
      }, 'the handler has come to rest');
      expect(sent).toBeLessThan(2_000);
      session.destroy();
    }
  });
});

/** Sends one gRPC frame and resolves to the status it is answered with. */
async function sendGrpc(session: http2.ClientHttp2Session, frame: Buffer): Promise<string> {
  const stream = session.request({
    ':path': PATH,
    ':method': 'POST',
    'content-type': 'application/grpc',
    'grpc-encoding': 'gzip',
    te: 'trailers',
  });
  stream.on('error', () => {});
  stream.resume();
  let status = '';
  const note = (headers: http2.IncomingHttpHeaders): void => {
    status ||= String(headers['grpc-status'] ?? '');
  };
  stream.on('response', note).on('trailers', note);
  stream.end(frame);
  await once(stream, 'close');
  return status;
}

describe('a flood', () => {
  it('of cancelled streams is cut off, and others are served', async () => {
    await start();
    const session = http2.connect(server.grpcUrl);
    session.on('error', () => {});
    let sent = 0;
    while (!session.destroyed && sent < 20_000) {
      for (let i = 0; i < 100 && !session.destroyed; i++, sent++) {
        const stream = session.request({
          ':path': PATH,
          ':method': 'POST',
          'content-type': 'application/grpc',
        });
        stream.on('error', () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      await new Promise((done) => setImmediate(done));
    }
    session.destroy();
    await works();
    const client = new GrpcClient(server.grpcAddress);
    const request = create(WatchTransitionsRequestSchema, { configurationName: 'x' });
    client.serverStream(method.watchTransitions, request).on('error', () => {});
    client.close();
  });
});
