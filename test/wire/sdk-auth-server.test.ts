/** The SDK against the real server, while its clients are changed under way: nothing is restarted on either side. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Switchgear } from '../../src/client/index.js';
import { temporaryDirectory } from '../support/processes.js';
import { ServerProcess } from '../support/server-process.js';
import { ring, typed } from './cli-support.js';

let server: ServerProcess;
let folder: string;
let admin: Switchgear;

async function client(...args: string[]): Promise<void> {
  const env = { SWITCHGEAR_AUTH_FILE: join(folder, 'clients.yaml') };
  expect(await typed(['client', ...args], { env })).toMatchObject({ exitCode: 0 });
}

/** Adds a client that may do everything, and connects as it. */
async function connectedAs(id: string): Promise<Switchgear> {
  const file = join(folder, `${id}.secret`);
  await client('add', id, '--grant', '*:*:*', '--secret-to', file);
  const switchgear = connect(server.grpcAddress, { credentialsFile: file });
  for (let left = 50; left > 0; left -= 1) {
    const failure = await switchgear.bus.getStreamInfo('s').catch((error) => error);
    if (failure.reason !== 'CREDENTIALS_INVALID' && failure.reason !== 'TOO_MANY_FAILURES') break;
    await sleep(200);
  }
  return switchgear;
}

async function ended(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

beforeAll(async () => {
  folder = temporaryDirectory('clients');
  await client('add', 'admin', '--grant', '*:*:*', '--secret-to', join(folder, 'admin.secret'));
  server = await ServerProcess.start({ flags: ['--auth-file', join(folder, 'clients.yaml')] });
  admin = connect(server.grpcAddress, { credentialsFile: join(folder, 'admin.secret') });
  await admin.bus.createStream({ name: 's' });
  await admin.fsm.createConfiguration(ring('ring'));
}, 60_000);
afterAll(async () => {
  admin?.close();
  await server?.dispose();
});

describe('a client of the real server', () => {
  it('whose secret is rotated goes on with the new one', async () => {
    const switchgear = await connectedAs('rotated');
    await client('rotate', 'rotated', '--keep', '0', '--secret-to', join(folder, 'next.secret'));
    renameSync(join(folder, 'next.secret'), join(folder, 'rotated.secret'));
    // The old one is good until the server has seen the change; no call may fail before, while or after.
    for (const start = performance.now(); performance.now() - start < 4_000; await sleep(100))
      await switchgear.bus.getStreamInfo('s');
    const old = connect(server.grpcAddress, { credentials: { id: 'rotated', secret: 'x'.repeat(43) } });
    await expect(old.bus.getStreamInfo('s')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    old.close();
    switchgear.close();
  }, 20_000);

  it.each<[string, string[], string]>([
    ['that is taken away', ['remove'], 'UNAUTHENTICATED'],
    ['that loses its grants', ['revoke'], 'PERMISSION_DENIED'],
  ])(
    '%s has all that goes on by itself ended with the error',
    async (name, [verb = ''], code) => {
      const id = name.replaceAll(' ', '-');
      const switchgear = await connectedAs(id);
      const going = {
        watch: ended(switchgear.fsm.watchTransitions({ configurationName: 'ring' })),
        subscription: ended(switchgear.bus.subscribe({ stream: 's' })),
        worker: switchgear.bus.process('s', async () => {}, { graceMs: 0 }).done,
      };
      const ends = Object.values(going).map((each) =>
        each.then(
          () => 'ended well',
          (error) => error.code,
        ),
      );
      expect(await Promise.race([...ends, sleep(1_000, 'going on')])).toBe('going on');
      await client(verb, id, ...(verb === 'revoke' ? ['*:*:*'] : []));
      expect(await Promise.all(ends)).toEqual([code, code, code]);
      const stream = switchgear.fsm.openEventStream();
      const send = stream.send({ configurationName: 'ring', fsmId: 'm', event: 'go' });
      await expect(send).rejects.toMatchObject({ code });
      switchgear.close();
    },
    20_000,
  );
});
