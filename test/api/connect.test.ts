/** The HTTP port: the same rpcs by Connect, gRPC-Web, gRPC and plain JSON, and what keeps pages out. */
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { createGrpcWebTransport as createWebTransport } from '@connectrpc/connect-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import {
  FsmService,
  RenderConfigurationResponseSchema,
  StreamEventsResponseSchema,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { Fault } from '../../src/fault.js';
import { startTestServer, type TestServer } from '../support/transports.js';
import { deferred, eventually } from '../support/waiting.js';

const MIB = 1024 * 1024;
const aborted = deferred<unknown>();
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({
    corsOrigins: ['https://console.example'],
    fsm: {
      renderConfiguration: async ({ name }, call) => {
        call.setTrailer('switchgear-trailer', 'set');
        if (name === 'fault') throw new Fault('FSM_NOT_FOUND', 'none', { facts: { fsm_id: 'm' } });
        if (name === 'error') throw new Error('secret');
        if (name === 'stuck') await new Promise(() => {});
        const mermaid = name === 'huge' ? 'x'.repeat(4 * MIB) : name;
        return create(RenderConfigurationResponseSchema, { mermaid });
      },
      getConfiguration: async () => ({}) as never,
      watchTransitions: async function* ({ configurationName, cursor }, call) {
        call.setTrailer('switchgear-trailer', 'set');
        for (let i = 0; i < Number(cursor); i++)
          yield create(WatchTransitionsResponseSchema, { cursor: String(i) });
        if (configurationName === 'fault') throw new Fault('CURSOR_EXPIRED', 'too old');
        if (configurationName !== 'wait') return;
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        aborted.resolve(call.signal.reason);
      },
      streamEvents: async function* (requests) {
        for await (const { frameId } of requests) yield create(StreamEventsResponseSchema, { frameId });
      },
    },
  });
});

afterAll(() => server.stop());

const transports: [string, (baseUrl: string) => Transport][] = [
  ['Connect over HTTP/1.1', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1' })],
  ['Connect over h2c', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '2' })],
  [
    'Connect in JSON',
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false }),
  ],
  ['Connect by GET', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1', useHttpGet: true })],
  ['gRPC-Web over HTTP/1.1', (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' })],
  ['gRPC-Web by fetch', (baseUrl) => createWebTransport({ baseUrl })],
  ['gRPC over h2c', (baseUrl) => createGrpcTransport({ baseUrl })],
];

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error('the call succeeded');
    },
    (error) => ConnectError.from(error),
  );
}

function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.reason;
}

describe.each(transports)('%s', (title, open) => {
  const client = () => createClient(FsmService, open(server.httpUrl));

  it('answers a unary call, with its trailers', async () => {
    let trailer: string | null = null;
    const onTrailer = (trailers: Headers) => {
      trailer = trailers.get('switchgear-trailer');
    };
    expect(await client().renderConfiguration({ name: 'plain' }, { onTrailer })).toMatchObject({
      mermaid: 'plain',
    });
    expect(trailer).toBe('set');
  });

  it('answers a fault with code, reason and facts', async () => {
    const error = await failureOf(client().renderConfiguration({ name: 'fault' }));
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: 'none' });
    const [info] = error.findDetails(ErrorInfoSchema);
    expect(info).toMatchObject({
      reason: 'FSM_NOT_FOUND',
      domain: 'switchgear.fsm',
      metadata: { fsm_id: 'm' },
    });
  });

  it('hides what was unforeseen', async () => {
    const error = await failureOf(client().renderConfiguration({ name: 'error' }));
    expect(error.code).toBe(Code.Internal);
    expect(error.rawMessage).toMatch(/^internal error, correlation id [-0-9a-f]{36}$/);
  });

  it('refuses a bad field', async () => {
    const error = await failureOf(client().renderConfiguration({ name: '' }));
    expect([error.code, reasonOf(error)]).toEqual([Code.InvalidArgument, 'INVALID_FIELD']);
  });

  it('ends a call that is not answered by its deadline', async () => {
    const error = await failureOf(client().renderConfiguration({ name: 'stuck' }, { timeoutMs: 300 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
  });

  it('refuses an answer larger than 4 MiB', async () => {
    const error = await failureOf(client().renderConfiguration({ name: 'huge' }));
    expect([error.code, reasonOf(error)]).toEqual([Code.ResourceExhausted, 'MESSAGE_TOO_LARGE']);
  });

  it('refuses a request larger than 4 MiB', async () => {
    if (title.endsWith('GET')) return;
    const call = client().renderConfiguration({ name: 'x'.repeat(4 * MIB) });
    const error = await failureOf(call);
    expect(error.code).toBe(Code.ResourceExhausted);
  });

  it('streams answers in order and says how the stream ended', async () => {
    const cursors: string[] = [];
    const read = async () => {
      for await (const { cursor } of client().watchTransitions({ configurationName: 'fault', cursor: '100' }))
        cursors.push(cursor);
    };
    const error = await failureOf(read());
    expect(cursors).toHaveLength(100);
    expect([error.code, reasonOf(error)]).toEqual([Code.OutOfRange, 'CURSOR_EXPIRED']);
  });
});

describe('a stream', () => {
  it('both ways answers each request over h2c', async () => {
    const client = createClient(
      FsmService,
      createConnectTransport({ baseUrl: server.httpUrl, httpVersion: '2' }),
    );
    const frames = async function* () {
      for (let i = 1n; i <= 20n; i++) yield { frameId: i };
    };
    const answers: bigint[] = [];
    for await (const { frameId } of client.streamEvents(frames())) answers.push(frameId);
    expect(answers).toHaveLength(20);
  });

  it('aborts its handler when the caller leaves', async () => {
    const client = createClient(
      FsmService,
      createConnectTransport({ baseUrl: server.httpUrl, httpVersion: '1.1' }),
    );
    const leaving = new AbortController();
    const read = async () => {
      const request = { configurationName: 'wait', cursor: '1' };
      for await (const _ of client.watchTransitions(request, { signal: leaving.signal })) leaving.abort();
    };
    await failureOf(read());
    expect(await aborted.promise).toMatchObject({ reason: 'CANCELLED' });
  });
});

function post(path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.httpUrl}/${path}`, {
    method: 'POST',
    body: body as string,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

const RENDER = 'switchgear.fsm.v1.FsmService/RenderConfiguration';

describe('plain JSON', () => {
  it('is answered without any other header', async () => {
    const response = await post(RENDER, '{"name":"curl"}');
    expect([response.status, await response.json()]).toEqual([200, { mermaid: 'curl' }]);
  });

  it.each([
    ['that is none', '{"name":'],
    ['with a field that is not in the proto', '{"nmae":"x"}'],
    ['of the wrong type', '{"name":7}'],
  ])('%s is refused with a reason', async (_, body) => {
    const response = await post(RENDER, body);
    const error = (await response.json()) as { code: string; details: { debug: { reason: string } }[] };
    expect([response.status, error.code]).toEqual([400, 'invalid_argument']);
    expect(error.details[0]?.debug.reason).toBe('MALFORMED_MESSAGE');
  });

  it('of another type never reaches a handler', async () => {
    const response = await post(RENDER, '{"name":"x"}', { 'content-type': 'text/plain' });
    expect(response.status).toBe(415);
  });

  it('that grows beyond 4 MiB when it is unpacked is refused', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * MIB));
    const response = await post(RENDER, bomb, { 'content-encoding': 'gzip' });
    expect(await response.json()).toMatchObject({ code: 'resource_exhausted' });
  });

  it('to an rpc that is not served is answered as an error, not as a page', async () => {
    const response = await post('switchgear.fsm.v1.FsmService/NoSuchRpc', '{}');
    expect([response.status, await response.json()]).toMatchObject([404, { code: 'unimplemented' }]);
  });
});

describe('a page', () => {
  const marked = { 'connect-protocol-version': '1' };

  it('of another origin is refused before any handler runs', async () => {
    const response = await post(RENDER, '{"name":"x"}', { ...marked, origin: 'https://evil.example' });
    expect([response.status, await response.json()]).toMatchObject([403, { code: 'permission_denied' }]);
  });

  it('of a name that was pointed at this machine is no origin of ours', async () => {
    const { port } = new URL(server.httpUrl);
    const rebound = { ...marked, host: `rebound.example:${port}`, origin: `http://rebound.example:${port}` };
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const options = { method: 'POST', headers: { ...rebound, 'content-type': 'application/json' } };
      const asked = request(`${server.httpUrl}/${RENDER}`, options, (response) =>
        resolve(response.resume().statusCode),
      );
      asked.on('error', reject).end('{"name":"x"}');
    });
    expect(status).toBe(403);
  });

  it('of a listed origin is answered, and its preflight too', async () => {
    const origin = 'https://console.example';
    const preflight = await fetch(`${server.httpUrl}/${RENDER}`, { method: 'OPTIONS', headers: { origin } });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, origin]);
    const response = await post(RENDER, '{"name":"x"}', { ...marked, origin });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([200, origin]);
  });

  it('of our own origin must mark its posts as a script', async () => {
    const origin = server.httpUrl;
    expect((await post(RENDER, '{"name":"x"}', { origin })).status).toBe(403);
    expect((await post(RENDER, '{"name":"x"}', { ...marked, origin })).status).toBe(200);
  });

  it('gets nothing that it could run, frame or guess', async () => {
    for (const path of [RENDER, 'healthz', 'metrics', 'nowhere']) {
      const { headers } = await fetch(`${server.httpUrl}/${path}`);
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });
});

describe('the paths for operators', () => {
  it('say that the process is up, and whether it is ready', async () => {
    expect((await fetch(`${server.httpUrl}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.httpUrl}/readyz`)).status).toBe(200);
    server.health.set(FsmService.typeName, false);
    const response = await fetch(`${server.httpUrl}/readyz`);
    expect([response.status, await response.json()]).toEqual([
      503,
      { status: 'not ready', services: { [FsmService.typeName]: false } },
    ]);
    server.health.set(FsmService.typeName, true);
  });

  it('count every call by rpc and code, whichever port it came by', async () => {
    const count = async () => {
      const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
      const labels = `rpc_method="${RENDER}",rpc_response_status_code="NOT_FOUND"`;
      return Number(
        new RegExp(`rpc_server_call_duration_seconds_count\\{${labels}\\} (\\d+)`).exec(text)?.[1] ?? 0,
      );
    };
    const before = await count();
    await post(RENDER, '{"name":"fault"}');
    expect(await count()).toBe(before + 1);
    await eventually(
      async () => /rpc_server_streams_open 0\n/.test(await server.metrics.registry.metrics()),
      'no stream is left',
    );
  });
});
