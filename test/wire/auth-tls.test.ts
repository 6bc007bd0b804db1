/** Clients that show a certificate, to the product as a process: who is who, on both ports. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DescMethod } from '@bufbuild/protobuf';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { addClient, newSecret, removeClient } from '../../src/auth/client-edits.js';
import { type Outcome, outcomeOf, WAYS, waysTo } from '../api/access-server.js';
import { type Authority, type KeyPair, makeAuthority, openssl } from '../support/certificates.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';
import { eventually } from '../support/waiting.js';

const NAME = 'URI:spiffe://test/worker';
const directory = temporaryDirectory('auth-tls');
const files = { authFile: join(directory, 'clients.yaml'), pepperFile: undefined };
const secret = newSecret();
const basic = { authorization: `Basic ${Buffer.from(`other:${secret}`).toString('base64')}` };
let authority: Authority;
let server: ServerProcess;
const shown: Record<'mapped' | 'unmapped' | 'expired' | 'foreign' | 'two', KeyPair> = {} as never;

beforeAll(async () => {
  authority = makeAuthority();
  shown.mapped = authority.client({ names: ['DNS:elsewhere', NAME] });
  shown.unmapped = authority.client({ names: ['URI:spiffe://test/work', 'DNS:worker'] });
  shown.expired = authority.client({ names: [NAME], days: -1 });
  shown.foreign = makeAuthority().client({ names: [NAME] });
  shown.two = authority.client({ names: [NAME, 'DNS:second'] });
  await addClient(files, { id: 'worker', grants: ['fsm:read:lamp'], names: [NAME], secret: undefined });
  await addClient(files, { id: 'second', grants: ['*:*:*'], names: ['DNS:second'], secret: undefined });
  await addClient(files, { id: 'other', grants: ['fsm:read:door'], names: [], secret });
  const { certFile, keyFile } = authority.server();
  const flags = ['--tls-cert', certFile, '--tls-key', keyFile, '--tls-client-ca', authority.caFile];
  server = await ServerProcess.start({ flags: [...flags, '--auth-file', files.authFile] });
});
afterAll(async () => {
  await server?.dispose();
  removeDirectory(directory);
});

const { method: fsm } = FsmService;
const LAMP: [string, DescMethod, object][] = [
  ['a unary call', fsm.getConfiguration, { name: 'lamp' }],
  ['a stream of answers', fsm.watchTransitions, { configurationName: 'lamp' }],
];
const OPEN: [DescMethod, object][] = [
  [Health.method.check, { service: '' }],
  [ServerReflection.method.serverReflectionInfo, { messageRequest: { case: 'listServices', value: '' } }],
];
const THROUGH = ['Connect over HTTP/1.1', ...WAYS] as const;

type Shown = keyof typeof shown | undefined;
type Headers = Record<string, string>;

async function call(
  way: (typeof THROUGH)[number],
  certificate: Shown,
  [method, request]: readonly [DescMethod, object],
  headers: Headers = {},
): Promise<Outcome> {
  const pair = certificate && shown[certificate];
  const nodeOptions = {
    ca: authority.ca,
    ...(pair ? { cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile) } : {}),
  };
  const [grpcUrl, httpUrl] = [`https://${server.grpcAddress}`, `https://${server.httpAddress}`];
  const transport =
    way === 'Connect over HTTP/1.1'
      ? createConnectTransport({ baseUrl: httpUrl, httpVersion: '1.1', nodeOptions })
      : waysTo(grpcUrl, httpUrl, nodeOptions)[way];
  return outcomeOf(transport, method, request, headers);
}

describe.skipIf(!openssl).each(THROUGH)('by %s', (way) => {
  const about = (name: string) => [fsm.getConfiguration, { name }] as const;

  it.each(LAMP)(
    '%s is of the client that a name in the certificate stands for',
    async (_, method, request) => {
      expect(await call(way, 'mapped', [method, request])).toMatchObject({
        reason: 'CONFIGURATION_NOT_FOUND',
      });
      expect(await call(way, 'mapped', about('door'))).toMatchObject({ reason: 'GRANT_MISSING' });
    },
  );

  it.each(LAMP)('%s is refused for a certificate that proves nothing', async (_, method, request) => {
    for (const [certificate, problem] of [
      ['expired', 'CERT_HAS_EXPIRED'],
      ['foreign', /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET/],
    ] as const)
      for (const headers of [{}, basic] as Headers[]) {
        const outcome = await call(way, certificate, [method, request], headers);
        expect(outcome).toMatchObject({ code: 'Unauthenticated', reason: 'CERTIFICATE_REFUSED' });
        expect(outcome.error?.rawMessage).toMatch(problem);
      }
  });

  it.each(LAMP)(
    '%s is refused for a good certificate of nobody, and one of two',
    async (_, method, request) => {
      for (const certificate of ['unmapped', 'two'] as const)
        expect(await call(way, certificate, [method, request])).toMatchObject({
          code: 'Unauthenticated',
          reason: 'CERTIFICATE_UNKNOWN',
        });
    },
  );

  it('a secret beside a good certificate decides', async () => {
    for (const certificate of ['mapped', 'unmapped', undefined] as const) {
      expect(await call(way, certificate, about('door'), basic)).toMatchObject({
        reason: 'CONFIGURATION_NOT_FOUND',
      });
      expect(await call(way, certificate, about('lamp'), basic)).toMatchObject({ reason: 'GRANT_MISSING' });
    }
  });

  it('neither is missing credentials', async () => {
    expect(await call(way, undefined, about('lamp'))).toMatchObject({ reason: 'CREDENTIALS_MISSING' });
  });

  it('what is open is open, whatever certificate is shown', async () => {
    // A stream both ways does not go over HTTP/1.1.
    const open = way === 'Connect over HTTP/1.1' ? OPEN.slice(0, 1) : OPEN;
    for (const certificate of [undefined, 'mapped', 'unmapped', 'expired', 'foreign'] as const)
      for (const each of open) expect((await call(way, certificate, each)).code).toBe('OK');
  });
});

describe.skipIf(!openssl)('a client that is removed', () => {
  it('is nobody from then on, over the connections that it has too', async () => {
    const pair = shown.two;
    const nodeOptions = {
      ca: authority.ca,
      cert: readFileSync(pair.certFile),
      key: readFileSync(pair.keyFile),
    };
    const ways = waysTo(`https://${server.grpcAddress}`, `https://${server.httpAddress}`, nodeOptions);
    await removeClient(files, 'second');
    for (const way of WAYS)
      await eventually(async () => {
        const { reason } = await outcomeOf(ways[way], fsm.getConfiguration, { name: 'lamp' }, {});
        return reason === 'CONFIGURATION_NOT_FOUND';
      }, 'the certificate is of one client now');
    await removeClient(files, 'worker');
    for (const way of WAYS)
      await eventually(async () => {
        const { reason } = await outcomeOf(ways[way], fsm.getConfiguration, { name: 'lamp' }, {});
        return reason === 'CERTIFICATE_UNKNOWN';
      }, 'the certificate is of nobody');
  });
});
