/** Who may call what: a walk over every rpc of every service that is served, by every way to call it. */
import type { DescMethod } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { VERBS } from '../../src/auth/grants.js';
import { RULED_SERVICES, ruleOf } from '../../src/auth/rules.js';
import { SERVED_PROTOS } from '../../src/server/compose.js';
import { CASES, type Case, NEEDS } from './access-cases.js';
import {
  type AccessServer,
  type Outcome,
  startAccessServer,
  TestClients,
  WAYS,
  type Way,
} from './access-server.js';

const clients = new TestClients();
let server: AccessServer;
let before: unknown;

beforeAll(async () => {
  server = await startAccessServer({ clients });
  before = await server.snapshot();
});
afterAll(() => server.stop());

/** Every rpc there is a case for, from the table itself: the first test compares it with what is served. */
const ASKED: [rpc: string, method: string, service: string][] = Object.entries(CASES).flatMap(
  ([service, methods]) =>
    Object.keys(methods).map((method): [string, string, string] => [`${service}/${method}`, method, service]),
);

function methodOf(service: string, localName: string): DescMethod {
  const found = server.bindings.find((each) => each.service.typeName === service)?.service;
  const method = found?.methods.find((each) => each.localName === localName);
  if (!method) throw new Error(`${service}/${localName} is not served`);
  return method;
}

const caseOf = (service: string, method: string) => CASES[service]?.[method] as Case;

/** Calls about `theirs`. */
function ask(way: Way, service: string, method: string, headers?: Record<string, string>): Promise<Outcome> {
  const request = caseOf(service, method).request('theirs', server.eventId('theirs'));
  return server.call(way, methodOf(service, method), request, headers);
}

/** `fsm:read` and the like. */
function needOf(service: string, method: string): string {
  const rule = ruleOf(methodOf(service, method));
  return rule.kind === 'open' ? '' : `${rule.need.service}:${rule.need.verb}`;
}

const GUARDED = ASKED.filter(([, method, service]) => caseOf(service, method).denial !== 'open');
const OPEN = ASKED.filter(([, method, service]) => caseOf(service, method).denial === 'open');

/** The errors of items, wherever a batch's answer has them. */
function itemReasons(answer: unknown): string[] {
  const { results = [], answers = [] } = answer as {
    results?: { result: { case: string; value: { details: { value: Uint8Array }[] } } }[];
    answers?: { error?: { details: { value: Uint8Array }[] } }[];
  };
  const errors = [
    ...results.map(({ result }) => (result.case === 'error' ? result.value : undefined)),
    ...answers.map(({ error }) => error),
  ];
  return errors.map((error) => Buffer.from(error?.details[0]?.value ?? '').toString('latin1'));
}

/** All that an outcome tells, as text. */
function told({ error, answer }: Outcome): string {
  const details = error?.findDetails(ErrorInfoSchema).map(({ reason, metadata }) => [reason, metadata]);
  return JSON.stringify([error?.rawMessage, details, answer], (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
}

describe('every rpc', () => {
  it('that is served has a rule and a case here, and nothing else has', () => {
    const served = server.bindings.flatMap(({ service }) =>
      service.methods.map((m) => `${service.typeName}/${m.localName}`),
    );
    expect(ASKED.map(([rpc]) => rpc).sort()).toEqual(served.sort());
    const services = server.bindings.map(({ service }) => service.typeName);
    expect([...RULED_SERVICES].sort()).toEqual(services.sort());
    for (const { typeName } of SERVED_PROTOS) expect(services).toContain(typeName);
    for (const { service } of server.bindings)
      for (const method of service.methods) expect(ruleOf(method)).toBeDefined();
  });

  it('needs what is written down beside the cases', () => {
    const needs: Record<string, string[]> = {};
    for (const { service } of server.bindings)
      for (const { localName, name } of service.methods) {
        needs[needOf(service.typeName, localName) || 'open'] ??= [];
        needs[needOf(service.typeName, localName) || 'open']?.push(`${service.name}/${name}`);
      }
    const sorted = (of: Readonly<Record<string, readonly string[]>>) =>
      Object.entries(of).map(([need, rpcs]) => [need, [...rpcs].sort()]);
    expect(Object.fromEntries(sorted(needs))).toEqual(Object.fromEntries(sorted(NEEDS)));
  });

  it('has a rule that is as open as its case says', () => {
    for (const [rpc, method, service] of ASKED)
      expect([rpc, needOf(service, method) === '']).toEqual([rpc, caseOf(service, method).denial === 'open']);
  });
});

describe.each(WAYS)('by %s', (way) => {
  it.each(GUARDED)('%s asks who calls', async (_, method, service) => {
    expect(await ask(way, service, method)).toMatchObject({
      code: 'Unauthenticated',
      reason: 'CREDENTIALS_MISSING',
    });
    const stranger = { authorization: 'stranger' };
    expect(await ask(way, service, method, stranger)).toMatchObject({
      code: 'Unauthenticated',
      reason: 'CREDENTIALS_INVALID',
    });
  });

  it.each(GUARDED)('%s is denied to a client without grants', async (_, method, service) => {
    const outcome = await ask(way, service, method, clients.grant('nobody'));
    expect(outcome).toMatchObject({ code: 'PermissionDenied', reason: 'GRANT_MISSING' });
    const [service_, verb] = needOf(service, method).split(':');
    expect(told(outcome)).toContain(`${service_}:${verb}`);
  });

  it.each(GUARDED)('%s is denied to a client with every other verb', async (_, method, service) => {
    const need = needOf(service, method);
    const all = Object.entries(VERBS).flatMap(([name, verbs]) => verbs.map((verb) => `${name}:${verb}`));
    const others = all.filter((each) => each !== need).map((each) => `${each}:*`);
    const outcome = await ask(way, service, method, clients.grant('other-verbs', ...others));
    expect(outcome).toMatchObject({ code: 'PermissionDenied', reason: 'GRANT_MISSING' });
  });

  it.each(GUARDED)(
    '%s is denied, filtered or denied by the item on another name',
    async (_, method, service) => {
      const outcome = await ask(way, service, method, clients.grant('mine-only', '*:*:mine', '*:*:min'));
      const { denial } = caseOf(service, method);
      if (denial === 'call')
        expect(outcome).toMatchObject({ code: 'PermissionDenied', reason: 'GRANT_MISSING' });
      else expect(outcome.code).toBe('OK');
      if (denial === 'items') {
        const reasons = itemReasons(outcome.answer);
        expect(reasons).toHaveLength(1);
        expect(reasons[0]).toContain('GRANT_MISSING');
      }
      if (denial === 'filter') expect(told(outcome)).toContain('mine');
      expect(told(outcome)).not.toContain('theirs');
    },
  );

  it.each(OPEN)('%s is open', async (_, method, service) => {
    expect((await ask(way, service, method)).code).toBe('OK');
  });

  it('nothing has changed by all that', async () => {
    expect(await server.snapshot()).toEqual(before);
  });

  it.each(GUARDED)('%s is not denied with the one grant it needs', async (_, method, service) => {
    const { denial } = caseOf(service, method);
    const headers = clients.grant('theirs-only', `${needOf(service, method)}:theirs`);
    const outcome = await ask(way, service, method, headers);
    expect([
      'Unauthenticated',
      'PermissionDenied',
      'Internal',
      'Unimplemented',
      'InvalidArgument',
    ]).not.toContain(outcome.code);
    if (denial === 'items') expect(itemReasons(outcome.answer)).toEqual(['']);
    if (denial === 'filter') {
      expect(told(outcome)).toContain('theirs');
      expect(told(outcome)).not.toContain('mine');
    }
  });
});

describe('a request that cannot be read', () => {
  const post = (headers: Record<string, string>) =>
    fetch(`${server.httpUrl}/switchgear.bus.v1.BusService/GetStream`, {
      method: 'POST',
      body: '{"name":',
      headers: { 'content-type': 'application/json', ...headers },
    });

  it('is refused for whose it is and not for what it says', async () => {
    expect((await post({})).status).toBe(401);
    expect((await post(clients.grant('nobody'))).status).toBe(403);
    expect((await post(clients.grant('reader', 'bus:read:mine'))).status).toBe(400);
  });
});
