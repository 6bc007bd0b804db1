/**
 * Names that come inside ids, cursors and tokens: what they stand for is found and asked for like any name,
 * and whoever is denied learns nothing, not even whether there is such a thing.
 */
import type { DescMethod } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import {
  type AccessServer,
  describeOnEngines,
  type Outcome,
  startAccessServer,
  TestClients,
} from './access-server.js';

const { method: bus } = BusService;
const { method: fsm } = FsmService;
/** Of a stream that never was. */
const GONE = '4000000-1';
const status = EventStatus.PROCESSED;

describeOnEngines((open) => {
  const clients = new TestClients();
  const mine = clients.grant('mine', '*:*:mine');
  const root = clients.grant('root', '*:*:*');
  let server: AccessServer;
  /** Of a stream that was deleted. */
  let deleted: string;

  const ask = (method: DescMethod, request: object, headers = mine) =>
    server.call('gRPC', method, request, headers);

  async function answer<T>(method: DescMethod, request: object, headers = root): Promise<T> {
    const { error, answer } = await ask(method, request, headers);
    if (error) throw error;
    return answer as T;
  }

  beforeAll(async () => {
    server = await startAccessServer({ open, clients });
    await answer(bus.createStream, { name: 'mine-once' });
    const written = await answer<{ event: { eventId: string } }>(bus.writeEvent, {
      stream: 'mine-once',
      event: {},
    });
    deleted = written.event.eventId;
    await answer(bus.deleteStream, { name: 'mine-once' });
  });
  afterAll(() => server.stop());

  describe('an event id', () => {
    const forged = () => [server.eventId('theirs'), deleted, GONE];

    it('of one own stream may be marked', async () => {
      const eventId = server.eventId('mine');
      expect((await ask(bus.markEvent, { eventId, status: EventStatus.UNPROCESSED })).code).toBe('OK');
    });

    it('of another stream, of a deleted one and of none are denied alike, and nothing is done', async () => {
      const before = await server.snapshot();
      const refusals: unknown[] = [];
      for (const eventId of forged()) {
        const outcome = await ask(bus.markEvent, { eventId, status });
        expect(outcome.reason).toBe('GRANT_MISSING');
        refusals.push(shown(outcome));
      }
      expect(refusals[1]).toEqual(refusals[0]);
      expect(refusals[2]).toEqual(refusals[0]);
      expect(JSON.stringify(refusals)).not.toContain('theirs');
      expect(await server.snapshot()).toEqual(before);
    });

    it('that names nothing is not found for whoever may mark everything', async () => {
      expect((await ask(bus.markEvent, { eventId: GONE, status }, root)).reason).toBe('EVENT_NOT_FOUND');
      expect((await ask(bus.markEvent, { eventId: deleted, status }, root)).reason).toBe('EVENT_NOT_FOUND');
    });

    it('is denied by the item in a batch, and the items beside it are done', async () => {
      const before = await server.snapshot();
      const eventIds = [...forged(), server.eventId('mine')];
      const marks = eventIds.map((eventId) => ({ eventId, status: EventStatus.UNPROCESSED }));
      const marked = await answer<Answers>(bus.markEvents, { marks }, mine);
      expect(results(marked)).toEqual(['GRANT_MISSING', 'GRANT_MISSING', 'GRANT_MISSING', 1]);
      const leases = eventIds.map((eventId) => ({ eventId, leaseToken: '1.workers' }));
      const extended = await answer<Answers>(bus.extendLeases, { leases }, mine);
      expect(results(extended)).toEqual(['GRANT_MISSING', 'GRANT_MISSING', 'GRANT_MISSING', 2]);
      expect(await server.snapshot()).toEqual(before);
    });

    it('with a lease of its own stream and group is denied all the same', async () => {
      const request = { stream: 'theirs', group: 'workers', follow: true };
      const frame = await answer<{ events: { leaseToken: string }[] }>(bus.processEvents, request);
      const leaseToken = frame.events[0]?.leaseToken;
      const before = await server.snapshot();
      const eventId = server.eventId('theirs');
      expect((await ask(bus.markEvent, { eventId, status, leaseToken })).reason).toBe('GRANT_MISSING');
      const extended = await answer<Answers>(bus.extendLeases, { leases: [{ eventId, leaseToken }] }, mine);
      expect(results(extended)).toEqual(['GRANT_MISSING']);
      expect(await server.snapshot()).toEqual(before);
    });

    it('of another stream cannot be replayed or purged as a dead letter of one own', async () => {
      for (const method of [bus.replayDeadLetters, bus.purgeDeadLetters]) {
        const refusals = [];
        for (const id of forged()) {
          const outcome = await ask(method, { stream: 'mine', group: 'workers', eventIds: [id] });
          expect(outcome.code).toBe('InvalidArgument');
          refusals.push(shown(outcome));
        }
        expect(refusals[1]).toEqual(refusals[0]);
        expect(refusals[2]).toEqual(refusals[0]);
      }
    });
  });

  describe('a cursor', () => {
    it('of another stream is none here, whether that stream exists or not', async () => {
      const { cursor } = await answer<{ cursor: string }>(bus.subscribe, { stream: 'theirs' });
      const refusals = [];
      for (const each of [cursor, deleted, GONE]) {
        const outcome = await ask(bus.subscribe, { stream: 'mine', cursor: each });
        expect(outcome.reason).toBe('INVALID_FIELD');
        refusals.push(shown(outcome));
      }
      expect(refusals[1]).toEqual(refusals[0]);
      expect(refusals[2]).toEqual(refusals[0]);
      expect((await ask(bus.subscribe, { stream: 'theirs', cursor })).reason).toBe('GRANT_MISSING');
    });

    it('of another configuration is none here', async () => {
      const { cursor } = await answer<{ cursor: string }>(fsm.watchTransitions, {
        configurationName: 'theirs',
      });
      // The frame before the first change tells the cursor back, and the watch begins with the next one.
      const request = { configurationName: 'mine', cursor };
      const watched = await server.frames(fsm.watchTransitions, request, mine);
      expect(watched.reason).toBe('INVALID_FIELD');
      expect(watched.frames).toBeLessThanOrEqual(1);
      expect((await ask(fsm.watchTransitions, { configurationName: 'theirs', cursor })).reason).toBe(
        'GRANT_MISSING',
      );
    });
  });

  describe('a token', () => {
    const inOne = (name: string): [DescMethod, object][] => [
      [fsm.listConfigurationVersions, { name }],
      [fsm.listFiniteStateMachines, { configurationName: name }],
      [fsm.listTransitions, { configurationName: name, fsmId: 'm-1' }],
      [bus.getStreamEvents, { stream: name }],
      [bus.listGroups, { stream: name }],
      [bus.listDeadLetters, { stream: name, group: 'workers' }],
      [bus.replayDeadLetters, { stream: name, group: 'workers' }],
      [bus.purgeDeadLetters, { stream: name, group: 'workers' }],
    ];

    it('is taken by the rpcs that this file knows of, and by lists of names', () => {
      const methods = server.bindings.flatMap(({ service }) => service.methods);
      const taking = methods.filter(({ input }) =>
        input.fields.some(({ name }) => /^(page|next)_token$/.test(name)),
      );
      const known = [...inOne('').map(([method]) => method), fsm.listConfigurations, bus.listStreams];
      expect(taking.map(({ name }) => name).sort()).toEqual(known.map(({ name }) => name).sort());
    });

    it('of the same list of another name is none here', async () => {
      await answer(fsm.createConfiguration, { configuration: { ...second('theirs') } });
      for (const i of [2, 3]) {
        await answer(fsm.createFiniteStateMachine, { configurationName: 'theirs', fsmId: `m-${i}` });
        await answer(fsm.sendEvent, { configurationName: 'theirs', fsmId: 'm-1', event: { name: 'press' } });
        await answer(bus.createGroup, { stream: 'theirs', group: `g-${i}` });
        await answer(bus.writeEvent, { stream: 'theirs', event: {} });
      }
      let found = 0;
      for (const [i, [method, request]] of inOne('theirs').entries()) {
        const page = await answer<{ nextPageToken?: string }>(method, { ...request, pageSize: 1 });
        const token = page.nextPageToken || Buffer.from('[["dead",2,"workers"],"1"]').toString('base64url');
        if (page.nextPageToken) found += 1;
        const field = method.input.fields.find(({ name }) => /_token$/.test(name))?.localName ?? '';
        const [, own] = inOne('mine')[i] as [DescMethod, object];
        expect([method.name, (await ask(method, { ...own, [field]: token })).reason]).toEqual([
          method.name,
          'INVALID_FIELD',
        ]);
        expect((await ask(method, { ...request, [field]: token })).reason).toBe('GRANT_MISSING');
      }
      expect(found).toBe(5);
    });
  });
});

/** All of a refusal, to be compared. */
function shown({ error }: Outcome): unknown {
  const [info] = error?.findDetails(ErrorInfoSchema) ?? [];
  return [error?.code, error?.rawMessage, info?.reason, info?.metadata];
}

interface Answers {
  readonly answers: { result: number; error?: { details: { value: Uint8Array }[] } }[];
}

/** The result of each item, or the reason of its error. */
function results({ answers }: Answers): (number | string)[] {
  return answers.map(({ result, error }) => {
    if (!error) return result;
    const text = Buffer.from(error.details[0]?.value ?? '').toString('latin1');
    return /[A-Z]+(_[A-Z]+)+/.exec(text)?.[0] ?? text;
  });
}

function second(name: string) {
  return { name, version: '2', states: ['off'], startingState: 'off' };
}
