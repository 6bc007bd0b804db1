/**
 * The rpcs that mark events and extend leases: proto in, proto out. An id alone says which stream and
 * event is meant, so the stream is found first and the caller asked for it. What concerns one group is one
 * step of the store, and an error, a denial too, is that of the items whose step it befell.
 */
import { create } from '@bufbuild/protobuf';
import type { Status } from '../../gen/google/rpc/status_pb.js';
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { Call, Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { timestampFromMs } from '../timestamp.js';
import { DEFAULT_GROUP } from './event.js';
import { type EventPlace, eventId, eventPlace } from './event-id.js';
import { leaseName } from './lease-token.js';
import { markFrom } from './messages.js';
import { eventNotFound, requireStream } from './missing.js';
import { durationMs } from './numbers.js';
import type { BusStore } from './store.js';
import type { SettleAnswer, Settlement } from './verbs.js';

type MarkRpc = 'markEvent' | 'markEvents' | 'extendLeases';

export interface MarkOptions {
  readonly store: BusStore;
  /** An error as a message, for the item that it befell. */
  readonly statusOf: (error: unknown) => Status;
  /** Told what became of every mark. */
  readonly onMark: (result: SettleAnswer | 'error') => void;
}

/** An item of a batch, with the group of the stream whose step it is part of. */
interface Item {
  readonly place: EventPlace;
  readonly group: string;
}
interface MarkItem extends Item {
  readonly settlement: Settlement;
}
interface LeaseItem extends Item {
  readonly lease: number;
}

const RESULTS: Readonly<Record<SettleAnswer, pb.MarkAnswer_Result>> = {
  ok: pb.MarkAnswer_Result.OK,
  stale: pb.MarkAnswer_Result.STALE,
  not_found: pb.MarkAnswer_Result.NOT_FOUND,
  expired: pb.MarkAnswer_Result.EXPIRED,
  full: pb.MarkAnswer_Result.FULL,
};

export function markRpcs(options: MarkOptions): Pick<Handlers<typeof pb.BusService>, MarkRpc> {
  return {
    async markEvent(request, call) {
      const { place, group, settlement } = markItem(request, '');
      await requireStream(options.store, place.number, call);
      const settled = await options.store.settle(place.number, group, [settlement], call.signal);
      if (settled.kind === 'group_not_found') throw groupOfEventNotFound(place, group);
      const [answer = 'not_found'] = settled.kind === 'gone' ? [] : settled.answers;
      options.onMark(answer);
      throwUnlessOk(answer, place);
      return create(pb.MarkEventResponseSchema);
    },

    async markEvents({ marks }, call) {
      const items = marks.map((mark, i) => markItem(mark, `marks[${i}].`));
      const answers = await answerGroups(items, options, call, (group) =>
        settle(options, group, call.signal),
      );
      return create(pb.MarkEventsResponseSchema, { answers });
    },

    async extendLeases({ leases, ackDeadline }, call) {
      const items = leases.map((lease, i) => leaseItem(lease, `leases[${i}].`));
      const ackDeadlineMs = ackDeadline && durationMs(ackDeadline);
      let earliestMs = Number.POSITIVE_INFINITY;
      const answers = await answerGroups(items, options, call, async (group) => {
        const { results, deadlineMs } = await extend(options.store, group, ackDeadlineMs, call.signal);
        if (results.includes('ok')) earliestMs = Math.min(earliestMs, deadlineMs);
        return results;
      });
      const deadline = earliestMs < Number.POSITIVE_INFINITY && { deadline: timestampFromMs(earliestMs) };
      return create(pb.ExtendLeasesResponseSchema, { answers, ...deadline });
    },
  };
}

/** `path` is where the mark is in the request, up to its fields. */
function markItem(request: pb.MarkEventRequest, path: string): MarkItem {
  const { status, retryDelay, leaseToken } = request;
  const place = eventPlace(request.eventId, `${path}event_id`);
  const token = leaseToken === '' ? undefined : leaseName(leaseToken, `${path}lease_token`);
  if (token && request.group !== '' && request.group !== token.group)
    throw Fault.invalidField(`${path}group`, 'is not the group of the lease token');
  if (retryDelay && status !== EventStatus.RETRY)
    throw Fault.invalidField(`${path}retry_delay`, 'goes with the status RETRY only');
  const settlement = {
    seq: place.seq,
    lease: token?.lease,
    mark: markFrom(status),
    delayMs: retryDelay && durationMs(retryDelay),
  };
  return { place, group: token?.group ?? (request.group || DEFAULT_GROUP), settlement };
}

function leaseItem(request: pb.ExtendLeasesRequest_Lease, path: string): LeaseItem {
  const place = eventPlace(request.eventId, `${path}event_id`);
  return { place, ...leaseName(request.leaseToken, `${path}lease_token`) };
}

/** One answer for each item, in order; `step` takes all items of one group that the caller may touch. */
async function answerGroups<I extends Item>(
  items: readonly I[],
  { store, statusOf }: MarkOptions,
  call: Call,
  step: (items: readonly I[]) => Promise<readonly SettleAnswer[]>,
): Promise<pb.MarkAnswer[]> {
  const answers: pb.MarkAnswer[] = new Array(items.length);
  await Promise.all(
    Array.from(groupsOf(items).values(), async (indexes) => {
      try {
        const those = indexes.map((index) => items[index] as I);
        await requireStream(store, (those[0] as I).place.number, call);
        const results = await step(those);
        for (const [i, index] of indexes.entries())
          answers[index] = answerMessage(RESULTS[results[i] as SettleAnswer]);
      } catch (error) {
        const status = statusOf(error);
        for (const index of indexes) answers[index] = answerMessage(pb.MarkAnswer_Result.UNSPECIFIED, status);
      }
    }),
  );
  return answers;
}

function answerMessage(result: pb.MarkAnswer_Result, error?: Status): pb.MarkAnswer {
  return { $typeName: 'switchgear.bus.v1.MarkAnswer', result, error };
}

/** Where the items of each group are. */
function groupsOf(items: readonly Item[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const [index, { place, group }] of items.entries()) {
    const key = `${place.number}:${group}`;
    const indexes = groups.get(key);
    if (indexes) indexes.push(index);
    else groups.set(key, [index]);
  }
  return groups;
}

async function settle(
  { store, onMark }: MarkOptions,
  items: readonly MarkItem[],
  signal: AbortSignal,
): Promise<readonly SettleAnswer[]> {
  const { place, group } = items[0] as MarkItem;
  const marks = items.map(({ settlement }) => settlement);
  const settled = await store.settle(place.number, group, marks, signal).catch((error: unknown) => {
    for (const _ of marks) onMark('error');
    throw error;
  });
  const answers = settled.kind === 'settled' ? settled.answers : allNotFound(items);
  for (const answer of answers) onMark(answer);
  return answers;
}

async function extend(
  store: BusStore,
  items: readonly LeaseItem[],
  ackDeadlineMs: number | undefined,
  signal: AbortSignal,
): Promise<{ results: readonly SettleAnswer[]; deadlineMs: number }> {
  const { place, group } = items[0] as LeaseItem;
  const leases = items.map((item) => ({ seq: item.place.seq, lease: item.lease }));
  const answer = await store.extend(place.number, group, leases, ackDeadlineMs, signal);
  if (answer.kind !== 'extended') return { results: allNotFound(items), deadlineMs: 0 };
  return { results: answer.answers, deadlineMs: answer.deadlineMs };
}

function allNotFound(items: readonly Item[]): SettleAnswer[] {
  return items.map(() => 'not_found');
}

function throwUnlessOk(answer: SettleAnswer, place: EventPlace): void {
  const facts = { event_id: eventId(place) };
  switch (answer) {
    case 'ok':
      return;
    case 'stale':
      throw new Fault('LEASE_STALE', 'the lease has ended; nothing was changed', { facts });
    case 'not_found':
      throw eventNotFound(place);
    case 'expired':
      throw new Fault('EVENT_EXPIRED', 'retention took the event before; nothing was changed', { facts });
    case 'full':
      throw new Fault('GROUP_FULL', 'too many events ahead of the group are marked already', { facts });
  }
}

function groupOfEventNotFound(place: EventPlace, group: string): Fault {
  const facts = { event_id: eventId(place), group };
  return new Fault('GROUP_NOT_FOUND', `the event's stream has no group ${group}`, { facts });
}
