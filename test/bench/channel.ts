/** Bytes to bytes by grpc-js, as a program would that has its messages encoded already. */
import * as grpc from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;

/** A channel of its own to a server on this machine. */
export function connect(address: string): grpc.Client {
  if (!address.startsWith('127.')) throw new Error('load goes to this machine only');
  const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_channelz': 0 };
  return new grpc.Client(address, grpc.credentials.createInsecure(), options);
}

/** A stream of frames as bytes. Ending it, by either side, is no error. */
export function openStream(client: grpc.Client, path: string, request: Buffer) {
  const call = client.makeServerStreamRequest(path, same, same, request);
  return call.on('error', () => {});
}

/** Calls as a program makes them; lean-client.ts makes them with as little as can be. */
export class GrpcJsClient {
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();

  constructor(address: string, authorization?: string) {
    this.#client = connect(address);
    if (authorization) this.#metadata.set('authorization', authorization);
  }

  close(): void {
    this.#client.close();
  }

  /** Calls back once, with an error unless the status is OK. */
  unary(path: string, request: Buffer, onEnd: (error: Error | undefined) => void): void {
    this.#client.makeUnaryRequest(path, same, same, request, this.#metadata, (error) =>
      onEnd(error ?? undefined),
    );
  }
}
