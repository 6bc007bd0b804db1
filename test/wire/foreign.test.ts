/**
 * Clients that are not ours, against the real process: each in its own language and with its own
 * library, and with no more than the address where it can do with that.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';
import { findTool } from '../support/tools.js';

const CLIENTS = join(import.meta.dirname, 'clients');
const run = promisify(execFile);

let server: ServerProcess;
beforeAll(async () => {
  server = await ServerProcess.start();
});
afterAll(() => server.dispose());

async function lines(program: string, args: readonly string[], options: object = {}): Promise<string[]> {
  const { stdout } = await run(program, args, { timeout: 120_000, ...options });
  return stdout.trimEnd().split('\n');
}

const go = findTool('go');

describe.skipIf(!go)('a Go client on the published stubs of go-statemachine', () => {
  it('walks through every rpc of statemachine.v1beta as it did before', { timeout: 180_000 }, async () => {
    const built = temporaryDirectory('go');
    const program = join(built, 'client');
    await run(go as string, ['build', '-o', program, '.'], { cwd: join(CLIENTS, 'go'), timeout: 170_000 });
    const printed = await lines(program, [server.grpcAddress]);
    removeDirectory(built);
    expect(printed).toEqual([
      'Health: OK READY',
      'PutConfiguration: OK go.orders:v1 [start pending shipped]',
      'PutConfiguration again: AlreadyExists',
      'PutConfiguration bad: InvalidArgument',
      'GetAllConfigurations: OK [go.orders]',
      'GetAllConfigurations name: OK [go.orders:v1]',
      'GetConfiguration: OK start',
      'GetConfiguration unknown: NotFound',
      'StreamAllConfigurations: OK',
      '   go.orders v1',
      'PutFiniteStateMachine: OK o-1 start',
      'PutFiniteStateMachine again: AlreadyExists',
      'PutFiniteStateMachine unknown configuration: FailedPrecondition',
      'PutFiniteStateMachine no id: OK 36 pending',
      'SendEvent accept: OK e-1 Ok o-1',
      'SendEvent accept again: OK e-1 Ok o-1',
      'SendEvent first edge wins: OK e-2 Ok o-1',
      'SendEvent not allowed: OK e-3 EventNotAllowed o-1',
      'SendEvent no such machine: OK e-4 FsmNotFound o-9',
      'SendEvent no such configuration: OK e-5 ConfigurationNotFound o-9',
      'SendEvent without id: FailedPrecondition',
      'SendEvent without name: FailedPrecondition',
      'GetEventOutcome: OK e-2 Ok o-1 go.orders',
      'GetEventOutcome unknown: NotFound',
      'GetFiniteStateMachine: OK go.orders:v1 shipped',
      '   e-1 start pending accept go d-e-1 true',
      '   e-2 pending shipped ship go d-e-2 true',
      'GetAllInState: OK [o-1]',
      'GetAllInState no state: Unimplemented',
      'StreamAllInstate: OK',
      '   o-1 shipped 2',
    ]);
  });
});

const python = findTool('python3');

describe.skipIf(!python)('a Python client that makes its stubs from reflection', () => {
  it('creates, sends, streams and watches', { timeout: 60_000 }, async () => {
    const printed = await lines(python as string, [join(CLIENTS, 'client.py'), server.grpcAddress]);
    const [services, ...steps] = printed;
    expect(services).toContain('switchgear.fsm.v1.FsmService');
    expect(steps.slice(0, -1)).toEqual([
      'created: True',
      'machine: d-1 open 0',
      'sent: applied shut False',
      'again: applied shut True',
      'frame: 0 applied',
      'frame: 1 applied',
      'frame: 2 event_not_allowed',
      'snapshot: d-1 shut 3',
      'change: d-1 shut open 4',
    ]);
    expect(steps.at(-1)).toMatch(/^refused: INVALID_ARGUMENT fsm_id: .*256/);
  });
});

const grpcurl = findTool('grpcurl');

describe.skipIf(!grpcurl)('grpcurl, which knows nothing but the address', () => {
  const ask = (...args: string[]) => lines(grpcurl as string, ['-plaintext', ...args]);

  it('lists and describes what is served, comments and constraints included', async () => {
    expect(await ask(server.grpcAddress, 'list')).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'statemachine.v1beta.StatemachineService',
      'switchgear.bus.v1.BusService',
      'switchgear.fsm.v1.FsmService',
    ]);
    const described = (await ask(server.grpcAddress, 'describe', 'switchgear.fsm.v1.Event')).join('\n');
    expect(described).toContain('max_bytes: 256');
    expect(described).toContain('at most 16 KiB');
  });

  it('takes a machine through a state', async () => {
    const call = async (rpc: string, request: object) => {
      const printed = await ask(
        '-d',
        JSON.stringify(request),
        server.grpcAddress,
        `switchgear.fsm.v1.FsmService/${rpc}`,
      );
      return JSON.parse(printed.join('\n')) as Record<string, Record<string, unknown>>;
    };
    const transitions = [{ from: 'off', to: 'on', event: 'press' }];
    const configuration = {
      name: 'curl.lamp',
      version: '1',
      states: ['off', 'on'],
      startingState: 'off',
      transitions,
    };
    expect((await call('CreateConfiguration', { configuration })).created).toBe(true);
    await call('CreateFiniteStateMachine', { configurationName: 'curl.lamp', fsmId: 'l' });
    const event = { eventId: 'e', name: 'press' };
    const { outcome } = await call('SendEvent', { configurationName: 'curl.lamp', fsmId: 'l', event });
    expect(outcome?.applied).toEqual({ from: 'off', to: 'on', version: '1' });
  });

  it('is told on the HTTP port too, which speaks gRPC over h2c', async () => {
    expect(await ask(server.httpAddress, 'list')).toContain('switchgear.fsm.v1.FsmService');
  });
});

describe('a gRPC-Web client, as in a browser', () => {
  it('calls, is told what is wrong, and watches', async () => {
    const fsm = createClient(FsmService, createGrpcWebTransport({ baseUrl: server.httpUrl }));
    const transitions = [{ from: 'a', to: 'b', event: 'go' }];
    const configuration = { name: 'web', version: '1', states: ['a', 'b'], startingState: 'a', transitions };
    expect((await fsm.createConfiguration({ configuration })).created).toBe(true);
    const refused = await fsm.getFiniteStateMachine({ configurationName: 'web' }).catch(ConnectError.from);
    expect(refused).toMatchObject({ code: Code.InvalidArgument, rawMessage: 'fsm_id: must not be empty' });
    const leave = new AbortController();
    const frames = fsm
      .watchTransitions({ configurationName: 'web' }, { signal: leave.signal })
      [Symbol.asyncIterator]();
    await frames.next();
    await fsm.createFiniteStateMachine({ configurationName: 'web', fsmId: 'w' });
    let seen = await frames.next();
    while (seen.value.changes.length === 0) seen = await frames.next();
    expect(seen.value.changes[0]).toMatchObject({ fsmId: 'w', to: 'a' });
    leave.abort();
    await expect(frames.next()).rejects.toThrow();
  });
});

const curl = findTool('curl');

describe.skipIf(!curl)('curl with JSON', () => {
  const post = async (rpc: string, request: object, ...flags: string[]) => {
    const printed = await lines(curl as string, [
      ...['-s', '-w', '\n%{http_code}', ...flags],
      ...['-H', 'content-type: application/json', '-d', JSON.stringify(request)],
      `${server.httpUrl}/switchgear.fsm.v1.FsmService/${rpc}`,
    ]);
    return { status: Number(printed.at(-1)), body: JSON.parse(printed.slice(0, -1).join('\n')) };
  };

  it.each([
    ['HTTP/1.1', '--http1.1'],
    ['h2c', '--http2-prior-knowledge'],
  ])('is answered over %s', async (_, flag) => {
    expect(await post('GetConfiguration', { name: 'curl.none' }, flag)).toMatchObject({
      status: 404,
      body: { code: 'not_found', details: [{ type: 'google.rpc.ErrorInfo' }] },
    });
  });

  it('is told which field is wrong', async () => {
    const { status, body } = await post('SendEvent', { configurationName: 'a', event: { name: 'x' } });
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toContain('"field":"fsm_id"');
    expect((await post('SendEvent', { configuration_nam: 'a' })).body.code).toBe('invalid_argument');
  });

  it('reads health, readiness and metrics', async () => {
    expect(await lines(curl as string, ['-s', `${server.httpUrl}/healthz`])).toHaveLength(1);
    expect(
      (await lines(curl as string, ['-s', '-w', '\n%{http_code}', `${server.httpUrl}/readyz`])).at(-1),
    ).toBe('200');
    const metrics = (await lines(curl as string, ['-s', `${server.httpUrl}/metrics`])).join('\n');
    expect(metrics).toMatch(/rpc_server_call_duration_seconds_count\{.*SendEvent.*INVALID_ARGUMENT/);
  });
});
