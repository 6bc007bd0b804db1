/** When what is sent leaves: at the end of the turn of the event loop, but for the urgent. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onAbort } from '../../src/stores/redis/abort.js';
import { Node } from '../../src/stores/redis/node.js';
import { engineUrl } from '../support/backends.js';
import { RedisServer } from '../support/redis-server.js';

/** Sends one command in another process and prints the lines that hold the answer, without their kinds and lengths. */
const ASK = `
  const [port, command] = process.argv.slice(1);
  const socket = require('node:net').connect(Number(port), '127.0.0.1', () => socket.write(command + '\\r\\n'));
  socket.once('data', (reply) => {
    const lines = String(reply).trim().split('\\r\\n');
    process.stdout.write(lines.filter((line) => !/^[*$]/.test(line)).join('\\n').replace(/^:/, ''));
    socket.destroy();
  });
`;

describe.skipIf(!engineUrl('redis'))('a command', () => {
  let redis: RedisServer;
  let node: Node;
  beforeAll(async () => {
    redis = await RedisServer.start();
    node = new Node({ host: '127.0.0.1', port: redis.port }, { commandTimeoutMs: 5_000 } as never);
    await node.connected();
  });
  afterAll(async () => {
    node.close();
    await redis.stop();
  });

  /** What Redis says while this process does nothing else: the turn goes on. */
  function meanwhile(...command: string[]): string {
    const asked = spawnSync(process.execPath, ['-e', ASK, String(redis.port), command.join(' ')], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    if (asked.status !== 0) throw new Error(asked.stderr);
    return asked.stdout;
  }

  it('leaves with all others of its turn', async () => {
    const key = randomUUID();
    const sent = [node.send('rpush', [key, 'first']), node.send('rpush', [key, 'second'])];
    expect(meanwhile('LLEN', key)).toBe('0');
    expect(await Promise.all(sent)).toEqual([1, 2]);
  });

  it('that is urgent leaves at once, behind what was sent before it', async () => {
    const key = randomUUID();
    const sent = [
      node.send('rpush', [key, 'first']),
      node.send('rpush', [key, 'second'], { isUrgent: true }),
    ];
    expect(meanwhile('LRANGE', key, '0', '-1').split('\n')).toEqual(['first', 'second']);
    // Many that are urgent are no more writes for that.
    sent.push(node.send('rpush', [key, 'third'], { isUrgent: true }));
    expect(meanwhile('LLEN', key)).toBe('2');
    expect(await Promise.all(sent)).toEqual([1, 2, 3]);
  });

  it('that is urgent in the next turn leaves at once again', async () => {
    const key = randomUUID();
    for (const length of [1, 2, 3]) {
      const sent = node.send('rpush', [key, 'one'], { isUrgent: true });
      expect(meanwhile('LLEN', key)).toBe(String(length));
      await sent;
    }
  });
});

describe('who waits with a signal', () => {
  it('gives up when it aborts, each once', () => {
    const abort = new AbortController();
    const told: string[] = [];
    for (const name of ['a', 'b', 'c']) onAbort(abort.signal, () => told.push(name));
    abort.abort();
    abort.abort();
    expect(told).toEqual(['a', 'b', 'c']);
  });

  it('is not told once it has stopped, also not when another stops it then', () => {
    const abort = new AbortController();
    const told: string[] = [];
    const stops = new Map<string, () => void>();
    const wait = (name: string, giveUp: () => void) => stops.set(name, onAbort(abort.signal, giveUp));
    wait('stopped', () => told.push('stopped'));
    wait('first', () => {
      told.push('first');
      stops.get('first')?.();
      stops.get('third')?.();
    });
    wait('third', () => told.push('third'));
    wait('last', () => told.push('last'));
    stops.get('stopped')?.();
    stops.get('stopped')?.();
    abort.abort();
    expect(told).toEqual(['first', 'last']);
  });
});
