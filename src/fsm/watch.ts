/**
 * WatchTransitions: the machines there are, if asked, then what changes, with a cursor on every frame.
 * The tail is taken before the list is read, so nothing falls between; what changed meanwhile shows
 * twice. A reader that is slow is waited for: nothing is buffered for it, its place in the feed is the
 * cursor, and when the feed has moved past that it learns so with CURSOR_EXPIRED.
 */
import { create } from '@bufbuild/protobuf';
import {
  type WatchTransitionsRequest,
  type WatchTransitionsResponse,
  WatchTransitionsResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Clock } from '../clock.js';
import { Fault, withCursor } from '../fault.js';
import type { Machine } from './machine.js';
import { changeMessage, machineMessage } from './messages.js';
import { configurationNotFound } from './missing.js';
import type { Change, FsmStore } from './store.js';

/** How many machines a frame of a snapshot holds: at most 1.4 KB each, well under MAX_PAGE_BYTES. */
const SNAPSHOT_FRAME = 1_000;

/** How often a filter that lets nothing through still moves the reader's cursor on. */
const CURSOR_EVERY_MS = 1_000;

export interface WatchOptions {
  store: FsmStore;
  clock: Clock;
}

export async function* watchTransitions(
  { store, clock }: WatchOptions,
  request: WatchTransitionsRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchTransitionsResponse> {
  const { configurationName: name, snapshot } = request;
  if (snapshot && request.cursor !== '')
    throw Fault.invalidField('snapshot', 'cannot be combined with a cursor; leave one out');
  if (!(await store.getConfiguration(name, undefined, signal))) throw configurationNotFound(name);
  let cursor = request.cursor || (await store.tail(name, signal));
  try {
    if (snapshot) yield* snapshotFrames(store, request, signal);
    yield create(WatchTransitionsResponseSchema, { cursor, snapshotComplete: snapshot });
    let sentMs = clock.nowMs();
    for await (const batch of store.watch(name, cursor, signal)) {
      cursor = batch.cursor;
      const changes = batch.changes.filter((change) => matches(change, request)).map(changeMessage);
      if (changes.length === 0 && clock.nowMs() - sentMs < CURSOR_EVERY_MS) continue;
      yield create(WatchTransitionsResponseSchema, { changes, cursor });
      sentMs = clock.nowMs();
    }
  } catch (error) {
    throw withCursor(error, cursor);
  }
}

async function* snapshotFrames(
  store: FsmStore,
  { configurationName: name, fsmId, state }: WatchTransitionsRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchTransitionsResponse> {
  if (fsmId !== '') {
    const found = await store.getMachine(name, fsmId, 0, signal);
    if (found && (state === '' || found.machine.state === state)) yield snapshotFrame([found.machine]);
    return;
  }
  const filter = state === '' ? {} : { states: [state] };
  let after: string | undefined;
  do {
    const page = await store.listMachines(name, filter, after, SNAPSHOT_FRAME, signal);
    if (page.items.length > 0) yield snapshotFrame(page.items);
    after = page.next;
  } while (after !== undefined);
}

function snapshotFrame(machines: readonly Machine[]): WatchTransitionsResponse {
  const snapshot = machines.map((machine) => machineMessage(machine));
  return create(WatchTransitionsResponseSchema, { snapshot });
}

function matches(change: Change, { fsmId, state }: WatchTransitionsRequest): boolean {
  if (fsmId !== '' && change.id !== fsmId) return false;
  return state === '' || change.from === state || change.to === state;
}
