/** ImportFiniteStateMachine as its callers meet it: what is refused, in which words, and with what effect. */
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { type FsmServer, startFsmServer } from './fsm-server.js';

let server: FsmServer;
beforeAll(async () => {
  server = await startFsmServer();
});
afterAll(() => server.stop());

async function failure(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (!error) throw new Error('the call succeeded');
  const [info] = error.findDetails(ErrorInfoSchema);
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return { code: error.code, reason: info?.reason, fields: fields.map(({ field }) => field) };
}

const press = (from: string, to: string, eventId: string, details = '') => ({
  from,
  to,
  event: { eventId, name: 'press', details },
});
const LAMP = { configurationName: 'lamp', configurationVersion: '1', importId: 'i', firstVersion: 1n };
const past = (fsmId: string, changes: object = {}) => ({
  ...LAMP,
  fsmId,
  history: [press('off', 'on', 'e1'), press('on', 'off', 'e2')],
  state: 'off',
  ...changes,
});

describe('ImportFiniteStateMachine', () => {
  it('answers with the machine, and with whether anything was written', async () => {
    const first = await server.fsm.importFiniteStateMachine(past('whole'));
    expect(first).toMatchObject({ written: true, fsm: { id: 'whole', state: 'off', version: 2n } });
    expect(await server.fsm.importFiniteStateMachine(past('whole'))).toEqual({ ...first, written: false });
    const { transitions } = await server.fsm.listTransitions({ configurationName: 'lamp', fsmId: 'whole' });
    expect(transitions.map(({ event }) => event?.eventId)).toEqual(['e1', 'e2']);
  });

  it.each([
    ['history[0].from', { history: [press('nowhere', 'on', 'e1')], state: 'on' }],
    ['history[0].to', { history: [press('off', 'nowhere', 'e1')], state: 'on' }],
    ['history[1].from', { history: [press('off', 'on', 'e1'), press('off', 'off', 'e2')] }],
    ['history[1].event.event_id', { history: [press('off', 'on', 'e1'), press('on', 'off', 'e1')] }],
    ['history[0].event.event_id', { history: [press('off', 'off', '')] }],
    ['history[0].event', { history: [{ from: 'off', to: 'on' }] }],
    ['state', { state: 'on' }],
    ['state', { state: 'nowhere', history: [] }],
    ['refused[0].state', { refused: [{ event: { eventId: 'r', name: 'x' }, state: 'nowhere' }] }],
    ['refused[0].event.event_id', { refused: [{ event: { eventId: 'e2', name: 'x' }, state: 'on' }] }],
    ['first_version', { firstVersion: 0n }],
    ['import_id', { importId: '' }],
    ['history', { history: Array.from({ length: 1_001 }, (_, i) => press('off', 'off', `e${i}`)) }],
    [
      'history',
      { history: Array.from({ length: 200 }, (_, i) => press('off', 'off', `e${i}`, 'x'.repeat(16_384))) },
    ],
  ])('names %s when that is wrong, and makes nothing', async (field, changes) => {
    const refused = await failure(server.fsm.importFiniteStateMachine(past('bad', changes)));
    expect(refused).toMatchObject({ code: Code.InvalidArgument, reason: 'INVALID_FIELD' });
    expect(refused.fields).toContain(field);
    const found = await failure(server.fsm.getFiniteStateMachine({ ...LAMP, fsmId: 'bad' }));
    expect(found.reason).toBe('FSM_NOT_FOUND');
  });

  it.each<[string, Code, string, object]>([
    ['an unknown configuration', Code.NotFound, 'CONFIGURATION_NOT_FOUND', { configurationName: 'none' }],
    ['an unknown version', Code.NotFound, 'CONFIGURATION_NOT_FOUND', { configurationVersion: '9' }],
    ['a second chunk of nothing', Code.NotFound, 'FSM_NOT_FOUND', { firstVersion: 2n }],
    ['a machine that was created here', Code.AlreadyExists, 'FSM_EXISTS', { fsmId: 'l-1' }],
  ])('refuses %s', async (_, code, reason, changes) => {
    const refused = await failure(server.fsm.importFiniteStateMachine(past('new', changes)));
    expect(refused).toMatchObject({ code, reason });
  });

  it('refuses an event id that was used for another body', async () => {
    const { configurationName } = LAMP;
    await server.fsm.createFiniteStateMachine({ configurationName, fsmId: 'reused' });
    const event = { eventId: 'e2', name: 'press', details: 'other' };
    await server.fsm.sendEvent({ configurationName, fsmId: 'reused', event });
    await server.fsm.deleteFiniteStateMachine({ configurationName, fsmId: 'reused' });
    const refused = await failure(server.fsm.importFiniteStateMachine(past('reused')));
    expect(refused).toMatchObject({ code: Code.AlreadyExists, reason: 'EVENT_ID_REUSED' });
  });

  it('names the entry at which a machine that has moved on parts from what is sent', async () => {
    await server.fsm.importFiniteStateMachine(past('parted'));
    const history = [...past('parted').history, press('on', 'off', 'e3')];
    const refused = await failure(server.fsm.importFiniteStateMachine(past('parted', { history })));
    expect(refused.fields).toEqual(['history[2].from']);
    const late = { history: [press('on', 'off', 'e3')], firstVersion: 3n };
    expect((await failure(server.fsm.importFiniteStateMachine(past('parted', late)))).fields).toEqual([
      'history[0].from',
    ]);
  });
});
