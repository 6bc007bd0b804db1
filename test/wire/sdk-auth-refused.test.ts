/** A client that is refused: everything that goes on by itself ends with the error, and does not ask again. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Switchgear, SwitchgearError } from '../../src/client/index.js';
import { RefusingServer } from './refusing-server.js';

/** What a client could be made to ask if it never gave up, within the time of a test. */
const MOST_CALLS = 4;

async function ended(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

const send = { configurationName: 'c', fsmId: 'm', event: 'go' };

/** Everything that could go on, each with how it ends. */
const GOING_ON: Readonly<Record<string, (switchgear: Switchgear) => Promise<unknown>>> = {
  'a read': ({ fsm }) => fsm.getConfiguration('c'),
  'a write that carries an id': ({ fsm }) => fsm.sendEvent(send),
  'a list': ({ bus }) => ended(bus.listStreams()),
  'a watch': ({ fsm }) => ended(fsm.watchTransitions({ configurationName: 'c' })),
  'a watch with a snapshot': ({ fsm }) =>
    ended(fsm.watchTransitions({ configurationName: 'c', snapshot: true })),
  'a subscription from now': ({ bus }) => ended(bus.subscribe({ stream: 's' })),
  'a subscription from a cursor': ({ bus }) => ended(bus.subscribe({ stream: 's', cursor: 'c' })),
  'a worker': ({ bus }) => bus.process('s', async () => {}, { follow: true }).done,
  'a worker that knows its deadline': ({ bus }) =>
    bus.process('s', async () => {}, { follow: true, ackDeadlineMs: 5_000 }).done,
  'a worker that ends': ({ bus }) =>
    bus.process('s', async () => {}, { follow: false, ackDeadlineMs: 5_000 }).done,
  'a worker on retries': ({ bus }) => bus.retry('s', async () => {}, { ackDeadlineMs: 5_000 }).done,
  'a writer': async ({ bus }) => {
    const writer = bus.writer('s');
    const written = writer.write({ type: 't', body: 'x' });
    written.catch(() => {});
    await writer.close();
  },
  'an event stream': ({ fsm }) => fsm.openEventStream().send(send),
  'many events': ({ fsm }) => ended(fsm.sendAll([send, send])),
};

let server: RefusingServer;
let switchgear: Switchgear;
beforeEach(async () => {
  server = await RefusingServer.start(() => undefined);
  switchgear = connect(server.address, { credentials: { id: 'me', secret: 'wrong' }, timeoutMs: 5_000 });
});
afterEach(() => {
  switchgear.close();
  server.stop();
});

describe.each([
  ['CREDENTIALS_INVALID', 'UNAUTHENTICATED'],
  ['TOO_MANY_FAILURES', 'UNAUTHENTICATED'],
  ['CERTIFICATE_UNKNOWN', 'UNAUTHENTICATED'],
  ['GRANT_MISSING', 'PERMISSION_DENIED'],
])('on %s', (reason, code) => {
  it.each(Object.entries(GOING_ON))('%s ends with it', { timeout: 4_000 }, async (_, goOn) => {
    server.decide = () => ({ reason, retryAfterMs: 1 });
    const error = await goOn(switchgear).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(SwitchgearError);
    expect(error).toMatchObject({ code, reason });
    expect(server.calls.length).toBeLessThanOrEqual(MOST_CALLS);
  });
});

describe('a client that is taken away in the middle', () => {
  const STREAMS = ['a watch', 'a subscription from now', 'a worker that knows its deadline', 'many events'];

  it.each(STREAMS)('%s ends with the error', { timeout: 4_000 }, async (name) => {
    const isStream = (rpc: string) => /^(Watch|Subscribe|Process|StreamEvents)/.test(rpc);
    server.decide = ({ rpc }) =>
      isStream(rpc) ? { reason: 'CREDENTIALS_INVALID', isLate: true } : undefined;
    // An answer to a frame that was not sent yet is no answer to an event.
    const error = await GOING_ON[name]!(switchgear).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'CREDENTIALS_INVALID' });
    expect(server.calls.length).toBeLessThanOrEqual(MOST_CALLS);
  });
});
