/** `switchgear bus` at work: commands run for events, files written, pipes, interrupts and restarts. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Switchgear } from '../../src/client/index.js';
import { MAIN } from '../support/build.js';
import { temporaryDirectory } from '../support/processes.js';
import type { ServerProcess } from '../support/server-process.js';
import { eventually } from '../support/waiting.js';
import { jsonLines, running, STORES, typed, typedAsProcess } from './cli-support.js';

describe.each(STORES)('on $name', ({ isMissing, start }) => {
  describe.skipIf(isMissing)('', () => {
    let server: ServerProcess;
    let address: string;
    let switchgear: Switchgear;
    const directory = temporaryDirectory('work');
    beforeAll(async () => {
      server = await start();
      address = server.grpcAddress;
      switchgear = connect(address, { timeoutMs: 20_000 });
    });
    afterAll(async () => {
      switchgear?.close();
      await server?.dispose();
    });

    async function given(stream: string, count: number): Promise<void> {
      await switchgear.bus.createStream({ name: stream });
      const events = Array.from({ length: count }, (_, i) => ({ type: 't', body: `body-${i + 1}` }));
      if (count > 0) await switchgear.bus.writeEvents({ stream, events });
    }

    const linesOf = (file: string) =>
      existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];

    async function standing(stream: string) {
      const [group] = (await switchgear.bus.getStreamInfo(stream)).groups;
      return group!;
    }

    it('gives a command the body and the facts of its event, and never runs what comes with it', async () => {
      await switchgear.bus.createStream({ name: 'facts' });
      const pwned = join(directory, `pwned-${address.replace(/\W/g, '')}`);
      const hostile = `$(touch ${pwned}); touch ${pwned}; \`touch ${pwned}\` ' " \\`;
      await switchgear.bus.writeEvent({
        stream: 'facts',
        event: { type: hostile.slice(0, 120), orderingKey: `\0k'"`, body: `${hostile}\n${hostile}` },
      });
      const exec =
        'printf "%s\\n" "$SWITCHGEAR_EVENT_TYPE" "$SWITCHGEAR_EVENT_KEY" "$SWITCHGEAR_EVENT_SEQ" "$SWITCHGEAR_EVENT_ATTEMPT" "$SWITCHGEAR_EVENT_ID"; cat';
      const { stdout, stderr, exitCode } = await typed(
        ['bus', 'process', 'facts', '--exec', exec, '-o', 'json'],
        {
          address,
        },
      );
      const [row] = jsonLines(stdout);
      expect(exitCode).toBe(0);
      expect(stderr).toBe(
        `${hostile.slice(0, 120)}\n\ufffdk'"\n1\n1\n${row?.eventId}\n${hostile}\n${hostile}`,
      );
      expect(row).toMatchObject({ seq: '1', attempt: 1, outcome: 'PROCESSED', exitCode: 0 });
      expect(existsSync(pwned)).toBe(false);
    });

    it('marks RETRY what ends with another exit code, and says so; retry brings it back at once', async () => {
      await given('mixed', 6);
      const exec = 'test $((SWITCHGEAR_EVENT_SEQ % 2)) = 0 || exit 7';
      const first = await typed(['bus', 'process', 'mixed', '--exec', exec, '-o', 'json'], { address });
      expect([first.exitCode, first.stderr]).toEqual([
        1,
        expect.stringMatching(/3 processed, 3 to be retried/),
      ]);
      const outcomes = jsonLines(first.stdout).map(({ seq, exitCode }) => [Number(seq), exitCode]);
      expect(outcomes.sort()).toEqual([1, 2, 3, 4, 5, 6].map((i) => [i, i % 2 === 0 ? 0 : 7]));
      const shown = await typed(['bus', 'retry', 'mixed', '--peek'], { address });
      expect(shown.stdout.trimEnd().split('\n')).toHaveLength(4);
      const second = await typed(['bus', 'retry', 'mixed', '--exec', 'true', '--concurrency', '1'], {
        address,
      });
      expect([second.exitCode, second.stdout]).toEqual([
        0,
        expect.stringMatching(/^SEQ[^\n]*\n1 +t +2 +PROCESSED/),
      ]);
      const left = await typed(['bus', 'process', 'mixed', '--peek'], { address });
      expect(left.stdout.trimEnd().split('\n')).toHaveLength(1);
    });

    it('writes any number of events from a pipe, shows how far it came, and takes its own output back', async () => {
      await given('piped', 0);
      await given('copied', 0);
      const lines = Array.from({ length: 20_000 }, (_, i) =>
        JSON.stringify({
          type: 't',
          key: `k-${i % 7}`,
          attributes: { n: i },
          body: i % 2 === 0 ? { i } : `text ${i}`,
        }),
      );
      const stdin = lines.join('\n');
      const wrote = await typed(['bus', 'write', 'piped', '-f', '-'], { address, stdin, isTerminal: true });
      expect([wrote.exitCode, wrote.stdout]).toEqual([0, 'events     20,000\nsequences  1 to 20000\n']);
      expect(wrote.stderr).toMatch(/\d events written/);
      const printed = await typed(['bus', 'events', 'piped', '-o', 'json', '--limit', '1500'], { address });
      const copied = await typed(['bus', 'write', 'copied', '-f', '-', '-o', 'json'], {
        address,
        stdin: printed.stdout,
      });
      expect(jsonLines(copied.stdout).map(({ seq }) => Number(seq))).toEqual(
        Array.from({ length: 1_500 }, (_, i) => i + 1),
      );
      const facts = (stdout: string) =>
        jsonLines(stdout).map(({ seq, type, orderingKey, attributes, contentType, json, data }) => ({
          seq,
          type,
          orderingKey,
          attributes,
          contentType,
          json,
          data,
        }));
      const again = await typed(['bus', 'events', 'copied', '-o', 'json'], { address });
      expect(facts(again.stdout)).toEqual(facts(printed.stdout));
    });

    it('stops at the first event that cannot be written, says where, and what was written before', async () => {
      await given('stopped', 0);
      const good = '{"type":"t","body":"x"}';
      const refused = await typed(['bus', 'write', 'stopped', '-f', '-'], {
        address,
        stdin: `${good}\n{"type":"${'x'.repeat(200)}"}\n`,
      });
      expect([refused.exitCode, refused.stdout]).toEqual([2, '']);
      expect(refused.stderr).toMatch(/stopped at stdin, line 2\n.*stopped; events written: 1\n.*type: /);
      const unknown = await typed(['bus', 'write', 'stopped', '-f', '-'], {
        address,
        stdin: `${good}\n{"typ":"t"}\n`,
      });
      expect([unknown.exitCode, unknown.stderr]).toEqual([
        2,
        expect.stringMatching(/line 2.*typ .*did you mean type/),
      ]);
    });

    it('writes what a pipe brings as it comes, and ends when its reader or an interrupt ends it', async () => {
      await given('live', 0);
      const shell = (line: string) =>
        promisify(execFile)('sh', ['-c', line], {
          env: { ...process.env, SWITCHGEAR_ADDRESS: address, SG: `${process.execPath} ${MAIN}` },
        });
      const { stdout } = await shell(
        `(echo '{"type":"one"}'; sleep 3) | $SG bus write live -f - -o json | head -n 1`,
      );
      expect(jsonLines(stdout)).toMatchObject([{ seq: '1' }]);
      const idle = spawn(process.execPath, [MAIN, 'bus', 'write', 'live', '-f', '-'], {
        env: { ...process.env, SWITCHGEAR_ADDRESS: address },
      });
      const exited = once(idle, 'exit');
      idle.stdin.write('{"type":"two"}\n');
      await eventually(
        async () => (await switchgear.bus.getStreamInfo('live')).lastSeq === 2n,
        'it is written',
      );
      idle.kill('SIGINT');
      expect((await exited)[0]).toBe(130);
    });

    it('lets running commands finish after an interrupt, and gives back what was not begun', async () => {
      await given('interrupted', 20);
      const file = join(directory, `finished-${address.replace(/\W/g, '')}`);
      const exec = `echo begun >&2; sleep 1; echo $SWITCHGEAR_EVENT_SEQ >> ${file}`;
      const worker = await running(
        ['bus', 'process', 'interrupted', '--follow', '--concurrency', '3', '--exec', exec, '-o', 'json'],
        address,
      );
      await worker.outputWith((output) => output.includes('begun') || undefined);
      worker.signal('SIGINT');
      expect(await worker.exited).toBe(0);
      const done = linesOf(file).length;
      expect(jsonLines(worker.stdout)).toHaveLength(done);
      expect(done).toBeLessThan(10);
      const { leased, retrying, unprocessed } = await standing('interrupted');
      expect([leased, retrying, unprocessed]).toEqual([0n, 0n, BigInt(20 - done)]);
    });

    it('goes on after a kill -9 of the server: process --follow works on all, tail shows each once', async () => {
      await given('restarted', 0);
      await switchgear.bus.createGroup({
        stream: 'restarted',
        group: 'g',
        settings: { ackDeadlineMs: 2_000, minBackoffMs: 0, maxBackoffMs: 100, maxAttempts: 0 },
      });
      const file = join(directory, `worked-${address.replace(/\W/g, '')}`);
      const exec = `echo $SWITCHGEAR_EVENT_SEQ >> ${file}`;
      const worker = await running(
        ['bus', 'process', 'restarted', '--group', 'g', '--follow', '--exec', exec],
        address,
      );
      const tail = await running(['bus', 'tail', 'restarted', '--from', 'beginning', '-o', 'json'], address);
      const write = async (count: number) => {
        for (let i = 0; i < count; i += 1)
          await switchgear.bus.writeEvent({ stream: 'restarted', event: {} });
      };
      await write(40);
      await eventually(() => linesOf(file).length >= 10, 'it works');
      await tail.outputWith((output) => output.includes('"seq":"40"') || undefined);
      await server.kill();
      await server.restart();
      await write(40);
      await eventually(() => new Set(linesOf(file)).size === 80, 'all had their turn', 20_000);
      await tail.outputWith((output) => output.includes('"seq":"80"') || undefined);
      for (const process of [worker, tail]) {
        process.signal('SIGTERM');
        expect(await process.exited).toBe(0);
      }
      expect(jsonLines(tail.stdout).map((line) => (line.event as { seq: string }).seq)).toEqual(
        Array.from({ length: 80 }, (_, i) => String(i + 1)),
      );
    });

    it('ends a command whose lease was lost', async () => {
      await given('lost', 1);
      const settings = { ackDeadlineMs: 1_000 };
      await switchgear.bus.createGroup({ stream: 'lost', group: 'g', settings });
      const args = [
        'bus',
        'process',
        'lost',
        '--group',
        'g',
        '--exec',
        'echo begun >&2; sleep 60',
        '-o',
        'json',
      ];
      const worker = await running(args, address);
      await worker.outputWith((output) => output.includes('begun') || undefined);
      await switchgear.bus.seekGroup({ stream: 'lost', group: 'g', to: 'end' });
      expect(await worker.exited).toBe(1);
      expect(jsonLines(worker.stdout)).toMatchObject([{ outcome: 'LEASE LOST' }]);
    });

    it('is a process with exit codes of its own', async () => {
      await given('codes', 1);
      const failed = await typedAsProcess(['bus', 'process', 'codes', '--exec', 'exit 3'], { address });
      expect([failed.exitCode, failed.stdout]).toEqual([1, expect.stringMatching(/RETRY \(exit code 3\)/)]);
      expect((await typedAsProcess(['bus', 'get', 'nowhere'], { address })).exitCode).toBe(3);
    });
  });
});
