/** statemachine.v1beta where it is more than the Go client walks through: limits, bounds, edge cases. */
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventOutcome_StatusCode as Outcome } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { type FsmServer, startFsmServer } from './fsm-server.js';

let server: FsmServer;
beforeAll(async () => {
  server = await startFsmServer();
});
afterAll(() => server.stop());

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  return call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason).code,
  );
}

const DOOR = {
  name: 'door',
  states: ['open', 'shut'],
  startingState: 'open',
  transitions: [
    { from: 'open', to: 'shut', event: 'push' },
    { from: 'shut', to: 'open', event: 'push' },
  ],
};

describe('configurations', () => {
  it('get version v1 when they name none, and are never replaced', async () => {
    expect((await server.beta.putConfiguration(DOOR)).id).toBe('door:v1');
    expect(await codeOf(server.beta.putConfiguration(DOOR))).toBe(Code.AlreadyExists);
    expect((await server.beta.getConfiguration({ value: 'door' })).version).toBe('v1');
  });

  it.each([
    ['no name', { name: '' }],
    ['no state', { states: [] }],
    ['an unknown starting state', { startingState: 'ajar' }],
    ['an unknown end', { transitions: [...DOOR.transitions, { from: 'open', to: 'ajar', event: 'x' }] }],
    ['a state in no transition', { states: [...DOOR.states, 'ajar'] }],
    ['a name that is too long', { name: 'x'.repeat(129) }],
    ['a name that hides a version', { name: 'a:b' }],
  ])('are refused with %s', async (_, change) => {
    expect(await codeOf(server.beta.putConfiguration({ ...DOOR, version: 'bad', ...change }))).toBe(
      Code.InvalidArgument,
    );
  });

  it('list nothing for a name that nobody knows, and stream nothing', async () => {
    expect((await server.beta.getAllConfigurations({ value: 'none' })).ids).toEqual([]);
    for await (const _ of server.beta.streamAllConfigurations({ value: 'none' })) expect.unreachable();
    expect(await codeOf(server.beta.getConfiguration({ value: 'none:v1' }))).toBe(Code.NotFound);
    expect(await codeOf(server.beta.getConfiguration({ value: '' }))).toBe(Code.NotFound);
  });
});

describe('names and ids', () => {
  const long = 'x'.repeat(6_000);
  const id = (value: string) => ({ case: 'id' as const, value });
  const state = (value: string) => ({ case: 'state' as const, value });
  const all = async (stream: AsyncIterable<unknown>) => {
    for await (const _ of stream) expect.unreachable();
  };

  it.each<[string, (text: string) => Promise<unknown>]>([
    ['value of GetConfiguration', (value) => server.beta.getConfiguration({ value })],
    [
      'value of GetConfiguration, in its version',
      (v) => server.beta.getConfiguration({ value: `door:${v}` }),
    ],
    ['value of GetAllConfigurations', (value) => server.beta.getAllConfigurations({ value })],
    ['value of StreamAllConfigurations', (value) => all(server.beta.streamAllConfigurations({ value }))],
    [
      'fsm.config_id of PutFiniteStateMachine',
      (text) => server.beta.putFiniteStateMachine({ fsm: { configId: `${text}:1` } }),
    ],
    [
      'fsm.config_id of PutFiniteStateMachine, in its version',
      (text) => server.beta.putFiniteStateMachine({ fsm: { configId: `lamp:${text}` } }),
    ],
    [
      'fsm.state of PutFiniteStateMachine',
      (text) => server.beta.putFiniteStateMachine({ fsm: { configId: 'lamp:1', state: text } }),
    ],
    [
      'config of GetFiniteStateMachine',
      (config) => server.beta.getFiniteStateMachine({ config, query: id('1') }),
    ],
    [
      'id of GetFiniteStateMachine',
      (text) => server.beta.getFiniteStateMachine({ config: 'lamp', query: id(text) }),
    ],
    ['config of GetAllInState', (config) => server.beta.getAllInState({ config, query: state('off') })],
    ['state of GetAllInState', (text) => server.beta.getAllInState({ config: 'lamp', query: state(text) })],
    [
      'config of StreamAllInstate',
      (config) => all(server.beta.streamAllInstate({ config, query: state('off') })),
    ],
    ['config of GetEventOutcome', (config) => server.beta.getEventOutcome({ config, id: '1' })],
    ['id of GetEventOutcome', (text) => server.beta.getEventOutcome({ config: 'lamp', id: text })],
  ])('are refused when they are longer than v1 takes: %s', async (what, call) => {
    const error = await call(long).then(
      () => undefined,
      (thrown: unknown) => ConnectError.from(thrown),
    );
    expect([error?.code, error?.rawMessage.split(':')[0]]).toEqual([
      Code.InvalidArgument,
      what.split(' ')[0],
    ]);
  });
});

describe('machines', () => {
  it('are refused in a state that their configuration lacks, and without one', async () => {
    const put = (fsm?: { configId: string; state?: string }) =>
      codeOf(server.beta.putFiniteStateMachine(fsm ? { fsm } : {}));
    expect(await put({ configId: 'lamp:1', state: 'ajar' })).toBe(Code.InvalidArgument);
    expect(await put()).toBe(Code.InvalidArgument);
    for (const configId of ['', 'lamp', 'lamp:9', 'lamp:1:1'])
      expect(await put({ configId })).toBe(Code.FailedPrecondition);
    const long = { id: 'x'.repeat(257), fsm: { configId: 'lamp:1' } };
    expect(await codeOf(server.beta.putFiniteStateMachine(long))).toBe(Code.InvalidArgument);
  });

  it('show the newest history that fits, and say that there is more', async () => {
    await server.beta.putFiniteStateMachine({ id: 'long', fsm: { configId: 'lamp:1' } });
    const details = 'd'.repeat(16_384);
    for (let i = 0; i < 3; i += 1) {
      const events = Array.from({ length: 100 }, (_, j) => ({
        configurationName: 'lamp',
        fsmId: 'long',
        event: { eventId: `${i * 100 + j}`, name: 'press', details },
      }));
      await server.fsm.sendEvents({ events });
    }
    let truncated: string | null = null;
    const request = { config: 'lamp', query: { case: 'id' as const, value: 'long' } };
    const onTrailer = (trailer: Headers) => {
      truncated = trailer.get('switchgear-truncated');
    };
    const { history } = await server.beta.getFiniteStateMachine(request, { onTrailer });
    expect(history.at(-1)?.eventId).toBe('299');
    expect(Number(truncated)).toBe(300 - history.length);
    expect(history.length).toBeGreaterThan(150);
    expect(history.map(({ eventId }) => Number(eventId))).toEqual(
      history.map((_, i) => 300 - history.length + i),
    );
  });

  it('are listed by state, but not beyond 3 MiB in one answer', { timeout: 60_000 }, async () => {
    const crowd = 14_000;
    await server.beta.putConfiguration({ ...DOOR, name: 'crowd' });
    const create = (i: number) =>
      server.fsm.createFiniteStateMachine({ configurationName: 'crowd', fsmId: `${i}`.padEnd(240, 'x') });
    for (let i = 0; i < crowd; i += 500)
      await Promise.all(Array.from({ length: 500 }, (_, j) => create(i + j)));
    const request = { config: 'crowd', query: { case: 'state' as const, value: 'open' } };
    expect(await codeOf(server.beta.getAllInState(request))).toBe(Code.ResourceExhausted);
    const ids = new Set<string>();
    for await (const { id } of server.beta.streamAllInstate(request)) ids.add(id);
    expect(ids.size).toBe(crowd);
  });
});

describe('events', () => {
  const push = (id: string, eventId: string, details = '') => ({
    config: 'lamp',
    id,
    event: { eventId, details, transition: { event: 'press' } },
  });

  it('get an id and a time when they have none', async () => {
    await server.beta.putFiniteStateMachine({ id: 'timed', fsm: { configId: 'lamp:1' } });
    const { eventId, outcome } = await server.beta.sendEvent(push('timed', ''));
    expect(eventId).toMatch(/^[0-9a-f-]{36}$/);
    expect(outcome).toMatchObject({ code: Outcome.Ok, id: 'timed', config: 'lamp' });
    const { history } = await server.beta.getFiniteStateMachine({
      config: 'lamp',
      query: { case: 'id', value: 'timed' },
    });
    expect(history[0]?.timestamp?.seconds).toBeGreaterThan(1_700_000_000n);
  });

  it('with a used id and another body are refused', async () => {
    await server.beta.putFiniteStateMachine({ id: 'twice', fsm: { configId: 'lamp:1' } });
    await server.beta.sendEvent(push('twice', 'same'));
    expect(await codeOf(server.beta.sendEvent(push('twice', 'same', 'other')))).toBe(Code.AlreadyExists);
  });

  it('are limited in size, in the words of their contract', async () => {
    const error = await server.beta.sendEvent(push('x'.repeat(257), 'e')).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringMatching(/^id: /) });
    expect(await codeOf(server.beta.sendEvent(push('l-1', 'e', 'x'.repeat(16_385))))).toBe(
      Code.InvalidArgument,
    );
  });

  it('sent to one contract are answered by the other', async () => {
    await server.beta.putFiniteStateMachine({ id: 'both', fsm: { configId: 'lamp:1' } });
    await server.beta.sendEvent(push('both', 'shared'));
    const fsm = createClient(FsmService, server.transport);
    const { outcome } = await fsm.getEventOutcome({ configurationName: 'lamp', eventId: 'shared' });
    expect(outcome).toMatchObject({ fsmId: 'both', result: { case: 'applied' } });
  });
});
