/** What `create -f` and `send -f` read: manifests of go-statemachine's users, plain objects, JSON lines. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { temporaryDirectory } from '../support/processes.js';
import type { ServerProcess } from '../support/server-process.js';
import { jsonLines, ring, STORES, typed } from './cli-support.js';

/** In the field names that the YAML of statemachine.v1beta has: all in lower case. */
const MANIFESTS = `# A definition, a machine and an event.
---
apiVersion: v1alpha
kind: Configuration
spec:
  name: parcels
  version: 1.10
  states: [packed, moving, delivered]
  startingstate: packed
  transitions:
    - {from: packed, to: moving, event: load}
    - {from: moving, to: delivered, event: hand over}
---
apiVersion: v1alpha
kind: FiniteStateMachine
metadata: {labels: []}
id: 0042
spec:
  configid: parcels:1.10
---
apiVersion: v1alpha
kind: EventRequest
id: first-load
spec:
  config: parcels
  id: 0042
  event:
    transition: {event: load}
    originator: depot
    timestamp: {seconds: 1700000000, nanos: 5000}
    details: |
      two lines
      of text
`;

describe.each(STORES)('on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let address: string;
    beforeAll(async () => {
      server = await start();
      address = server.grpcAddress;
    });
    afterAll(() => server?.dispose());

    const create = (stdin: string, ...flags: string[]) =>
      typed(['fsm', 'create', '-f', '-', ...flags], { address, stdin });
    const send = (stdin: string, ...args: string[]) =>
      typed(['fsm', 'send', ...args, '-f', '-'], { address, stdin });

    it('create takes manifests of each kind, in their order', async () => {
      const { stdout, stderr, exitCode } = await create(MANIFESTS);
      expect(exitCode).toBe(0);
      expect(stderr).toMatch(/^switchgear: warning: stdin, document 1: .*"delivered"/);
      expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
        ['KIND', 'NAME', 'OUTCOME'],
        ['configuration', 'parcels:1.10', 'created'],
        ['machine', 'parcels/0042', 'created in state packed'],
        ['event', 'parcels/0042', 'applied: packed -> moving (version 1)'],
        [''],
      ]);
      await using switchgear = connect(address);
      const { transition } = await switchgear.fsm.getEvent({
        configurationName: 'parcels',
        eventId: 'first-load',
      });
      expect(transition?.event).toMatchObject({
        originator: 'depot',
        details: 'two lines\nof text\n',
        timestamp: { seconds: 1_700_000_000n, nanos: 5_000 },
      });
    });

    it('create tells a conflict by document, and leaves the ones after it', async () => {
      const again = await create(`${MANIFESTS}---\n${JSON.stringify(ring('after'))}\n`);
      expect(again.stdout).toMatch(/configuration +parcels:1\.10 +was there already/);
      expect(again.stderr).toMatch(/stopped at stdin, document 2 \(FiniteStateMachine\)/);
      expect(again.exitCode).toBe(4);
      expect((await typed(['fsm', 'get', 'after'], { address })).exitCode).toBe(3);
    });

    it('create takes back what get prints, as JSON and as YAML', async () => {
      await create(JSON.stringify(ring('printed')));
      for (const format of ['json', 'yaml']) {
        const printed = await typed(['fsm', 'get', 'printed', '-o', format], { address });
        const { stdout } = await create(printed.stdout, '-o', 'json');
        expect(jsonLines(stdout)).toMatchObject([{ created: false, configuration: { name: 'printed' } }]);
      }
      await create('{"configurationName": "printed", "fsmId": "m", "state": "busy"}');
      const machine = await typed(['fsm', 'get', 'printed', 'm', '-o', 'yaml'], { address });
      expect((await create(machine.stdout.replace('id: m\n', 'id: copy\n'))).exitCode).toBe(0);
      const copy = await typed(['fsm', 'get', 'printed', 'copy', '-o', 'json'], { address });
      expect(jsonLines(copy.stdout)).toMatchObject([{ state: 'busy', version: '0' }]);
    });

    it('create gives a configuration without a version v1, and a refused event exit code 4', async () => {
      const { version: _, ...unversioned } = ring('unversioned');
      const machine = { configurationName: 'unversioned', fsmId: 'm' };
      const event = { config: 'unversioned', id: 'm', event: 'rest' };
      const { stdout, exitCode } = await create(JSON.stringify([unversioned, machine, event]));
      expect(stdout).toMatch(/unversioned:v1 +created/);
      expect(stdout).toMatch(/refused: not allowed in state idle, which allows go/);
      expect(exitCode).toBe(4);
    });

    it('send takes JSON lines in bulk and answers each in order', async () => {
      await create(JSON.stringify(ring('bulk')));
      const machines = Array.from({ length: 25 }, (_, i) => ({ configurationName: 'bulk', fsmId: `m-${i}` }));
      await create(JSON.stringify(machines));
      const lines = Array.from({ length: 3_000 }, (_, i) =>
        JSON.stringify({ fsmId: `m-${i % 25}`, event: Math.floor(i / 25) % 2 === 0 ? 'go' : 'rest' }),
      );
      const { stdout, stderr, exitCode } = await send(lines.join('\n'), 'bulk', '-o', 'json');
      expect([stderr, exitCode]).toEqual(['', 0]);
      const outcomes = jsonLines(stdout);
      expect(outcomes.map(({ fsmId }) => fsmId)).toEqual(lines.map((_, i) => `m-${i % 25}`));
      expect(outcomes.filter((outcome) => !('applied' in outcome))).toEqual([]);
    });

    it('send goes on after an event that is refused or malformed, and exits for the worst', async () => {
      await create(JSON.stringify(ring('mixed')));
      await create('{"configurationName": "mixed", "fsmId": "m"}');
      const events = ['go', 'go', 'rest'].map((event) => JSON.stringify({ config: 'mixed', id: 'm', event }));
      const refused = await send(events.join('\n'));
      expect(refused.stdout).toMatch(
        /applied: idle -> busy[\s\S]*refused: not allowed in state busy[\s\S]*applied/,
      );
      expect(refused.stderr).toBe('switchgear: 3 events: 2 applied, 1 refused\n');
      expect(refused.exitCode).toBe(4);
      const long = JSON.stringify({ config: 'mixed', id: 'x'.repeat(300), event: 'go' });
      const failed = await send(`${long}\n${events[0]}`, '-o', 'json');
      expect(jsonLines(failed.stdout)).toMatchObject([
        { error: { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD' } },
        { applied: { to: 'busy' } },
      ]);
      expect(failed.exitCode).toBe(2);
      const nobody = await send(JSON.stringify({ config: 'mixed', id: 'nobody', event: 'go' }));
      expect(nobody.exitCode).toBe(3);
    });

    it('send shows how far it is on a terminal, on a line that is gone at the end', async () => {
      await create(JSON.stringify(ring('shown')));
      await create('{"configurationName": "shown", "fsmId": "m"}');
      const stdin = JSON.stringify({ fsmId: 'm', event: 'go' });
      const args = ['fsm', 'send', 'shown', '-f', '-'];
      const { stderr, exitCode } = await typed(args, { address, stdin, isTerminal: true });
      expect([stderr, exitCode]).toEqual(['\r\u001b[K1 events: 1 applied, 0 refused\r\u001b[K', 0]);
    });

    it('send takes expectations, and EventRequest manifests', async () => {
      await create(JSON.stringify(ring('asked')));
      await create('{"configurationName": "asked", "fsmId": "m"}');
      const line = { config: 'asked', id: 'm', event: { name: 'go', timestamp: '2026-01-31T12:00:00.5Z' } };
      const late = await send(JSON.stringify({ ...line, expectedVersion: 7 }), '-o', 'json');
      expect(jsonLines(late.stdout)).toMatchObject([{ versionMismatch: { actualState: 'idle' } }]);
      const manifest = 'kind: EventRequest\nspec: {config: asked, id: m, event: {transition: {event: go}}}\n';
      expect((await send(manifest)).stdout).toMatch(/applied: idle -> busy/);
    });
  });
});

describe('a document that cannot be used', () => {
  const create = (stdin: string) => typed(['fsm', 'create', '-f', '-'], { stdin, address: '127.0.0.1:1' });

  // Nothing listens there: that each is refused before anything is sent shows in the exit code.
  it.each([
    ['kind: Configuratoin\nspec: {}', /kind "Configuratoin" is none of .*; did you mean Configuration\?/],
    ['kind: Configuration\nspec: {name: a, startngstate: b}', /spec lacks startingState/],
    [
      'kind: Configuration\nspec: {name: a, startingState: b, sttes: []}',
      /spec\.sttes is not known here; did you mean states\?/,
    ],
    ['kind: Configuration\nspec: {name: [a], startingState: b}', /spec\.name must be text/],
    ['kind: Configuration\nspec: {name: a, states: b, startingState: b}', /spec\.states must be a list/],
    [
      'kind: Configuration\nspec: {name: a, states: [b], startingState: b, transitions: [{from: b, event: c}]}',
      /spec\.transitions\[0\] lacks to/,
    ],
    ['kind: Configuration\nspec: {name: a, NAME: b}', /spec\.NAME is given twice/],
    ['kind: EventRequest\nspec: {config: a, id: b}', /spec lacks event/],
    ['kind: EventRequest\nspec: {id: b, event: {name: c}}', /spec lacks configurationName/],
    [
      'kind: EventRequest\nspec: {config: a, id: b, event: {name: c, timestamp: yesterday}}',
      /timestamp "yesterday" must be like/,
    ],
    ['kind: FiniteStateMachine\nspec: {}', /spec lacks configId/],
    ['{"a": 1}', /is neither a manifest/],
    ['just text', /must be a map of fields/],
    ['a: [b', /stdin: /],
    ['', /stdin holds no document/],
    ['{"config":"a","id":"b","event":"c"}\nnope\n', /stdin, line 2: is not a JSON object/],
    ['a: &x [*x, *x]\nb: *nope', /stdin: /],
  ])('is refused with where and why, and nothing is sent: %j', async (stdin, message) => {
    const { stderr, stdout, exitCode } = await create(stdin);
    expect([stdout, exitCode]).toEqual(['', 2]);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('is named by file and document', async () => {
    const file = join(temporaryDirectory('manifests'), 'two.yaml');
    writeFileSync(file, `---\n${JSON.stringify(ring('a'))}\n---\nkind: Nope\n`);
    const { stderr } = await typed(['fsm', 'create', '-f', file], { address: '127.0.0.1:1' });
    expect(stderr).toContain(`${file}, document 2: kind "Nope" is none of`);
    const absent = await typed(['fsm', 'create', '-f', `${file}.absent`], { address: '127.0.0.1:1' });
    expect([absent.exitCode, absent.stderr]).toEqual([2, expect.stringContaining('cannot read')]);
    const binary = join(temporaryDirectory('manifests'), 'binary');
    writeFileSync(binary, Buffer.from([0xff, 0xfe, 0x00]));
    expect((await typed(['fsm', 'send', '-f', binary], { address: '127.0.0.1:1' })).exitCode).toBe(2);
  });
});
