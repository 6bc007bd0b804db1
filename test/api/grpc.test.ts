/** The gRPC port: every shape of rpc, and every way that one can fail. */
import { setTimeout as sleep } from 'node:timers/promises';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BadRequestSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import {
  FsmService,
  GetConfigurationRequestSchema,
  RenderConfigurationRequestSchema,
  RenderConfigurationResponseSchema,
  SendEventRequestSchema,
  StreamEventsRequestSchema,
  StreamEventsResponseSchema,
  WatchTransitionsRequestSchema,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Call } from '../../src/call.js';
import { Fault } from '../../src/fault.js';
import { drained, errorInfoOf, failureOf, GrpcClient, statusOf } from '../support/grpc-client.js';
import { Shapes, startTestServer, type TestServer } from '../support/transports.js';
import { deferred, eventually } from '../support/waiting.js';

const { method } = FsmService;
const collect = Shapes.methods[0] as (typeof Shapes.methods)[number];
const MIB = 1024 * 1024;

/** What the drawing handler does, by the name it is asked to draw. */
const scripts: Record<string, (call: Call) => Promise<string> | string> = {};

function draw(name: string, init: MessageInitShape<typeof RenderConfigurationRequestSchema> = {}) {
  return create(RenderConfigurationRequestSchema, { ...init, name });
}

/** How long a handler was told to wait before it noticed that it should stop. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

let server: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  server = await startTestServer({
    fsm: {
      renderConfiguration: async ({ name }, call) => {
        const mermaid = await (scripts[name] ?? (() => name))(call);
        return create(RenderConfigurationResponseSchema, { mermaid });
      },
      watchTransitions: async function* ({ configurationName, cursor }, call) {
        const script = scripts[configurationName];
        if (script) await script(call);
        for (let i = 0; i < Number(cursor); i++)
          yield create(WatchTransitionsResponseSchema, { cursor: String(i) });
      },
      streamEvents: async function* (requests) {
        for await (const { frameId } of requests) yield create(StreamEventsResponseSchema, { frameId });
      },
      sendEvent: async () => undefined as never,
    },
    collect: async (requests) => {
      const names: string[] = [];
      for await (const { name } of requests as AsyncIterable<{ name: string }>) names.push(name);
      return create(RenderConfigurationResponseSchema, { mermaid: names.join() });
    },
  });
  client = new GrpcClient(server.grpcAddress);
});

afterAll(async () => {
  client.close();
  await server.stop();
});

describe('a unary call', () => {
  it('is answered', async () => {
    expect(await client.unary(method.renderConfiguration, draw('plain'))).toMatchObject({ mermaid: 'plain' });
  });

  it('carries the trailers that its handler set, with an answer and with an error', async () => {
    scripts.trailed = (call) => {
      call.setTrailer('switchgear-truncated', '1');
      return 'ok';
    };
    scripts.trailedFault = (call) => {
      call.setTrailer('switchgear-truncated', '2');
      throw new Fault('FSM_NOT_FOUND', 'none');
    };
    const trailers = await new Promise<grpc.Metadata>((resolve) => {
      client.client
        .makeUnaryRequest(
          '/switchgear.fsm.v1.FsmService/RenderConfiguration',
          (name: string) => Buffer.from([0x0a, name.length, ...Buffer.from(name)]),
          (bytes) => bytes,
          'trailed',
          () => {},
        )
        .on('status', (status) => resolve(status.metadata));
    });
    expect(trailers.get('switchgear-truncated')).toEqual(['1']);
    const failure = await failureOf(client.unary(method.renderConfiguration, draw('trailedFault')));
    expect(failure.metadata.get('switchgear-truncated')).toEqual(['2']);
  });

  it('that breaks a rule of the proto is refused with every field that is wrong', async () => {
    const request = create(SendEventRequestSchema, { configurationName: 'a:b', event: { name: '' } });
    const failure = await failureOf(client.unary(method.sendEvent, request));
    expect(failure.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(errorInfoOf(failure)).toMatchObject({ reason: 'INVALID_FIELD', domain: 'switchgear.fsm' });
    const fields = statusOf(failure)?.details.flatMap(
      (any) => anyUnpack(any, BadRequestSchema)?.fieldViolations ?? [],
    );
    expect(fields?.map(({ field, reason }) => [field, reason])).toEqual([
      ['configuration_name', 'string.pattern'],
      ['fsm_id', 'string.min_bytes'],
      ['event.name', 'string.min_bytes'],
    ]);
  });

  it('whose bytes are no message is refused, and the connection goes on', async () => {
    const failure = await failureOf(client.unary(method.renderConfiguration, Buffer.from([0xff, 0xff])));
    expect(failure.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(errorInfoOf(failure)).toMatchObject({ reason: 'MALFORMED_MESSAGE', domain: 'switchgear.fsm' });
    expect(await client.unary(method.renderConfiguration, draw('after'))).toMatchObject({ mermaid: 'after' });
  });

  it('that is larger than 4 MiB is refused', async () => {
    const failure = await failureOf(client.unary(method.renderConfiguration, Buffer.alloc(4 * MIB + 1)));
    expect(failure.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  });

  it('whose answer is larger than 4 MiB says so with details', async () => {
    scripts.huge = () => 'x'.repeat(4 * MIB);
    const failure = await failureOf(client.unary(method.renderConfiguration, draw('huge')));
    expect(failure.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(errorInfoOf(failure)).toMatchObject({
      reason: 'MESSAGE_TOO_LARGE',
      metadata: { max_bytes: String(4 * MIB) },
    });
  });

  it('with more metadata than 8 KiB is refused', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('filler', 'x'.repeat(9000));
    const failure = await failureOf(client.unary(method.renderConfiguration, draw('plain'), {}, metadata));
    expect([grpc.status.RESOURCE_EXHAUSTED, grpc.status.INTERNAL]).toContain(failure.code);
    expect(await client.unary(method.renderConfiguration, draw('after'))).toMatchObject({ mermaid: 'after' });
  });

  it('to an rpc that is not served says so with details', async () => {
    const path = { ...method.renderConfiguration, name: 'NoSuchRpc' } as typeof method.renderConfiguration;
    const failure = await failureOf(client.unary(path, draw('x')));
    expect(failure.code).toBe(grpc.status.UNIMPLEMENTED);
    expect(errorInfoOf(failure)).toMatchObject({
      reason: 'NOT_SERVED',
      metadata: { method: 'switchgear.fsm.v1.FsmService/NoSuchRpc' },
    });
  });
});

describe('what a handler throws', () => {
  it('becomes the status of its kind, with facts and the time to wait', async () => {
    scripts.busy = () => {
      throw new Fault('TOO_MANY_REQUESTS', 'slow down', {
        facts: { limit: '7' },
        retryAfterMs: 1500,
        cause: 'secret',
      });
    };
    const failure = await failureOf(client.unary(method.renderConfiguration, draw('busy')));
    expect(failure).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED, details: 'slow down' });
    expect(errorInfoOf(failure)).toMatchObject({ reason: 'TOO_MANY_REQUESTS', metadata: { limit: '7' } });
    const [retry] = statusOf(failure)?.details.flatMap((any) => anyUnpack(any, RetryInfoSchema) ?? []) ?? [];
    expect(retry?.retryDelay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
    expect(JSON.stringify(failure)).not.toContain('secret');
  });

  it.each([
    ['an error', () => Promise.reject(new Error('secret text'))],
    ['nothing', () => Promise.reject(undefined)],
    ['an internal fault', () => Promise.reject(new Fault('INTERNAL', 'secret text'))],
    ['a string', () => Promise.reject('secret text')],
  ])('is hidden when it is %s, behind an id that the log knows', async (what, script) => {
    scripts[what] = script;
    const failure = await failureOf(client.unary(method.renderConfiguration, draw(what)));
    expect(failure.code).toBe(grpc.status.INTERNAL);
    expect(JSON.stringify(failure) + String(statusOf(failure)?.message)).not.toContain('secret');
    const id = errorInfoOf(failure)?.metadata.correlation_id;
    expect(failure.details).toBe(`internal error, correlation id ${id}`);
    expect(server.log.filter((line) => line.correlation_id === id)).toHaveLength(1);
  });

  it('is INTERNAL when the handler answers with no message at all', async () => {
    const request = create(SendEventRequestSchema, {
      configurationName: 'a',
      fsmId: 'b',
      event: { name: 'c' },
    });
    expect(await failureOf(client.unary(method.sendEvent, request))).toMatchObject({
      code: grpc.status.INTERNAL,
    });
  });

  it('can hold half a character without breaking the status', async () => {
    scripts.surrogate = () => {
      throw new Fault('FSM_NOT_FOUND', 'no machine \ud800', { facts: { id: '\udfff' } });
    };
    const failure = await failureOf(client.unary(method.renderConfiguration, draw('surrogate')));
    expect(failure.code).toBe(grpc.status.NOT_FOUND);
  });
});

describe('a deadline', () => {
  it('aborts the signal shortly before it, so that the handler can still answer', async () => {
    scripts.patient = async ({ signal }) => {
      await untilAborted(signal).catch(() => {});
      return (signal.reason as Fault).reason;
    };
    const answer = client.unary(method.renderConfiguration, draw('patient'), { deadline: Date.now() + 800 });
    expect(await answer).toMatchObject({ mermaid: 'DEADLINE_EXCEEDED' });
  });

  it('ends a call whose handler never answers', async () => {
    scripts.stuck = () => new Promise(() => {});
    const metadata = new grpc.Metadata();
    metadata.set('grpc-timeout', '300m');
    const failure = await failureOf(
      client.unary(method.renderConfiguration, draw('stuck'), { deadline: Date.now() + 300 }),
    );
    expect(failure.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await eventually(
      () => server.log.some(({ reason }) => reason === 'DEADLINE_EXCEEDED'),
      'the server ended it too',
    );
  });

  it('beyond the 32 bits of a timer is as good as none', async () => {
    // Long enough for a deadline that was read as past to strike.
    scripts.far = ({ signal }) => sleep(100, 'far', { signal });
    for (const hours of [600, 100 * 365 * 24]) {
      const deadline = Date.now() + hours * 3_600_000;
      expect(await client.unary(method.renderConfiguration, draw('far'), { deadline })).toMatchObject({
        mermaid: 'far',
      });
    }
  });
});

describe('a cancelled call', () => {
  it('aborts its handler', async () => {
    const aborted = deferred<unknown>();
    const started = deferred<void>();
    scripts.cancelled = ({ signal }) => {
      started.resolve();
      signal.addEventListener('abort', () => aborted.resolve(signal.reason));
      return new Promise(() => {});
    };
    const stream = client.serverStream(
      method.watchTransitions,
      create(WatchTransitionsRequestSchema, { configurationName: 'cancelled' }),
    );
    stream.on('error', () => {});
    await started.promise;
    stream.cancel();
    expect(await aborted.promise).toMatchObject({ reason: 'CANCELLED' });
  });
});

describe('a stream', () => {
  it('of answers arrives whole and in order', async () => {
    const request = create(WatchTransitionsRequestSchema, { configurationName: 'count', cursor: '1000' });
    const { messages, error } = await drained<{ cursor: string }>(
      client.serverStream(method.watchTransitions, request),
    );
    expect(error).toBeUndefined();
    expect(messages.map(({ cursor }) => Number(cursor))).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it('of answers is refused for a bad request', async () => {
    const { error } = await drained(
      client.serverStream(method.watchTransitions, create(WatchTransitionsRequestSchema, {})),
    );
    expect(error?.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(errorInfoOf(error)?.reason).toBe('INVALID_FIELD');
  });

  it('both ways answers each request', async () => {
    const call = client.bidi(method.streamEvents);
    for (let i = 1; i <= 50; i++) call.write(create(StreamEventsRequestSchema, { frameId: BigInt(i) }));
    call.end();
    const { messages } = await drained<{ frameId: bigint }>(call);
    expect(messages.map(({ frameId }) => frameId)).toEqual(
      Array.from({ length: 50 }, (_, i) => BigInt(i + 1)),
    );
  });

  it('both ways ends with a status when a request is no message', async () => {
    const call = client.bidi(method.streamEvents);
    call.write(create(StreamEventsRequestSchema, { frameId: 1n }));
    call.write(Buffer.from([0xff]));
    const { messages, error } = await drained(call);
    expect(messages).toHaveLength(1);
    expect(errorInfoOf(error)?.reason).toBe('MALFORMED_MESSAGE');
  });

  it('of requests is answered once, and each request is checked', async () => {
    const named = (name: string) => create(GetConfigurationRequestSchema, { name });
    expect(await client.clientStream(collect, [named('a'), named('b')])).toMatchObject({ mermaid: 'a,b' });
    const failure = await failureOf(client.clientStream(collect, [named('a'), named(':')]));
    expect(failure.code).toBe(grpc.status.INVALID_ARGUMENT);
  });
});
