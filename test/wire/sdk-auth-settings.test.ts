/** What the SDK connects to when a program says nothing, and that no secret comes out of what it hands out. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contextsFile, parseContexts, readContexts } from '../../src/client/contexts.js';
import { connect, connectFromEnvironment } from '../../src/client/index.js';
import { type GivenSettings, gatherSettings } from '../../src/client/settings.js';
import { temporaryDirectory } from '../support/processes.js';
import { RefusingServer } from './refusing-server.js';

const folder = temporaryDirectory('contexts');

/** An environment with a contexts file of its own. */
function having(text: string, rest: Record<string, string> = {}): Record<string, string> {
  const file = join(folder, 'contexts.yaml');
  writeFileSync(file, text);
  return { SWITCHGEAR_CONTEXTS: file, ...rest };
}

const gather = (given: GivenSettings, env: Record<string, string>) =>
  gatherSettings(given, (name) => `option ${name}`, env);

const TWO = `
current: near
contexts:
  near: {address: 'near:1', credentialsFile: near.secret}
  far: {address: 'far:2', tls: {ca: ca.pem, cert: /etc/me.pem, key: me.key, serverName: far.internal}}
  open: {address: 'open:3', tls: true}
`;

describe('settings', () => {
  it('are the default when nobody says anything', () => {
    const settings = gather({}, having(''));
    expect(settings).toMatchObject({ address: '127.0.0.1:7398', tls: false, context: undefined });
    expect([settings.credentials, settings.credentialsFile]).toEqual([undefined, undefined]);
    expect([...settings.origins]).toEqual([['address', 'default']]);
  });

  it('are those of the current context, with paths from the folder of the file', () => {
    const settings = gather({}, having(TWO));
    expect(settings).toMatchObject({ address: 'near:1', context: 'near', tls: false });
    expect(settings.credentialsFile).toBe(join(folder, 'near.secret'));
    expect(settings.origins.get('address')).toBe('context near');
    expect(settings.origins.get('context')).toBe('current');
  });

  it('are those of the context that is named, by an option before the environment', () => {
    const env = having(TWO, { SWITCHGEAR_CONTEXT: 'open' });
    expect(gather({}, env)).toMatchObject({ address: 'open:3', tls: true });
    const far = gather({ context: 'far' }, env);
    expect(far.tls).toEqual({
      caFile: join(folder, 'ca.pem'),
      certFile: '/etc/me.pem',
      keyFile: join(folder, 'me.key'),
      serverName: 'far.internal',
    });
    expect([far.origins.get('context'), far.credentialsFile]).toEqual(['option context', undefined]);
    expect(gather({}, env).origins.get('context')).toBe('SWITCHGEAR_CONTEXT');
  });

  it('come from an option before the environment, and from that before a context', () => {
    const env = having(TWO, {
      SWITCHGEAR_CONTEXT: 'far',
      SWITCHGEAR_ADDRESS: 'env:4',
      SWITCHGEAR_TLS_CA: '/env/ca.pem',
      SWITCHGEAR_CREDENTIALS: 'me:secret',
    });
    const settings = gather({ address: 'far:2', tlsServerName: 'option.name' }, env);
    expect(settings).toMatchObject({
      address: 'far:2',
      tls: { caFile: '/env/ca.pem', certFile: '/etc/me.pem', serverName: 'option.name' },
      credentials: { id: 'me', secret: 'secret' },
    });
    expect(Object.fromEntries(settings.origins)).toMatchObject({
      address: 'option address',
      tlsCa: 'SWITCHGEAR_TLS_CA',
      tlsCert: 'context far',
      credentials: 'SWITCHGEAR_CREDENTIALS',
    });
  });

  it('leave a context aside that nobody named, when the address is another', () => {
    const env = having(TWO, { SWITCHGEAR_ADDRESS: 'env:4' });
    expect(gather({}, env)).toMatchObject({
      address: 'env:4',
      context: undefined,
      credentialsFile: undefined,
    });
    const option = gather({ address: 'option:5' }, having(TWO));
    expect(option).toMatchObject({ address: 'option:5', context: undefined, credentialsFile: undefined });
    const named = gather({ address: 'option:5', context: 'near' }, having(TWO));
    expect(named).toMatchObject({ address: 'option:5', context: 'near' });
    expect(named.credentialsFile).toBe(join(folder, 'near.secret'));
  });

  it('of a context that an option names come before the environment, whole in what they are about', () => {
    const env = having(TWO, {
      SWITCHGEAR_ADDRESS: 'env:4',
      SWITCHGEAR_TLS: 'false',
      SWITCHGEAR_TLS_SERVER_NAME: 'env.name',
      SWITCHGEAR_CREDENTIALS: 'env:secret',
      SWITCHGEAR_TLS_CERT: '/env.pem',
      SWITCHGEAR_TLS_KEY: '/env.key',
    });
    const near = gather({ context: 'near' }, env);
    // Nothing of it is about TLS, and all of who we are is in it.
    expect(near).toMatchObject({ address: 'near:1', tls: false, credentials: undefined });
    expect(near.credentialsFile).toBe(join(folder, 'near.secret'));
    const far = gather({ context: 'far' }, env);
    expect(far).toMatchObject({ address: 'far:2', credentials: undefined, credentialsFile: undefined });
    expect(far.tls).toMatchObject({ certFile: '/etc/me.pem', serverName: 'far.internal' });
    const open = gather({ context: 'open' }, env);
    expect(open).toMatchObject({ address: 'open:3', credentials: { id: 'env' } });
    expect(open.tls).toEqual({ certFile: '/env.pem', keyFile: '/env.key' });
    expect(open.origins.get('address')).toBe('context open');
  });

  it('that belong together come from one place', () => {
    const env = having(TWO, { SWITCHGEAR_CONTEXT: 'far', SWITCHGEAR_TLS_CERT: '/env/me.pem' });
    expect(() => gather({}, env)).toThrow('SWITCHGEAR_TLS_CERT: the key that goes with it is missing');
    const near = having(TWO, { SWITCHGEAR_CREDENTIALS: 'me:secret' });
    expect(gather({}, near)).toMatchObject({ credentials: { id: 'me' }, credentialsFile: undefined });
    const both = { SWITCHGEAR_CREDENTIALS: 'no credentials', SWITCHGEAR_CREDENTIALS_FILE: '/me.secret' };
    expect(gather({}, having('', both)).credentialsFile).toBe('/me.secret');
    const off = gather({}, having(TWO, { SWITCHGEAR_CONTEXT: 'far', SWITCHGEAR_TLS: 'false' }));
    expect(off.tls).toBe(false);
    const nearer = gather(
      { tlsCa: '/ca.pem' },
      having(TWO, { SWITCHGEAR_CONTEXT: 'far', SWITCHGEAR_TLS: 'false' }),
    );
    expect(nearer.tls).toEqual({ caFile: '/ca.pem' });
    expect([...nearer.origins.keys()]).toEqual(['address', 'context', 'tlsCa']);
  });

  it('that are empty in the environment are not there', () => {
    const env = having(TWO, { SWITCHGEAR_ADDRESS: '', SWITCHGEAR_TLS: '', SWITCHGEAR_CREDENTIALS: '' });
    expect(gather({}, env)).toMatchObject({ address: 'near:1', tls: false });
  });

  it.each<[string, Record<string, string>, GivenSettings]>([
    ['SWITCHGEAR_TLS must be true or false', { SWITCHGEAR_TLS: 'yes' }, {}],
    ['SWITCHGEAR_ADDRESS: "x" is not an address', { SWITCHGEAR_ADDRESS: 'x' }, {}],
    ['option address: "y" is not an address', { SWITCHGEAR_ADDRESS: 'x' }, { address: 'y' }],
    ['SWITCHGEAR_CREDENTIALS must hold ID:SECRET', { SWITCHGEAR_CREDENTIALS: 's3cret' }, {}],
    [
      'SWITCHGEAR_CONTEXT: there is no context fra; there are near, far, open',
      { SWITCHGEAR_CONTEXT: 'fra' },
      {},
    ],
    ['option tlsKey: the certificate that goes with it is missing', {}, { tlsKey: 'k' }],
  ])('that are wrong say where they came from: %s', (message, env, given) => {
    expect(() => gather(given, having(TWO, env))).toThrow(message);
    expect(() => gather(given, having(TWO, env))).not.toThrow('s3cret');
  });
});

/** Which server gets what of whom: where its address comes from, and what else is said where. */
describe('what is ours', () => {
  const CONTEXTS = `
current: CURRENT
contexts:
  full: {address: 'own:1', tls: {ca: /ca, cert: /cert, key: /key}, credentialsFile: /secret}
  bare: {address: 'own:1'}
`;
  const inOption = { credentialsFile: '/option' };
  const inEnvironment = { SWITCHGEAR_CREDENTIALS: 'env:secret' };
  const address = { SWITCHGEAR_ADDRESS: 'stale:9' };
  const context = { SWITCHGEAR_CONTEXT: 'full' };

  /** Who gets what: the address, whether TLS of the context comes along, and which credentials. */
  type Sent = readonly [address: string, ofContext: boolean, credentials: string];
  type Row = readonly [string, GivenSettings, Record<string, string>, Sent | 'refused'];

  it.each<Row>([
    // The address from an option.
    ['option, option', { address: 'x:1', ...inOption }, {}, ['x:1', false, '/option']],
    ['option, environment', { address: 'x:1' }, inEnvironment, ['x:1', false, 'env']],
    ['option, context by option', { address: 'x:1', context: 'full' }, {}, ['x:1', true, '/secret']],
    [
      'option, context by option, stale',
      { address: 'x:1', context: 'full' },
      address,
      ['x:1', true, '/secret'],
    ],
    ['option, context by environment', { address: 'x:1' }, context, 'refused'],
    ['option, its TLS only', { address: 'x:1', ...inOption }, context, 'refused'],
    ['option, current context', { address: 'x:1' }, { current: 'full' }, ['x:1', false, 'none']],
    // From a context that an option names: the environment gives only what that has nothing of.
    ['context by option', { context: 'full' }, {}, ['own:1', true, '/secret']],
    ['context by option, stale address', { context: 'full' }, address, ['own:1', true, '/secret']],
    [
      'context by option, stale all',
      { context: 'full' },
      { ...address, ...inEnvironment },
      ['own:1', true, '/secret'],
    ],
    [
      'context by option, two named',
      { context: 'full' },
      { ...context, ...address },
      ['own:1', true, '/secret'],
    ],
    ['context by option, option', { context: 'full', ...inOption }, address, ['own:1', true, '/option']],
    ['context by option without, environment', { context: 'bare' }, inEnvironment, ['own:1', false, 'env']],
    // From the environment.
    ['environment, option', { ...inOption }, address, ['stale:9', false, '/option']],
    ['environment, environment', {}, { ...address, ...inEnvironment }, ['stale:9', false, 'env']],
    ['environment, context by environment', {}, { ...address, ...context }, 'refused'],
    ['environment, TLS of that', {}, { ...address, ...context, ...inEnvironment }, 'refused'],
    [
      'environment, the same server',
      {},
      { SWITCHGEAR_ADDRESS: 'own:1', ...context },
      ['own:1', true, '/secret'],
    ],
    ['environment, current context', {}, { ...address, current: 'full' }, ['stale:9', false, 'none']],
    [
      'environment, nothing of a context',
      {},
      { ...address, SWITCHGEAR_CONTEXT: 'bare' },
      ['stale:9', false, 'none'],
    ],
    // From a context that the environment names, or that is current.
    ['context by environment', {}, context, ['own:1', true, '/secret']],
    ['context by environment, environment', {}, { ...context, ...inEnvironment }, ['own:1', true, 'env']],
    ['context by environment, option', { ...inOption }, context, ['own:1', true, '/option']],
    ['current context', {}, { current: 'full' }, ['own:1', true, '/secret']],
    ['current context, environment', {}, { current: 'full', ...inEnvironment }, ['own:1', true, 'env']],
    // From nowhere.
    ['default, option', { ...inOption }, {}, ['127.0.0.1:7398', false, '/option']],
    ['default, environment', {}, inEnvironment, ['127.0.0.1:7398', false, 'env']],
  ])('%s', (_, given, { current = 'none', ...env }, sent) => {
    const all = having(CONTEXTS.replace('CURRENT', current === 'none' ? '~' : current), env);
    if (sent === 'refused') {
      const line =
        /^(option address|SWITCHGEAR_ADDRESS): \S+ is not the server of context full \(SWITCHGEAR_CONTEXT\)[^\n]*$/;
      expect(() => gather(given, all)).toThrow(line);
      return;
    }
    const { address, tls, credentials, credentialsFile } = gather(given, all);
    const ofContext = { caFile: '/ca', certFile: '/cert', keyFile: '/key' };
    expect(tls).toEqual(sent[1] ? ofContext : false);
    expect([address, credentialsFile ?? credentials?.id ?? 'none']).toEqual([sent[0], sent[2]]);
  });
});

describe('a contexts file', () => {
  it('is where the environment says, or with the settings of the user', () => {
    expect(contextsFile({ SWITCHGEAR_CONTEXTS: '/a/b.yaml', HOME: '/h' })).toBe('/a/b.yaml');
    expect(contextsFile({ XDG_CONFIG_HOME: '/x', HOME: '/h' })).toBe('/x/switchgear/contexts.yaml');
    // A relative one is to be passed over, says the XDG base directory specification.
    expect(contextsFile({ XDG_CONFIG_HOME: 'x', HOME: '/h' })).toBe('/h/.config/switchgear/contexts.yaml');
  });

  it('that is not there holds none', () => {
    expect(readContexts(join(folder, 'none.yaml')).byName.size).toBe(0);
  });

  it.each([
    ['currant: x', 'currant is not known; known are current, contexts'],
    ['[]', 'the file must be a map'],
    ['current: {}', 'current must be text'],
    ['contexts: []', 'contexts must be a map'],
    ['contexts: {a: 1}', 'contexts.a must be a map'],
    ['contexts: {a: {}}', 'contexts.a.address is missing'],
    ['contexts: {a: {address: 7398}}', 'contexts.a.address must be text'],
    ['contexts: {a: {address: host}}', 'contexts.a.address "host" is not an address'],
    ['contexts: {a: {address: "h:1", secret: s3cret}}', 'contexts.a.secret is not known'],
    ['contexts: {a: {address: "h:1", tls: yes please}}', 'contexts.a.tls must be a map'],
    [
      'contexts: {a: {address: "h:1", tls: {caFile: x}}}',
      'contexts.a.tls.caFile is not known; known are ca, cert',
    ],
    ['contexts: {a: {address: "h:1", tls: {ca: [x]}}}', 'contexts.a.tls.ca must be text'],
    ['contexts: {"a b": {address: "h:1"}}', '"a b" is not a name'],
    ['contexts: {a: {address: "h:1"}, a: {address: "h:2"}}', 'must be unique'],
    ['contexts: {a: {address: s3cret', 'Flow'],
  ])('%j is told: %s', (text, message) => {
    expect(() => parseContexts(text, 'f.yaml')).toThrow(message);
    expect(() => parseContexts(text, 'f.yaml')).toThrow(/^f\.yaml: /);
    expect(() => parseContexts(text, 'f.yaml')).not.toThrow('s3cret');
  });

  it('says all that is wrong at once', () => {
    const text = 'contexts: {a: {tls: 1}, b: {address: x}}';
    expect(() => parseContexts(text, 'f')).toThrow(
      /a\.address is missing; .*a\.tls must.*; .*b\.address "x"/,
    );
  });

  it('is at most 1 MiB long', () => {
    const file = join(folder, 'long.yaml');
    writeFileSync(file, `#${'x'.repeat(1024 * 1024)}`);
    expect(() => readContexts(file)).toThrow('is longer than 1 MiB');
  });
});

describe('connectFromEnvironment', () => {
  let server: RefusingServer;
  beforeAll(async () => {
    server = await RefusingServer.start(() => undefined);
  });
  afterAll(() => server.stop());

  const sent = async (env: Record<string, string>, options = {}) => {
    await using switchgear = connectFromEnvironment({ env, ...options });
    await switchgear.bus.getStreamInfo('s');
    return server.calls.at(-1)?.credentials;
  };

  it('sends the credentials that the options, the environment or the context give', async () => {
    mkdirSync(join(folder, 'secrets'), { recursive: true });
    writeFileSync(join(folder, 'secrets', 'me'), 'context:secret\n', { mode: 0o600 });
    const context = `{address: '${server.address}', credentialsFile: secrets/me}`;
    const env = having(`current: c\ncontexts: {c: ${context}, broken: {address: 'h:1'}}`);
    expect(await sent(env)).toBe('context:secret');
    expect(await sent({ ...env, SWITCHGEAR_CREDENTIALS: 'env:secret' })).toBe('env:secret');
    const credentials = { id: 'option', secret: 'secret' };
    expect(await sent({ ...env, SWITCHGEAR_CREDENTIALS: 'malformed' }, { credentials })).toBe(
      'option:secret',
    );
    const address = { SWITCHGEAR_ADDRESS: server.address };
    expect(await sent({ ...env, ...address })).toBe('');
    // What the options replace is not taken anywhere, so it keeps nobody from another server.
    const named = having(`contexts: {c: {address: 'h:1', credentialsFile: secrets/me}}`, {
      SWITCHGEAR_CONTEXT: 'c',
    });
    await expect(sent({ ...named, ...address })).rejects.toThrow('is not the server of context c');
    expect(await sent({ ...named, ...address }, { credentials })).toBe('option:secret');
  });

  it('sends none in plaintext to another machine, whatever they come from', () => {
    for (const host of ['db.example', '127.example.com', '10.0.0.1', '[fe80::1]'])
      expect(() =>
        connectFromEnvironment({
          env: { SWITCHGEAR_ADDRESS: `${host}:1`, SWITCHGEAR_CREDENTIALS: 'me:s3cret' },
        }),
      ).toThrow(/would travel to .* in plaintext/);
    const credentials = () => ({ id: 'a', secret: 'b' });
    expect(() => connect('db.example:1', { credentials })).toThrow('plaintext');
  });
});

describe('a secret', () => {
  const secret = 's3cret-that-nobody-sees';
  const encoded = Buffer.from(`me:${secret}`).toString('base64');

  /** All the ways in which programs print what they have. */
  function printed(value: unknown): string {
    const texts = [inspect(value, { depth: 30, showHidden: true, getters: true }), String(value)];
    texts.push(JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)) ?? '');
    if (value instanceof Error) texts.push(value.stack ?? '', printed(value.cause ?? ''));
    return texts.join('\n');
  }

  it('is in nothing that is handed out, and in no error', async () => {
    const server = await RefusingServer.start(() => ({ reason: 'CREDENTIALS_INVALID' }));
    const file = join(folder, 'me.secret');
    writeFileSync(file, `me:${secret}`, { mode: 0o600 });
    const env = { SWITCHGEAR_ADDRESS: server.address, SWITCHGEAR_CREDENTIALS: `me:${secret}` };
    const connected = [
      connect(server.address, { credentials: { id: 'me', secret } }),
      connect(server.address, { credentials: async () => ({ id: 'me', secret }) }),
      connect(server.address, { credentialsFile: file }),
      connectFromEnvironment({ env }),
    ];
    const found: unknown[] = [...connected];
    for (const switchgear of connected) {
      found.push(await switchgear.bus.getStreamInfo('s').catch((error) => error));
      found.push(
        await switchgear.bus
          .subscribe({ stream: 's' })
          .next()
          .catch((error) => error),
      );
      const stream = switchgear.fsm.openEventStream();
      found.push(
        stream,
        await stream.send({ configurationName: 'c', fsmId: 'm', event: 'e' }).catch((e) => e),
      );
      switchgear.close();
    }
    for (const bad of [
      { id: '', secret },
      { id: `a:${secret}`, secret },
      { id: 7 as never, secret },
    ])
      found.push(thrownBy(() => connect(server.address, { credentials: bad })));
    found.push(thrownBy(() => connect('far:1', { credentials: { id: 'me', secret } })));
    server.stop();
    expect(server.calls.map(({ credentials }) => credentials)).toContain(`me:${secret}`);
    for (const each of found) {
      expect(printed(each)).not.toContain(secret);
      expect(printed(each)).not.toContain(encoded);
    }
  });

  function thrownBy(action: () => unknown): unknown {
    try {
      action();
    } catch (error) {
      return error;
    }
    throw new Error('nothing was thrown');
  }
});
