/**
 * The rpc that brings machines from another store: proto in, proto out.
 */
import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Event as EventMessage } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import * as pb from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Handlers } from '../call.js';
import type { Clock } from '../clock.js';
import { Fault } from '../fault.js';
import { MAX_PAGE_BYTES } from '../page.js';
import { eventIdReused } from './events.js';
import { type Chunk, lintChunk } from './import.js';
import { bodyHash } from './machine.js';
import { fsmExists } from './machine-rpcs.js';
import * as messages from './messages.js';
import { fsmNotFound, mustGetConfiguration } from './missing.js';
import type { FsmStore } from './store.js';

export interface ImportOptions {
  store: FsmStore;
  clock: Clock;
}

export function importRpc({
  store,
  clock,
}: ImportOptions): Pick<Handlers<typeof pb.FsmService>, 'importFiniteStateMachine'> {
  return {
    async importFiniteStateMachine(request, call) {
      const { configurationName: name, configurationVersion, fsmId } = request;
      const configuration = await mustGetConfiguration(store, name, configurationVersion, call);
      checkSize(request);
      const chunk = chunkFrom(request, clock.nowMs());
      refuse(lintChunk(chunk, configuration));
      const answer = await store.importMachine(chunk, call.signal);
      switch (answer.kind) {
        case 'imported': {
          const { machine, written } = answer;
          const fsm = messages.machineMessage(machine);
          return create(pb.ImportFiniteStateMachineResponseSchema, { fsm, written });
        }
        case 'exists':
          throw fsmExists(name, fsmId, answer.machine.uid);
        case 'fsm_not_found':
          throw fsmNotFound(name, fsmId);
        case 'broken':
          throw Fault.invalidField(
            `history[${answer.index}].from`,
            `is not where the machine is, which is in ${answer.machine.state}`,
          );
        case 'event_id_reused':
          throw eventIdReused({ configurationName: name, fsmId, eventId: answer.eventId });
      }
    },
  };
}

/** A larger one would fit the limit on messages, but not the store's step. */
function checkSize(request: pb.ImportFiniteStateMachineRequest): void {
  if (toBinary(pb.ImportFiniteStateMachineRequestSchema, request).length > MAX_PAGE_BYTES)
    throw Fault.invalidField(
      'history',
      `is larger than ${MAX_PAGE_BYTES} bytes encoded; send smaller chunks`,
    );
}

function chunkFrom(request: pb.ImportFiniteStateMachineRequest, nowMs: number): Chunk {
  const eventOf = (message: EventMessage | undefined) => {
    if (!message) throw Fault.invalidField('event', 'is required');
    const event = messages.eventFrom(message, message.eventId, nowMs);
    return { event, bodyHash: bodyHash(event) };
  };
  return {
    configurationName: request.configurationName,
    configurationVersion: request.configurationVersion,
    id: request.fsmId,
    uid: randomUUID(),
    importId: request.importId,
    firstVersion: Number(request.firstVersion),
    history: request.history.map(({ from, to, event }) => ({ from, to, ...eventOf(event) })),
    state: request.state,
    refused: request.refused.map(({ event, state, version }) => ({
      ...eventOf(event),
      state,
      version: Number(version),
    })),
  };
}

function refuse(violations: Fault['violations']): void {
  const [first] = violations;
  if (first) throw new Fault('INVALID_FIELD', `${first.field}: ${first.description}`, { violations });
}
