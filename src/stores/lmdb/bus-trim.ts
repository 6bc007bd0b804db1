/**
 * What retention takes: events that are too old, or over the cap of a stream that drops its oldest. Groups
 * are not touched; each counts what it missed when its cursor or a row comes there.
 */
import { eventBytes, type StreamSettings } from '../../bus/event.js';
import type { BusJob } from './bus-context.js';
import { eventKey } from './bus-keys.js';
import { decodeEvent, type EventTuple, type StreamState } from './bus-records.js';

/** What is left once they are gone. */
export interface Trim {
  readonly firstSeq: number;
  readonly bytes: number;
}

/** At most `limit` events that may go once `added` are there too. The newest of all stays for any cap. */
export function trimmable(job: BusJob, limit: number, added: readonly number[]): Trim {
  const { stream, nowMs } = job;
  const { settings } = stream.record.stream;
  const { state } = stream;
  const lastSeq = state.lastSeq + added.length;
  let { firstSeq } = state;
  let bytes = added.reduce((sum, each) => sum + each, state.bytes);
  const end = Math.min(lastSeq + 1, firstSeq + limit);
  for (; firstSeq < end; firstSeq++) {
    const isOver = isToDrop(settings, { firstSeq, lastSeq, bytes });
    const isNew = firstSeq > state.lastSeq;
    const tuple = isNew ? undefined : job.batch.get<EventTuple>(eventKey(stream.number, firstSeq));
    const isOld = !isNew && (tuple === undefined || tuple[0] < nowMs - settings.maxAgeMs);
    if (!isOld && !isOver) break;
    if (isNew) bytes -= added[firstSeq - state.lastSeq - 1] ?? 0;
    else if (tuple) bytes -= eventBytes(decodeEvent(firstSeq, tuple));
  }
  return { firstSeq, bytes };
}

/** `bytes` counts what was added, too. */
export function trim({ batch, stream }: BusJob, { firstSeq, bytes }: Trim): void {
  const { state } = stream;
  state.bytes = bytes;
  stream.isChanged = true;
  for (let seq = state.firstSeq; seq < firstSeq; seq++) batch.remove(eventKey(stream.number, seq));
  state.firstSeq = firstSeq;
}

function isToDrop(
  settings: StreamSettings,
  { firstSeq, lastSeq, bytes }: Pick<StreamState, 'firstSeq' | 'lastSeq' | 'bytes'>,
): boolean {
  const isOver = isOverCap(settings, lastSeq - firstSeq + 1, bytes);
  return isOver && settings.overflow === 'drop_oldest' && firstSeq < lastSeq;
}

export function isOverCap({ maxEvents, maxBytes }: StreamSettings, events: number, bytes: number): boolean {
  return (maxEvents > 0 && events > maxEvents) || (maxBytes > 0 && bytes > maxBytes);
}

/** Whether a look at the stream would find something to trim; for readers. */
export function hasTrimmable(
  settings: StreamSettings,
  state: StreamState,
  firstTimeMs: number | undefined,
  nowMs: number,
): boolean {
  if (state.firstSeq > state.lastSeq) return false;
  return (firstTimeMs !== undefined && firstTimeMs < nowMs - settings.maxAgeMs) || isToDrop(settings, state);
}
