/** TLS on both ports, with real clients over real sockets: who gets in, by which protocol, and how it ends. */
import { execFile } from 'node:child_process';
import http2 from 'node:http2';
import https from 'node:https';
import { connect as connectPlain } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  FsmService,
  RenderConfigurationRequestSchema,
  RenderConfigurationResponseSchema,
  WatchTransitionsRequestSchema,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { type Authority, makeAuthority, openssl } from '../support/certificates.js';
import { drained, errorInfoOf, failureOf, GrpcClient } from '../support/grpc-client.js';
import { findTool } from '../support/tools.js';
import { startTestServer, type TestServer, type TestServerOptions } from '../support/transports.js';
import { deferred, eventually } from '../support/waiting.js';

const MIB = 1024 * 1024;
const { method } = FsmService;
const PATH = '/switchgear.fsm.v1.FsmService/RenderConfiguration';
const PORTS = ['grpcAddress', 'httpAddress'] as const;

let authority: Authority;
let server: TestServer;

beforeAll(() => {
  authority = makeAuthority();
});
afterEach(() => server.stop());

async function start(options: TestServerOptions = {}): Promise<void> {
  const { certFile, keyFile } = authority.server();
  server = await startTestServer({
    tls: { tlsCertFile: certFile, tlsKeyFile: keyFile },
    ...options,
    fsm: {
      renderConfiguration: async ({ name }) => create(RenderConfigurationResponseSchema, { mermaid: name }),
      ...options.fsm,
    },
  });
}

/** With nothing to check the server by unless it is given. */
function grpcClient(ca: Buffer | null = authority.ca): GrpcClient {
  return new GrpcClient(server.grpcAddress, {}, grpc.credentials.createSsl(ca));
}

function webClient(httpVersion: '1.1' | '2', ca: Buffer = authority.ca) {
  return createClient(
    FsmService,
    createConnectTransport({ baseUrl: server.httpUrl, httpVersion, nodeOptions: { ca } } as never),
  );
}

function open(address: string, options: ConnectionOptions = {}): TLSSocket {
  const [host, port] = address.split(':');
  const socket = connect({ host, port: Number(port), ca: authority.ca, ...options });
  socket.on('error', () => {});
  return socket;
}

/** Resolves to the TLS version that was agreed, or to the code of what was in the way. */
function agreed(address: string, options: ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = open(address, options);
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('secureConnect', () => {
      resolve(String(socket.getProtocol()));
      socket.destroy();
    });
  });
}

const render = (name: string) => create(RenderConfigurationRequestSchema, { name });

async function works(): Promise<void> {
  const client = grpcClient();
  expect(await client.unary(method.renderConfiguration, render('works'))).toMatchObject({ mermaid: 'works' });
  client.close();
  for (const version of ['1.1', '2'] as const)
    expect(await webClient(version).renderConfiguration({ name: 'works' })).toMatchObject({
      mermaid: 'works',
    });
}

describe.skipIf(!openssl)('a call under TLS', () => {
  it('is answered to grpc-js, and to Connect over HTTP/1.1 and HTTP/2', async () => {
    await start();
    await works();
  });

  it.for([
    ['HTTP/1.1', '--http1.1', '1.1'],
    ['HTTP/2', '--http2', '2'],
  ] as const)('is answered to curl over %s', async ([_, flag, version], context) => {
    await start();
    const curl = findTool('curl');
    if (!curl) return context.skip('curl was not found');
    const { stdout: about } = await promisify(execFile)(curl, ['--version']);
    if (flag === '--http2' && !about.includes('HTTP2')) return context.skip('this curl speaks no HTTP/2');
    const { stdout } = await promisify(execFile)(
      curl,
      [
        '-sS',
        flag,
        '--cacert',
        authority.caFile,
        '-w',
        ' %{http_version}',
        `${server.httpUrl}${PATH}`,
      ].concat(['-H', 'content-type: application/json', '-d', '{"name":"curl"}']),
    );
    expect(stdout).toBe(`{"mermaid":"curl"} ${version}`);
  });

  it('is answered to an HTTP/2 client that agrees on nothing beforehand', async () => {
    await start();
    const socket = open(server.httpAddress);
    const session = http2.connect(server.httpUrl, { createConnection: () => socket });
    const stream = session.request({ ':path': '/healthz' });
    const [headers] = await new Promise<[http2.IncomingHttpHeaders]>((resolve) =>
      stream.once('response', (...args) => resolve(args as never)),
    );
    expect(headers[':status']).toBe(200);
    session.destroy();
    const answer = await new Promise<number | undefined>((resolve, reject) =>
      https
        .get(`${server.httpUrl}/healthz`, { ca: authority.ca, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
        .on('error', reject),
    );
    expect(answer).toBe(200);
  });

  it('carries large messages and long streams whole, on both ports', async () => {
    const large = 'x'.repeat(3 * MIB);
    await start({
      fsm: {
        watchTransitions: async function* () {
          for (let i = 0; i < 200; i++)
            yield create(WatchTransitionsResponseSchema, { cursor: String(i).padEnd(64 * 1024, '.') });
        },
        renderConfiguration: async () => create(RenderConfigurationResponseSchema, { mermaid: large }),
      },
    });
    const client = grpcClient();
    const request = create(WatchTransitionsRequestSchema, { configurationName: 'x' });
    const { messages } = await drained<{ cursor: string }>(
      client.serverStream(method.watchTransitions, request),
    );
    const isInOrder = (cursors: string[]) => cursors.every((cursor, i) => cursor.startsWith(`${i}.`));
    expect([messages.length, isInOrder(messages.map(({ cursor }) => cursor))]).toEqual([200, true]);
    const answer = (await client.unary(method.renderConfiguration, render('x'))) as { mermaid: string };
    expect(answer.mermaid.length).toBe(large.length);
    client.close();
    for (const version of ['1.1', '2'] as const) {
      const web = webClient(version);
      expect((await web.renderConfiguration({ name: 'x' })).mermaid.length).toBe(large.length);
      const cursors: string[] = [];
      for await (const { cursor } of web.watchTransitions({ configurationName: 'x' })) cursors.push(cursor);
      expect([cursors.length, isInOrder(cursors)]).toEqual([200, true]);
    }
  });

  it('brings requests of up to 4 MiB', async () => {
    await start();
    const client = grpcClient();
    // It is longer than a name may be; that it is read whole and refused for that is the proof.
    const failure = await failureOf(
      client.unary(method.renderConfiguration, render('x'.repeat(4 * MIB - 16))),
    );
    expect([failure.code, failure.details]).toEqual([
      grpc.status.INVALID_ARGUMENT,
      expect.stringContaining('128'),
    ]);
    client.close();
  });
});

describe.skipIf(!openssl)('a handshake', () => {
  it.each(PORTS)('takes TLS 1.2 and 1.3, and nothing older, on %s', async (port) => {
    await start();
    const only = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): ConnectionOptions => ({
      minVersion: version,
      maxVersion: version,
      ALPNProtocols: ['h2'],
      // OpenSSL itself would not even offer it otherwise.
      ...(version === 'TLSv1.1' ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
    });
    expect(await agreed(server[port], only('TLSv1.2'))).toBe('TLSv1.2');
    expect(await agreed(server[port], only('TLSv1.3'))).toBe('TLSv1.3');
    expect(await agreed(server[port], only('TLSv1.1'))).toMatch(/PROTOCOL_VERSION/);
  });

  it.each(PORTS)('is not begun anew in the middle of a connection on %s', async (port) => {
    await start();
    const socket = open(server[port], { maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const outcome = await new Promise<string>((resolve) => {
      socket.on('error', (error) => resolve(error.message)).once('close', () => resolve('closed'));
      socket.renegotiate({}, (error) => resolve(error?.message ?? 'renegotiated'));
    });
    expect(outcome).toMatch(/no renegotiation/i);
    await works();
  });

  it('fails for a client that trusts another authority, and is counted', async () => {
    await start();
    const other = makeAuthority().ca;
    const client = grpcClient(other);
    const failure = await failureOf(client.unary(method.renderConfiguration, render('x')));
    expect(failure.code).toBe(grpc.status.UNAVAILABLE);
    client.close();
    const refused = await webClient('1.1', other)
      .renderConfiguration({ name: 'x' })
      .catch((error) => ConnectError.from(error));
    expect(refused).toMatchObject({ code: Code.Internal });
    await eventually(async () => (await metric('switchgear_tls_handshake_failures_total')) >= 2, 'counted');
    await works();
  });

  it('for a protocol that the port does not speak is refused', async () => {
    await start();
    expect(await agreed(server.grpcAddress, { ALPNProtocols: ['http/1.1'] })).toMatch(
      /NO_APPLICATION_PROTOCOL/,
    );
    expect(await agreed(server.httpAddress, { ALPNProtocols: ['spdy/1'] })).toMatch(
      /NO_APPLICATION_PROTOCOL/,
    );
    await works();
  });

  it.each(PORTS)('that is plaintext instead ends at once on %s, and others go on', async (port) => {
    await start();
    for (const text of [
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
      'x\n'.repeat(10),
    ]) {
      const closed = exchangePlain(server[port], text);
      expect(await closed).not.toMatch(/HTTP/);
    }
    await works();
  });

  it.each(PORTS)('that never ends is closed in time on %s', async (port) => {
    await start({ limits: { handshakeTimeoutMs: 300 } });
    const startMs = performance.now();
    // Nothing at all; and the begin of a greeting.
    await Promise.all([
      exchangePlain(server[port], ''),
      exchangePlain(server[port], '\x16\x03\x01\x02\x00\x01'),
    ]);
    expect(performance.now() - startMs).toBeLessThan(3_000);
    // A handshake that ends and then nothing: the next timer has it.
    const silent = open(server[port], { ALPNProtocols: port === 'grpcAddress' ? ['h2'] : [] });
    await new Promise((resolve) => silent.once('close', resolve).resume());
    await works();
  });

  it('that breaks leaves nothing behind, five hundred times over', async () => {
    await start({ limits: { connectionsPerAddress: 20 } });
    const broken = (port: (typeof PORTS)[number], i: number) => {
      if (i % 3 === 0) return exchangePlain(server[port], 'GET / HTTP/1.1\r\n\r\n');
      // Cut off in the middle: by a client that goes, and by one that does not like what it sees.
      if (i % 3 === 1) return cutPlain(server[port]);
      return agreed(server[port], { ca: undefined, ALPNProtocols: ['h2'] });
    };
    const round = async (count: number) => {
      for (let i = 0; i < count; i += 10)
        await Promise.all(
          Array.from({ length: 10 }, (_, k) => broken(PORTS[(i + k) % 2] as (typeof PORTS)[number], i + k)),
        );
    };
    await round(200);
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    await round(500);
    globalThis.gc?.();
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);
    // A place that a broken one kept would be missing from the twenty of this address.
    await works();
  });

  it.each(PORTS)('counts for the cap on connections of an address on %s', async (port) => {
    await start({ limits: { connectionsPerAddress: 3 } });
    const sockets = [1, 2, 3].map(() => open(server[port], { ALPNProtocols: ['h2'] }));
    await Promise.all(sockets.map((socket) => new Promise((done) => socket.once('secureConnect', done))));
    expect(await agreed(server[port])).toMatch(/ECONNRESET/);
    for (const socket of sockets) expect(socket.destroyed).toBe(false);
    sockets[0]?.destroy();
    await eventually(async () => (await agreed(server[port])).startsWith('TLS'), 'the place is free again');
    for (const socket of sockets) socket.destroy();
  });
});

describe.skipIf(!openssl)('a drain under TLS', () => {
  it('lets calls finish, ends streams with a status and closes everything, on both ports', async () => {
    const gate = deferred<void>();
    let slowCalls = 0;
    await start({
      fsm: {
        renderConfiguration: async ({ name }) => {
          slowCalls++;
          await gate.promise;
          return create(RenderConfigurationResponseSchema, { mermaid: name });
        },
        watchTransitions: async function* (_, { signal }) {
          yield create(WatchTransitionsResponseSchema, { cursor: 'first' });
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          yield create(WatchTransitionsResponseSchema, { cursor: 'last' });
        },
      },
    });
    const client = grpcClient();
    const watch = client.serverStream(
      method.watchTransitions,
      create(WatchTransitionsRequestSchema, { configurationName: 'x' }),
    );
    const ended = drained<{ cursor: string }>(watch);
    await new Promise((resolve) => watch.once('metadata', resolve));
    const answers = [
      client.unary(method.renderConfiguration, render('slow')),
      webClient('1.1').renderConfiguration({ name: 'slow' }),
      webClient('2').renderConfiguration({ name: 'slow' }),
    ];
    await eventually(() => slowCalls === 3, 'all calls are under way');
    const draining = server.drain(5_000);
    gate.resolve();
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ mermaid: 'slow' });
    const { messages, error } = await ended;
    expect([messages.map(({ cursor }) => cursor), errorInfoOf(error)?.reason]).toEqual([
      ['first', 'last'],
      'DRAINING',
    ]);
    await draining;
    expect(await agreed(server.grpcAddress)).toBe('ECONNREFUSED');
    client.close();
  });
});

describe.skipIf(!openssl)('pages under TLS', () => {
  it('of the own origin may call, others may not', async () => {
    await start();
    const status = (origin: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const request = https.request(`${server.httpUrl}${PATH}`, {
          method: 'POST',
          ca: authority.ca,
          agent: false,
          headers: { origin, 'connect-protocol-version': '1', 'content-type': 'application/json' },
        });
        request.on('error', reject).on('response', (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.end('{"name":"page"}');
      });
    expect(await status(server.httpUrl)).toBe(200);
    expect(await status(server.httpUrl.replace('https', 'http'))).toBe(403);
    expect(await status('https://example.org')).toBe(403);
  });
});

async function metric(name: string): Promise<number> {
  const text = await server.metrics.registry.metrics();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}

/** Sends text without TLS and resolves to what comes back, once the server has closed. */
function exchangePlain(address: string, text: string): Promise<string> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    let received = '';
    const socket = connectPlain(Number(port), host);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.once('close', () => resolve(received));
    socket.write(text, 'latin1');
  });
}

/** Begins to greet and goes. */
async function cutPlain(address: string): Promise<string> {
  const [host = '', port] = address.split(':');
  const socket = connectPlain(Number(port), host);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write('\x16\x03\x01\x02\x00\x01', 'latin1');
  await new Promise((resolve) => setImmediate(resolve));
  socket.resetAndDestroy();
  return '';
}
