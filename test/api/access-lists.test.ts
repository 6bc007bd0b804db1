/** Lists for a client that is granted a part: what a page shows, and what its token gives away. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Access } from '../../src/call.js';
import { EVERYTHING } from '../../src/call.js';
import { Fault } from '../../src/fault.js';
import { grantedPage, type NamedList } from '../../src/page.js';
import { type AccessServer, describeOnEngines, startAccessServer, TestClients } from './access-server.js';

/** A list in memory, as a store keeps one: a position is the name of the last item of a page. */
class Names implements NamedList<string> {
  readings = 0;
  /** Called before each reading. */
  beforeReading: (reading: number) => void = () => {};
  names: string[];

  constructor(names: string[]) {
    this.names = names;
  }

  readonly read = async (after: string | undefined, limit: number) => {
    this.beforeReading(this.readings);
    this.readings += 1;
    const rest = this.names.filter((name) => after === undefined || name > after).sort();
    const items = rest.slice(0, limit);
    return { items, next: rest.length > limit ? items.at(-1) : undefined };
  };
  readonly nameOf = (name: string) => name;
}

const numbered = (count: number) =>
  Array.from({ length: count }, (_, i) => `n-${String(i).padStart(5, '0')}`);

function only(isGranted: (name: string) => boolean): Access {
  return {
    isUnlimited: false,
    allows: isGranted,
    require() {},
    denial: () => new Fault('GRANT_MISSING', ''),
  };
}

/** Every page to the end. */
async function pagesOf(access: Access, list: Names, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  for (let after: string | undefined; ; ) {
    const page = await grantedPage(access, list, after, limit);
    pages.push([...page.items]);
    if (page.next === undefined) return pages;
    expect(access.allows(page.next)).toBe(true);
    after = page.next;
  }
}

describe('a page of what is granted', () => {
  it.each([
    [1, 3],
    [7, 100],
    [500, 1_000],
    [3, 10_000],
  ])('is full until the last: one of %i names, %i a page', async (every, limit) => {
    const all = numbered(2_500);
    const granted = all.filter((_, i) => i % every === every - 1);
    const set = new Set(granted);
    const pages = await pagesOf(
      only((name) => set.has(name)),
      new Names(all),
      limit,
    );
    expect(pages.flat()).toEqual(granted);
    for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
    expect(pages.at(-1)?.length).toBeGreaterThan(0);
  });

  it('has no token when only what is not granted follows', async () => {
    const list = new Names(['a', 'b', 'c', 'd']);
    expect(
      await grantedPage(
        only((name) => name < 'c'),
        list,
        undefined,
        2,
      ),
    ).toEqual({
      items: ['a', 'b'],
      next: undefined,
    });
    expect(
      await grantedPage(
        only(() => false),
        list,
        undefined,
        2,
      ),
    ).toEqual({ items: [], next: undefined });
  });

  it('asks the store once, and no more than it would, for whoever is granted everything', async () => {
    const list = new Names(numbered(10));
    expect(await grantedPage(EVERYTHING, list, undefined, 2)).toEqual({
      items: ['n-00000', 'n-00001'],
      next: 'n-00001',
    });
    expect(list.readings).toBe(1);
  });

  it.each([
    ['something else came', (list: Names) => void list.names.push('a-secret')],
    ['something else went', (list: Names) => void list.names.splice(list.names.indexOf('b-secret'), 1)],
    ['an item of the page went', (list: Names) => void list.names.splice(list.names.indexOf('c'), 1)],
  ])('whose list changes while its end is looked for names nothing else: %s', async (_, change) => {
    const list = new Names(['a', 'b-secret', 'c', 'd-secret', 'e', 'f']);
    const access = only((name) => !name.endsWith('-secret'));
    list.beforeReading = (reading) => {
      if (reading === 1) change(list);
    };
    const page = await grantedPage(access, list, undefined, 2);
    expect(page.items).toHaveLength(2);
    expect(access.allows(page.next ?? '')).toBe(true);
    expect(page.next).toBe(page.items.at(-1));
  });

  it('whose list never stays is unavailable, after a bounded time', async () => {
    const list = new Names(['a', 'c', 'e']);
    list.beforeReading = (reading) => void list.names.push(`a${String(reading).padStart(4, '0')}-secret`);
    const access = only((name) => !name.endsWith('-secret'));
    await expect(grantedPage(access, list, undefined, 2)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(list.readings).toBe(10);
  });
});

describeOnEngines((open) => {
  describe('lists of names', () => {
    const clients = new TestClients();
    const some = clients.grant('some', '*:read:x-*');
    let server: AccessServer;

    beforeAll(async () => {
      server = await startAccessServer({ open, clients });
      const root = { authorization: 'root' };
      for (const name of ['a', 'x-1', 'x-2', 'x-2.secret', 'x-3', 'y', 'z']) {
        await server.call('gRPC', BusService.method.createStream, { name }, root);
        const configuration = { name, version: '1', states: ['s'], startingState: 's' };
        await server.call('gRPC', FsmService.method.createConfiguration, { configuration }, root);
      }
      clients.grant('some', '*:read:x-?', '*:read:x-1', '*:read:x-2', '*:read:x-3', 'bus:write:*');
    });
    afterAll(() => server.stop());

    it('of streams go through what is granted and tell nothing else', async () => {
      const seen: string[] = [];
      for (let pageToken = ''; ; ) {
        const { answer } = await server.call(
          'Connect',
          BusService.method.listStreams,
          { pageSize: 1, pageToken },
          some,
        );
        const page = answer as { streams: { name: string }[]; nextPageToken: string };
        seen.push(...page.streams.map(({ name }) => name));
        if (page.nextPageToken === '') break;
        expect(Buffer.from(page.nextPageToken, 'base64url').toString()).toBe(
          `[["streams"],"${seen.at(-1)}"]`,
        );
        pageToken = page.nextPageToken;
      }
      expect(seen).toEqual(['x-1', 'x-2', 'x-3']);
    });

    it('of configurations do too', async () => {
      const { method } = FsmService;
      const seen: string[] = [];
      for (let pageToken = ''; ; ) {
        const request = { pageSize: 2, pageToken };
        const { answer } = await server.call('gRPC', method.listConfigurations, request, some);
        const page = answer as { names: string[]; nextPageToken: string };
        seen.push(...page.names);
        if (page.nextPageToken === '') break;
        pageToken = page.nextPageToken;
      }
      expect(seen).toEqual(['x-1', 'x-2', 'x-3']);
    });

    it('of v1beta are of what is granted; a name in their place is asked for', async () => {
      const { getAllConfigurations } = StatemachineService.method;
      const all = await server.call('gRPC', getAllConfigurations, { value: '' }, some);
      expect(all.answer).toMatchObject({ ids: ['x-1', 'x-2', 'x-3'] });
      const one = await server.call('gRPC', getAllConfigurations, { value: 'x-1' }, some);
      expect(one.answer).toMatchObject({ ids: ['x-1:1'] });
      for (const value of ['y', 'x-2.secret', 'x-1:1', 'none'])
        expect(await server.call('gRPC', getAllConfigurations, { value }, some)).toMatchObject({
          reason: 'GRANT_MISSING',
        });
    });

    it('are not read on from a place that a caller made up for others', async () => {
      const pageToken = Buffer.from('[["streams"],"x-2.secret"]').toString('base64url');
      const { answer } = await server.call('gRPC', BusService.method.listStreams, { pageToken }, some);
      expect((answer as { streams: { name: string }[] }).streams.map(({ name }) => name)).toEqual(['x-3']);
    });
  });

  describe('a batch of events', () => {
    it('has each item denied or done by itself, in a stream of frames too', async () => {
      const clients = new TestClients();
      const mine = clients.grant('mine', 'fsm:write:mine');
      const server = await startAccessServer({ open, clients });
      const names = ['theirs', 'mine', 'none', 'mine'];
      const events = names.map((configurationName, i) => {
        return { configurationName, fsmId: 'm-1', event: { eventId: `b-${i}`, name: 'press' } };
      });
      for (const method of [FsmService.method.sendEvents, FsmService.method.streamEvents]) {
        const { answer } = await server.call('gRPC', method, { events }, mine);
        const { results } = answer as { results: { result: { case: string; value: { code: number } } }[] };
        expect(
          results.map(({ result }) => (result.case === 'error' ? result.value.code : result.case)),
        ).toEqual([7, 'outcome', 7, 'outcome']);
      }
      const root = { authorization: 'root' };
      for (const eventId of ['b-0', 'b-1']) {
        const request = { configurationName: eventId === 'b-0' ? 'theirs' : 'mine', eventId };
        const { code } = await server.call('gRPC', FsmService.method.getEventOutcome, request, root);
        expect(code).toBe(eventId === 'b-0' ? 'NotFound' : 'OK');
      }
      await server.stop();
    });
  });
});
