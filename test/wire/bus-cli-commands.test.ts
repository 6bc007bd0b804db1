/** Every command of `switchgear bus` in every format, on both stores, and what it says of mistakes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Io } from '../../src/cli/invocation.js';
import { allCommands, buildProgram } from '../../src/cli/program.js';
import { connect } from '../../src/client/index.js';
import { freePort } from '../support/processes.js';
import type { ServerProcess } from '../support/server-process.js';
import { jsonLines, STORES, typed } from './cli-support.js';

/** They take events or go on without end: in bus-cli-work.test.ts and below. */
const TRIED_ELSEWHERE = ['process', 'retry', 'tail'];

interface Example {
  readonly args: readonly string[];
  /** What the table shows. */
  readonly table: RegExp;
  /** What the first JSON document holds. */
  readonly json: object;
}

const TIME = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d';

const HELD_BY_FIRST = {
  orderingKey: 'order 7',
  eventId: expect.stringMatching(/-1$/),
  attempts: 2,
  firstWaitingSeq: '2',
};

/** Each runs three times, once a format: so those that change something are safe to repeat. */
const EXAMPLES: readonly Example[] = [
  {
    args: [
      'create',
      'made',
      '--max-age',
      '12h',
      '--max-bytes',
      '5MiB',
      '--overflow',
      'drop-oldest',
      '--request-id',
      'r',
    ],
    table:
      /^stream +made\nevents kept +for 12h, at most 5,242,880 bytes\nat the cap +drop oldest\ndedupe window +2m\n/,
    json: {
      name: 'made',
      settings: { maxAge: '43200s', maxBytes: '5242880', overflow: 'OVERFLOW_DROP_OLDEST' },
    },
  },
  {
    args: ['list', '--limit', '1'],
    table: new RegExp(
      `^NAME +MAX AGE +MAX EVENTS +MAX BYTES +AT THE CAP +CREATED\nmade +12h +- +5,242,880 +drop oldest +${TIME}\n$`,
    ),
    json: { name: 'made' },
  },
  {
    args: ['update', 'made', '--max-events', '10'],
    table: /^stream +made\nevents kept +for 12h, at most 10 events, at most/,
    json: { name: 'made', settings: { maxEvents: '10' } },
  },
  {
    args: [
      'write',
      'orders',
      '--type',
      'paid',
      '--key',
      'k',
      '--attribute',
      'a=b=c',
      '--json',
      '{"x":1}',
      '--dedupe-id',
      'd',
    ],
    table: new RegExp(`^event +\\d+-4\nsequence +4\nwritten +${TIME}\n$`),
    json: { seq: '4', duplicate: true, eventId: expect.any(String) },
  },
  {
    args: ['get', 'orders'],
    table:
      /\nevents +1 to 4, [\d,]+ bytes\ndurability +\S[\s\S]*\n +g: lag 1, 0 unprocessed, 0 leased, 0 retrying, 0 waiting, 2 dead\n/,
    json: { lastSeq: '4', groups: expect.arrayContaining([expect.objectContaining({ dead: '2' })]) },
  },
  {
    args: ['get', 'poisoned'],
    table: /\ngroups +default: lag 0, .* 1 waiting, 0 dead, key order 7 held by \d+-1 after 2 attempts\n/,
    json: { groups: [expect.objectContaining({ heldKey: HELD_BY_FIRST })] },
  },
  {
    args: ['info', 'orders'],
    table: /^stream +orders\n/,
    json: { stream: expect.objectContaining({ name: 'orders' }) },
  },
  {
    args: ['events', 'orders', '--from-seq', '3', '--limit', '2'],
    table: new RegExp(
      `^SEQ +STATUS +TYPE +KEY +WRITTEN +EVENT ID +BODY\n3 +UNPROCESSED +t +${TIME} +\\d+-3 +\\{"i":3\\}\n4 +UNPROCESSED +paid +k +${TIME} +\\d+-4 +\\{"x":1\\}\n$`,
    ),
    json: { seq: '3', status: 'EVENT_STATUS_UNPROCESSED', json: { i: 3 } },
  },
  {
    args: ['events', 'orders', '--status', 'DEAD', '--group', 'g'],
    table: /^SEQ[^\n]*\n1 +DEAD [^\n]*\n2 +DEAD /,
    json: { seq: '1', status: 'EVENT_STATUS_DEAD' },
  },
  {
    args: ['mark', 'FIRST', 'PROCESSED'],
    table: /^event +\d+-1\nmarked +PROCESSED\n$/,
    json: { status: 'PROCESSED' },
  },
  {
    args: ['dead-letters', 'list', 'orders', '--group', 'g'],
    table: new RegExp(
      `^SEQ +ATTEMPTS +DIED +TYPE +KEY +EVENT ID +BODY\n1 +1 +${TIME} +t +\\d+-1 +\\{"i":1\\}\n2 `,
    ),
    json: { attempts: 1, reason: 'REASON_ATTEMPTS_EXHAUSTED', event: expect.objectContaining({ seq: '1' }) },
  },
  {
    args: ['dead-letters', 'replay', 'orders', '--group', 'g', '--id', 'NONE'],
    table: /^replayed +0\n$/,
    json: { replayed: '0' },
  },
  {
    args: ['dead-letters', 'purge', 'orders', '--group', 'empty', '--all'],
    table: /^purged +0\n$/,
    json: { purged: '0' },
  },
  {
    args: [
      'group',
      'create',
      'orders',
      'h',
      '--ack-deadline',
      '5s',
      '--max-attempts',
      '3',
      '--type',
      't',
      '--attribute',
      'a=1',
      '--start',
      'end',
      '--request-id',
      'r',
    ],
    table: /^group +h\nack deadline +5s\nmax attempts +3\nbackoff +1s to 1m\nfilter +type t, a=1\n/,
    json: { name: 'h', settings: { ackDeadline: '5s', maxAttempts: 3 } },
  },
  {
    args: ['group', 'update', 'orders', 'h', '--max-backoff', '2m'],
    table: /\nbackoff +1s to 2m\n/,
    json: { name: 'h', settings: { maxBackoff: '120s' } },
  },
  {
    args: ['group', 'list', 'orders'],
    table:
      /^GROUP +ACK DEADLINE +MAX ATTEMPTS +BACKOFF +FILTER +CREATED\n[\s\S]*h +5s +3 +1s to 2m +type t, a=1 +\d/,
    json: { name: expect.any(String) },
  },
  {
    args: ['seek', 'orders', 'h', '--to', '2'],
    table: /^group +h\ngoes on from +2\ngeneration +\d+\n$/,
    json: { cursor: '2', group: expect.objectContaining({ name: 'h' }) },
  },
  {
    args: ['group', 'delete', 'orders', 'nobody'],
    table: /^group +nobody\noutcome +was not there\n$/,
    json: { existed: false },
  },
  {
    args: ['doctor'],
    table: /\nswitchgear\.bus\.v1\.BusService +SERVING\n/,
    json: { services: expect.arrayContaining([{ service: '(all)', status: 'SERVING' }]) },
  },
  { args: ['delete', 'gone'], table: /^stream +gone\noutcome +was not there\n$/, json: { existed: false } },
];

describe('the commands of the bus', () => {
  it('are tried below in full', () => {
    const bus = buildProgram({} as Io).commands.find((command) => command.name() === 'bus');
    const leaves = allCommands(bus!).filter(({ commands }) => commands.length === 0);
    const paths = leaves.map((each) =>
      each.parent === bus ? [each.name()] : [each.parent!.name(), each.name()],
    );
    const isTried = (path: readonly string[]) =>
      TRIED_ELSEWHERE.includes(path[0]!) ||
      EXAMPLES.some(({ args }) => path.every((word, i) => args[i] === word));
    expect(paths.length).toBeGreaterThan(15);
    expect(paths.filter((path) => !isTried(path))).toEqual([]);
  });
});

describe.each(STORES)('on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let address: string;
    const ids = { FIRST: '', NONE: '' };
    beforeAll(async () => {
      server = await start();
      address = server.grpcAddress;
      await using switchgear = connect(address);
      const { bus } = switchgear;
      await bus.createStream({ name: 'orders' });
      const [first, second, third] = await bus.writeEvents({
        stream: 'orders',
        events: [1, 2, 3].map((i) => ({ type: 't', body: { i } })),
      });
      ids.FIRST = first!.eventId;
      ids.NONE = third!.eventId;
      await bus.createGroup({ stream: 'orders', group: 'empty' });
      await bus.createGroup({ stream: 'orders', group: 'g', settings: { maxAttempts: 1 } });
      for await (const { event, leaseToken } of bus.processEvents({ stream: 'orders', group: 'g' })) {
        const isDead = event!.eventId === first!.eventId || event!.eventId === second!.eventId;
        await bus.markEvent({ eventId: event!.eventId, leaseToken, status: isDead ? 'retry' : 'processed' });
      }
      await bus.writeEvent({
        stream: 'orders',
        event: { type: 'paid', orderingKey: 'k', attributes: { a: 'b=c' }, body: { x: 1 }, dedupeId: 'd' },
      });
      await bus.markEvent({ eventId: first!.eventId.replace(/-1$/, '-4'), status: 'processed', group: 'g' });
      await bus.createStream({ name: 'poisoned' });
      const poison = { orderingKey: 'order 7', body: {} };
      await bus.writeEvents({ stream: 'poisoned', events: [poison, poison] });
      for (const retryDelayMs of [0, 600_000])
        for await (const { event, leaseToken } of bus.processEvents({ stream: 'poisoned' }))
          await bus.markEvent({ eventId: event!.eventId, leaseToken, status: 'retry', retryDelayMs });
    });
    afterAll(() => server?.dispose());

    it.each(EXAMPLES)('bus $args', async ({ args, table, json }) => {
      const named = args.map((arg) => ids[arg as keyof typeof ids] ?? arg);
      const all = [];
      for (const format of ['json', 'table', 'yaml'])
        all.push(await typed(['bus', ...named, '-o', format], { address }));
      const [asJson, asTable, asYaml] = all.map(({ stdout }) => stdout) as [string, string, string];
      expect(all.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(Array(3).fill([0, '']));
      expect(asTable.replace(/duplicate .*\n/, '')).toMatch(table);
      expect(jsonLines(asJson)[0]).toMatchObject(json);
      const [document] = parseAllDocuments(asYaml);
      expect((document as { toJS(): unknown } | undefined)?.toJS()).toMatchObject(json);
    });

    it.each(['table', 'json', 'yaml'])(
      'bus tail prints what there is and what comes as %s',
      async (format) => {
        await using switchgear = connect(address);
        const stream = `tail-${format}`;
        await switchgear.bus.createStream({ name: stream });
        const write = (name: string) => switchgear.bus.writeEvent({ stream, event: { type: name } });
        await write('there');
        const controller = new AbortController();
        let more: Promise<unknown> | undefined;
        const tail = await typed(['bus', 'tail', stream, '--from', 'beginning', '-o', format], {
          address,
          signal: controller.signal,
          onOutput: (text) => {
            if (text.includes('there')) more ??= write('comes');
            if (text.includes('comes')) controller.abort();
          },
        });
        await more;
        expect(tail.exitCode).toBe(0);
        expect(tail.stdout.indexOf('comes')).toBeGreaterThan(tail.stdout.indexOf('there'));
        if (format === 'table') expect(tail.stderr).toMatch(/stopped; --cursor \S+ goes on from here/);
      },
    );

    it('bus get --watch shows a group that moves', async () => {
      await using switchgear = connect(address);
      const { bus } = switchgear;
      await bus.createStream({ name: 'watched' });
      await bus.createGroup({ stream: 'watched', group: 'mover' });
      const controller = new AbortController();
      let written: Promise<unknown> | undefined;
      const { stdout, exitCode } = await typed(['bus', 'get', 'watched', '--watch'], {
        address,
        signal: controller.signal,
        onOutput: (text) => {
          if (/mover +0 /.test(text)) written ??= bus.writeEvent({ stream: 'watched', event: {} });
          if (/mover +1 /.test(text)) controller.abort();
        },
      });
      await written;
      expect([exitCode, stdout]).toEqual([
        0,
        expect.stringMatching(/^TIME[\s\S]*mover +0 [\s\S]*mover +1 +1 /),
      ]);
    });

    it('lists 2,500 events completely, once each, in every way of asking', async () => {
      const stdin = Array.from({ length: 2_500 }, (_, i) => `${JSON.stringify({ body: { i } })}\n`).join('');
      await typed(['bus', 'create', 'many'], { address });
      const wrote = await typed(['bus', 'write', 'many', '-f', '-'], { address, stdin });
      expect([wrote.exitCode, wrote.stdout]).toEqual([0, 'events     2,500\nsequences  1 to 2500\n']);
      const { stdout } = await typed(['bus', 'events', 'many', '-o', 'json'], { address });
      expect(jsonLines(stdout).map(({ seq }) => Number(seq))).toEqual(
        Array.from({ length: 2_500 }, (_, i) => i + 1),
      );
      for (const limit of ['1', '1000', '1001']) {
        const some = await typed(['bus', 'events', 'many', '-o', 'json', '--limit', limit], { address });
        expect(jsonLines(some.stdout)).toHaveLength(Number(limit));
      }
    });

    it('shows what could steer a terminal as escapes, and bytes as their number', async () => {
      await typed(['bus', 'create', 'hostile'], { address });
      await typed(['bus', 'write', 'hostile', '--type', 'a\u001b[31m', '--body', 'x\ny\u202e'], { address });
      await using switchgear = connect(address);
      await switchgear.bus.writeEvent({
        stream: 'hostile',
        event: { body: new Uint8Array([0xff, 0xfe, 0]) },
      });
      const { stdout } = await typed(['bus', 'events', 'hostile'], { address });
      expect(stdout).toContain('a\\u{1b}[31m');
      expect(stdout).toContain('x\\ny\\u{202e}');
      expect(stdout).toContain('(3 bytes)');
      expect(stdout).not.toContain('\u001b');
    });

    it.each([
      [3, ['get', 'nowhere'], /`switchgear bus list` shows what is there/],
      [3, ['write', 'nowhere', '--body', 'x'], /switchgear bus list/],
      [3, ['tail', 'nowhere'], /switchgear bus list/],
      [3, ['process', 'nowhere', '--exec', 'true'], /switchgear bus list/],
      [3, ['process', 'orders', '--group', 'nobody', '--exec', 'true'], /switchgear bus group list/],
      [3, ['events', 'orders', '--group', 'nobody'], /switchgear bus group list/],
      [4, ['create', 'orders'], /choose another name/],
      [4, ['group', 'create', 'orders', 'g'], /choose another name/],
      [4, ['write', 'orders', '--expected-seq', '1', '--body', 'x'], /somebody wrote meanwhile/],
      [4, ['delete', 'orders', '--uid', 'x'], /`switchgear bus get NAME` shows its uid/],
      [4, ['update', 'orders', '--max-events', '0', '--expected-revision', '99'], /look at it again/],
      [1, ['seek', 'orders', 'g', '--to', '99999'], /shows which sequences are kept/],
      [2, ['create', 'a:b'], /name: /],
      [2, ['create', 'x', '--max-age', 'soon'], /such as 500ms, 30s, 5m, 12h or 30d/],
      [2, ['create', 'x', '--max-bytes', '5GB'], /such as 1000000, 64MiB or 5GiB/],
      [2, ['write', 'orders'], /-f - to read events from stdin/],
      [2, ['write', 'orders', '--expected-seq', '0'], /says nothing of the event/],
      [2, ['write', 'orders', '--json', '{'], /--json: /],
      [2, ['write', 'orders', '--json', '{}', '--body', 'x'], /leave one out/],
      [2, ['write', 'orders', '-f', '-', '--type', 'x'], /leave out the options of a single event/],
      [2, ['write', 'orders', '--attribute', 'x'], /must be name=value/],
      [2, ['tail', 'orders', '--from', 'yesterday'], /beginning, end, a sequence, or a time/],
      [2, ['tail', 'orders', '--from', 'end', '--cursor', 'x'], /leave one out/],
      [2, ['process', 'orders'], /--exec COMMAND, or --peek/],
      [2, ['process', 'orders', '--exec', 'true', '--once', '--follow'], /leave one out/],
      [2, ['update', 'orders'], /say what is to change/],
      [2, ['mark', 'x', 'PROCESSED'], /event_id: /],
      [2, ['mark', 'x', 'DONE'], /Allowed choices are PROCESSED, RETRY, UNPROCESSED/],
      [2, ['mark', 'x', 'PROCESSED', '--delay', '1s'], /--delay is for RETRY/],
      [2, ['dead-letters', 'purge', 'orders'], /say --id EVENT_ID or --all/],
      [2, ['dead-letters', 'lst', 'orders'], /Did you mean list/],
      [2, ['seek', 'orders', 'g'], /--to/],
    ])('ends with %i for bus %j, in one line that helps', async (exitCode, args, message) => {
      const ended = await typed(['bus', ...args], { address });
      expect([ended.exitCode, ended.stderr]).toEqual([exitCode, expect.stringMatching(message)]);
      expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
    });
  });
});

it('ends with 5 when there is no server, and the line says what to do', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  for (const args of [
    ['list'],
    ['tail', 's'],
    ['process', 's', '--exec', 'true'],
    ['write', 's', '--body', 'x'],
  ]) {
    const { exitCode, stderr } = await typed(['bus', ...args], { address });
    expect([exitCode, stderr]).toEqual([5, expect.stringContaining('is `switchgear serve` running there?')]);
  }
});
