/**
 * Who is at the other end of a connection, for those that only see a call of it. The port that accepts
 * a connection leaves what it knows on the socket that it hands on; it is read there again through
 * whatever stands between, or once for a session and then there.
 */
import type { EventEmitter } from 'node:events';
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Peer } from '../auth/peer.js';

const PEER = Symbol('peer');

/**
 * A connection of which nothing is known (any more): it has gone. What certificate it showed is not known
 * either, and it may have been a bad one, so it counts as such.
 */
export const NOBODY: Peer = { address: '', certificate: { names: [], problem: 'CONNECTION_GONE' } };

/** A socket, what Node's HTTP/2 shows in its place, or a session. */
interface Marked {
  [PEER]?: Peer;
}

const IPV4_AS_IPV6 = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i;

/** The address of a socket's other end; an IPv4 one as such, also on a port that listens for both. */
export function addressOf({ remoteAddress }: Socket): string {
  return remoteAddress?.replace(IPV4_AS_IPV6, '') ?? '';
}

/** Leaves on a socket, or on a session, who is at its other end. */
export function leavePeer(socket: object, peer: Peer): void {
  (socket as Marked)[PEER] = peer;
}

/** The peer of `request.socket` or `session.socket`, on HTTP/1.1 and HTTP/2 alike, or of a session that was adopted. */
export function peerOf(socket: object | undefined): Peer {
  try {
    return (socket as Marked | undefined)?.[PEER] ?? NOBODY;
  } catch {
    // The socket of a session that has ended throws when it is touched.
    return NOBODY;
  }
}

/** Leaves the peer of a new session on it: asking its socket goes through what Node shows in a socket's place. */
export function adoptPeer(session: ServerHttp2Session): void {
  leavePeer(session, peerOf(session.socket));
}

/** A connection's own event: it is to go. */
const TOLD_TO_GO = Symbol('told to go');

/** Tells whoever takes care of a connection that it shall end, after the calls under way. */
export function tellToGo(socket: EventEmitter): void {
  socket.emit(TOLD_TO_GO);
}

/** Calls back when the connection of a socket, or of what Node's HTTP/2 shows in its place, is told to go. */
export function onToldToGo(socket: EventEmitter, listener: () => void): void {
  socket.once(TOLD_TO_GO, listener);
}
