/**
 * switchgear.bus.v1: proto in, proto out. Each rpc turns its request into plain arguments of one store
 * verb and the plain result into its response; what is decided is decided in the store, by the law of
 * delivery.ts.
 */
import type { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { Handlers } from '../call.js';
import { deadLetterRpcs } from './dead-letter-rpcs.js';
import { Dispatcher } from './dispatcher.js';
import { groupRpcs } from './group-rpcs.js';
import { type MarkOptions, markRpcs } from './mark-rpcs.js';
import { type ProcessOptions, processRpcs } from './process-rpcs.js';
import { streamRpcs } from './stream-rpcs.js';
import { subscribe } from './subscribe.js';
import { writeRpcs } from './write-rpcs.js';

/** What happens, for metrics. */
export interface BusObserver
  extends Pick<MarkOptions, 'onMark'>,
    Pick<ProcessOptions, 'onHandedOut' | 'onStream'> {
  onWritten(count: number): void;
}

export interface BusServiceOptions extends Pick<MarkOptions, 'store' | 'statusOf'> {
  /** What a write that was answered survives, in words. */
  readonly durability: string;
  readonly observer?: BusObserver;
}

const NOBODY: BusObserver = { onWritten() {}, onHandedOut() {}, onMark() {}, onStream() {} };

export function busService({
  store,
  statusOf,
  durability,
  observer = NOBODY,
}: BusServiceOptions): Handlers<typeof BusService> {
  return {
    ...streamRpcs(store, durability),
    ...groupRpcs(store),
    ...writeRpcs(store, observer.onWritten),
    ...processRpcs({ store, dispatcher: new Dispatcher(store), ...observer }),
    ...markRpcs({ store, statusOf, ...observer }),
    ...deadLetterRpcs(store),
    subscribe: (request, call) => subscribe(store, request, call.signal),
  };
}
