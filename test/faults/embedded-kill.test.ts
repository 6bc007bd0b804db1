/**
 * The real process on the embedded store, killed with -9 under load again and again on one directory,
 * and started twice at once on it. What was acknowledged is there, once.
 */
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { describe, expect, it } from 'vitest';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { temporaryDirectory } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';
import { deferred } from '../support/waiting.js';

/** CI shows the law; `SWITCHGEAR_KILL_ROUNDS=200` shows it at length. */
const ROUNDS = Number(process.env.SWITCHGEAR_KILL_ROUNDS ?? 6);
const CALLERS = 24;
const MACHINES = 8;

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

type Fsm = Client<typeof FsmService>;

function clientOf(server: ServerProcess): Fsm {
  return createClient(FsmService, createGrpcTransport({ baseUrl: `http://${server.grpcAddress}` }));
}

/** Sends events until the process dies; what was sent and what was answered, by event id. */
async function loadUntilKilled(
  fsm: Fsm,
  round: number,
  onAcknowledged: (eventId: string) => void,
): Promise<string[]> {
  const sent: string[] = [];
  const caller = async (number: number) => {
    for (let i = 0; ; i += 1) {
      const eventId = `${round}-${number}-${i}`;
      sent.push(eventId);
      const fsmId = `m-${number % MACHINES}`;
      const { outcome } = await fsm.sendEvent({
        configurationName: 'lamp',
        fsmId,
        event: { eventId, name: 'press' },
      });
      expect(outcome?.result.case).toBe('applied');
      onAcknowledged(eventId);
    }
  };
  await Promise.allSettled(Array.from({ length: CALLERS }, (_, number) => caller(number)));
  return sent;
}

/** Every event in the histories of all machines, checked to be gapless on the way. */
async function eventsIn(fsm: Fsm): Promise<string[]> {
  const ids: string[] = [];
  for (let number = 0; number < MACHINES; number += 1) {
    const machine = { configurationName: 'lamp', fsmId: `m-${number}` };
    let expected = 1n;
    let pageToken = '';
    do {
      const page = await fsm.listTransitions({ ...machine, pageSize: 1_000, pageToken });
      for (const { version, event } of page.transitions) {
        expect(version).toBe(expected);
        expected += 1n;
        ids.push(event?.eventId ?? '');
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect((await fsm.getFiniteStateMachine(machine)).fsm?.version).toBe(expected - 1n);
  }
  return ids;
}

describe('a process killed under load', () => {
  it('has every acknowledged event once when it is started again', { timeout: ROUNDS * 20_000 }, async () => {
    const server = await ServerProcess.start();
    await clientOf(server).createConfiguration({ configuration: LAMP });
    for (let number = 0; number < MACHINES; number += 1)
      await clientOf(server).createFiniteStateMachine({ configurationName: 'lamp', fsmId: `m-${number}` });
    const acknowledged = new Set<string>();
    const sent = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const underWay = deferred<void>();
      // Another moment each round, counted in answers, so that every machine sees kills under load.
      const enough = acknowledged.size + 100 + 37 * round;
      const load = loadUntilKilled(clientOf(server), round, (eventId) => {
        acknowledged.add(eventId);
        if (acknowledged.size >= enough) underWay.resolve();
      });
      await underWay.promise;
      await server.kill();
      for (const eventId of await load) sent.add(eventId);
      await server.restart();
      const there = await eventsIn(clientOf(server));
      expect(new Set(there).size, 'none is there twice').toBe(there.length);
      expect(
        [...acknowledged].filter((eventId) => !there.includes(eventId)),
        'none is lost',
      ).toEqual([]);
      expect(
        there.filter((eventId) => !sent.has(eventId)),
        'none is invented',
      ).toEqual([]);
      for await (const frame of clientOf(server).auditIndex({ configurationName: 'lamp' }))
        expect(frame.differenceCount).toBe(0n);
    }
    await server.dispose();
  });
});

describe('two processes started at once on one directory', () => {
  it('end as one that serves and one that says why it does not', { timeout: 60_000 }, async () => {
    const dataDir = temporaryDirectory('shared');
    for (let round = 0; round < 3; round += 1) {
      const starts = await Promise.allSettled([
        ServerProcess.start({ dataDir }),
        ServerProcess.start({ dataDir }),
      ]);
      const [served] = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
      const refusals = starts.flatMap((start) => (start.status === 'rejected' ? [String(start.reason)] : []));
      expect(refusals).toHaveLength(1);
      expect(refusals[0]).toMatch(/ended with code 1/);
      expect(refusals[0]).toContain(dataDir);
      expect(refusals[0]).toContain(String(served?.pid));
      // Taken over from the dead, not left by the living.
      await served?.kill();
    }
  });
});

describe('a start that cannot go on', () => {
  it('is one line and exit code 1 when the port is in use or Redis is not there', async () => {
    const server = await ServerProcess.start();
    const port = server.grpcAddress.split(':')[1] ?? '';
    const inUse = await ServerProcess.refused({ flags: ['--grpc-port', port] });
    expect(inUse).toMatchObject({ exitCode: 1 });
    expect(inUse.output).toMatch(
      new RegExp(`^switchgear: cannot listen on 127\\.0\\.0\\.1:${port}: .*$`, 'm'),
    );
    await server.dispose();
    const noRedis = await ServerProcess.refused({ flags: ['--redis', 'redis://127.0.0.1:1'] });
    expect(noRedis).toMatchObject({ exitCode: 1 });
    expect(noRedis.output.trim().split('\n')).toEqual([
      expect.stringMatching(/^switchgear: .*127\.0\.0\.1:1/),
    ]);
  });

  it('is exit code 2 with every complaint when it was asked for wrongly', async () => {
    const flags = ['--services', 'nothing', '--durability', 'maybe', '--host', '0.0.0.0'];
    const refused = await ServerProcess.refused({ flags });
    expect(refused.exitCode).toBe(2);
    expect(refused.output.trim().split('\n')).toHaveLength(3);
  });

  it('never leaves embedded data behind for an engine', async () => {
    const server = await ServerProcess.start();
    await server.stop();
    const flags = ['--redis', 'redis://127.0.0.1:1'];
    const refused = await ServerProcess.refused({ dataDir: server.dataDir, flags });
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.output).toContain('is embedded in');
    await server.dispose();
  });
});
