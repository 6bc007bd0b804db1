/**
 * What a handler is and what it gets, whichever transport the call came by. Handlers are plain async
 * functions and async generators over proto messages; server/pipeline.ts wraps each of them once.
 */
import type { DescMessage, DescService, MessageShape } from '@bufbuild/protobuf';
import type { FieldViolation } from './fault.js';

/** One call as its handler sees it. */
export interface Call {
  /** Aborts on cancellation, on the deadline and on drain, whichever comes first. Pass it down. */
  readonly signal: AbortSignal;
  /** Sends a trailer with the status, whatever the status is. ASCII values only. */
  setTrailer(name: string, value: string): void;
}

/** Checks a message against the constraints in its proto; empty = it holds. */
export type Validate = <D extends DescMessage>(schema: D, message: MessageShape<D>) => FieldViolation[];

export type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  call: Call,
) => Promise<MessageShape<O>>;

export type ServerStreamHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  call: Call,
) => AsyncIterable<MessageShape<O>>;

export type ClientStreamHandler<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  call: Call,
) => Promise<MessageShape<O>>;

export type BidiHandler<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  call: Call,
) => AsyncIterable<MessageShape<O>>;

type HandlerOf<M> = M extends {
  methodKind: infer K;
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? K extends 'unary'
    ? UnaryHandler<I, O>
    : K extends 'server_streaming'
      ? ServerStreamHandler<I, O>
      : K extends 'client_streaming'
        ? ClientStreamHandler<I, O>
        : BidiHandler<I, O>
  : never;

/** One handler for every rpc of a service: forgetting one is a type error. */
export type Handlers<S extends DescService> = { [K in keyof S['method']]: HandlerOf<S['method'][K]> };

/** A service joined with its handlers, ready to be mounted. */
export interface ServiceBinding {
  readonly service: DescService;
  /** By the method's local name, e.g. `sendEvent`. */
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** Joins a service with handlers of the right types. */
export function bind<S extends DescService>(service: S, handlers: Handlers<S>): ServiceBinding {
  return { service, handlers: handlers as Record<string, unknown> };
}
