/**
 * The rpcs about streams: proto in, proto out.
 */
import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { grantedPage, isCount, isText, pagePosition, pageSize, pageToken } from '../page.js';
import { DEFAULT_GROUP, DEFAULT_STREAM_SETTINGS, type Stream } from './event.js';
import { cutFrame } from './frames.js';
import { eventMessage, groupInfoMessage, statusFrom } from './messages.js';
import { found, mustGetStream, streamNotFound } from './missing.js';
import { countFrom } from './numbers.js';
import { requestHash } from './request-hash.js';
import { revise } from './revise.js';
import { streamMessage, streamSettingsFrom } from './settings.js';
import type { BusStore } from './store.js';

type StreamRpc =
  | 'createStream'
  | 'getStream'
  | 'updateStream'
  | 'deleteStream'
  | 'listStreams'
  | 'getStreamInfo'
  | 'getStreamEvents';

/** @param durability what a write that was answered survives, in words */
export function streamRpcs(
  store: BusStore,
  durability: string,
): Pick<Handlers<typeof pb.BusService>, StreamRpc> {
  return {
    async createStream({ name, requestId, settings: asked }, call) {
      const settings = streamSettingsFrom(asked, DEFAULT_STREAM_SETTINGS);
      const stream = { name, uid: randomUUID(), settings, requestId, requestHash: requestHash([settings]) };
      const answer = await store.createStream(stream, call.signal);
      if (answer.kind === 'exists') throw streamExists(answer.stream);
      return create(pb.CreateStreamResponseSchema, { stream: streamMessage(answer.stream) });
    },

    async getStream({ name }, call) {
      const stream = await mustGetStream(store, name, call.signal);
      return create(pb.GetStreamResponseSchema, { stream: streamMessage(stream) });
    },

    async updateStream({ name, settings: changes, expectedRevision }, call) {
      const read = await mustGetStream(store, name, call.signal);
      const stream = await revise(read, expectedRevision, async (base, revision) => {
        const settings = streamSettingsFrom(changes, base.settings);
        const answer = await store.updateStream(name, settings, revision, call.signal);
        if (answer.kind === 'stream_not_found') throw streamNotFound(name);
        return { isUpdated: answer.kind === 'updated', current: answer.stream };
      });
      return create(pb.UpdateStreamResponseSchema, { stream: streamMessage(stream) });
    },

    async deleteStream({ name, uid }, call) {
      const answer = await store.deleteStream(name, uid || undefined, call.signal);
      if (answer.kind === 'uid_mismatch')
        throw new Fault('UID_MISMATCH', 'the stream of this name is another one; nothing was deleted', {
          facts: { actual_uid: answer.uid },
        });
      return create(pb.DeleteStreamResponseSchema, { existed: answer.kind === 'deleted' });
    },

    async listStreams(request, call) {
      const scope = ['streams'];
      const after = pagePosition(request.pageToken, scope, isText);
      const limit = pageSize(request.pageSize, 100, 1_000);
      const list = {
        read: (from: string | undefined, count: number) => store.listStreams(from, count, call.signal),
        nameOf: (stream: Stream) => stream.name,
      };
      const page = await grantedPage(call.access, list, after, limit);
      return create(pb.ListStreamsResponseSchema, {
        streams: page.items.map(streamMessage),
        nextPageToken: page.next === undefined ? '' : pageToken(scope, page.next),
      });
    },

    async getStreamInfo({ stream: name }, call) {
      const { number } = await mustGetStream(store, name, call.signal);
      const facts = found(await store.getStreamFacts(number, call.signal), name);
      return create(pb.GetStreamInfoResponseSchema, {
        stream: streamMessage(facts.stream),
        firstSeq: BigInt(facts.firstSeq),
        lastSeq: BigInt(facts.lastSeq),
        bytes: BigInt(facts.bytes),
        durability,
        groups: facts.groups.map((each) => groupInfoMessage(each, facts.stream)),
      });
    },

    async getStreamEvents({ stream: name, status, ...request }, call) {
      const group = request.group || DEFAULT_GROUP;
      const stream = await mustGetStream(store, name, call.signal);
      const scope = ['events', stream.number, group, status];
      const fromSeq =
        pagePosition(request.pageToken, scope, isCount) ?? Math.max(1, countFrom(request.fromSeq));
      const limit = pageSize(request.pageSize, 100, 1_000);
      const wanted = statusFrom(status);
      const page = found(
        await store.listEvents(stream.number, group, wanted, fromSeq, limit, call.signal),
        name,
        group,
      );
      const shown = cutFrame(page.items, ({ event }) => event, Buffer.byteLength(name));
      const next = page.items[shown.length]?.event.seq ?? page.nextSeq;
      return create(pb.GetStreamEventsResponseSchema, {
        events: shown.map((item) => eventMessage(item.event, stream, item.status)),
        nextPageToken: next === undefined ? '' : pageToken(scope, next),
      });
    },
  };
}

function streamExists({ name, uid }: Stream): Fault {
  return new Fault('STREAM_EXISTS', 'a stream of this name exists; it was left as it is', {
    facts: { stream: name, uid },
  });
}
