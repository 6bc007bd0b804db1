/**
 * A watch that outlives its connection. It remembers the cursor of the last frame that was taken and
 * goes on from there; where there is none yet, a snapshot starts over and says so.
 */
import type { Client } from '@connectrpc/connect';
import type { Change, FiniteStateMachine } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import type { FsmService, WatchTransitionsResponse } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { CursorExpiredError } from './errors.js';
import { toSwitchgearError } from './failure.js';
import { backOff, isLost } from './retry.js';

export interface WatchRequest {
  readonly configurationName: string;
  /** Only this machine. */
  readonly fsmId?: string;
  /** Only changes that enter or leave this state. */
  readonly state?: string;
  /** Where to go on; from now unless given. */
  readonly cursor?: string;
  /** The machines there are come first. */
  readonly snapshot?: boolean;
}

export type WatchEvent =
  /** A snapshot begins (again): forget what an earlier one said. */
  | { readonly kind: 'snapshot_started' }
  /** A machine of the snapshot. */
  | { readonly kind: 'fsm'; readonly fsm: FiniteStateMachine }
  /** The snapshot is complete. */
  | { readonly kind: 'snapshot_complete'; readonly cursor: string }
  /** A machine changed. A `cursor` goes on after everything so far; changes that came together have it on the last. */
  | { readonly kind: 'change'; readonly change: Change; readonly cursor: string | undefined }
  /** Nothing of interest, but the feed went on: the newest cursor is kept the longest. */
  | { readonly kind: 'cursor'; readonly cursor: string };

/** Yields until the signal aborts or the consumer leaves. */
export async function* watch(
  rpc: Client<typeof FsmService>,
  request: WatchRequest,
  signal?: AbortSignal,
): AsyncGenerator<WatchEvent> {
  let cursor = request.cursor ?? '';
  let attempt = 0;
  for (;;) {
    const wantsSnapshot = request.snapshot === true && cursor === '';
    if (wantsSnapshot) yield { kind: 'snapshot_started' };
    try {
      const asked = { ...request, cursor, snapshot: wantsSnapshot };
      for await (const frame of rpc.watchTransitions(asked, { ...(signal && { signal }), timeoutMs: 0 })) {
        yield* eventsOf(frame);
        if (frame.cursor !== '') cursor = frame.cursor;
        attempt = 0;
      }
    } catch (error) {
      if (signal?.aborted) return;
      const failure = toSwitchgearError(error);
      if (failure instanceof CursorExpiredError && request.snapshot) cursor = '';
      else if (!isLost(error)) throw failure;
    }
    if (signal?.aborted) return;
    attempt += 1;
    await backOff(attempt, signal).catch(() => {});
  }
}

function* eventsOf(frame: WatchTransitionsResponse): Generator<WatchEvent> {
  for (const fsm of frame.snapshot) yield { kind: 'fsm', fsm };
  if (frame.snapshotComplete) yield { kind: 'snapshot_complete', cursor: frame.cursor };
  const last = frame.changes.length - 1;
  for (const [i, change] of frame.changes.entries())
    yield { kind: 'change', change, cursor: i === last ? frame.cursor : undefined };
  if (last < 0 && frame.cursor !== '' && !frame.snapshotComplete)
    yield { kind: 'cursor', cursor: frame.cursor };
}
