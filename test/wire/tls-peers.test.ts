/** What is known of a caller from its connection, on both ports and every way of calling. */
import { copyFileSync, readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  FsmService,
  RenderConfigurationRequestSchema,
  RenderConfigurationResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { Client } from '../../src/auth/client.js';
import { parseGrant } from '../../src/auth/grants.js';
import type { Peer, PeerCertificate } from '../../src/auth/peer.js';
import { type Authority, type KeyPair, makeAuthority, openssl } from '../support/certificates.js';
import { GrpcClient } from '../support/grpc-client.js';
import { startTestServer, type TestServer } from '../support/transports.js';
import { eventually } from '../support/waiting.js';

const { method } = FsmService;
const CLIENT_NAMES = [
  'DNS:worker.example',
  'URI:spiffe://example/worker',
  'IP:10.1.2.3',
  'email:a@example.org',
];

let authority: Authority;
let other: Authority;
let server: TestServer;
let peers: Peer[];

beforeAll(() => {
  [authority, other] = [makeAuthority(), makeAuthority()];
});
afterEach(() => server?.stop());

async function start({
  isTls = true,
  asksForCertificates = true,
  caFile = authority.caFile,
} = {}): Promise<void> {
  const { certFile, keyFile } = authority.server();
  peers = [];
  const everybody = new Client('everybody', [parseGrant('*:*:*')]);
  server = await startTestServer({
    ...(isTls && {
      tls: {
        tlsCertFile: certFile,
        tlsKeyFile: keyFile,
        ...(asksForCertificates && { tlsClientCaFile: caFile }),
      },
    }),
    authenticator: {
      identify: (_authorization: string | undefined, { address, certificate }: Peer) => {
        // As it was then.
        peers.push({ address, certificate: certificate && factsOf(certificate) });
        return everybody;
      },
      review: () => () => everybody,
      onChange: () => {},
    } as never,
    fsm: {
      renderConfiguration: async ({ name }) => create(RenderConfigurationResponseSchema, { mermaid: name }),
    },
  });
}

const factsOf = ({ names, problem }: PeerCertificate) => ({ names, problem });

const pemOf = ({ certFile, keyFile }: KeyPair) => ({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
});

/** Calls once in each way there is; resolves to the peers that were seen. */
async function calls(pair?: KeyPair, metadata = new grpc.Metadata()): Promise<Peer[]> {
  const { cert, key } = pair ? pemOf(pair) : { cert: undefined, key: undefined };
  const isTls = server.grpcUrl.startsWith('https');
  const credentials = isTls
    ? grpc.credentials.createSsl(authority.ca, key ?? null, cert ?? null)
    : grpc.credentials.createInsecure();
  const client = new GrpcClient(server.grpcAddress, {}, credentials);
  await client.unary(
    method.renderConfiguration,
    create(RenderConfigurationRequestSchema, { name: 'x' }),
    {},
    metadata,
  );
  client.close();
  const seen = peers.splice(0).slice(-1);
  for (const httpVersion of ['1.1', '2'] as const) {
    // No connection of an earlier call.
    const nodeOptions = { ca: authority.ca, cert, key, ...(httpVersion === '1.1' && { agent: false }) };
    const transport = createConnectTransport({ baseUrl: server.httpUrl, httpVersion, nodeOptions } as never);
    await createClient(FsmService, transport).renderConfiguration({ name: 'x' });
    // How often it is asked for each call is not the matter here.
    seen.push(...peers.splice(0).slice(-1));
  }
  return seen;
}

const three = <T>(value: T): T[] => [value, value, value];

describe.skipIf(!openssl)('a peer', () => {
  it('is an address without TLS', async () => {
    await start({ isTls: false });
    expect(await calls()).toEqual(three({ address: '127.0.0.1', certificate: undefined }));
  });

  it('has no certificate when it is not asked for one, or shows none', async () => {
    await start({ asksForCertificates: false });
    const pair = authority.client({ names: CLIENT_NAMES });
    expect(await calls(pair)).toEqual(three({ address: '127.0.0.1', certificate: undefined }));
    await server.stop();
    await start();
    expect(await calls()).toEqual(three({ address: '127.0.0.1', certificate: undefined }));
  });

  it('has the names of a good certificate', async () => {
    await start();
    const certificate = { names: CLIENT_NAMES, problem: undefined };
    const pair = authority.client({ names: CLIENT_NAMES });
    expect(await calls(pair)).toEqual(three({ address: '127.0.0.1', certificate }));
  });

  it('gets in with a bad certificate, and what is bad about it is known', async () => {
    await start();
    const problemsOf = async (pair: KeyPair) =>
      (await calls(pair)).map(({ certificate }) => certificate?.problem);
    expect(await problemsOf(authority.client({ names: CLIENT_NAMES, days: -1 }))).toEqual(
      three('CERT_HAS_EXPIRED'),
    );
    const foreign = await problemsOf(other.client({ names: CLIENT_NAMES }));
    expect(foreign).toEqual(three(expect.stringMatching(/UNABLE_TO|SELF_SIGNED/)));
    // Made for a server: it says nothing about a client.
    expect(await problemsOf(authority.server())).toEqual(three('INVALID_PURPOSE'));
  });

  it('is checked by the authority that is in the file now', async () => {
    const caFile = authority.path('clients.pem');
    copyFileSync(authority.caFile, caFile);
    await start({ caFile });
    const pair = other.client({ names: CLIENT_NAMES });
    const isGood = async () =>
      (await calls(pair)).every(({ certificate }) => certificate?.names.length === 4 && !certificate.problem);
    // A connection of before is told to go, perhaps while a call is on its way.
    const isGoodNow = () => isGood().catch(() => false);
    expect(await isGood()).toBe(false);
    copyFileSync(other.caFile, caFile);
    await eventually(isGoodNow, 'the new authority counts', 3_000);
    const [old] = await calls(authority.client({ names: CLIENT_NAMES }));
    expect(old?.certificate?.problem).toEqual(expect.any(String));
  });

  it('cannot be claimed by a header', async () => {
    await start();
    const good = authority.client({ names: CLIENT_NAMES });
    const held = new GrpcClient(
      server.grpcAddress,
      {},
      grpc.credentials.createSsl(authority.ca, ...pemPair(good)),
    );
    const request = create(RenderConfigurationRequestSchema, { name: 'x' });
    await held.unary(method.renderConfiguration, request);
    peers.splice(0);
    const forged = new grpc.Metadata();
    forged.set('switchgear-peer', '1');
    const seen = await calls(undefined, forged);
    expect(seen.map(({ certificate }) => certificate)).toEqual(three(undefined));
    held.close();
  });

  it('shows its certificate at each connection: no session of an earlier one is taken up again', async () => {
    await start();
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const session = await sessionOf(
        open({ maxVersion, ...pemOf(authority.client({ names: CLIENT_NAMES })) }),
      );
      const again = open({ maxVersion, session });
      await new Promise((resolve) => again.once('secureConnect', resolve));
      expect(again.isSessionReused()).toBe(false);
      again.destroy();
    }
    await server.stop();
    // Without client certificates there is nothing to see anew, and connections may be quick.
    await start({ asksForCertificates: false });
    const again = open({ session: await sessionOf(open({})) });
    await new Promise((resolve) => again.once('secureConnect', resolve));
    expect(again.isSessionReused()).toBe(true);
    again.destroy();
  });
});

function pemPair(pair: KeyPair): [Buffer, Buffer] {
  const { cert, key } = pemOf(pair);
  return [key, cert];
}

function open(options: ConnectionOptions): TLSSocket {
  const [host, port] = server.grpcAddress.split(':');
  const socket = connect({ host, port: Number(port), ca: authority.ca, ALPNProtocols: ['h2'], ...options });
  socket.on('error', () => {});
  return socket;
}

/** The session that a server offers to take up again; undefined when it offers none. */
async function sessionOf(socket: TLSSocket): Promise<Buffer | undefined> {
  const offered = new Promise<Buffer | undefined>((resolve) => {
    socket.once('session', resolve);
    setTimeout(() => resolve(undefined), 300);
  });
  const session = http2.connect(server.grpcUrl, { createConnection: () => socket });
  session.on('error', () => {});
  const got = (await offered) ?? socket.getSession();
  session.destroy();
  return got;
}

describe.skipIf(!openssl)('names in a certificate', () => {
  it('of a real certificate that tries to smuggle one in stay one name', async () => {
    await start();
    const sly = 'URI:spiffe://x/a, DNS:admin.example';
    const seen = await calls(authority.client({ names: [sly] }));
    expect(seen.map(({ certificate }) => certificate)).toEqual(three({ names: [sly], problem: undefined }));
  });
});
