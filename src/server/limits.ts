/**
 * What the ports refuse, so that no caller can take more than its share. One object for both ports;
 * tests shrink it. Every number has a test that goes past it.
 */
import { UNARY_DEADLINE_MAX_MS } from './deadline.js';

export interface Limits {
  /** Size of one message, decompressed, from and to a caller. */
  readonly receiveMaxBytes: number;
  readonly sendMaxBytes: number;
  /** The same for a request of an rpc that anybody may call: no such question is longer. */
  readonly openReceiveMaxBytes: number;
  /** All headers of one request, counted as HTTP/2 does (name + value + 32 each). */
  readonly metadataMaxBytes: number;
  readonly streamsPerConnection: number;
  /** What Node's HTTP/2 may hold for one connection before it refuses streams. */
  readonly sessionMemoryMb: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** From the connection to the end of its handshake, and for HTTP/1.1 to the end of the headers. */
  readonly handshakeTimeoutMs: number;
  /** From the headers of a request to the end of it, where it is one message. */
  readonly requestTimeoutMs: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly connectionAgeMs: number;
  readonly connectionAgeGraceMs: number;
  readonly idleMs: number;
  /** Lines of the log in a second about calls from one address whose caller could not show who it is. */
  readonly refusedLinesPerAddress: number;
  /** Lines of the log in a second about what one client was denied. */
  readonly deniedLinesPerClient: number;
}

const KIB = 1024;
const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

export const DEFAULT_LIMITS: Limits = {
  receiveMaxBytes: 4 * MIB,
  sendMaxBytes: 4 * MIB,
  openReceiveMaxBytes: 16 * KIB,
  metadataMaxBytes: 8 * KIB,
  streamsPerConnection: 512,
  sessionMemoryMb: 64,
  connections: 10_000,
  connectionsPerAddress: 1_000,
  handshakeTimeoutMs: 10_000,
  requestTimeoutMs: UNARY_DEADLINE_MAX_MS,
  keepaliveIntervalMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  connectionAgeMs: 30 * MINUTE_MS,
  connectionAgeGraceMs: 5 * MINUTE_MS,
  idleMs: 15 * MINUTE_MS,
  refusedLinesPerAddress: 10,
  deniedLinesPerClient: 100,
};
