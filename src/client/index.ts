/**
 * The TypeScript client of Switchgear.
 *
 *   import { connect } from 'switchgear/client';
 *   await using switchgear = connect('127.0.0.1:7398');
 *   await switchgear.fsm.sendEvent({ configurationName: 'order', fsmId: 'o-1', event: 'pay' });
 */
export * from '../../gen/switchgear/fsm/v1/fsm_pb.js';
export { type ConnectOptions, connect, type Switchgear, type TlsOptions } from './connect.js';
export * from './errors.js';
export type { EventStream } from './event-stream.js';
export type { FsmClient } from './fsm.js';
export type { HealthClient, ServiceHealth } from './health.js';
export { messageToJson } from './json.js';
export { EventRefusedError, refusalText } from './refusals.js';
export type { SentEvent } from './send-all.js';
export type { CallControl, EventInit, SendInit, SendResult } from './sending.js';
export type { WatchEvent, WatchRequest } from './watch.js';
