/** StreamEvents and WatchTransitions over a real port: order, bounds, resuming and ends. */
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import type { WatchTransitionsResponse } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { type FsmServer, LAMP, startFsmServer } from './fsm-server.js';

let server: FsmServer;
beforeAll(async () => {
  server = await startFsmServer();
});
afterAll(() => server.stop());

const press = (fsmId: string, eventId: string) => ({
  configurationName: 'lamp',
  fsmId,
  event: { eventId, name: 'press' },
});

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  return call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason).code,
  );
}

describe('StreamEvents', () => {
  it('applies the events of one machine in the order sent, whatever their frames', async () => {
    await server.fsm.createFiniteStateMachine({ configurationName: 'lamp', fsmId: 'hot' });
    async function* frames() {
      for (let frame = 0; frame < 200; frame += 1)
        yield {
          frameId: BigInt(frame),
          events: [press('hot', `${frame}-0`), press(`cold-${frame}`, 'x'), press('hot', `${frame}-1`)],
        };
    }
    const answered = new Set<bigint>();
    for await (const { frameId, results } of server.fsm.streamEvents(frames())) {
      answered.add(frameId);
      expect(results.map(({ result }) => result.case === 'outcome' && result.value.result.case)).toEqual([
        'applied',
        'fsmNotFound',
        'applied',
      ]);
    }
    expect(answered.size).toBe(200);
    const page = await server.fsm.listTransitions({
      configurationName: 'lamp',
      fsmId: 'hot',
      pageSize: 1_000,
    });
    const expected = Array.from({ length: 200 }, (_, i) => [`${i}-0`, `${i}-1`]).flat();
    expect(page.transitions.map(({ event }) => event?.eventId)).toEqual(expected);
  });

  it('answers what came before a frame that is too large, then ends', async () => {
    async function* frames() {
      yield { frameId: 1n, events: [press('l-1', 'before')] };
      yield { frameId: 2n, events: Array.from({ length: 1_001 }, (_, i) => press('l-1', `${i}`)) };
    }
    const answered: bigint[] = [];
    const code = await codeOf(
      (async () => {
        for await (const { frameId } of server.fsm.streamEvents(frames())) answered.push(frameId);
      })(),
    );
    expect([answered, code]).toEqual([[1n], Code.InvalidArgument]);
  });

  it('stops reading from a client that does not read its answers', async () => {
    const total = 800;
    let sent = 0;
    // Answered without the store: 9 KB in and 12 KB out a frame, far more than buffers on the way hold.
    const events = Array.from({ length: 100 }, (_, i) => ({
      ...press(`m-${i}`, `b-${i}`),
      configurationName: 'none',
    }));
    async function* frames() {
      for (; sent < total; sent += 1) yield { frameId: BigInt(sent), events };
    }
    const answers = server.fsm.streamEvents(frames())[Symbol.asyncIterator]();
    await answers.next();
    // It has stopped when a second passes without a frame taken: the client pushes as fast as it is let.
    for (let before = -1; before !== sent; ) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    expect(sent).toBeLessThan(total);
    let count = 1;
    for (let next = await answers.next(); !next.done; next = await answers.next()) count += 1;
    expect(count).toBe(total);
  });
});

describe('WatchTransitions', () => {
  /** Reads frames until `enough` says so, then leaves. */
  async function read(
    request: Parameters<typeof server.fsm.watchTransitions>[0],
    enough: (frames: WatchTransitionsResponse[]) => boolean,
    onFirst: () => Promise<unknown> = async () => {},
  ): Promise<WatchTransitionsResponse[]> {
    const frames: WatchTransitionsResponse[] = [];
    const leave = new AbortController();
    try {
      for await (const frame of server.fsm.watchTransitions(request, { signal: leave.signal })) {
        frames.push(frame);
        if (frames.length === 1) await onFirst();
        if (enough(frames)) leave.abort();
      }
    } catch (error) {
      if (!leave.signal.aborted) throw error;
    }
    return frames;
  }

  const changesOf = (frames: WatchTransitionsResponse[]) =>
    frames.flatMap(({ changes }) =>
      changes.map(({ kind, fsmId, from, to, version }) => [kind, fsmId, from, to, version]),
    );

  it('shows what is there, then every change, and resumes from any cursor', async () => {
    await server.fsm.createConfiguration({ configuration: { ...LAMP, name: 'seen' } });
    const configurationName = 'seen';
    await server.fsm.createFiniteStateMachine({ configurationName, fsmId: 's-1' });
    const act = async () => {
      await server.fsm.sendEvent({ configurationName, fsmId: 's-1', event: { eventId: '1', name: 'press' } });
      await server.fsm.createFiniteStateMachine({ configurationName, fsmId: 's-2' });
      await server.fsm.deleteFiniteStateMachine({ configurationName, fsmId: 's-1' });
    };
    const frames = await read({ configurationName, snapshot: true }, (so) => changesOf(so).length >= 3, act);
    expect(frames[0]?.snapshot.map(({ id, state, version }) => [id, state, version])).toEqual([
      ['s-1', 'off', 0n],
    ]);
    expect(frames.filter(({ snapshotComplete }) => snapshotComplete)).toHaveLength(1);
    const all = changesOf(frames);
    expect(all).toEqual([
      [2, 's-1', 'off', 'on', 1n],
      [1, 's-2', '', 'off', 0n],
      [3, 's-1', 'on', '', 1n],
    ]);
    const start = frames.find(({ cursor }) => cursor !== '')?.cursor ?? '';
    expect(
      changesOf(await read({ configurationName, cursor: start }, (so) => changesOf(so).length >= 3)),
    ).toEqual(all);
  });

  it('keeps to a machine or to a state, entered and left', async () => {
    await server.fsm.createConfiguration({ configuration: { ...LAMP, name: 'picked' } });
    const configurationName = 'picked';
    const act = async () => {
      for (const fsmId of ['a', 'b']) {
        await server.fsm.createFiniteStateMachine({ configurationName, fsmId });
        for (const eventId of ['1', '2'])
          await server.fsm.sendEvent({ configurationName, fsmId, event: { eventId, name: 'press' } });
      }
    };
    const byState = await read({ configurationName, state: 'on' }, (so) => changesOf(so).length >= 4, act);
    expect(changesOf(byState).map(([, id, from, to]) => [id, from, to])).toEqual([
      ['a', 'off', 'on'],
      ['a', 'on', 'off'],
      ['b', 'off', 'on'],
      ['b', 'on', 'off'],
    ]);
    const cursor = byState[0]?.cursor ?? '';
    const byMachine = await read(
      { configurationName, fsmId: 'b', cursor },
      (so) => changesOf(so).length >= 3,
    );
    expect(changesOf(byMachine).every(([, id]) => id === 'b')).toBe(true);
  });

  it('refuses what it cannot do', async () => {
    const first = (request: Parameters<typeof server.fsm.watchTransitions>[0]) =>
      codeOf(read(request, () => true));
    expect(await first({ configurationName: 'none' })).toBe(Code.NotFound);
    expect(await first({ configurationName: 'lamp', cursor: 'x', snapshot: true })).toBe(
      Code.InvalidArgument,
    );
    const foreign = await read({ configurationName: 'lamp' }, () => true);
    await server.fsm.createConfiguration({ configuration: { ...LAMP, name: 'other' } });
    const cursor = foreign[0]?.cursor ?? '';
    for (const forged of [cursor, 'garbage', `${cursor}x`])
      expect(await codeOf(read({ configurationName: 'other', cursor: forged }, (so) => so.length > 1))).toBe(
        Code.InvalidArgument,
      );
  });

  it('ends a watch with its cursor when the service stops', async () => {
    const stopping = await startFsmServer();
    const watch = stopping.fsm.watchTransitions({ configurationName: 'lamp' })[Symbol.asyncIterator]();
    const first = await watch.next();
    const ended = watch.next().then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    await stopping.stop();
    const error = await ended;
    expect(error?.code).toBe(Code.Unavailable);
    const [info] = error?.findDetails(ErrorInfoSchema) ?? [];
    expect(info).toMatchObject({ reason: 'DRAINING', metadata: { cursor: first.value?.cursor } });
  });
});
