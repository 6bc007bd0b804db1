/** switchgear.fsm.v1 as its callers meet it: answers, refusals and errors, on the embedded store. */
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { type FsmServer, LAMP, startFsmServer } from './fsm-server.js';

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
  return {
    code: error.code,
    reason: info?.reason,
    facts: info?.metadata,
    fields: fields.map(({ field }) => field),
  };
}

let made = 0;
async function newLamp(name = 'lamp'): Promise<string> {
  made += 1;
  const fsmId = `made-${made}`;
  await server.fsm.createFiniteStateMachine({ configurationName: name, fsmId });
  return fsmId;
}

const press = (fsmId: string, eventId = '', name = 'press') => ({
  configurationName: 'lamp',
  fsmId,
  event: { eventId, name },
});

describe('CreateConfiguration', () => {
  it.each([
    ['starting_state', { startingState: 'nowhere' }],
    ['transitions[0].from', { transitions: [{ from: 'nowhere', to: 'on', event: 'x' }] }],
    ['transitions[1].to', { transitions: [LAMP.transitions[0]!, { from: 'on', to: 'nowhere', event: 'x' }] }],
    ['transitions[2]', { transitions: [...LAMP.transitions, { from: 'off', to: 'off', event: 'press' }] }],
    ['states[2]', { states: ['off', 'on', 'unused'] }],
    ['final_states[0]', { finalStates: ['nowhere'] }],
    ['states', { states: [] }],
    ['states', { states: ['off', 'on', 'on'] }],
    ['states[1]', { states: ['off', ''] }],
    ['transitions[0].event', { transitions: [{ from: 'off', to: 'on', event: 'x'.repeat(129) }] }],
  ])('names %s when that is wrong', async (field, change) => {
    const refused = await failure(
      server.fsm.createConfiguration({ configuration: { ...LAMP, name: 'bad', ...change } }),
    );
    expect(refused).toMatchObject({ code: Code.InvalidArgument, reason: 'INVALID_FIELD' });
    expect(refused.fields).toContain(`configuration.${field}`);
    expect((await failure(server.fsm.getConfiguration({ name: 'bad' }))).code).toBe(Code.NotFound);
  });

  it('answers a repeat with the stored one, and other content with ALREADY_EXISTS', async () => {
    const configuration = { ...LAMP, name: 'twice' };
    const first = await server.fsm.createConfiguration({ configuration });
    const second = await server.fsm.createConfiguration({ configuration });
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.configuration).toEqual(first.configuration);
    const other = { ...configuration, startingState: 'on' };
    expect(await failure(server.fsm.createConfiguration({ configuration: other }))).toMatchObject({
      code: Code.AlreadyExists,
      reason: 'CONFIGURATION_EXISTS',
    });
  });

  it('warns of states that cannot be reached or left', async () => {
    const transitions = [
      ...LAMP.transitions,
      { from: 'island', to: 'off', event: 'swim' },
      { from: 'on', to: 'end', event: 'break' },
    ];
    const configuration = { ...LAMP, name: 'odd', states: ['off', 'on', 'island', 'end'], transitions };
    const { warnings } = await server.fsm.createConfiguration({ configuration });
    expect(warnings.map(({ kind, state }) => [kind, state])).toEqual([
      [1, 'island'],
      [2, 'end'],
    ]);
    const quiet = { ...configuration, version: '2', finalStates: ['end'] };
    expect((await server.fsm.createConfiguration({ configuration: quiet })).warnings).toHaveLength(1);
  });

  it('refuses one that is larger than 1 MiB', async () => {
    const states = Array.from({ length: 900 }, (_, i) => `${i}`.padEnd(128, 's'));
    const transitions = states.flatMap((from) =>
      states.slice(0, 4).map((to, i) => ({ from, to, event: `${i}`.padEnd(128, 'e') })),
    );
    const configuration = { name: 'huge', version: '1', states, transitions, startingState: states[0]! };
    expect((await failure(server.fsm.createConfiguration({ configuration }))).fields).toEqual([
      'configuration',
    ]);
  });
});

describe('CreateFiniteStateMachine', () => {
  it('starts in the starting state of the newest version unless told otherwise', async () => {
    for (const version of ['1', '2'])
      await server.fsm.createConfiguration({
        configuration: { ...LAMP, name: 'newest', version, startingState: version === '1' ? 'off' : 'on' },
      });
    const { fsm } = await server.fsm.createFiniteStateMachine({ configurationName: 'newest' });
    expect(fsm).toMatchObject({ configurationVersion: '2', state: 'on', version: 0n });
    const given = { configurationName: 'newest', configurationVersion: '1', state: 'on' };
    expect((await server.fsm.createFiniteStateMachine(given)).fsm).toMatchObject({
      configurationVersion: '1',
      state: 'on',
    });
  });

  it('is safe to repeat with a request_id, which also makes the id', async () => {
    const request = { configurationName: 'lamp', requestId: 'r-1' };
    const { fsm: first } = await server.fsm.createFiniteStateMachine(request);
    await server.fsm.sendEvent(press(first?.id ?? ''));
    const { fsm: second } = await server.fsm.createFiniteStateMachine(request);
    expect(second).toEqual(first);
    expect(
      await failure(server.fsm.createFiniteStateMachine({ ...request, fsmId: first!.id, state: 'on' })),
    ).toMatchObject({
      code: Code.AlreadyExists,
      reason: 'FSM_EXISTS',
    });
  });

  it('refuses what does not exist: a configuration, a state', async () => {
    expect(await failure(server.fsm.createFiniteStateMachine({ configurationName: 'none' }))).toMatchObject({
      code: Code.NotFound,
      reason: 'CONFIGURATION_NOT_FOUND',
    });
    const nowhere = { configurationName: 'lamp', state: 'nowhere' };
    expect(await failure(server.fsm.createFiniteStateMachine(nowhere))).toMatchObject({ fields: ['state'] });
  });
});

describe('SendEvent', () => {
  it('answers every refusal as an outcome', async () => {
    const fsmId = await newLamp();
    const outcomeOf = async (request: Parameters<typeof server.fsm.sendEvent>[0]) =>
      (await server.fsm.sendEvent(request)).outcome?.result;
    expect(await outcomeOf(press(fsmId))).toMatchObject({
      case: 'applied',
      value: { from: 'off', to: 'on', version: 1n },
    });
    expect(await outcomeOf(press(fsmId, '', 'kick'))).toMatchObject({
      case: 'eventNotAllowed',
      value: { state: 'on', allowedEvents: ['press'], version: 1n },
    });
    expect(await outcomeOf(press('nobody'))).toMatchObject({ case: 'fsmNotFound' });
    expect(await outcomeOf({ ...press(fsmId), configurationName: 'none' })).toMatchObject({
      case: 'configurationNotFound',
    });
    for (const expectation of [{ expectedVersion: 7n }, { expectedState: 'off' }])
      expect(await outcomeOf({ ...press(fsmId), ...expectation })).toMatchObject({
        case: 'versionMismatch',
        value: { actualVersion: 1n, actualState: 'on' },
      });
  });

  it('replays the first outcome, and refuses the id for another event', async () => {
    const fsmId = await newLamp();
    const first = await server.fsm.sendEvent(press(fsmId, 'once'));
    const second = await server.fsm.sendEvent(press(fsmId, 'once'));
    expect(second.outcome).toEqual({ ...first.outcome, replayed: true });
    expect(await failure(server.fsm.sendEvent(press(fsmId, 'once', 'kick')))).toMatchObject({
      code: Code.AlreadyExists,
      reason: 'EVENT_ID_REUSED',
      facts: { event_id: 'once', fsm_id: fsmId },
    });
    expect(
      (await server.fsm.getEventOutcome({ configurationName: 'lamp', eventId: 'once' })).outcome,
    ).toEqual(second.outcome);
  });
});

describe('SendEvents', () => {
  it('answers each event in its place, errors included', async () => {
    const [a, b] = [await newLamp(), await newLamp()];
    await server.fsm.sendEvent(press(a, 'used'));
    const events = [
      press(a, 'x-1'),
      press(b, 'x-2'),
      press('', 'x-3'),
      press(a, 'used', 'kick'),
      press(a, 'x-4', 'kick'),
      press(a, 'x-5'),
    ];
    const { results } = await server.fsm.sendEvents({ events });
    const shown = results.map(({ result }) =>
      result.case === 'outcome'
        ? [result.value.eventId, result.value.result.case]
        : [result.case, result.value?.code],
    );
    expect(shown).toEqual([
      ['x-1', 'applied'],
      ['x-2', 'applied'],
      ['error', Code.InvalidArgument],
      ['error', Code.AlreadyExists],
      ['x-4', 'eventNotAllowed'],
      ['x-5', 'applied'],
    ]);
    const { fsm } = await server.fsm.getFiniteStateMachine({
      configurationName: 'lamp',
      fsmId: a,
      historySize: 10,
    });
    expect(fsm?.history.map(({ event }) => event?.eventId)).toEqual(['used', 'x-1', 'x-5']);
  });

  it('takes a thousand of one machine and refuses one more', async () => {
    const fsmId = await newLamp();
    const events = Array.from({ length: 1_001 }, (_, i) => press(fsmId, `k-${i}`));
    expect((await failure(server.fsm.sendEvents({ events }))).fields).toEqual(['events']);
    const { results } = await server.fsm.sendEvents({ events: events.slice(0, 1_000) });
    expect(results.every(({ result }) => result.case === 'outcome')).toBe(true);
    expect((await server.fsm.getFiniteStateMachine({ configurationName: 'lamp', fsmId })).fsm?.version).toBe(
      1_000n,
    );
  });
});

describe('lists', () => {
  it('page by size and by bytes, and refuse a token of another list', async () => {
    const fsmId = await newLamp();
    const details = 'd'.repeat(16_384);
    for (let i = 0; i < 3; i += 1) {
      const events = Array.from({ length: 100 }, (_, j) => ({
        ...press(fsmId),
        event: { name: 'press', details, eventId: `${i}-${j}` },
      }));
      await server.fsm.sendEvents({ events });
    }
    const versions: bigint[] = [];
    let pageToken = '';
    let pages = 0;
    do {
      const page = await server.fsm.listTransitions({
        configurationName: 'lamp',
        fsmId,
        pageSize: 1_000,
        pageToken,
      });
      versions.push(...page.transitions.map(({ version }) => version));
      pageToken = page.nextPageToken;
      pages += 1;
    } while (pageToken !== '');
    expect(versions).toEqual(Array.from({ length: 300 }, (_, i) => BigInt(i + 1)));
    expect(pages).toBe(2);
    const { nextPageToken } = await server.fsm.listTransitions({
      configurationName: 'lamp',
      fsmId,
      pageSize: 1,
    });
    const reversed = { configurationName: 'lamp', fsmId, newestFirst: true, pageToken: nextPageToken };
    expect((await failure(server.fsm.listTransitions(reversed))).fields).toEqual(['page_token']);
  });

  it('count every state, those of a version or of all', async () => {
    await server.fsm.createConfiguration({ configuration: { ...LAMP, name: 'counted' } });
    for (let i = 0; i < 3; i += 1) await newLamp('counted');
    const { counts, total } = await server.fsm.countByState({ configurationName: 'counted' });
    expect(counts.map(({ state, count }) => [state, count])).toEqual([
      ['off', 3n],
      ['on', 0n],
    ]);
    expect(total).toBe(3n);
    expect(
      (await failure(server.fsm.countByState({ configurationName: 'counted', configurationVersion: '9' })))
        .code,
    ).toBe(Code.NotFound);
  });
});

describe('RenderConfiguration', () => {
  it('marks the state of a machine', async () => {
    const fsmId = await newLamp();
    await server.fsm.sendEvent(press(fsmId));
    const { mermaid } = await server.fsm.renderConfiguration({ name: 'lamp', fsmId });
    expect(mermaid.split('\n')).toContain('  class s1 current');
  });

  it('lets no name end a line, a quote or a statement', async () => {
    const hostile = 'a"\n  [*] --> s1 : x; %% {}#';
    const transitions = [{ from: hostile, to: hostile, event: hostile }];
    const configuration = {
      name: 'hostile',
      version: '1',
      states: [hostile],
      startingState: hostile,
      transitions,
    };
    await server.fsm.createConfiguration({ configuration });
    const { mermaid } = await server.fsm.renderConfiguration({ name: 'hostile' });
    expect(mermaid.trimEnd().split('\n')).toHaveLength(4);
    expect(mermaid.split('"')).toHaveLength(3);
  });
});

describe('DeleteFiniteStateMachine', () => {
  it('says whether there was one, and leaves another one alone', async () => {
    const fsmId = await newLamp();
    const request = { configurationName: 'lamp', fsmId };
    expect(await failure(server.fsm.deleteFiniteStateMachine({ ...request, uid: 'another' }))).toMatchObject({
      code: Code.FailedPrecondition,
      reason: 'UID_MISMATCH',
    });
    expect((await server.fsm.deleteFiniteStateMachine(request)).existed).toBe(true);
    expect((await server.fsm.deleteFiniteStateMachine(request)).existed).toBe(false);
  });
});

describe('SetRetention', () => {
  it('raises the revision, and answers ABORTED to an old one', async () => {
    await server.fsm.createConfiguration({ configuration: { ...LAMP, name: 'kept' } });
    const set = (historyMaxCount: bigint, expectedRevision?: bigint) =>
      server.fsm.setRetention({
        configurationName: 'kept',
        historyMaxCount,
        ...(expectedRevision === undefined ? {} : { expectedRevision }),
      });
    expect((await set(5n)).retention).toMatchObject({ historyMaxCount: 5n, revision: 1n });
    expect(await failure(set(6n, 0n))).toMatchObject({ code: Code.Aborted, facts: { actual_revision: '1' } });
    expect((await set(6n, 1n)).retention?.revision).toBe(2n);
    expect((await server.fsm.getRetention({ configurationName: 'kept' })).retention?.historyMaxCount).toBe(
      6n,
    );
  });
});

describe('AuditIndex', () => {
  it('finds nothing in a healthy store, and says when it is done', async () => {
    const frames = [];
    for await (const frame of server.fsm.auditIndex({ configurationName: 'lamp' })) frames.push(frame);
    expect(frames.at(-1)).toMatchObject({ done: true, differenceCount: 0n });
    expect(frames.at(-1)?.machinesScanned).toBe(frames.at(-1)?.entriesScanned);
    expect(frames.at(-1)?.machinesScanned).toBeGreaterThan(0n);
  });
});
