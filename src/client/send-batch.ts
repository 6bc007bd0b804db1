/**
 * A batch of events until each has its answer: items that answered UNAVAILABLE are sent again, in their
 * order. The service stops a machine at the first such item, so those after it are among them and the
 * order of each machine holds.
 */
import type { Client } from '@connectrpc/connect';
import type { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { backOff } from './retry.js';
import {
  type CallControl,
  present,
  resultOf,
  type SendInit,
  type SendResult,
  withEventId,
} from './sending.js';

/** Sends until every item has an answer of its own or the time is over; answers in the order given. */
export async function sendBatch(
  rpc: Client<typeof FsmService>,
  requests: readonly SendInit[],
  { signal, timeoutMs }: Required<Pick<CallControl, 'timeoutMs'>> & CallControl,
): Promise<SendResult[]> {
  const endMs = performance.now() + timeoutMs;
  const items = requests.map((request) => ({
    event: withEventId(request),
    result: undefined as SendResult | undefined,
  }));
  let open = items;
  for (let attempt = 1; open.length > 0; attempt += 1) {
    const leftMs = Math.max(1, Math.ceil(endMs - performance.now()));
    const events = open.map(({ event }) => event);
    const answer = await rpc.sendEvents({ events }, { ...(signal && { signal }), timeoutMs: leftMs });
    for (const [i, item] of open.entries()) item.result = resultOf(present(answer.results[i]));
    open = open.filter(({ result }) => result && 'error' in result && result.error.code === 'UNAVAILABLE');
    if (performance.now() >= endMs || signal?.aborted) break;
    if (open.length > 0) await backOff(attempt, signal).catch(() => {});
  }
  return items.map(({ result }) => present(result));
}
