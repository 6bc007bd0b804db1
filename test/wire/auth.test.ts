/** Authentication of the product as a process: with the files that its command line makes, on both ports. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DescMethod } from '@bufbuild/protobuf';
import type { Transport } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { addClient, newSecret, removeClient, revokeFrom, rotateSecret } from '../../src/auth/client-edits.js';
import { endOfStream, type Outcome, outcomeOf, WAYS, type Way, waysTo } from '../api/access-server.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';
import { eventually } from '../support/waiting.js';

const directory = temporaryDirectory('auth');
const files = { authFile: join(directory, 'clients.yaml'), pepperFile: undefined };
/** Everything that must never be seen in what the process writes. */
const secrets: string[] = [];
let server: ServerProcess;
let ways: Record<Way, Transport>;

const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

/** A header with a secret, which is remembered. */
function credentials(id: string, secret = newSecret()): string {
  const header = basic(id, secret);
  secrets.push(secret, header.slice('Basic '.length));
  return header;
}

/** Adds a client and resolves with its header. */
async function add(id: string, ...grants: string[]): Promise<string> {
  const secret = newSecret();
  await addClient(files, { id, grants, names: [], secret });
  return credentials(id, secret);
}

let worker: string;
let scraper: string;
/** Of each way to call a client of its own, since failures are counted by client and address. */
const victims = new Map<Way, string>();

beforeAll(async () => {
  worker = await add('worker', 'fsm:*:lamp*', 'bus:*:orders*');
  scraper = await add('scraper', 'server:read:metrics');
  for (const [i, way] of WAYS.entries()) victims.set(way, await add(`victim-${i}`, 'fsm:*:*'));
  server = await ServerProcess.start({ flags: ['--auth-file', files.authFile, '--log-level', 'debug'] });
  ways = waysTo(`http://${server.grpcAddress}`, server.httpUrl);
});
afterAll(async () => {
  await server.dispose();
  removeDirectory(directory);
});

const { getConfiguration, watchTransitions, streamEvents, createConfiguration } = FsmService.method;
const REQUESTS: [shape: string, method: DescMethod, request: object][] = [
  ['a unary call', getConfiguration, { name: 'lamp' }],
  ['a stream of answers', watchTransitions, { configurationName: 'lamp' }],
  ['a stream both ways', streamEvents, { frameId: 1n }],
];
const LAMP = { name: 'lamp', version: '1', states: ['off'], startingState: 'off' };

function call(way: Way, method: DescMethod, request: object, authorization?: string): Promise<Outcome> {
  return outcomeOf(ways[way], method, request, authorization === undefined ? {} : { authorization });
}

const auditLines = () =>
  server.output
    .split('\n')
    .filter((line) => line.includes('"audit":true'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('the banner', () => {
  it('says that callers are asked, and how many there are', () => {
    expect(server.output).toMatch(/security +authentication on \(6 clients, /);
  });
});

describe.each(WAYS)('by %s', (way) => {
  it.each(REQUESTS)('%s is let in with the right secret', async (_, method, request) => {
    const outcome = await call(way, method, request, worker);
    expect(['OK', 'CONFIGURATION_NOT_FOUND']).toContain(outcome.reason);
  });

  it.each(REQUESTS)('%s is refused without credentials', async (_, method, request) => {
    expect(await call(way, method, request)).toMatchObject({
      code: 'Unauthenticated',
      reason: 'CREDENTIALS_MISSING',
    });
  });

  it.each(REQUESTS)('%s is refused with what are none', async (_, method, request) => {
    const malformed = [
      'Basic',
      'Basic !!!!',
      'Bearer abcdef',
      `Basic ${Buffer.from('no-colon').toString('base64')}`,
      `Basic ${Buffer.from(`${'x'.repeat(100)}:secret`).toString('base64')}`,
      `Basic ${'QUFB'.repeat(1_000)}`,
      worker.slice(0, -3),
      `${worker}, ${worker}`,
    ];
    for (const header of malformed) {
      const outcome = await call(way, method, request, header);
      expect([header.slice(0, 40), outcome.code]).toEqual([header.slice(0, 40), 'Unauthenticated']);
      expect(outcome.error?.rawMessage).not.toContain('colon');
    }
  });

  it.each(REQUESTS)(
    '%s tells a wrong secret from an unknown id by nothing',
    async (shape, method, request) => {
      const wrong = await call(way, method, request, credentials(`victim-${WAYS.indexOf(way)}`));
      const id = `nobody-${way}-${shape}`.replaceAll(' ', '-');
      const unknown = await call(way, method, request, credentials(id));
      for (const outcome of [wrong, unknown])
        expect(outcome).toMatchObject({ code: 'Unauthenticated', reason: 'CREDENTIALS_INVALID' });
      expect(wrong.error?.rawMessage).toBe(unknown.error?.rawMessage);
      expect(wrong.error?.details).toEqual(unknown.error?.details);
    },
  );

  it('whoever is wrong too often is told to wait, and the client itself is let in all the same', async () => {
    const [, method, request] = REQUESTS[0] as (typeof REQUESTS)[0];
    const id = `victim-${WAYS.indexOf(way)}`;
    const outcomes: Outcome[] = [];
    for (let i = 0; i < 4; i += 1) outcomes.push(await call(way, method, request, credentials(id)));
    // Three were wrong above.
    const reasons = outcomes.map(({ reason }) => reason);
    expect(reasons.slice(0, 2)).toEqual(['CREDENTIALS_INVALID', 'CREDENTIALS_INVALID']);
    expect(reasons.at(-1)).toBe('TOO_MANY_FAILURES');
    expect(outcomes.at(-1)?.error?.findDetails(RetryInfoSchema)).toHaveLength(1);
    for (const header of [victims.get(way), worker])
      expect((await call(way, method, request, header)).code).not.toBe('Unauthenticated');
  });

  it('what is not granted is denied', async () => {
    expect(await call(way, getConfiguration, { name: 'door' }, worker)).toMatchObject({
      reason: 'GRANT_MISSING',
    });
    expect(await call(way, BusService.method.listStreams, {}, scraper)).toMatchObject({
      reason: 'GRANT_MISSING',
    });
  });

  it('health and reflection are open', async () => {
    expect((await call(way, Health.method.check, { service: '' })).code).toBe('OK');
    const asked = { messageRequest: { case: 'listServices', value: '' } };
    expect((await call(way, ServerReflection.method.serverReflectionInfo, asked)).code).toBe('OK');
  });
});

describe('plain HTTP', () => {
  const PATH = '/switchgear.fsm.v1.FsmService/GetConfiguration';
  const post = (body: string | Uint8Array, headers: Record<string, string>) =>
    fetch(`${server.httpUrl}${PATH}`, { method: 'POST', body, headers });
  const json = { 'content-type': 'application/json' };

  it.each([
    ['a request that is none', '{"name":'],
    ['a request that is right', '{"name":"lamp"}'],
    ['a request that is too large', 'x'.repeat(5 * 1024 * 1024)],
  ])('%s is not read without credentials', async (_, body) => {
    const response = await post(body, json);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      code: 'unauthenticated',
      details: [
        { type: 'google.rpc.ErrorInfo', debug: { reason: 'CREDENTIALS_MISSING', domain: 'switchgear.fsm' } },
      ],
    });
  });

  it('is read with them', async () => {
    expect((await post('{"name":', { ...json, authorization: worker })).status).toBe(400);
    expect((await post('{"name":"lamp"}', { ...json, authorization: worker })).status).not.toBe(401);
    const denied = await post('{"name":"door"}', { ...json, authorization: worker });
    expect(denied.status).toBe(403);
    expect(await denied.json()).toMatchObject({ code: 'permission_denied' });
  });

  it('is refused before a GET is read too', async () => {
    const query = 'encoding=json&message=%7B%22name%22%3A%22lamp%22%7D&connect=v1';
    const response = await fetch(`${server.httpUrl}${PATH}?${query}`);
    expect(response.status).toBe(401);
    const granted = await fetch(`${server.httpUrl}${PATH}?${query}`, { headers: { authorization: worker } });
    expect(granted.status).not.toBe(401);
  });

  it('of gRPC-Web and of Connect streams answers in their own form', async () => {
    const web = await post('not even a message', { 'content-type': 'application/grpc-web+proto' });
    expect([web.status, web.headers.get('grpc-status')]).toEqual([200, '16']);
    const stream = await fetch(`${server.httpUrl}/switchgear.fsm.v1.FsmService/WatchTransitions`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/connect+json' },
    });
    expect(stream.status).toBe(200);
    const bytes = Buffer.from(await stream.arrayBuffer());
    expect([bytes[0], bytes.readUInt32BE(1)]).toEqual([2, bytes.length - 5]);
    expect(JSON.parse(bytes.subarray(5).toString())).toMatchObject({ error: { code: 'unauthenticated' } });
  });

  it.each(['/healthz', '/readyz'])('%s is open', async (path) => {
    expect((await fetch(`${server.httpUrl}${path}`)).status).toBe(200);
  });

  it('/metrics asks who calls, and for the grant', async () => {
    const scrape = (headers: Record<string, string> = {}) => fetch(`${server.httpUrl}/metrics`, { headers });
    const missing = await scrape();
    expect(missing.status).toBe(401);
    expect(missing.headers.get('www-authenticate')).toMatch(/^Basic /);
    expect(await missing.json()).toMatchObject({ code: 'unauthenticated' });
    expect((await scrape({ authorization: credentials('metrics-nobody') })).status).toBe(401);
    const denied = await scrape({ authorization: worker });
    expect([denied.status, denied.headers.get('www-authenticate')]).toEqual([403, null]);
    const granted = await scrape({ authorization: scraper });
    expect(granted.status).toBe(200);
    expect(await granted.text()).toContain('rpc_server_call_duration_seconds');
  });
});

describe('the audit', () => {
  it('tells who did what', async () => {
    await call('gRPC', createConfiguration, { configuration: LAMP }, worker);
    await call('Connect', createConfiguration, { configuration: { ...LAMP, name: 'door' } }, worker);
    await call('gRPC', createConfiguration, { configuration: LAMP });
    const rpc = 'switchgear.fsm.v1.FsmService/CreateConfiguration';
    const address = '127.0.0.1';
    expect(auditLines().filter((line) => line.rpc === rpc)).toMatchObject([
      { client: 'worker', address, name: 'lamp', code: 'OK' },
      { client: 'worker', address, name: 'door', code: 'PERMISSION_DENIED' },
      { client: null, address, name: null, code: 'UNAUTHENTICATED' },
    ]);
  });
});

describe('the auth file', () => {
  const isKnown = async (header: string) =>
    (await call('gRPC', getConfiguration, { name: 'lamp' }, header)).code !== 'Unauthenticated';

  it('is read again when it has changed: who comes, changes or goes does at once', async () => {
    const guest = await add('guest', 'fsm:read:lamp');
    await eventually(() => isKnown(guest), 'the new client is known');
    await revokeFrom(files, 'guest', ['fsm:read:lamp']);
    const denied = async () =>
      (await call('Connect', getConfiguration, { name: 'lamp' }, guest)).reason === 'GRANT_MISSING';
    await eventually(denied, 'the grant is gone');
    const secret = newSecret();
    await rotateSecret(files, { id: 'guest', secret, keepMs: 0 });
    await eventually(() => isKnown(credentials('guest', secret)), 'the new secret is known');
    expect(await isKnown(guest)).toBe(false);
    await removeClient(files, 'guest');
    await eventually(async () => !(await isKnown(basic('guest', secret))), 'the client is gone');
    const changes = auditLines().filter((line) => line.client === 'guest' && line.change !== undefined);
    expect(changes.map(({ change }) => change)).toEqual([
      'client_added',
      'client_changed',
      'client_changed',
      'client_removed',
    ]);
  });

  it('ends the open streams of a client that is removed', async () => {
    const leaver = await add('leaver', 'fsm:read:lamp');
    await eventually(() => isKnown(leaver), 'the new client is known');
    const ends = WAYS.map(async (way) => {
      const headers = { authorization: leaver };
      const request = { configurationName: 'lamp' };
      try {
        const input = async function* () {
          yield request;
        };
        const { message } = await ways[way].stream(watchTransitions, undefined, 20_000, headers, input());
        for await (const _ of message) seen += 1;
        return 'OK';
      } catch (error) {
        return String(error);
      }
    });
    let seen = 0;
    await eventually(() => seen === WAYS.length, 'all watch');
    await removeClient(files, 'leaver');
    for (const end of await Promise.all(ends)) expect(end).toContain('unauthenticated');
  });

  it('ends the open streams of a secret that was replaced, once it expires, and those of no other', async () => {
    const before = await add('rotated', 'fsm:read:lamp');
    await eventually(() => isKnown(before), 'the new client is known');
    const secret = newSecret();
    await rotateSecret(files, { id: 'rotated', secret, keepMs: 3_000 });
    const after = credentials('rotated', secret);
    await eventually(() => isKnown(after), 'the new secret is known');
    const watch = (authorization: string) =>
      endOfStream(ways.gRPC, watchTransitions, { configurationName: 'lamp' }, { authorization });
    const [old, current] = [watch(before), watch(after)];
    expect(await old).toBe('Unauthenticated CREDENTIALS_INVALID');
    expect(await current).toMatch(/still open/);
  });

  it('that is faulty changes nothing and is told, and SIGHUP has it read again', async () => {
    const faults = () =>
      server.output.split('\n').filter((line) => line.includes('the new auth file')).length;
    const good = readFileSync(files.authFile);
    writeFileSync(files.authFile, 'version: 1\nclients: [\n');
    await eventually(() => faults() === 1, 'the fault is told');
    expect(await isKnown(worker)).toBe(true);
    server.signal('SIGHUP');
    await eventually(() => faults() === 2, 'it is read again');
    rmSync(files.authFile);
    await eventually(() => faults() === 3, 'a file that is gone is told');
    expect(await isKnown(worker)).toBe(true);
    writeFileSync(files.authFile, good, { mode: 0o600 });
    const guest = await add('guest-2', 'fsm:read:lamp');
    await eventually(() => isKnown(guest), 'the new client is known');
  });

  it('that cannot be used ends the start, in one line', async () => {
    const { exitCode, output } = await ServerProcess.refused({
      flags: ['--auth-file', join(directory, 'none')],
    });
    expect(exitCode).not.toBe(0);
    expect(output).toContain(join(directory, 'none'));
    expect(output).not.toMatch(/\n\s+at /);
  });
});

describe('reflection', () => {
  it('that is off is not served', async () => {
    const quiet = await ServerProcess.start({
      flags: ['--auth-file', files.authFile, '--reflection', 'off'],
    });
    const closed = waysTo(`http://${quiet.grpcAddress}`, quiet.httpUrl);
    const asked = { messageRequest: { case: 'listServices', value: '' } };
    for (const way of ['gRPC', 'Connect', 'gRPC on the HTTP port'] as const) {
      const outcome = await outcomeOf(closed[way], ServerReflection.method.serverReflectionInfo, asked, {});
      expect(outcome.code).toBe('Unimplemented');
      expect((await outcomeOf(closed[way], Health.method.check, { service: '' }, {})).code).toBe('OK');
    }
    await quiet.dispose();
  });
});

// The last test: all of the above has been said by then.
describe('what the process writes', () => {
  it('has no secret in it', async () => {
    const pepper = readFileSync(`${files.authFile}.pepper`, 'utf8').trim();
    expect(server.output).toContain('CREDENTIALS_INVALID');
    expect(secrets.length).toBeGreaterThan(20);
    for (const secret of [...secrets, pepper]) expect(server.output).not.toContain(secret);
    expect(server.output).not.toMatch(/hmac-sha256|authorization"/i);
    expect(server.output).not.toContain('nobody-');
  });
});
