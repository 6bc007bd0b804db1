/**
 * The rpcs about events: proto in, proto out.
 */
import { create } from '@bufbuild/protobuf';
import * as pb from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { type Events, MAX_BATCH_EVENTS } from './events.js';
import { answerFrames } from './frames.js';
import * as messages from './messages.js';
import type { FsmStore } from './store.js';

type EventRpc = 'sendEvent' | 'sendEvents' | 'streamEvents' | 'getEventOutcome' | 'getEvent';

export function eventRpcs(store: FsmStore, events: Events): Pick<Handlers<typeof pb.FsmService>, EventRpc> {
  return {
    async sendEvent(request, call) {
      const outcome = await events.send(request, call.signal);
      return create(pb.SendEventResponseSchema, { outcome });
    },

    async sendEvents(request, call) {
      if (request.events.length > MAX_BATCH_EVENTS)
        throw Fault.invalidField(
          'events',
          `holds more than ${MAX_BATCH_EVENTS} events; send several batches`,
        );
      const results = await events.sendAll(request.events, call);
      return create(pb.SendEventsResponseSchema, { results });
    },

    streamEvents: (requests, call) => answerFrames(requests, events, call),

    async getEventOutcome({ configurationName, fsmId, eventId }, call) {
      const found = await store.getOutcome(configurationName, fsmId || undefined, eventId, call.signal);
      if (!found) throw new Fault('OUTCOME_NOT_FOUND', 'no outcome of this event is kept');
      const addressee = { configurationName, fsmId: found.id, eventId };
      const answer = { kind: 'outcome', outcome: found.stored.outcome, replayed: true } as const;
      const outcome = await events.outcome(addressee, answer, call.signal);
      return create(pb.GetEventOutcomeResponseSchema, { outcome });
    },

    async getEvent({ configurationName, fsmId, eventId }, call) {
      const found = await store.getEvent(configurationName, fsmId || undefined, eventId, call.signal);
      if (!found) throw new Fault('EVENT_NOT_FOUND', 'no applied event with this id is kept');
      return create(pb.GetEventResponseSchema, {
        fsmId: found.id,
        transition: messages.transitionMessage(found.transition),
      });
    },
  };
}
