/** Where a worker's events come from and its marks go: the rpcs, with one consumer id for as long as it lives. */
import { randomUUID } from 'node:crypto';
import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import type { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { outstandingOf, type WorkerOptions, type WorkSource } from './bus-handling.js';
import { type LeaseInit, markAll, markResult } from './bus-marking.js';

/** What a group has unless it is set: the service's own default. */
const DEFAULT_ACK_DEADLINE_MS = 30_000;
const MIN_EXTEND_TIMEOUT_MS = 1_000;

export interface SourceRequest {
  readonly stream: string;
  readonly mode: WorkSource['mode'];
  /** Take what is RETRY, due or not, instead of what is due. */
  readonly takesRetries?: boolean;
  readonly options: WorkerOptions;
  /** How long one call to mark may take. */
  readonly timeoutMs: number;
}

/** Takes events of one stream for one consumer. The same id after a lost connection, so that its credit holds. */
export function workSource(
  rpc: Client<typeof BusService>,
  { stream, mode, takesRetries = false, options, timeoutMs }: SourceRequest,
): WorkSource {
  const { group = '', maxOutstandingBytes = 0 } = options;
  const request = {
    stream,
    group,
    consumerId: randomUUID(),
    maxOutstandingMessages: outstandingOf(options),
    maxOutstandingBytes: BigInt(maxOutstandingBytes),
  };
  return {
    mode,
    async ackDeadlineMs(signal) {
      const { groups } = await rpc.listGroups({ stream }, { signal });
      const found = groups.find(({ name }) => name === (group || 'default'))?.settings?.ackDeadline;
      return found ? durationMs(found) : DEFAULT_ACK_DEADLINE_MS;
    },
    take(ackDeadlineMs, signal) {
      const asked = { ...request, ackDeadline: durationFromMs(ackDeadlineMs) };
      const control = { signal, timeoutMs: 0 };
      if (takesRetries) return rpc.retryEvents(asked, control);
      return rpc.processEvents({ ...asked, follow: mode === 'follow' }, control);
    },
    mark: (marks) => markAll(rpc, marks, { timeoutMs }),
    async extend(leases: readonly LeaseInit[], ackDeadlineMs: number) {
      const inTimeMs = Math.min(timeoutMs, Math.max(MIN_EXTEND_TIMEOUT_MS, ackDeadlineMs / 3));
      const asked = { leases: [...leases], ackDeadline: durationFromMs(ackDeadlineMs) };
      return (await rpc.extendLeases(asked, { timeoutMs: inTimeMs })).answers.map(markResult);
    },
  };
}
