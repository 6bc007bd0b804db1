/**
 * A secret that is rotated while a program runs: it is taken from where it is kept without a restart, and
 * whoever is refused for good is told so.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { authorizing } from '../../src/client/authorization.js';
import { type ConnectOptions, connect, type Switchgear } from '../../src/client/index.js';
import { temporaryDirectory } from '../support/processes.js';
import { eventually } from '../support/waiting.js';
import { type Decide, RefusingServer } from './refusing-server.js';

/** Longer than the time for which credentials that were read are not read again. */
const A_SECOND_MS = 1_050;

let server: RefusingServer;
let switchgear: Switchgear;
/** The one that the server takes. */
let good: string;
const byCredentials: Decide = ({ credentials }) =>
  credentials === good ? undefined : { reason: 'CREDENTIALS_INVALID' };

beforeEach(async () => {
  good = 'me:old';
  server = await RefusingServer.start(byCredentials);
});
afterEach(() => {
  switchgear?.close();
  server.stop();
});

const read = () => switchgear.bus.getStreamInfo('s');
const use = (options: ConnectOptions) => {
  switchgear = connect(server.address, { timeoutMs: 8_000, ...options });
};

/** A file with credentials, and how to replace what it holds. */
function kept(text: string) {
  const file = join(temporaryDirectory('credentials'), 'me.secret');
  const put = (next: string) => writeFileSync(file, `${next}\n`, { mode: 0o600 });
  put(text);
  return { file, put };
}

describe('credentials in a file', () => {
  it('are read again when they are refused, and the call is made again', async () => {
    const { file, put } = kept('me:old');
    use({ credentialsFile: file });
    await read();
    await sleep(A_SECOND_MS);
    good = 'me:new';
    put('me:new');
    await read();
    expect(server.calls.map(({ credentials }) => credentials)).toEqual(['me:old', 'me:old', 'me:new']);
    await read();
    expect(server.calls.at(-1)?.credentials).toBe('me:new');
    expect(server.calls.length).toBe(4);
  });

  it('stay in use while the file is not there, or holds something else', async () => {
    const { file, put } = kept('me:old');
    use({ credentialsFile: file });
    await read();
    for (const text of ['', 'x'.repeat(5_000), 'no colon']) {
      await sleep(A_SECOND_MS);
      good = 'me:new';
      put(text);
      await expect(read()).rejects.toMatchObject({ reason: 'CREDENTIALS_INVALID' });
      good = 'me:old';
      await read();
    }
  }, 10_000);

  it('are refused when every user can read them, and the message says how to mend that', async () => {
    const { file } = kept('me:s3cret');
    for (const mode of [0o604, 0o602, 0o644]) {
      chmodSync(file, mode);
      expect(() => connect(server.address, { credentialsFile: file })).toThrow(`chmod o= ${file}`);
    }
    for (const mode of [0o600, 0o640, 0o400]) {
      chmodSync(file, mode);
      connect(server.address, { credentialsFile: file }).close();
    }
  });

  it('that are none, or not there, are told at once and not shown', () => {
    const { file, put } = kept('me');
    for (const text of ['s3cret', ':s3cret', 's3cret:', 's3cret: x', 'me:s3cret\nx:y']) {
      put(text);
      const trying = () => connect(server.address, { credentialsFile: file });
      expect(trying).toThrow(`${file} must hold ID:SECRET`);
      expect(trying).not.toThrow('s3cret');
    }
    expect(() => connect(server.address, { credentialsFile: `${file}.gone` })).toThrow('ENOENT');
    const both = { credentialsFile: file, credentials: { id: 'a', secret: 'b' } };
    expect(() => connect(server.address, both)).toThrow('not from both');
  });
});

describe('credentials of a function', () => {
  it('are asked for once, and again when they are refused', async () => {
    let asked = 0;
    use({
      credentials: async () => {
        asked += 1;
        return { id: 'me', secret: good.slice(3) };
      },
    });
    await Promise.all([read(), read(), read()]);
    expect(asked).toBe(1);
    await sleep(A_SECOND_MS);
    good = 'me:new';
    await read();
    expect(asked).toBe(2);
  });

  it('are asked for at most once a second, however many calls are refused', async () => {
    let asked = 0;
    use({
      credentials: () => {
        asked += 1;
        return { id: 'me', secret: 'wrong' };
      },
    });
    const startedMs = performance.now();
    while (performance.now() - startedMs < 1_500) {
      const calls = await Promise.allSettled(Array.from({ length: 20 }, read));
      for (const each of calls) expect(each).toMatchObject({ reason: { reason: 'CREDENTIALS_INVALID' } });
    }
    expect(asked).toBe(3);
  });

  it('that fails fails the call, and is asked anew by the next one', async () => {
    let isBroken = true;
    use({
      credentials: () => {
        if (isBroken) throw new Error('the vault is sealed');
        return { id: 'me', secret: 'old' };
      },
    });
    await expect(read()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'cannot read the credentials: the vault is sealed',
    });
    isBroken = false;
    await read();
    expect(server.calls.length).toBe(1);
  });

  it('that gives other ones each time, none of them good, is given up after a minute', async () => {
    let [asked, nowMs] = [0, 1_000_000];
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    const invalid = create(ErrorInfoSchema, { reason: 'CREDENTIALS_INVALID' });
    const refusal = new ConnectError('refused', Code.Unauthenticated, undefined, [
      { desc: ErrorInfoSchema, value: invalid },
    ]);
    const credentials = () => {
      asked += 1;
      return { id: 'me', secret: `wrong${asked}` };
    };
    const call = authorizing(credentials)(() => Promise.reject(refusal));
    const request = { stream: true, header: new Headers(), signal: new AbortController().signal };
    const codes = [];
    for (const start = nowMs; nowMs < start + 70_000; nowMs += 1_500)
      codes.push(ConnectError.from(await call(request as never).catch((error) => error)).code);
    clock.mockRestore();
    // A stream that is lost begins anew, one that is refused does not.
    const over = codes.indexOf(Code.Unauthenticated);
    expect(codes.slice(0, over)).toEqual(Array(over).fill(Code.Unavailable));
    expect(over).toBe(41);
  });
});

describe('many calls under way while the secret changes', () => {
  it('all end well, whichever way the server words that the old one is wrong', async () => {
    let failures = 0;
    server.decide = ({ credentials }) => {
      if (credentials === good) return undefined;
      failures += 1;
      if (failures > 5) return { reason: 'TOO_MANY_FAILURES', retryAfterMs: 60_000 };
      return { reason: 'CREDENTIALS_INVALID' };
    };
    const { file, put } = kept('me:old');
    use({ credentialsFile: file });
    await read();
    await sleep(A_SECOND_MS);
    good = 'me:new';
    put('me:new');
    await Promise.all(Array.from({ length: 100 }, read));
    expect(failures).toBeGreaterThan(5);
  });
});

describe('what goes on by itself goes on with the new secret', () => {
  const until = (rpc: string, credentials: string) =>
    eventually(
      () => server.calls.some((call) => call.rpc === rpc && call.credentials === credentials),
      `${rpc} is called with ${credentials}`,
    );

  it.each<[string, string, (signal: AbortSignal) => Promise<unknown>]>([
    [
      'a watch',
      'WatchTransitions',
      async (signal) => {
        for await (const _ of switchgear.fsm.watchTransitions({ configurationName: 'c' }, { signal }));
      },
    ],
    [
      'a subscription',
      'Subscribe',
      async (signal) => {
        for await (const _ of switchgear.bus.subscribe({ stream: 's' }, { signal }));
      },
    ],
    [
      'a worker',
      'ProcessEvents',
      (signal) =>
        switchgear.bus.process('s', async () => {}, { signal, graceMs: 0, ackDeadlineMs: 5_000 }).done,
    ],
  ])(
    '%s',
    async (_, rpc, start) => {
      const { file, put } = kept('me:old');
      use({ credentialsFile: file });
      const ending = new AbortController();
      const going = start(ending.signal);
      await until(rpc, 'me:old');
      await sleep(A_SECOND_MS);
      put('me:new');
      good = 'me:new';
      await until(rpc, 'me:new');
      ending.abort();
      await going;
    },
    10_000,
  );

  it('events on a stream', async () => {
    const { file, put } = kept('me:old');
    use({ credentialsFile: file });
    await read();
    await sleep(A_SECOND_MS);
    put('me:new');
    good = 'me:new';
    const sending = switchgear.fsm.sendAll([{ configurationName: 'c', fsmId: 'm', event: 'go' }], {
      timeoutMs: 2_000,
    });
    // The server answers no event ever; what counts is that it is asked with the new secret.
    await sending.next().catch(() => {});
    await until('StreamEvents', 'me:new');
  });
});
