/** Every reason has its error class, and the classes say what the service said. */
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { statusError, toSwitchgearError } from '../../src/client/failure.js';
import {
  ConfigurationExistsError,
  ConfigurationNotFoundError,
  connect,
  ERROR_CLASSES,
  EventIdReusedError,
  EventNotFoundError,
  EventRefusedError,
  FsmExistsError,
  FsmNotFoundError,
  InvalidFieldError,
  OutcomeNotFoundError,
  RevisionMismatchError,
  ServiceUnknownError,
  type Switchgear,
  SwitchgearError,
  UidMismatchError,
} from '../../src/client/index.js';
import { REASONS } from '../../src/fault.js';
import type { ServerProcess } from '../support/server-process.js';
import { ring, startFixed } from './cli-support.js';

/** What a promise is rejected with. */
async function thrown(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('the call succeeded'),
    (error) => error,
  );
}

describe('the error classes', () => {
  it('are one for each reason of the service, and no others', () => {
    expect(Object.keys(ERROR_CLASSES).sort()).toEqual(Object.keys(REASONS).sort());
    expect(new Set(Object.values(ERROR_CLASSES)).size).toBe(Object.keys(REASONS).length);
  });

  it.each(Object.keys(REASONS))('are named after their reason: %s', (reason) => {
    const words = reason.toLowerCase().split('_');
    const name = `${words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join('')}Error`;
    const error = new ConnectError('text', Code.Unknown);
    error.details = [{ desc: ErrorInfoSchema, value: { reason, domain: 'switchgear.fsm' } }];
    const ours = toSwitchgearError(error);
    expect([ours.name, ours.reason, ours.constructor]).toEqual([name, reason, ERROR_CLASSES[reason]]);
  });

  it('leave a reason that a later release may state as a plain SwitchgearError with its code', () => {
    const error = new ConnectError('text', Code.NotFound);
    error.details = [
      { desc: ErrorInfoSchema, value: { reason: 'MOON_NOT_FOUND', metadata: { moon: 'io' } } },
    ];
    const ours = toSwitchgearError(error);
    expect(ours.constructor).toBe(SwitchgearError);
    expect(ours).toMatchObject({ code: 'NOT_FOUND', reason: 'MOON_NOT_FOUND', metadata: { moon: 'io' } });
  });

  it('are made from the status of a batch item as from a call of its own', () => {
    const info = create(ErrorInfoSchema, { reason: 'STORE_FULL', domain: 'switchgear.fsm' });
    const status = create(StatusSchema, {
      code: 8,
      message: 'no room',
      details: [anyPack(ErrorInfoSchema, info)],
    });
    expect(statusError(status)).toMatchObject({
      name: 'StoreFullError',
      code: 'RESOURCE_EXHAUSTED',
      message: 'no room',
    });
  });
});

describe('a call that fails', () => {
  let server: ServerProcess;
  let switchgear: Switchgear;
  beforeAll(async () => {
    server = await startFixed([]);
    switchgear = connect(server.grpcAddress);
    await switchgear.fsm.createConfiguration(ring('ring'));
    await switchgear.fsm.createFiniteStateMachine({ configurationName: 'ring', fsmId: 'm' });
  });
  afterAll(async () => {
    switchgear.close();
    await server.dispose();
  });

  const go = { configurationName: 'ring', fsmId: 'm', event: { eventId: 'e', name: 'go' } } as const;

  it.each<[string, new (...args: never[]) => Error, () => Promise<unknown>]>([
    [
      'a configuration that is not there',
      ConfigurationNotFoundError,
      () => switchgear.fsm.getConfiguration('x'),
    ],
    [
      'the same name and version with other content',
      ConfigurationExistsError,
      () => switchgear.fsm.createConfiguration({ ...ring('ring'), finalStates: [] }),
    ],
    [
      'a machine that is not there',
      FsmNotFoundError,
      () => switchgear.fsm.getFiniteStateMachine({ configurationName: 'ring', fsmId: 'x' }),
    ],
    [
      'a machine that is there',
      FsmExistsError,
      () => switchgear.fsm.createFiniteStateMachine({ configurationName: 'ring', fsmId: 'm' }),
    ],
    [
      'an event id used for another event',
      EventIdReusedError,
      async () => {
        await switchgear.fsm.sendEvent(go);
        await switchgear.fsm.sendEvent({ ...go, event: { eventId: 'e', name: 'rest' } });
      },
    ],
    [
      'an outcome that is not there',
      OutcomeNotFoundError,
      () => switchgear.fsm.getEventOutcome({ configurationName: 'ring', eventId: 'x' }),
    ],
    [
      'an event that is not there',
      EventNotFoundError,
      () => switchgear.fsm.getEvent({ configurationName: 'ring', eventId: 'x' }),
    ],
    [
      'a uid of another machine',
      UidMismatchError,
      () => switchgear.fsm.deleteFiniteStateMachine({ configurationName: 'ring', fsmId: 'm', uid: 'x' }),
    ],
    [
      'a revision that is not the current one',
      RevisionMismatchError,
      () => switchgear.fsm.setRetention({ configurationName: 'ring', expectedRevision: 99n }),
    ],
    ['a service that is not there', ServiceUnknownError, () => switchgear.health.isServing('x.Y')],
    [
      'an event that is refused, when refusals are asked for as errors',
      EventRefusedError,
      () => switchgear.fsm.apply({ configurationName: 'ring', fsmId: 'm', event: 'go-nowhere' }),
    ],
  ])('throws the class of its reason: %s', async (_, errorClass, call) => {
    expect(await thrown(call())).toBeInstanceOf(errorClass);
  });

  it('names the field that is wrong, and keeps what the library threw as its cause', async () => {
    const error = await thrown(switchgear.fsm.getConfiguration('a:b'));
    expect(error).toBeInstanceOf(InvalidFieldError);
    const { violations, cause, code } = error as InvalidFieldError;
    expect(violations).toEqual([{ field: 'name', description: expect.any(String) }]);
    expect([code, cause]).toEqual(['INVALID_ARGUMENT', expect.any(ConnectError)]);
  });

  it('throws the same class from a list, while it is iterated', async () => {
    const all = switchgear.fsm.listTransitions({ configurationName: 'ring', fsmId: 'x' });
    expect(await thrown(collected(all))).toBeInstanceOf(FsmNotFoundError);
  });

  it('ends at its deadline and by its signal, each with its own class', async () => {
    server.pause();
    try {
      const late = await thrown(switchgear.fsm.getConfiguration('ring', '', { timeoutMs: 100 }));
      expect(late).toMatchObject({ name: 'DeadlineExceededError', code: 'DEADLINE_EXCEEDED' });
      const call = switchgear.fsm.getConfiguration('ring', '', { signal: AbortSignal.timeout(50) });
      expect(await thrown(call)).toMatchObject({
        code: expect.stringMatching(/CANCELLED|DEADLINE_EXCEEDED/),
      });
      const controller = new AbortController();
      const stopped = switchgear.fsm.sendEvent(go, { signal: controller.signal });
      controller.abort();
      expect(await thrown(stopped)).toMatchObject({ name: 'CancelledError', code: 'CANCELLED' });
    } finally {
      server.resume();
    }
  });
});

describe('connect', () => {
  it.each(['localhost', 'http://localhost:1', 'a b:1', ':7398', 'h:1/x', 'u@h:1', ''])(
    'refuses what is no address: %j',
    (address) => {
      expect(() => connect(address)).toThrow(/must be host:port/);
    },
  );

  it('refuses to send credentials in plaintext to another machine', () => {
    const credentials = { id: 'a', secret: 'b' };
    expect(() => connect('db.example:7398', { credentials })).toThrow(/plaintext/);
    connect('127.0.0.1:7398', { credentials }).close();
    connect('db.example:7398', { credentials, tls: true }).close();
  });
});

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
