/**
 * Events on their way: what a caller says, the id that makes it safe to say again, and what comes back.
 * Shared by the unary call, the batch and the stream, so that an event is the same event on each.
 */
import { randomUUID } from 'node:crypto';
import { isMessage, type MessageInitShape } from '@bufbuild/protobuf';
import type { CallOptions } from '@connectrpc/connect';
import type { EventOutcome } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import * as pb from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { SwitchgearError } from './errors.js';
import { statusError } from './failure.js';

/** For every call. */
export interface CallControl {
  /** Ends the call and every repeat of it. */
  readonly signal?: AbortSignal;
  /** In milliseconds, repeats included; the connection's unless given. */
  readonly timeoutMs?: number;
}

/** What the library takes of it. */
export function callOptions({ signal, timeoutMs }: CallControl): CallOptions {
  return { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
}

/** An event to send: its name, or all of it. */
export type EventInit = string | NonNullable<MessageInitShape<typeof pb.SendEventRequestSchema>['event']>;

export interface SendInit {
  readonly configurationName: string;
  readonly fsmId: string;
  readonly event: EventInit;
  /** Apply it only while this is the machine's version. */
  readonly expectedVersion?: bigint;
  /** Apply it only while this is the machine's state. */
  readonly expectedState?: string;
}

/** What became of one event of a batch. */
export type SendResult = { readonly outcome: EventOutcome } | { readonly error: SwitchgearError };

/** The request as a message init with an event id. */
export function withEventId({ event, ...request }: SendInit) {
  const full = typeof event === 'string' ? { name: event } : event;
  return { ...request, event: { ...full, eventId: full.eventId || randomUUID() } };
}

/** A request that has its event id. */
export type Identified = ReturnType<typeof withEventId>;

/** True if a request holds the id that lets it be repeated with one effect. */
export function carriesId(message: object): boolean {
  if (isMessage(message, pb.SendEventRequestSchema)) return Boolean(message.event?.eventId);
  if (isMessage(message, pb.SendEventsRequestSchema)) return message.events.every(carriesId);
  if (isMessage(message, pb.CreateFiniteStateMachineRequestSchema)) return message.requestId !== '';
  return false;
}

/** An answer of the service to one event. */
export function resultOf({ result }: pb.EventResult): SendResult {
  if (result.case === 'outcome') return { outcome: result.value };
  return { error: statusError(present(result.value)) };
}

/** A field that the service always sets. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('the answer lacks a field that this client knows');
  return value;
}
