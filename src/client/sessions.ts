/**
 * The HTTP/2 sessions of a connection. The library lets go of one that breaks before Node has told of all
 * that went wrong with it, and an error that nobody listens to ends the process: so somebody always does.
 */
import type { ClientHttp2Session } from 'node:http2';
import { Http2SessionManager } from '@connectrpc/connect-node';

export class Sessions extends Http2SessionManager {
  readonly #heard = new WeakSet<ClientHttp2Session>();

  override async request(...call: Parameters<Http2SessionManager['request']>) {
    const stream = await super.request(...call);
    const session = stream.session as ClientHttp2Session | undefined;
    if (session && !this.#heard.has(session)) {
      this.#heard.add(session);
      // The calls on it have failed, and are told.
      session.on('error', () => {});
    }
    return stream;
  }
}
