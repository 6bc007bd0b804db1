/**
 * What the ports refuse, so that no caller can take more than its share. One object for both ports;
 * tests shrink it. Every number has a test that goes past it.
 */

export interface Limits {
  /** Size of one message, decompressed, from and to a caller. */
  readonly receiveMaxBytes: number;
  readonly sendMaxBytes: number;
  /** All headers of one request, counted as HTTP/2 does (name + value + 32 each). */
  readonly metadataMaxBytes: number;
  readonly streamsPerConnection: number;
  /** What Node's HTTP/2 may hold for one connection before it refuses streams. */
  readonly sessionMemoryMb: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  /** From the connection to the end of its handshake, and for HTTP/1.1 to the end of the headers. */
  readonly handshakeTimeoutMs: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly connectionAgeMs: number;
  readonly connectionAgeGraceMs: number;
  readonly idleMs: number;
}

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

export const DEFAULT_LIMITS: Limits = {
  receiveMaxBytes: 4 * MIB,
  sendMaxBytes: 4 * MIB,
  metadataMaxBytes: 8 * 1024,
  streamsPerConnection: 512,
  sessionMemoryMb: 64,
  connections: 10_000,
  connectionsPerAddress: 1_000,
  handshakeTimeoutMs: 10_000,
  keepaliveIntervalMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  connectionAgeMs: 30 * MINUTE_MS,
  connectionAgeGraceMs: 5 * MINUTE_MS,
  idleMs: 15 * MINUTE_MS,
};
