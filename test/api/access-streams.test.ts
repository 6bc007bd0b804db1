/** Streams that are open when what their client may do is changed: all shapes, on both ports. */
import { create, type DescMethod } from '@bufbuild/protobuf';
import type { Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FsmService, GetRetentionResponseSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { type Call, EVERYTHING } from '../../src/call.js';
import { Shapes, startTestServer, type TestServer } from '../support/transports.js';
import { deferred, eventually } from '../support/waiting.js';
import { endOfStream, TestClients, WAYS, type Way, waysTo } from './access-server.js';

const clients = new TestClients();
/** Calls that handlers have begun, by the id of their client. */
const begun = new Set<string>();
const ended = new Set<string>();
let unaryMayEnd = deferred<void>();
let server: TestServer;
let transports: Record<Way, Transport>;

/** A handler that answers nothing and goes on until it is told to end. */
async function untilAborted({ signal, access }: Call): Promise<never> {
  const { client } = access as unknown as { client: { id: string } };
  begun.add(client.id);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  ended.add(client.id);
  throw signal.reason;
}

beforeAll(async () => {
  server = await startTestServer({
    authenticator: clients,
    fsm: {
      async *watchTransitions(_, call) {
        yield await untilAborted(call);
      },
      async *streamEvents(_, call) {
        yield await untilAborted(call);
      },
      async getRetention(_, call) {
        begun.add((call.access as unknown as { client: { id: string } }).client.id);
        await unaryMayEnd.promise;
        return create(GetRetentionResponseSchema);
      },
    },
    collect: (_, call) => untilAborted(call),
  });
  transports = waysTo(server.grpcUrl, server.httpUrl);
});
afterAll(() => server.stop());

const SHAPES: [shape: string, method: DescMethod, request: object][] = [
  ['a stream of answers', FsmService.method.watchTransitions, { configurationName: 'lamp' }],
  ['a stream of requests', Shapes.methods[0] as DescMethod, { name: 'lamp' }],
  ['a stream both ways', FsmService.method.streamEvents, { frameId: 1n }],
];

function endOf(way: Way, method: DescMethod, request: object, authorization?: string): Promise<string> {
  return endOfStream(transports[way], method, request, authorization === undefined ? {} : { authorization });
}

describe.each(WAYS)('by %s', (way) => {
  describe.each(SHAPES)('%s', (shape, method, request) => {
    const id = (what: string) => `${way}/${shape}/${what}`.replaceAll(' ', '-');
    async function open(client: string, ...grants: string[]): Promise<Promise<string>[]> {
      clients.grant(client, ...grants);
      const end = endOf(way, method, request, client);
      await eventually(() => begun.has(client), 'the handler is called');
      // In an array, for a promise of a promise would be waited for.
      return [end];
    }

    it('is refused before anything of it is read, whatever is still to come', async () => {
      const before = begun.size;
      expect(await endOf(way, method, request)).toBe('Unauthenticated CREDENTIALS_MISSING');
      expect(await endOf(way, method, request, 'no-such')).toBe('Unauthenticated CREDENTIALS_INVALID');
      clients.grant(id('none'), 'fsm:manage:*');
      expect(await endOf(way, method, request, id('none'))).toBe('PermissionDenied GRANT_MISSING');
      expect(begun.size).toBe(before);
    });

    it('ends when its client is taken away', async () => {
      const client = id('removed');
      const [end] = await open(client, 'fsm:*:*');
      clients.remove(client);
      expect(await end).toBe('Unauthenticated CREDENTIALS_INVALID');
      await eventually(() => ended.has(client), 'the handler was told');
    });

    it('ends when its grant is taken away', async () => {
      const client = id('revoked');
      const [end] = await open(client, 'fsm:*:lamp');
      clients.grant(client, 'bus:*:*');
      expect(await end).toBe('PermissionDenied GRANT_MISSING');
      await eventually(() => ended.has(client), 'the handler was told');
    });

    it('goes on when others change, or the grant is another that says as much', async () => {
      const client = id('kept');
      const [end] = await open(client, 'fsm:*:lamp');
      clients.grant(client, 'fsm:*:l*');
      clients.remove(id('removed'));
      expect(await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 100, 'open'))])).toBe(
        'open',
      );
      clients.remove(client);
      expect(await end).toBe('Unauthenticated CREDENTIALS_INVALID');
    });
  });

  it('a stream about one name ends when another is granted in its place', async () => {
    const [, method, request] = SHAPES[0] as (typeof SHAPES)[0];
    const client = `${way}/other-name`;
    clients.grant(client, 'fsm:read:lamp');
    const end = endOf(way, method, request, client);
    await eventually(() => begun.has(client), 'the handler is called');
    clients.grant(client, 'fsm:read:door');
    expect(await end).toBe('PermissionDenied GRANT_MISSING');
  });

  it('a unary call that was let in is answered', async () => {
    const client = `${way}/unary`;
    unaryMayEnd = deferred<void>();
    clients.grant(client, 'fsm:read:lamp');
    const transport = transports[way];
    const { getRetention } = FsmService.method;
    const request = { configurationName: 'lamp' };
    const answer = transport.unary(getRetention, undefined, 20_000, { authorization: client }, request);
    await eventually(() => begun.has(client), 'the handler is called');
    clients.remove(client);
    unaryMayEnd.resolve();
    await answer;
  });
});

describe('a server that asks nobody', () => {
  it('gives every call everything, and looks at no credentials', async () => {
    const seen: unknown[] = [];
    const open = await startTestServer({
      fsm: {
        getRetention: async (_, call) => {
          seen.push(call.access);
          return create(GetRetentionResponseSchema);
        },
      },
    });
    const transport = createGrpcTransport({ baseUrl: open.grpcUrl });
    const headers = { authorization: 'Basic nonsense' };
    await transport.unary(FsmService.method.getRetention, undefined, 20_000, headers, {
      configurationName: 'x',
    });
    expect(seen).toEqual([EVERYTHING]);
    expect(seen[0]).toBe(EVERYTHING);
    await open.stop();
  });
});
