/** Two server processes on one Redis, as callers of both see them: one truth, whoever is asked. */
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppliedTransition } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { engineUrl, randomNamespace } from '../support/backends.js';
import { ServerProcess } from '../support/server-process.js';

const LAMP = {
  name: 'lamp',
  version: '1',
  states: ['off', 'on'],
  startingState: 'off',
  transitions: [
    { from: 'off', to: 'on', event: 'press' },
    { from: 'on', to: 'off', event: 'press' },
  ],
};

describe.each([
  ['Redis', 'redis'],
  ['a Redis Cluster', 'redisCluster'],
] as const)('two processes on %s', (_, engine) => {
  const url = engineUrl(engine);
  if (!url) return it.skip(`needs ${engine}`, () => {});

  let servers: ServerProcess[];
  let clients: ReturnType<typeof clientOf>[];
  beforeAll(async () => {
    const flags = ['--redis', url, '--namespace', randomNamespace()];
    servers = [await ServerProcess.start({ flags }), await ServerProcess.start({ flags })];
    clients = servers.map(clientOf);
    await clients[0]!.createConfiguration({ configuration: LAMP });
  });
  afterAll(() => Promise.all(servers.map((server) => server.dispose())));

  const clientOf = (server: ServerProcess) =>
    createClient(FsmService, createGrpcTransport({ baseUrl: `http://${server.grpcAddress}` }));
  const either = (i: number) => clients[i % 2]!;
  const press = (fsmId: string, eventId: string) => ({
    configurationName: 'lamp',
    fsmId,
    event: { eventId, name: 'press' },
  });

  async function indexDifferences(): Promise<bigint> {
    let found = -1n;
    for await (const frame of clients[0]!.auditIndex({ configurationName: 'lamp' }))
      if (frame.done) found = frame.differenceCount;
    return found;
  }

  it('make one transition of a thousand concurrent duplicates, with a thousand equal answers', async () => {
    await either(0).createFiniteStateMachine({ configurationName: 'lamp', fsmId: 'same' });
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => either(i).sendEvent(press('same', 'once'))),
    );
    const outcomes = answers.map(({ outcome }) => ({ ...outcome, replayed: undefined }));
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome, bigints))).size).toBe(1);
    expect(outcomes[0]?.result).toMatchObject({ case: 'applied', value: { version: 1n } });
    expect(answers.filter(({ outcome }) => !outcome?.replayed)).toHaveLength(1);
    const { fsm } = await either(1).getFiniteStateMachine({
      configurationName: 'lamp',
      fsmId: 'same',
      historySize: 10,
    });
    expect([fsm?.version, fsm?.history.length]).toEqual([1n, 1]);
  });

  it('keep a gapless history of a machine that 64 callers drive, and an index that equals a scan', async () => {
    await either(0).createFiniteStateMachine({ configurationName: 'lamp', fsmId: 'hot' });
    const each = 40;
    const caller = async (number: number) => {
      for (let i = 0; i < each; i += 1) await either(number + i).sendEvent(press('hot', `${number}-${i}`));
    };
    await Promise.all(Array.from({ length: 64 }, (_, number) => caller(number)));
    const { fsm } = await either(1).getFiniteStateMachine({ configurationName: 'lamp', fsmId: 'hot' });
    expect(fsm?.version).toBe(BigInt(64 * each));
    const history: AppliedTransition[] = [];
    let pageToken = '';
    do {
      const request = { configurationName: 'lamp', fsmId: 'hot', pageSize: 1_000, pageToken };
      const page = await either(0).listTransitions(request);
      history.push(...page.transitions);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(history.map(({ version }) => version)).toEqual(history.map((_, i) => BigInt(i + 1)));
    expect(history.every(({ from }, i) => i === 0 || from === history[i - 1]!.to)).toBe(true);
    expect(new Set(history.map(({ event }) => event?.eventId)).size).toBe(64 * each);
    expect(await indexDifferences()).toBe(0n);
  });

  it('hear of each other within a second: changes, configurations, retention', async () => {
    const leave = new AbortController();
    const watch = clients[1]!.watchTransitions({ configurationName: 'lamp' }, { signal: leave.signal });
    const frames = watch[Symbol.asyncIterator]();
    await frames.next();
    const startMs = performance.now();
    await clients[0]!.createFiniteStateMachine({ configurationName: 'lamp', fsmId: 'heard' });
    for (let frame = await frames.next(); ; frame = await frames.next())
      if (frame.value?.changes.some(({ fsmId }: { fsmId: string }) => fsmId === 'heard')) break;
    expect(performance.now() - startMs).toBeLessThan(500);
    leave.abort();
    await clients[0]!.createConfiguration({ configuration: { ...LAMP, version: '2' } });
    const { configuration } = await clients[1]!.getConfiguration({ name: 'lamp' });
    expect(configuration?.version).toBe('2');
  });
});

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
