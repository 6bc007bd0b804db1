/**
 * The rpcs that write events: proto in, proto out.
 */
import { create } from '@bufbuild/protobuf';
import * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { writtenMessage } from './messages.js';
import { found, mustGetStream } from './missing.js';
import { batchHash, newEventFrom, newEventsFrom } from './new-event.js';
import { countFrom } from './numbers.js';
import type { BusStore } from './store.js';
import type { WriteAnswer, WrittenEvent } from './verbs.js';

type WriteRpc = 'writeEvent' | 'writeEvents';

/** @param onWritten told how many events were written, duplicates apart */
export function writeRpcs(
  store: BusStore,
  onWritten: (count: number) => void,
): Pick<Handlers<typeof pb.BusService>, WriteRpc> {
  return {
    async writeEvent({ stream: name, event: message, expectedSeq }, call) {
      if (!message) throw Fault.invalidField('event', 'is required');
      const event = newEventFrom(message, 'event');
      const stream = await mustGetStream(store, name, call.signal);
      const options = { requestId: '', requestHash: '', expectedSeq: seqFrom(expectedSeq) };
      const answer = await store.write(stream.number, [event], options, call.signal);
      const [written] = eventsOf(answer, name) as [WrittenEvent];
      if (!written.duplicate) onWritten(1);
      return create(pb.WriteEventResponseSchema, { event: writtenMessage(written, stream) });
    },

    async writeEvents({ stream: name, events: messages, requestId, expectedSeq }, call) {
      const events = newEventsFrom(messages);
      const stream = await mustGetStream(store, name, call.signal);
      const requestHash = requestId === '' ? '' : batchHash(messages);
      const options = { requestId, requestHash, expectedSeq: seqFrom(expectedSeq) };
      const written = eventsOf(await store.write(stream.number, events, options, call.signal), name);
      onWritten(written.filter(({ duplicate }) => !duplicate).length);
      return create(pb.WriteEventsResponseSchema, {
        events: written.map((each) => writtenMessage(each, stream)),
      });
    },
  };
}

function seqFrom(seq: bigint | undefined): number | undefined {
  return seq === undefined ? undefined : countFrom(seq);
}

/** What was written, or why nothing was. */
function eventsOf(answer: WriteAnswer, stream: string): readonly WrittenEvent[] {
  const outcome = found(answer, stream);
  switch (outcome.kind) {
    case 'written':
      return outcome.events;
    case 'dedupe_id_reused':
      throw new Fault(
        'DEDUPE_ID_REUSED',
        `the dedupe_id of item ${outcome.index} was used for another event; a new event needs a new id`,
        { facts: { index: String(outcome.index) } },
      );
    case 'request_id_reused':
      throw new Fault('REQUEST_ID_REUSED', 'this request_id was used for another batch of this stream');
    case 'seq_mismatch':
      throw new Fault('SEQ_MISMATCH', `the last sequence of the stream is ${outcome.lastSeq}`, {
        facts: { last_seq: String(outcome.lastSeq) },
      });
    case 'full':
      throw new Fault('STREAM_FULL', 'the stream is at its cap and rejects what would go past it', {
        facts: { stream },
      });
    case 'dedupe_full':
      throw new Fault('DEDUPE_FULL', 'the stream remembers as many dedupe ids as it can', {
        facts: { stream },
        retryAfterMs: outcome.retryAfterMs,
      });
  }
}
