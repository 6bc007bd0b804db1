/** What the log says of who called: refusals with their address, and a line for every administrative act. */
import type { DescMethod } from '@bufbuild/protobuf';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { ruleOf } from '../../src/auth/rules.js';
import { eventually } from '../support/waiting.js';
import { CASES, type Case } from './access-cases.js';
import { type AccessServer, startAccessServer, TestClients } from './access-server.js';

const SECRET = 'not-a-client-but-a-secret';
const clients = new TestClients();
let server: AccessServer;
let managing: [DescMethod, Case][];

beforeAll(async () => {
  // Each call is looked for by its line.
  const limits = { refusedLinesPerAddress: 1_000, deniedLinesPerClient: 1_000 };
  server = await startAccessServer({ clients, limits });
  managing = methodsOf(server).filter(([method]) => {
    const rule = ruleOf(method);
    return rule.kind !== 'open' && rule.need.verb === 'manage';
  });
});
afterAll(() => server.stop());
beforeEach(() => {
  server.log.length = 0;
});

function methodsOf({ bindings }: AccessServer): [DescMethod, Case][] {
  return bindings.flatMap(({ service }) =>
    service.methods.map((method): [DescMethod, Case] => [
      method,
      CASES[service.typeName]?.[method.localName] as Case,
    ]),
  );
}

const nameOf = (method: DescMethod) => `${method.parent.typeName}/${method.name}`;
const ADDRESS = '127.0.0.1';

/** The audit lines, and what of them is the same each time. */
const audit = () =>
  server.log.filter((line) => line.audit === true).map(({ time, duration_ms, ...line }) => ({ ...line }));

describe.each(['gRPC', 'Connect'] as const)('by %s', (way) => {
  const call = (method: DescMethod, { request }: Case, headers?: Record<string, string>) =>
    server.call(way, method, request('theirs', server.eventId('theirs')), headers);

  it('there is something to manage', () => {
    expect(managing.length).toBeGreaterThanOrEqual(14);
  });

  it('every act is one line, done or not', async () => {
    const headers = clients.grant('keeper', '*:*:theirs');
    for (const [method, theCase] of managing) {
      server.log.length = 0;
      const { code } = await call(method, theCase, headers);
      await eventually(() => audit().length > 0, 'the line of a stream comes at its end');
      const [line, ...more] = audit();
      expect(more).toEqual([]);
      expect(line).toMatchObject({
        level: 30,
        rpc: nameOf(method),
        client: 'keeper',
        address: ADDRESS,
        name: 'theirs',
      });
      // Its caller leaves a stream at the first answer.
      if (method.methodKind === 'unary')
        expect(String(line?.code).replaceAll('_', '').toLowerCase()).toBe(code.toLowerCase());
    }
  });

  it('an act that is denied is a line too, with its client and what it was about', async () => {
    for (const [method, theCase] of managing) {
      server.log.length = 0;
      await call(method, theCase, clients.grant('other', '*:*:mine'));
      expect(audit()).toMatchObject([
        { client: 'other', address: ADDRESS, name: 'theirs', code: 'PERMISSION_DENIED' },
      ]);
      server.log.length = 0;
      await call(method, theCase, clients.grant('nobody'));
      expect(audit()).toMatchObject([
        { client: 'nobody', address: ADDRESS, name: null, code: 'PERMISSION_DENIED' },
      ]);
    }
  });

  it('an act of nobody known is a line without a client', async () => {
    for (const [method, theCase] of managing) {
      server.log.length = 0;
      await call(method, theCase, { authorization: SECRET });
      expect(audit()).toMatchObject([
        { rpc: nameOf(method), client: null, address: ADDRESS, name: null, code: 'UNAUTHENTICATED' },
      ]);
      expect(JSON.stringify(server.log)).not.toContain(SECRET);
    }
  });

  it('a call that manages nothing leaves no such line', async () => {
    const acts = new Set(managing.map(([method]) => method));
    for (const [method, theCase] of methodsOf(server))
      if (!acts.has(method)) await call(method, theCase, { authorization: 'root' });
    expect(audit()).toEqual([]);
  });

  it('a refused call is logged with its address, and its client once that was shown', async () => {
    const [method, theCase] = methodsOf(server).find(([each]) => each.name === 'WriteEvent') as [
      DescMethod,
      Case,
    ];
    await call(method, theCase, { authorization: SECRET });
    await call(method, theCase, clients.grant('nobody'));
    expect(server.log).toMatchObject([
      { code: 'UNAUTHENTICATED', reason: 'CREDENTIALS_INVALID', client: null, address: ADDRESS },
      { code: 'PERMISSION_DENIED', reason: 'GRANT_MISSING', client: 'nobody', address: ADDRESS },
    ]);
    expect(JSON.stringify(server.log)).not.toContain(SECRET);
  });
});

describe('a flood of calls', () => {
  const { updateStream } = BusService.method;
  const { check } = Health.method;
  let flooded: AccessServer;
  beforeAll(async () => {
    flooded = await startAccessServer({ clients, limits: { deniedLinesPerClient: 12 } });
  });
  afterAll(() => flooded.stop());
  beforeEach(() => {
    flooded.log.length = 0;
  });

  const lines = (isAudit: boolean) => flooded.log.filter((line) => (line.audit === true) === isAudit);
  /** The counts among them, which come when the second is over. */
  const countsIn = async (isAudit: boolean, of: object) => {
    const counts = () => lines(isAudit).filter(({ suppressed }) => suppressed !== undefined);
    await eventually(() => counts().length > 0, 'what was left out is counted');
    expect(counts()).toMatchObject([of]);
    return Number(counts()[0]?.suppressed);
  };

  it.each<[string, DescMethod, Record<string, string>, number, object]>([
    ['of nobody known has ten lines a second', updateStream, {}, 10, { address: ADDRESS }],
    [
      'of a client that is denied has its share',
      updateStream,
      { authorization: 'poor' },
      12,
      { client: 'poor' },
    ],
  ])('%s, and one that counts the others, also in the audit', async (_, method, headers, share, of) => {
    clients.grant('poor');
    for (let i = 0; i < 40; i += 1)
      await flooded.call(i % 2 === 0 ? 'gRPC' : 'Connect', method, { name: 'mine' }, headers);
    for (const isAudit of [false, true]) {
      const suppressed = await countsIn(isAudit, of);
      const told = lines(isAudit).length - 1;
      expect([told + suppressed, told % share]).toEqual([40, 0]);
      // Two seconds, should they have fallen in between.
      expect(told).toBeLessThanOrEqual(2 * share);
    }
  });

  it('of rpcs that are open has no more', async () => {
    for (let i = 0; i < 40; i += 1) await flooded.call('gRPC', check, { service: 'none' });
    const suppressed = await countsIn(false, { address: ADDRESS });
    expect(lines(false).length - 1 + suppressed).toBe(40);
  });

  it('of /metrics has no more', async () => {
    for (let i = 0; i < 40; i += 1) expect((await fetch(`${flooded.httpUrl}/metrics`)).status).toBe(401);
    const suppressed = await countsIn(false, { address: ADDRESS });
    expect(lines(false).length - 1 + suppressed).toBe(40);
  });

  it('that fail otherwise has all its lines', async () => {
    const headers = clients.grant('reader', 'bus:read:*');
    for (let i = 0; i < 150; i += 1)
      await flooded.call('gRPC', BusService.method.getStream, { name: 'none' }, headers);
    expect(lines(false)).toHaveLength(150);
  });
});

describe('a server that asks nobody', () => {
  it.each([
    ['info', 1],
    ['error', 1],
    ['silent', 0],
  ])('still says what was managed, at log level %s', async (logLevel, count) => {
    const open = await startAccessServer({ logLevel });
    for (const way of ['gRPC', 'Connect'] as const) {
      const [method, { request }] = methodsOf(open).find(([each]) => each.name === 'UpdateStream') as [
        DescMethod,
        Case,
      ];
      open.log.length = 0;
      expect((await open.call(way, method, request('mine', ''))).code).toBe('Aborted');
      const lines = open.log.filter((line) => line.audit === true);
      expect(lines).toHaveLength(count);
      if (count > 0)
        expect(lines[0]).toMatchObject({ client: null, address: ADDRESS, name: 'mine', code: 'ABORTED' });
      if (logLevel === 'error') expect(open.log).toEqual(lines);
    }
    await open.stop();
  });
});
