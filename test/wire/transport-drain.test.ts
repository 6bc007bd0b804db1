/** Stopping in order: what is under way is finished or told, on both ports, and nothing stays open. */
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  FsmService,
  RenderConfigurationRequestSchema,
  RenderConfigurationResponseSchema,
  StreamEventsRequestSchema,
  StreamEventsResponseSchema,
  WatchTransitionsRequestSchema,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { HealthBook } from '../../src/server/health.js';
import { startTransports } from '../../src/server/listen.js';
import { Metrics } from '../../src/server/metrics.js';
import { drained, errorInfoOf, failureOf, GrpcClient } from '../support/grpc-client.js';
import { startTestServer, type TestServer } from '../support/transports.js';
import { type Deferred, deferred, eventually } from '../support/waiting.js';

const { method } = FsmService;
const RENDER = create(RenderConfigurationRequestSchema, { name: 'slow' });
const WATCH = create(WatchTransitionsRequestSchema, { configurationName: 'watch' });

let server: TestServer;
let gate: Deferred<void>;
let slowCalls: number;

beforeEach(async () => {
  gate = deferred();
  slowCalls = 0;
  server = await startTestServer({
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
      streamEvents: async function* (requests) {
        let taken = 0n;
        for await (const { frameId } of requests) {
          taken++;
          yield create(StreamEventsResponseSchema, { frameId });
        }
        yield create(StreamEventsResponseSchema, { frameId: 100n + taken });
      },
    },
  });
});

describe('a drain', () => {
  it('lets unary calls finish on both ports', async () => {
    const client = new GrpcClient(server.grpcAddress);
    const web = createClient(
      FsmService,
      createConnectTransport({ baseUrl: server.httpUrl, httpVersion: '1.1' }),
    );
    const answers = [
      client.unary(method.renderConfiguration, RENDER),
      web.renderConfiguration({ name: 'slow' }),
    ];
    await eventually(() => slowCalls === 2, 'both calls are under way');
    const draining = server.drain(5_000);
    gate.resolve();
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ mermaid: 'slow' });
    client.close();
    await draining;
  });

  it('ends watches with UNAVAILABLE after their last answer', async () => {
    const client = new GrpcClient(server.grpcAddress);
    const watch = client.serverStream(method.watchTransitions, WATCH) as grpc.ClientReadableStream<{
      cursor: string;
    }>;
    const ended = drained(watch);
    await eventually(() => watch.readableFlowing !== null, 'the watch is open');
    await new Promise((resolve) => watch.once('metadata', resolve));
    await server.drain(5_000);
    const { messages, error } = await ended;
    expect(messages.map(({ cursor }) => cursor)).toEqual(['first', 'last']);
    expect([error?.code, errorInfoOf(error)?.reason]).toEqual([grpc.status.UNAVAILABLE, 'DRAINING']);
    client.close();
  });

  it('ends the requests of a stream both ways, so that what was taken is answered', async () => {
    const client = new GrpcClient(server.grpcAddress);
    const call = client.bidi(method.streamEvents) as grpc.ClientDuplexStream<never, { frameId: bigint }>;
    const ended = drained(call);
    call.write(create(StreamEventsRequestSchema, { frameId: 1n }) as never);
    await new Promise((resolve) => call.once('metadata', resolve));
    await server.drain(5_000);
    const { messages, error } = await ended;
    expect(messages.map(({ frameId }) => frameId)).toEqual([1n, 101n]);
    expect(errorInfoOf(error)?.reason).toBe('DRAINING');
    client.close();
  });

  it('ends what does not finish in time, and is done then', async () => {
    const client = new GrpcClient(server.grpcAddress);
    const failure = failureOf(client.unary(method.renderConfiguration, RENDER));
    await eventually(() => slowCalls === 1, 'the call is under way');
    const startMs = performance.now();
    await server.drain(400);
    expect(performance.now() - startMs).toBeLessThan(2_000);
    expect((await failure).code).toBe(grpc.status.UNAVAILABLE);
    client.close();
  });

  it('accepts no more connections and says so over HTTP/1.1 by closing', async () => {
    const web = createClient(
      FsmService,
      createConnectTransport({ baseUrl: server.httpUrl, httpVersion: '1.1' }),
    );
    const answer = web.renderConfiguration({ name: 'slow' });
    await eventually(() => slowCalls === 1, 'the call is under way');
    const draining = server.drain(5_000);
    const refused = await web
      .renderConfiguration({ name: 'slow' })
      .catch((error) => ConnectError.from(error));
    expect(refused).toMatchObject({ code: Code.Unavailable });
    gate.resolve();
    await answer;
    await draining;
  });

  it('makes health say NOT_SERVING when it is told to', async () => {
    server.health.stop();
    expect((await fetch(`${server.httpUrl}/readyz`)).status).toBe(503);
    expect((await fetch(`${server.httpUrl}/healthz`)).status).toBe(200);
    await server.stop();
  });
});

describe('a port that is taken', () => {
  it('is one line that says which', async () => {
    const taken = Number(server.httpAddress.split(':')[1]);
    const start = startTransports({
      host: '127.0.0.1',
      grpcPort: 0,
      httpPort: taken,
      bindings: [],
      health: new HealthBook([]),
      validate: () => [],
      metrics: new Metrics(),
      log: undefined as never,
    });
    await expect(start).rejects.toThrow(
      `cannot listen on 127.0.0.1:${taken}: something else is listening there`,
    );
    await server.stop();
  });
});
