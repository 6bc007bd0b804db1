/**
 * The rpcs about dead letters: proto in, proto out.
 */
import { create } from '@bufbuild/protobuf';
import * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { isText, pagePosition, pageSize, pageToken } from '../page.js';
import { DEFAULT_GROUP, type Stream } from './event.js';
import { eventPlace } from './event-id.js';
import { cutFrame } from './frames.js';
import { deadLetterMessage } from './messages.js';
import { found, mustGetStream } from './missing.js';
import type { BusStore } from './store.js';
import type { DeadSelection } from './verbs.js';

type DeadLetterRpc = 'listDeadLetters' | 'replayDeadLetters' | 'purgeDeadLetters';

/** Of a dead letter's message, beside its event. */
const ITEM_BYTES = 40;

export function deadLetterRpcs(store: BusStore): Pick<Handlers<typeof pb.BusService>, DeadLetterRpc> {
  return {
    async listDeadLetters({ stream: name, ...request }, call) {
      const group = request.group || DEFAULT_GROUP;
      const stream = await mustGetStream(store, name, call.signal);
      const scope = ['dead', stream.number, group];
      const after = pagePosition(request.pageToken, scope, isText);
      const pageOf = async (limit: number) =>
        found(await store.listDead(stream.number, group, after, limit, call.signal), name, group);
      const page = await pageOf(pageSize(request.pageSize, 100, 1_000));
      const shown = cutFrame(page.items, ({ event }) => event, ITEM_BYTES + Buffer.byteLength(name));
      const { next } = shown.length < page.items.length ? await pageOf(shown.length) : page;
      return create(pb.ListDeadLettersResponseSchema, {
        deadLetters: shown.map((letter) => deadLetterMessage(letter, stream)),
        nextPageToken: next === undefined ? '' : pageToken(scope, next),
      });
    },

    async replayDeadLetters({ stream: name, ...request }, call) {
      const group = request.group || DEFAULT_GROUP;
      const stream = await mustGetStream(store, name, call.signal);
      const scope = ['replay', stream.number, group];
      const which = selectionFrom(request, stream, scope);
      const step = found(await store.replayDead(stream.number, group, which, call.signal), name, group);
      return create(pb.ReplayDeadLettersResponseSchema, stepMessage(step, scope));
    },

    async purgeDeadLetters({ stream: name, ...request }, call) {
      const group = request.group || DEFAULT_GROUP;
      const stream = await mustGetStream(store, name, call.signal);
      const scope = ['purge', stream.number, group];
      const which = selectionFrom(request, stream, scope);
      const step = found(await store.purgeDead(stream.number, group, which, call.signal), name, group);
      return create(pb.PurgeDeadLettersResponseSchema, stepMessage(step, scope));
    },
  };
}

function selectionFrom(
  { eventIds, nextToken }: Pick<pb.ReplayDeadLettersRequest, 'eventIds' | 'nextToken'>,
  { number, name }: Stream,
  scope: readonly unknown[],
): DeadSelection {
  if (eventIds.length === 0)
    return { kind: 'all', after: pagePosition(nextToken, scope, isText, 'next_token') };
  if (nextToken !== '') throw Fault.invalidField('next_token', 'cannot be combined with event_ids');
  const seqs = eventIds.map((id, i) => {
    const place = eventPlace(id, `event_ids[${i}]`);
    if (place.number !== number)
      throw Fault.invalidField(`event_ids[${i}]`, `is not of a stream that is called ${name} now`);
    return place.seq;
  });
  return { kind: 'some', seqs };
}

function stepMessage(
  { count, next }: { count: number; next: string | undefined },
  scope: readonly unknown[],
) {
  const nextToken = next === undefined ? '' : pageToken(scope, next);
  return { count: BigInt(count), done: next === undefined, nextToken };
}
