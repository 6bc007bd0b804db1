/** A client certificate that stops being good while its connection is open, on both ports and either HTTP. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  FsmService,
  RenderConfigurationRequestSchema,
  RenderConfigurationResponseSchema,
  WatchTransitionsRequestSchema,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Identify } from '../../src/auth/authenticator.js';
import { Client } from '../../src/auth/client.js';
import { parseGrant } from '../../src/auth/grants.js';
import { Fault } from '../../src/fault.js';
import {
  type Authority,
  type KeyPair,
  makeAuthority,
  makeAuthorityBelow,
  openssl,
} from '../support/certificates.js';
import { drained, errorInfoOf, failureOf, GrpcClient } from '../support/grpc-client.js';
import { startTestServer, type TestServer } from '../support/transports.js';
import { eventually } from '../support/waiting.js';

const { method } = FsmService;
const RENDER = '/switchgear.fsm.v1.FsmService/RenderConfiguration';
const WATCH = '/switchgear.fsm.v1.FsmService/WatchTransitions';
const DAY_MS = 86_400_000;

let mine: Authority;
let other: Authority;
let caFile: string;
let pair: KeyPair;
let server: TestServer;
let held: Held | undefined;

beforeAll(() => {
  [mine, other] = [makeAuthority(), makeAuthority()];
});
beforeEach(() => {
  caFile = mine.path('clients.pem');
  pair = mine.client({ names: ['DNS:worker.example'] });
});
afterEach(async () => {
  vi.restoreAllMocks();
  held?.close();
  held = undefined;
  await server?.stop();
});

const everybody = new Client('everybody', [parseGrant('*:*:*')]);
const identify: Identify = (_, { certificate }) => {
  const { problem } = certificate ?? {};
  if (problem === undefined) return everybody;
  throw new Fault('CERTIFICATE_REFUSED', 'no good', { facts: { problem } });
};

/** The authorities in the file that the server reads. */
function trust(...authorities: Authority[]): void {
  writeFileSync(caFile, authorities.map(({ ca }) => ca.toString()).join(''));
}

async function start(...authorities: Authority[]): Promise<void> {
  trust(...authorities);
  const { certFile, keyFile } = mine.server();
  server = await startTestServer({
    tls: { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: caFile },
    authenticator: { identify, review: () => identify, onChange: () => {} },
    fsm: {
      renderConfiguration: async ({ name }) => create(RenderConfigurationResponseSchema, { mermaid: name }),
      watchTransitions: async function* (_, { signal }) {
        yield create(WatchTransitionsResponseSchema, { cursor: 'first' });
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
  });
}

const taken = (times = 1) =>
  eventually(
    () => server.log.filter(({ msg }) => msg === 'new TLS files are in use').length === times,
    'the files are taken',
    3_000,
  );

const pem = ({ certFile, keyFile }: KeyPair) => ({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
  ca: mine.ca,
});

/** An HTTP/1.1 connection that is kept, and what came over it. */
class Kept {
  readonly socket: TLSSocket;
  received = '';
  isClosed = false;

  constructor(below?: Socket) {
    const [host, port] = server.httpAddress.split(':');
    const to = below ? { socket: below } : { host, port: Number(port) };
    this.socket = connect({ ...to, ...pem(pair) });
    this.socket
      .on('error', () => {})
      .once('close', () => {
        this.isClosed = true;
      });
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
    });
  }

  send(path = RENDER, type = 'application/json', body: string | Buffer = '{"name":"kept"}'): void {
    const headers = ['host: x', `content-type: ${type}`, `content-length: ${body.length}`];
    this.socket.write(`POST ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    this.socket.write(body);
  }

  /** Sends a call and resolves to what is answered. */
  async call(): Promise<string> {
    this.received = '';
    this.send();
    await eventually(() => this.received.includes('}'), 'an answer');
    return this.received;
  }
}

/** One connection of each kind, on which a call was served. */
class Held {
  readonly grpc = new GrpcClient(server.grpcAddress, {}, credentials());
  readonly session = http2.connect(server.httpUrl, pem(pair));
  readonly kept = new Kept();
  wentAway = false;

  static async open(): Promise<Held> {
    const opened = new Held();
    opened.session
      .on('error', () => {})
      .on('goaway', () => {
        opened.wentAway = true;
      });
    expect(await opened.served()).toEqual(['kept', 200, 'kept']);
    return opened;
  }

  /** What a call on each comes to: an answer, or why not. */
  async served(): Promise<unknown[]> {
    const request = create(RenderConfigurationRequestSchema, { name: 'kept' });
    const byGrpc = await this.grpc
      .unary(method.renderConfiguration, request)
      .then((answer) => (answer as { mermaid: string }).mermaid, reasonOf);
    const kept = await this.kept.call();
    return [byGrpc, await this.#status(), /"mermaid":"(\w+)"/.exec(kept)?.[1] ?? reasonIn(kept)];
  }

  async #status(): Promise<unknown> {
    if (this.session.closed || this.session.destroyed) return 'closed';
    const stream = this.session.request({
      ':path': RENDER,
      ':method': 'POST',
      'content-type': 'application/json',
    });
    stream.end('{"name":"kept"}');
    stream.resume();
    const [headers] = await once(stream, 'response');
    return headers[':status'];
  }

  close(): void {
    this.grpc.close();
    this.session.destroy();
    this.kept.socket.destroy();
  }
}

const credentials = () => {
  const { ca, key, cert } = pem(pair);
  return grpc.credentials.createSsl(ca, key, cert);
};
const reasonOf = (error: unknown) => errorInfoOf(error as never)?.reason;
const reasonIn = (text: string) => (text.includes('CERTIFICATE_REFUSED') ? 'CERTIFICATE_REFUSED' : text);

/** A stream over gRPC and one over HTTP/1.1, each with its first message. */
async function watching({ grpc: client, kept }: Held) {
  const request = create(WatchTransitionsRequestSchema, { configurationName: 'x' });
  const stream = client.serverStream(method.watchTransitions, request);
  const ended = drained(stream);
  await once(stream, 'metadata');
  kept.received = '';
  const body = Buffer.from('\0\0\0\0\x19{"configurationName":"x"}', 'latin1');
  kept.send(WATCH, 'application/connect+json', body);
  await eventually(() => kept.received.includes('first'), 'the first message');
  return { ended };
}

describe.skipIf(!openssl)('a connection whose authority was taken out of the file', () => {
  it('is told to go, and closed when nothing is under way', async () => {
    await start(mine);
    held = await Held.open();
    trust(other);
    await eventually(() => held?.session.closed === true && held.kept.isClosed, 'gone', 3_000);
    const request = create(RenderConfigurationRequestSchema, { name: 'x' });
    const byGrpc = await failureOf(held.grpc.unary(method.renderConfiguration, request));
    expect(reasonOf(byGrpc)).toBe('CERTIFICATE_REFUSED');
  });

  it('serves no call any more: streams end, and the answer to the next says that it closes', async () => {
    await start(mine);
    held = await Held.open();
    const { ended } = await watching(held);
    trust(other);
    expect(reasonOf((await ended).error)).toBe('CERTIFICATE_REFUSED');
    await eventually(() => held?.kept.received.includes('CERTIFICATE_REFUSED') === true, 'the other one too');
    expect(held.kept.isClosed).toBe(false);
    expect(await held.kept.call()).toMatch(/^HTTP\/1\.1 401 .*connection: close.*CA_REPLACED/is);
    await eventually(() => held?.kept.isClosed === true, 'closed');
  });

  it('is refused where it began before that, and its handshake came after', async () => {
    await start(mine);
    const [host, port] = server.httpAddress.split(':');
    const early = connectTcp(Number(port), host);
    await once(early, 'connect');
    // Until the server has it too.
    await fetch(server.httpUrl).catch(() => {});
    trust(other);
    await taken();
    const kept = new Kept(early);
    expect(await kept.call()).toMatch(/^HTTP\/1\.1 401 .*CA_REPLACED/s);
    kept.socket.destroy();
  });

  it('is so too where another authority of the same name stays', async () => {
    const [gone, stays] = [makeAuthority('Twin'), makeAuthority('Twin')];
    // With nothing but the name to go by, OpenSSL takes the first of them.
    pair = gone.client({ names: ['DNS:worker.example'], namesSignerOnly: true });
    await start(gone, stays);
    held = await Held.open();
    trust(stays);
    await eventually(() => held?.wentAway === true && held.kept.isClosed, 'gone', 3_000);
  });
});

describe.skipIf(!openssl)('a connection whose authority stays', () => {
  it('goes on, whatever else comes into the file or goes', async () => {
    await start(mine);
    held = await Held.open();
    trust(other, mine);
    await taken();
    trust(mine);
    await taken(2);
    expect(await held.served()).toEqual(['kept', 200, 'kept']);
    expect([held.wentAway, held.kept.isClosed]).toEqual([false, false]);
  });

  it('goes on where there is another between, and goes when the one at the top does', async () => {
    const between = makeAuthorityBelow(mine);
    pair = between.client({ names: ['DNS:worker.example'] });
    await start(mine, other);
    held = await Held.open();
    trust(mine);
    await taken();
    expect(await held.served()).toEqual(['kept', 200, 'kept']);
    expect([held.wentAway, held.kept.isClosed]).toEqual([false, false]);
    // It is no root: what it says counts as little as at a handshake.
    trust(between);
    await eventually(() => held?.wentAway === true && held.kept.isClosed, 'gone', 3_000);
  });

  it('but whose certificate was of another is told to go, since it may be good now', async () => {
    await start(mine);
    pair = other.client({ names: ['DNS:worker.example'] });
    const session = http2.connect(server.httpUrl, pem(pair));
    await once(session, 'connect');
    trust(mine, other);
    await once(session, 'goaway');
    held = await Held.open();
    session.destroy();
  });
});

describe.skipIf(!openssl)('a connection whose certificate ends', () => {
  it('serves no call after that', async () => {
    await start(mine);
    held = await Held.open();
    vi.spyOn(Date, 'now').mockReturnValue(performance.timeOrigin + 40 * DAY_MS);
    expect(await held.served()).toEqual(['CERTIFICATE_REFUSED', 401, 'CERTIFICATE_REFUSED']);
  });

  it('is told to go a little before, and its streams end', async () => {
    await start(mine);
    pair = mine.client({ names: ['DNS:worker.example'], days: 20 });
    const endMs = Date.parse(new X509Certificate(readFileSync(pair.certFile)).validTo);
    const startMs = performance.now();
    // Its last two seconds begin.
    vi.spyOn(Date, 'now').mockImplementation(() => endMs - 2_000 + performance.now() - startMs);
    held = await Held.open();
    const { ended } = await watching(held);
    await eventually(() => held?.wentAway === true, 'told to go', 2_500);
    expect(reasonOf((await ended).error)).toBe('CERTIFICATE_REFUSED');
    await eventually(() => held?.kept.received.includes('CERTIFICATE_REFUSED') === true, 'the other one too');
  });
});
