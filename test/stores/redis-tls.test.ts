/**
 * A Redis under TLS that knows its users: what Switchgear needs to be allowed there, and what it says when
 * it is not let in. The laws of both stores run through a user with exactly these rules, so a command that
 * is not among them fails here first.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { openRedis } from '../../src/stores/redis/open.js';
import { tlsMaterial } from '../../src/stores/redis/tls-material.js';
import { describeDeadLetters } from '../conformance/bus/dead-letters.js';
import { describeGroups } from '../conformance/bus/groups.js';
import { describeRead } from '../conformance/bus/read.js';
import { describeStreams } from '../conformance/bus/streams.js';
import { Told } from '../conformance/bus/subject.js';
import { describeWake } from '../conformance/bus/wake.js';
import { describeConfigurations } from '../conformance/configurations.js';
import { describeDelete } from '../conformance/delete.js';
import { describeEventsLaw } from '../conformance/events-law.js';
import { describeImport } from '../conformance/import.js';
import { describeMachinesList } from '../conformance/machines-list.js';
import { describeRetention } from '../conformance/retention.js';
import { randomNamespace } from '../support/backends.js';
import { ROOT } from '../support/build.js';
import { type Authority, makeAuthority, openssl } from '../support/certificates.js';
import { freePort } from '../support/processes.js';
import { RedisServer, redisTlsAbsence } from '../support/redis-server.js';
import { ServerProcess } from '../support/server-process.js';
import { deferred } from '../support/waiting.js';
import { typedAsProcess } from '../wire/cli-support.js';
import { busOnRedis } from './bus-redis-subject.js';
import { profileOn, SHARDS } from './redis-subject.js';

const USER = 'switchgear';
const SECRET = 's3cret-of-redis';

/** What the README tells operators to allow, for a namespace. */
function rulesFor(namespace: string): string[] {
  return [
    ...[`~{${namespace}}:*`, `~{${namespace}:*`],
    ...['resetchannels', `&${namespace}:fsm:wake`, `&${namespace}:bus:wake`],
    ...['-@all', '+@keyspace', '+@string', '+@hash', '+@list', '+@sortedset', '+@stream', '-@dangerous'],
    ...['+eval', '+evalsha', '+publish', '+subscribe', '+ping', '+time', '+select'],
    ...['+asking', '+cluster|slots', '+info', '+config|get'],
  ];
}

it('is told to operators in the README', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  expect(readme).toContain(`ACL SETUSER ${USER} on >SECRET ${rulesFor('switchgear').join(' ')}\n`);
});

const absence = await redisTlsAbsence();
if (absence !== undefined) console.warn(`${absence}: the tests of Redis under TLS are skipped`);

describe.skipIf(absence !== undefined || !openssl)('a Redis under TLS', () => {
  let authority: Authority;
  let redis: RedisServer;
  let files: { caFile: string; certFile: string; keyFile: string };

  beforeAll(async () => {
    authority = makeAuthority();
    const client = authority.client({ names: ['DNS:switchgear.example'] });
    redis = await RedisServer.start([], { server: authority.server(), caFile: authority.caFile, client });
    files = { caFile: authority.caFile, ...client };
  });
  afterAll(() => redis?.stop());

  /** A namespace of its own, and the user with no more than that. */
  async function allow(namespace: string): Promise<void> {
    await redis.command('ACL', 'SETUSER', USER, 'reset', 'on', `>${SECRET}`, ...rulesFor(namespace));
    await redis.command('ACL', 'LOG', 'RESET');
  }
  const url = (credentials = `${USER}:${SECRET}@`) => redis.url.replace('://', `://${credentials}`);
  const denials = () => redis.command('ACL', 'LOG');
  const flags = () => [
    ...['--redis-ca', files.caFile, '--redis-cert', files.certFile, '--redis-key', files.keyFile],
  ];

  describe('lets a user with the rules of the README do all there is to do', () => {
    /** Two handles on one namespace, allowed anew. */
    async function openTwo(namespace: string) {
      await allow(namespace);
      const options = { url: url(), namespace, ...files };
      return Promise.all([openRedis(options), openRedis(options)]);
    }
    /** Closes both, and says what the user was denied meanwhile. */
    const closing = (engines: readonly { close(): Promise<void> }[]) => async () => {
      await Promise.all(engines.map((engine) => engine.close()));
      expect(await denials()).toEqual([]);
    };

    const openFsm = async (options: { outcomeRetentionMs?: number } = {}) => {
      const engines = await openTwo(randomNamespace());
      const [store, second] = engines.map((engine) =>
        engine.fsmStore({ shardCount: SHARDS, outcomeRetentionMs: 3_600_000, ...options }),
      );
      return { store, second, close: closing(engines) } as never;
    };
    const openBus = async () => {
      const engines = await openTwo(randomNamespace());
      const told = [new Told(), new Told()];
      const stores = engines.map((engine, i) => engine.busStore(told[i] as never));
      for (const each of stores) (each as unknown as { close(): void }).close();
      return { store: stores[0], second: stores[1], told, close: closing(engines) } as never;
    };

    // Those that reach behind the store (the audit, the age of the feed) are in the next test.
    const fsmThemes = [
      describeConfigurations,
      describeEventsLaw,
      describeImport,
      describeRetention,
      describeDelete,
      describeMachinesList,
    ];
    for (const theme of fsmThemes) theme(openFsm, profileOn('redis://nowhere'));
    for (const theme of [describeStreams, describeRead, describeGroups, describeDeadLetters, describeWake])
      theme(openBus, busOnRedis);
  });

  describe('serves the product', () => {
    let server: ServerProcess | undefined;
    const namespace = 'team-a';
    beforeEach(() => allow(namespace));

    it('with a client certificate and a user, from the first start to work done', async () => {
      server = await ServerProcess.start({
        flags: [...flags(), '--namespace', namespace],
        env: { SWITCHGEAR_REDIS: url() },
      });
      expect(server.output).not.toContain(SECRET);
      const switchgear = connect(server.grpcAddress);
      const { fsm, bus } = switchgear;
      const states = ['a', 'b'];
      const transitions = [{ from: 'a', to: 'b', event: 'go' }];
      await fsm.createConfiguration({
        name: 'c',
        version: '1',
        states,
        startingState: 'a',
        transitions,
      } as never);
      const watch = fsm.watchTransitions({ configurationName: 'c' } as never)[Symbol.asyncIterator]();
      await fsm.createFiniteStateMachine({ configurationName: 'c', fsmId: 'm' } as never);
      await fsm.sendEvent({ configurationName: 'c', fsmId: 'm', event: 'go' });
      expect((await watch.next()).done).toBe(false);
      await watch.return?.(undefined);
      const audit = await typedAsProcess(['fsm', 'audit', 'c'], { address: server.grpcAddress });
      expect([audit.exitCode, audit.stderr]).toEqual([0, expect.not.stringContaining('error')]);
      await bus.createStream({ name: 's' });
      const done = deferred<void>();
      const worker = bus.process('s', async () => done.resolve());
      await bus.writeEvent({ stream: 's', event: { type: 't', body: {} } });
      await done.promise;
      await worker.close();
      switchgear.close();
      expect(await denials()).toEqual([]);
      expect(await server.stop()).toBe(0);
      await server.dispose();
    });

    it('and keeps its user out of what is not its own', async () => {
      const engine = await openRedis({ url: url(), namespace: 'team-b', ...files });
      await expect(engine.placement.load()).rejects.toMatchObject({
        reason: 'INTERNAL',
        cause: { message: expect.stringMatching(/^NOPERM/) },
      });
      await engine.close();
    });
  });

  it('is shown what is in the files now by each new connection', async () => {
    const namespace = randomNamespace();
    await allow(namespace);
    const own = { certFile: authority.path('redis.pem'), keyFile: authority.path('redis.key') };
    const put = (pair: { certFile: string; keyFile: string }) => {
      copyFileSync(pair.certFile, own.certFile);
      copyFileSync(pair.keyFile, own.keyFile);
    };
    put(files);
    const options = tlsMaterial({ ca: authority.caFile, cert: own.certFile, key: own.keyFile });
    /** As the driver does it. */
    const answered = () =>
      new Promise<string>((resolve) => {
        const socket = connectTls(Object.assign({ host: '127.0.0.1', port: redis.port }, options));
        socket
          .on('error', (error) => resolve(error.message))
          .once('data', (data) => {
            resolve(String(data));
            socket.destroy();
          });
        socket.write('PING\r\n');
      });
    expect(await answered()).toBe('+PONG\r\n');
    put(makeAuthority().client({ names: ['DNS:x'] }));
    expect(await answered()).toMatch(/unknown ca/);
    put(authority.client({ names: ['DNS:renewed.example'] }));
    expect(await answered()).toBe('+PONG\r\n');
    // A certificate whose key is still to come: those before are shown.
    copyFileSync(authority.client({ names: ['DNS:x'] }).certFile, own.certFile);
    expect(await answered()).toBe('+PONG\r\n');
  });

  describe('that does not let in', () => {
    beforeEach(() => allow('team-a'));

    const refused = async (
      env: Record<string, string>,
      given: string[] = flags(),
      begin = /^switchgear: Redis at 127\.0\.0\.1:\d+: /,
    ) => {
      const start = performance.now();
      const { exitCode, output } = await ServerProcess.refused({
        flags: [...given, '--namespace', 'team-a'],
        env,
      });
      expect(performance.now() - start).toBeLessThan(15_000);
      expect(output).not.toContain('s3cret');
      expect(exitCode).toBe(1);
      const lines = output.trimEnd().split('\n');
      expect(lines).toEqual([expect.stringMatching(begin)]);
      return lines[0] ?? '';
    };

    it('says so in one line without the secret, and the start ends with 1', async () => {
      const good = { SWITCHGEAR_REDIS: url() };
      const { certFile, keyFile } = makeAuthority().client({ names: ['DNS:x'] });
      const certificates = ['--redis-cert', files.certFile, '--redis-key', files.keyFile];
      expect(await refused({ SWITCHGEAR_REDIS: url(`${USER}:s3cret-but-wrong@`) })).toMatch(
        /: WRONGPASS [\w -]+\.$/,
      );
      expect(await refused(good, ['--redis-ca', makeAuthority().caFile, ...certificates])).toMatch(
        /certificate/,
      );
      expect(await refused(good, ['--redis-ca', files.caFile])).toMatch(/certificate/i);
      expect(
        await refused(good, ['--redis-ca', files.caFile, '--redis-cert', certFile, '--redis-key', keyFile]),
      ).toMatch(/unknown ca|certificate/i);
    });

    it('for want of a right says which one', async () => {
      await redis.command('ACL', 'SETUSER', USER, '-get');
      expect(await refused({ SWITCHGEAR_REDIS: url() }, flags(), /^switchgear: /)).toMatch(/NOPERM.*'get'/);
    });

    it('is told apart from a port where nothing listens, and from one without TLS', async () => {
      const nowhere = `rediss://${USER}:${SECRET}@127.0.0.1:${await freePort()}`;
      expect(await refused({ SWITCHGEAR_REDIS: nowhere })).toMatch(/ECONNREFUSED/);
      await refused({ SWITCHGEAR_REDIS: url().replace('rediss', 'redis') }, []);
    });
  });
});
