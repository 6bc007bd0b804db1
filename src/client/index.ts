/**
 * The TypeScript client of Switchgear.
 *
 *   import { connect } from 'switchgear/client';
 *   await using switchgear = connect('127.0.0.1:7398');
 *   await switchgear.fsm.sendEvent({ configurationName: 'order', fsmId: 'o-1', event: 'pay' });
 *   await switchgear.bus.writeEvent({ stream: 'orders', event: { type: 'paid', body: { order: 'o-1' } } });
 *
 * `connectFromEnvironment()` takes address, TLS and credentials from the environment or a context.
 */
// Both services have events: the bus's go by another name here.

export * from '../../gen/switchgear/bus/v1/bus_pb.js';
export { type Event as BusEvent, EventSchema as BusEventSchema } from '../../gen/switchgear/bus/v1/bus_pb.js';
export * from '../../gen/switchgear/fsm/v1/fsm_pb.js';
export { type Event, EventSchema } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
export type { BusClient } from './bus.js';
export { bodyBytes, bodyJson, bodyText, type EventBody, type NewEventInit } from './bus-bodies.js';
export {
  type Delivery,
  type EventHandler,
  RetryAfter,
  retryAfter,
  type Settled,
  type WorkerOptions,
} from './bus-handling.js';
export type { LeaseInit, Mark, MarkInit, MarkResult, MarkWord } from './bus-marking.js';
export type { DeadLetterRequest, OfGroup, TakeRequest } from './bus-requests.js';
export type {
  EventFilterInit,
  GroupSettingsInit,
  PositionInit,
  StreamSettingsInit,
} from './bus-settings.js';
export type { SubscribeEvent, SubscribeRequest } from './bus-subscribe.js';
export type { BusWorker } from './bus-worker.js';
export type { BusWriter, WriterOptions } from './bus-writer.js';
export { type ConnectOptions, connect, type Switchgear } from './connect.js';
export type { Credentials } from './credentials.js';
export * from './errors.js';
export type { EventStream } from './event-stream.js';
export { connectFromEnvironment, type EnvironmentOptions } from './from-environment.js';
export type { FsmClient } from './fsm.js';
export type { HealthClient, ServiceHealth } from './health.js';
export { messageToJson } from './json.js';
export { EventRefusedError, refusalText } from './refusals.js';
export type { SentEvent } from './send-all.js';
export type { CallControl, EventInit, SendInit, SendResult } from './sending.js';
export type { TlsOptions } from './tls.js';
export type { WatchEvent, WatchRequest } from './watch.js';
