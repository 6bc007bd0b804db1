/**
 * Who is at the other end of a connection, for those that only see a call of it. The port that accepts
 * a connection leaves what it knows on the socket that it hands on; it is read there again through
 * whatever stands between. grpc-js shows its handlers no socket, only headers: they get a number in one.
 */
import type { EventEmitter } from 'node:events';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Peer } from '../auth/peer.js';

const PEER = Symbol('peer');
const NUMBER = Symbol('number of a peer');

/**
 * The header that names the peer of a gRPC call, as a number for `Peers`. What a caller sends under this
 * name never arrives.
 */
export const PEER_HEADER = 'switchgear-peer';

/**
 * A connection of which nothing is known (any more): it has gone. What certificate it showed is not known
 * either, and it may have been a bad one, so it counts as such.
 */
export const NOBODY: Peer = { address: '', certificate: { names: [], problem: 'CONNECTION_GONE' } };

/** A socket, or what Node's HTTP/2 shows in its place. */
interface Marked {
  [PEER]?: Peer;
}

interface Numbered {
  [NUMBER]?: string;
}

const IPV4_AS_IPV6 = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i;

/** The address of a socket's other end; an IPv4 one as such, also on a port that listens for both. */
export function addressOf({ remoteAddress }: Socket): string {
  return remoteAddress?.replace(IPV4_AS_IPV6, '') ?? '';
}

/** Leaves on a socket who is at its other end. */
export function leavePeer(socket: object, peer: Peer): void {
  (socket as Marked)[PEER] = peer;
}

/** The peer of `request.socket` or `session.socket`, on HTTP/1.1 and HTTP/2 alike. */
export function peerOf(socket: object | undefined): Peer {
  try {
    return (socket as Marked | undefined)?.[PEER] ?? NOBODY;
  } catch {
    // The socket of a session that has ended throws when it is touched.
    return NOBODY;
  }
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

/** The peers of the gRPC port by number: one entry for each open connection, of which the port has a cap. */
export class Peers {
  readonly #byNumber = new Map<string, Peer>();
  #last = 0;

  /** The peer that a call's PEER_HEADER names; undefined when its connection has gone. */
  get(number: string): Peer | undefined {
    return this.#byNumber.get(number);
  }

  /** Numbers a new connection, until it closes. */
  adopt(session: ServerHttp2Session): void {
    this.#last += 1;
    const number = String(this.#last);
    (session as Numbered)[NUMBER] = number;
    this.#byNumber.set(number, peerOf(session.socket));
    session.once('close', () => this.#byNumber.delete(number));
  }

  /** What to put into PEER_HEADER for a call; made once for each connection. */
  numberOf(stream: ServerHttp2Stream): string | undefined {
    return (stream.session as Numbered | undefined)?.[NUMBER];
  }
}
