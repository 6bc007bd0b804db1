/** A bare grpc-js client: what a gRPC program in any language does, close to the wire. */
import { type DescMethod, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { type ErrorInfo, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { type Status, StatusSchema } from '../../gen/google/rpc/status_pb.js';

type Options = grpc.CallOptions;

export class GrpcClient {
  readonly client: grpc.Client;

  constructor(
    address: string,
    options: grpc.ClientOptions = {},
    credentials = grpc.credentials.createInsecure(),
  ) {
    const channel = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0, ...options };
    this.client = new grpc.Client(address, credentials, channel);
  }

  /** Sends a message, or bytes that need not be one. */
  unary(
    method: DescMethod,
    request: Message | Buffer,
    options: Options = {},
    metadata = new grpc.Metadata(),
  ): Promise<never> {
    return new Promise((resolve, reject) => {
      const done = (error: grpc.ServiceError | null, value?: unknown) =>
        error ? reject(error) : resolve(value as never);
      this.client.makeUnaryRequest(
        pathOf(method),
        writer(method),
        reader(method),
        request,
        metadata,
        options,
        done,
      );
    });
  }

  serverStream(
    method: DescMethod,
    request: Message | Buffer,
    options: Options = {},
  ): grpc.ClientReadableStream<never> {
    return this.client.makeServerStreamRequest(
      pathOf(method),
      writer(method),
      reader(method),
      request,
      options,
    );
  }

  bidi(method: DescMethod, options: Options = {}): grpc.ClientDuplexStream<Message | Buffer, never> {
    const { client } = this;
    return client.makeBidiStreamRequest<Message | Buffer, never>(
      pathOf(method),
      writer(method),
      reader(method),
      options,
    );
  }

  clientStream(method: DescMethod, requests: (Message | Buffer)[], options: Options = {}): Promise<never> {
    return new Promise((resolve, reject) => {
      const call = this.client.makeClientStreamRequest(
        pathOf(method),
        writer(method),
        reader(method),
        options,
        (error, value) => (error ? reject(error) : resolve(value as never)),
      );
      for (const request of requests) call.write(request);
      call.end();
    });
  }

  close(): void {
    this.client.close();
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function writer({ input }: DescMethod) {
  return (request: Message | Buffer) =>
    Buffer.isBuffer(request) ? request : Buffer.from(toBinary(input, request));
}

function reader({ output }: DescMethod) {
  return (bytes: Buffer) => fromBinary(output, bytes) as never;
}

/** The whole status of an error that a call ended with. */
export function statusOf(error: unknown): Status | undefined {
  const [bytes] = (error as grpc.ServiceError).metadata?.get('grpc-status-details-bin') ?? [];
  return bytes === undefined ? undefined : fromBinary(StatusSchema, bytes as Buffer);
}

export function errorInfoOf(error: unknown): ErrorInfo | undefined {
  return statusOf(error)
    ?.details.map((detail) => anyUnpack(detail, ErrorInfoSchema))
    .find((info) => info !== undefined);
}

/** What a call that must fail was rejected with. */
export async function failureOf(call: Promise<unknown>): Promise<grpc.ServiceError> {
  return call.then(
    () => {
      throw new Error('the call succeeded');
    },
    (error) => error,
  );
}

/** Everything a stream sends, and how it ended. */
export async function drained<T>(
  stream: grpc.ClientReadableStream<T>,
): Promise<{ messages: T[]; error?: grpc.ServiceError }> {
  const messages: T[] = [];
  try {
    for await (const message of stream) messages.push(message);
    return { messages };
  } catch (error) {
    return { messages, error: error as grpc.ServiceError };
  }
}
