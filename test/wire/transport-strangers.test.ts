/** What callers that show nothing, or ask what anybody may ask, can make the ports read, unpack and keep. */
import { EventEmitter, once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import zlib, { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { Metadata } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HealthCheckRequestSchema } from '../../gen/grpc/health/v1/health_pb.js';
import {
  FsmService,
  RenderConfigurationRequestSchema,
  RenderConfigurationResponseSchema,
  StreamEventsResponseSchema,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { mountGrpc } from '../../src/server/grpc.js';
import { Metrics } from '../../src/server/metrics.js';
import { Pipeline } from '../../src/server/pipeline.js';
import { CODES } from '../../src/server/status.js';
import { TestClients } from '../api/access-server.js';
import { answerOf, framed, RawCaller } from '../support/raw-call.js';
import { startTestServer, type TestServer, type TestServerOptions } from '../support/transports.js';
import { eventually } from '../support/waiting.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const FSM = '/switchgear.fsm.v1.FsmService';
const CREATE = `${FSM}/CreateConfiguration`;
const RENDER = `${FSM}/RenderConfiguration`;
const CHECK = '/grpc.health.v1.Health/Check';
const REFLECT = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const SHAPES = [
  ['a unary call', RENDER],
  ['a stream of answers', `${FSM}/WatchTransitions`],
  ['a stream of requests', '/switchgear.test.v1.Shapes/Collect'],
  ['a stream both ways', `${FSM}/StreamEvents`],
] as const;
const PORTS = ['grpcUrl', 'httpUrl'] as const;

const { StreamDecoder } = createRequire(import.meta.url)('@grpc/grpc-js/build/src/stream-decoder.js');
const clients = new TestClients();
const callers: RawCaller[] = [];
let server: TestServer;

async function start(options: TestServerOptions = {}): Promise<void> {
  server = await startTestServer({
    authenticator: clients,
    ...options,
    fsm: {
      renderConfiguration: async ({ name }) => create(RenderConfigurationResponseSchema, { mermaid: name }),
      ...options.fsm,
    },
  });
}

function callTo(port: (typeof PORTS)[number]): RawCaller {
  const caller = new RawCaller(server[port]);
  callers.push(caller);
  return caller;
}

const render = (name: string) =>
  framed(toBinary(RenderConfigurationRequestSchema, create(RenderConfigurationRequestSchema, { name })));
const check = (service: string) =>
  framed(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service })));
/** Of what was counted: the calls of an rpc that ended with a code. */
async function countOf(path: string, code: string): Promise<number> {
  const text = await server.metrics.registry.metrics();
  const line = text
    .split('\n')
    .find((each) => /_count\{/.test(each) && each.includes(path.slice(1)) && each.includes(`"${code}"`));
  return Number(line?.split(' ').at(-1) ?? 0);
}

beforeEach(() => {
  clients.grant('good', '*:*:*');
  clients.grant('poor', 'fsm:read:mine');
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const caller of callers.splice(0)) caller.close();
  await server.stop();
});

describe.each(PORTS)('a call by gRPC on %s', (port) => {
  it.each(SHAPES)('of nobody known is answered by its headers: %s', async (_, path) => {
    await start();
    const decode = vi.spyOn(StreamDecoder.prototype, 'write');
    const unpack = vi.spyOn(zlib, 'createGunzip');
    const stream = callTo(port).open(path, { headers: { 'grpc-encoding': 'gzip' }, ends: false });
    const answer = answerOf(stream);
    // Sent all the same, and more than one may hold.
    const bomb = framed(gzipSync(Buffer.alloc(3 * MIB)), { isPacked: true });
    for (let i = 0; i < 4; i += 1) stream.write(bomb);
    expect(await answer).toMatchObject({ code: CODES.UNAUTHENTICATED, reason: 'CREDENTIALS_MISSING' });
    await eventually(() => stream.destroyed, 'the stream is not held open');
    expect([decode.mock.calls.length, unpack.mock.calls.length]).toEqual([0, 0]);
  });

  it.each(SHAPES)('is asked whose it is once more when its request is there: %s', async (_, path) => {
    await start();
    const stream = callTo(port).open(path, { headers: { authorization: 'good' }, ends: false });
    const answer = answerOf(stream);
    await eventually(() => clients.peers.length > 0, 'its headers have come');
    clients.peers.length = 0;
    clients.remove('good');
    stream.end(framed(new Uint8Array()));
    expect((await answer).code).toBe(CODES.UNAUTHENTICATED);
  });

  it('that is refused is counted, logged and audited once', async () => {
    await start();
    const caller = callTo(port);
    expect((await caller.call(CREATE)).code).toBe(CODES.UNAUTHENTICATED);
    const denied = { headers: { authorization: 'poor' }, body: framed(new Uint8Array()) };
    expect(await caller.call(CREATE, denied)).toMatchObject({
      code: CODES.PERMISSION_DENIED,
      reason: 'GRANT_MISSING',
    });
    expect(await countOf(CREATE, 'UNAUTHENTICATED')).toBe(1);
    expect(await countOf(CREATE, 'PERMISSION_DENIED')).toBe(1);
    const codesOf = (isAudit: boolean) =>
      server.log.filter((line) => (line.audit === true) === isAudit).map(({ code }) => code);
    expect([codesOf(false), codesOf(true)]).toEqual(Array(2).fill(['UNAUTHENTICATED', 'PERMISSION_DENIED']));
  });

  it('that is good is answered', async () => {
    await start();
    const answer = await callTo(port).call(RENDER, {
      headers: { authorization: 'good' },
      body: render('works'),
    });
    expect(answer).toMatchObject({ code: CODES.OK });
    expect(answer.body.toString()).toContain('works');
  });

  it.each(SHAPES)('with bytes that are no message is refused as such: %s', async (_, path) => {
    const all = async (requests: AsyncIterable<unknown>) => {
      for await (const _ of requests) expect.unreachable();
      return create(RenderConfigurationResponseSchema);
    };
    await start({
      collect: all,
      fsm: {
        // biome-ignore lint/correctness/useYield: it has nothing to answer
        streamEvents: async function* (requests) {
          await all(requests);
        },
      },
    });
    const body = framed(Buffer.from([0xff, 0xff]));
    expect(await callTo(port).call(path, { headers: { authorization: 'good' }, body })).toMatchObject({
      code: CODES.INVALID_ARGUMENT,
      reason: 'MALFORMED_MESSAGE',
    });
  });
});

describe('bytes that are no message', () => {
  it('are refused as such by gRPC-Web and by Connect', async () => {
    await start();
    const post = (path: string, type: string, body: Buffer) =>
      fetch(`${server.httpUrl}${path}`, {
        method: 'POST',
        headers: { 'content-type': type, authorization: 'good' },
        body,
      });
    const none = Buffer.from([0xff, 0xff]);
    const web = Buffer.from(
      await (await post(RENDER, 'application/grpc-web+proto', framed(none))).arrayBuffer(),
    );
    expect(web.toString()).toMatch(/^grpc-status: 3\r$/m);
    const unary = await post(RENDER, 'application/proto', none);
    expect([unary.status, await unary.json()]).toMatchObject([
      400,
      { code: 'invalid_argument', details: [{ debug: { reason: 'MALFORMED_MESSAGE' } }] },
    ]);
    const stream = await post(`${FSM}/WatchTransitions`, 'application/connect+proto', framed(none));
    expect(Buffer.from(await stream.arrayBuffer()).toString()).toMatch(
      /"code":"invalid_argument".*"reason":"MALFORMED_MESSAGE"/,
    );
  });
});

describe.each(PORTS)('a request that does not arrive on %s', (port) => {
  const promised = framed(Buffer.alloc(KIB), { promised: MIB });
  const authorization = 'good';

  it.each(SHAPES.slice(0, 2))('ends after its time, with and without authentication: %s', async (_, path) => {
    for (const authenticator of [clients, undefined]) {
      await start({ authenticator, limits: { requestTimeoutMs: 200 } });
      const stream = callTo(port).open(path, { headers: { authorization }, body: promised, ends: false });
      const answer = answerOf(stream);
      // Some of it comes all the time.
      const drip = setInterval(() => stream.write('x'), 50);
      expect(await answer).toMatchObject({ code: CODES.DEADLINE_EXCEEDED, reason: 'DEADLINE_EXCEEDED' });
      clearInterval(drip);
      await eventually(() => stream.destroyed, 'the stream is not held open');
      expect(await countOf(path, 'DEADLINE_EXCEEDED')).toBe(1);
      const lines = server.log.filter(({ code }) => code === 'DEADLINE_EXCEEDED');
      expect(lines).toHaveLength(1);
      expect(lines[0]?.duration_ms).toBeGreaterThanOrEqual(200);
      if (authenticator !== undefined) await server.stop();
    }
  });

  it('does not end calls whose request has arrived, nor streams of requests', async () => {
    const wait = () => new Promise((done) => setTimeout(done, 500));
    await start({
      limits: { requestTimeoutMs: 100 },
      fsm: {
        renderConfiguration: async ({ name }) => {
          await wait();
          return create(RenderConfigurationResponseSchema, { mermaid: name });
        },
        watchTransitions: async function* () {
          await wait();
          yield create(WatchTransitionsResponseSchema, { cursor: 'late' });
        },
        streamEvents: async function* (requests) {
          for await (const _ of requests) yield create(StreamEventsResponseSchema, { frameId: 1n });
        },
      },
    });
    const caller = callTo(port);
    const headers = { authorization };
    const stream = caller.open(`${FSM}/StreamEvents`, { headers, ends: false });
    const ends = [
      caller.call(RENDER, { headers, body: render('slow') }),
      caller.call(`${FSM}/WatchTransitions`, { headers, body: framed(Buffer.from([0x0a, 1, 0x61])) }),
      answerOf(stream),
    ];
    await wait();
    stream.end();
    expect((await Promise.all(ends)).map(({ code }) => code)).toEqual([CODES.OK, CODES.OK, CODES.OK]);
  });
});

describe.each(PORTS)('a question that anybody may ask on %s', (port) => {
  it('is answered up to 16 KiB and refused beyond', async () => {
    await start();
    const caller = callTo(port);
    const longest = 'x'.repeat(16 * KIB - 3);
    expect(check(longest)).toHaveLength(16 * KIB + 5);
    expect((await caller.call(CHECK, { body: check(longest) })).code).toBe(CODES.NOT_FOUND);
    for (const path of [CHECK, REFLECT])
      expect((await caller.call(path, { body: check(`${longest}x`) })).code).toBe(CODES.RESOURCE_EXHAUSTED);
  });

  it('is refused as soon as it promises more', async () => {
    await start();
    const body = framed(Buffer.alloc(1), { promised: 16 * KIB + 1 });
    expect((await callTo(port).call(CHECK, { body, ends: false })).code).toBe(CODES.RESOURCE_EXHAUSTED);
  });

  it('may be packed, and is unpacked no further than that', async () => {
    await start();
    const caller = callTo(port);
    const headers = { 'grpc-encoding': 'gzip' };
    const small = framed(gzipSync(check('').subarray(5)), { isPacked: true });
    expect((await caller.call(CHECK, { headers, body: small })).code).toBe(CODES.OK);
    let unpacked = 0;
    const createGunzip = zlib.createGunzip;
    vi.spyOn(zlib, 'createGunzip').mockImplementation((options) =>
      createGunzip(options).on('data', (chunk: Buffer) => {
        unpacked += chunk.length;
      }),
    );
    const bomb = framed(gzipSync(Buffer.alloc(4 * MIB - 1)), { isPacked: true });
    for (const path of [CHECK, REFLECT])
      expect((await caller.call(path, { headers, body: bomb })).code).toBe(CODES.RESOURCE_EXHAUSTED);
    // What one step of zlib yields is more than asked for, twice.
    expect(unpacked).toBeLessThanOrEqual(2 * 32 * KIB);
  });

  it('leaves other requests their 4 MiB', async () => {
    await start();
    const request = { headers: { authorization: 'good' }, body: render('x'.repeat(256 * KIB)) };
    expect((await callTo(port).call(RENDER, request)).code).toBe(CODES.INVALID_ARGUMENT);
  });
});

describe('several authorization headers', () => {
  const both = ['authorization', 'good', 'authorization', 'good'];
  const refused = () => server.log.filter(({ code }) => code === 'UNAUTHENTICATED').length;

  it.each([
    ['twice the same', 'good', 'good'],
    ['a good one and another', 'good', 'bad'],
    ['another and a good one', 'bad', 'good'],
    ['a good one and an empty one', 'good', ''],
  ])('are refused over HTTP/1.1: %s', async (_, first, second) => {
    await start();
    const type = ['host', server.httpAddress, 'content-type', 'application/json', 'content-length', '12'];
    const headers = [...type, 'Authorization', first, 'AUTHORIZATION', second];
    const request = httpRequest(`${server.httpUrl}${RENDER}`, { method: 'POST', headers });
    request.end('{"name":"x"}');
    const [response] = await once(request, 'response');
    expect(response.statusCode).toBe(401);
    response.resume();
  });

  it.each(['grpcAddress', 'httpAddress'] as const)('are refused over HTTP/2 on %s', async (port) => {
    await start();
    const [host, number] = server[port].split(':');
    const socket = connect(Number(number), host);
    socket.on('error', () => {}).resume();
    const headers = [':method', 'POST', ':scheme', 'http', ':path', RENDER, ':authority', 'x'];
    const rest = ['content-type', 'application/grpc', 'te', 'trailers'];
    socket.write(http2Request([...headers, ...rest, ...both.slice(0, 2)], render('x')));
    await eventually(async () => (await countOf(RENDER, 'OK')) === 1, 'one is let in');
    expect(refused()).toBe(0);
    socket.destroy();
    const again = connect(Number(number), host);
    again.on('error', () => {}).resume();
    again.write(http2Request([...headers, ...rest, ...both], render('x')));
    await eventually(() => refused() === 1, 'it is refused');
    again.destroy();
  });
});

/** A connection with one request on it. Node's own client sends no header twice that ought to come once. */
function http2Request(headers: string[], body: Buffer): Buffer {
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const head = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, stream]);
    head.writeUIntBE(payload.length, 0, 3);
    return Buffer.concat([head, payload]);
  };
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const fields = headers.flatMap((value, i) =>
    i % 2 === 0 ? [Buffer.from([0]), text(value)] : [text(value)],
  );
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(4, 0, 0, Buffer.alloc(0)),
    frame(1, 4, 1, Buffer.concat(fields)),
    frame(0, 1, 1, body),
  ]);
}

describe('what a call by gRPC shows in its headers', () => {
  it('goes to no metadata, which grpc-js would tell of on standard error where it cannot read it', async () => {
    await start();
    const read = vi.spyOn(Metadata, 'fromHttp2Headers');
    const told = vi.spyOn(console, 'error');
    const headers = { authorization: 'good', 'x-odd': 'caf\u00e9', 'x-any-bin': '!', 'grpc-timeout': '5S' };
    const answer = await callTo('grpcUrl').call(RENDER, { headers, body: render('x') });
    expect(answer.code).toBe(CODES.OK);
    expect(read.mock.results.map(({ value }) => Object.keys(value.getMap()))).toEqual([[]]);
    expect(told).not.toHaveBeenCalled();
  });
});

describe('a call that does not show where it is from', () => {
  it('is not taken for one that showed nothing', async () => {
    await start();
    const pipeline = new Pipeline({
      validate: () => [],
      log: pino({ level: 'silent' }),
      metrics: new Metrics(),
    });
    const nothing = FsmService.methods.map(({ localName }) => [localName, () => {}]);
    const rpcs = pipeline.wrap({ service: FsmService, handlers: Object.fromEntries(nothing) });
    const handlers = new Map<string, (call: unknown, callback: unknown) => void>();
    const register = (path: string, handle: never) => handlers.set(path, handle);
    mountGrpc({ register } as never, rpcs, MIB);
    // As a release of grpc-js might show it that keeps its streams elsewhere.
    const call = Object.assign(new EventEmitter(), { metadata: new Metadata(), call: {}, request: {} });
    expect(() => handlers.get(RENDER)?.(call, () => {})).toThrow('grpc-js is built differently');
    pipeline.close();
  });
});
