/**
 * What a handler is and what it gets, whichever transport the call came by. Handlers are plain async
 * functions and async generators over proto messages; server/pipeline.ts wraps each of them once.
 */
import type { DescMessage, DescService, MessageShape } from '@bufbuild/protobuf';
import { Fault, type FieldViolation } from './fault.js';

/** What the caller of an rpc is granted of it, by name: streams, configurations and the like. */
export interface Access {
  /** True = every name; then nothing else needs to be asked. */
  readonly isUnlimited: boolean;
  /** Whether the caller may have this done to what bears this name. */
  allows(name: string): boolean;
  /**
   * Throws GRANT_MISSING unless the caller may. Undefined = a thing whose name nobody knows (any more):
   * only who may touch everything may ask about it.
   */
  require(name: string | undefined): void;
  /** The fault that `require` throws, for an item of a batch that fails alone. */
  denial(): Fault;
}

/** Of a server that asks nobody who they are. */
export const EVERYTHING: Access = {
  isUnlimited: true,
  allows: () => true,
  require() {},
  denial: () => new Fault('INTERNAL', 'what everybody may do was denied'),
};

/** Of a call whose caller was to be asked, and was not: nothing is granted by omission. */
export const NOTHING: Access = {
  isUnlimited: false,
  allows: () => false,
  require() {
    throw notAsked();
  },
  denial: notAsked,
};

function notAsked(): Fault {
  return new Fault('GRANT_MISSING', 'nothing is granted to a caller that nobody knows');
}

/** One call as its handler sees it. */
export interface Call {
  /** Aborts on cancellation, on the deadline and on drain, whichever comes first. Pass it down. */
  readonly signal: AbortSignal;
  /** What the caller may do it to. The pipeline asks for the name in the request, where there is one. */
  readonly access: Access;
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
