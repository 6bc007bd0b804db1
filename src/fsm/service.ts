/**
 * switchgear.fsm.v1: proto in, proto out. Each rpc turns its request into plain arguments of one store
 * verb and the plain result into its response; what is decided is decided in the rules and the store.
 */
import type { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Handlers } from '../call.js';
import { configurationRpcs } from './configuration-rpcs.js';
import { eventRpcs } from './event-rpcs.js';
import { Events, type EventsOptions } from './events.js';
import { importRpc } from './import-rpc.js';
import { machineRpcs } from './machine-rpcs.js';
import { watchTransitions } from './watch.js';

export type FsmServiceOptions = EventsOptions;

export function fsmService(options: FsmServiceOptions): Handlers<typeof FsmService> {
  return {
    ...configurationRpcs(options.store),
    ...machineRpcs(options.store),
    ...importRpc(options),
    ...eventRpcs(options.store, new Events(options)),
    watchTransitions: (request, call) => watchTransitions(options, request, call.signal),
  };
}
