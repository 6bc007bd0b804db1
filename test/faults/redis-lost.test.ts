/** Redis frozen, gone and back, as a caller of the real process sees it. */
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { engineUrl } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';
import { ServerProcess } from '../support/server-process.js';
import { eventually } from '../support/waiting.js';

describe.skipIf(!engineUrl('redis'))('a server whose Redis', () => {
  let redis: RedisServer;
  let server: ServerProcess;
  let client: Client<typeof FsmService>;
  beforeAll(async () => {
    redis = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always']);
    server = await ServerProcess.start({ flags: ['--redis', redis.url] });
    client = createClient(FsmService, createGrpcTransport({ baseUrl: `http://${server.grpcAddress}` }));
    await client.createConfiguration({
      configuration: {
        name: 'lamp',
        version: '1',
        states: ['off'],
        startingState: 'off',
        transitions: [{ from: 'off', to: 'off', event: 'press' }],
      },
    });
    await client.createFiniteStateMachine({ configurationName: 'lamp', fsmId: 'l' });
  });
  afterAll(async () => {
    await server.dispose();
    await redis.stop();
  });

  const press = (eventId: string, timeoutMs: number) =>
    client.sendEvent(
      { configurationName: 'lamp', fsmId: 'l', event: { eventId, name: 'press' } },
      { timeoutMs },
    );

  async function answersAgainWithin(ms: number, label: string): Promise<void> {
    const startMs = performance.now();
    let count = 0;
    const answers = async () => {
      count += 1;
      return press(`${label}-${count}`, 500).then(
        () => true,
        () => false,
      );
    };
    await eventually(answers, 'an answer');
    expect(performance.now() - startMs).toBeLessThan(ms);
  }

  async function readiness(): Promise<number> {
    return (await fetch(`${server.httpUrl}/readyz`)).status;
  }

  it('is frozen answers UNAVAILABLE within the deadline, and works again by itself', async () => {
    redis.pause();
    try {
      const errors = await Promise.all(
        Array.from({ length: 50 }, (_, i) => press(`frozen-${i}`, 2_000).then(String, ConnectError.from)),
      );
      expect(errors.map((error) => error instanceof ConnectError && error.code)).toEqual(
        errors.map(() => Code.Unavailable),
      );
      await eventually(async () => (await readiness()) === 503, 'not ready');
    } finally {
      redis.resume();
    }
    await answersAgainWithin(2_000, 'thawed');
    await eventually(async () => (await readiness()) === 200, 'ready');
  });

  it('is killed answers UNAVAILABLE, keeps running, and works again when it is back', async () => {
    await redis.kill();
    expect(ConnectError.from(await press('dead', 1_000).catch((e: unknown) => e)).code).toBe(
      Code.Unavailable,
    );
    expect((await fetch(`${server.httpUrl}/healthz`)).status).toBe(200);
    await redis.restart();
    await answersAgainWithin(2_000, 'reborn');
  });
});
