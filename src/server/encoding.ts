/** Messages as bytes, for the port of gRPC: by the library, but for those that have an encoder of their own. */
import { type DescMessage, type Message, toBinary } from '@bufbuild/protobuf';
import { ProcessEventsResponseSchema } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { encodeFrame } from '../bus/frame-encoder.js';

/** Those of which so many are sent that it pays; RetryEvents, of the same shape, is called now and then. */
const ENCODERS = new Map<DescMessage, (message: never) => Uint8Array>([
  [ProcessEventsResponseSchema, encodeFrame],
]);

export function encode(schema: DescMessage, message: Message): Uint8Array {
  const encoder = ENCODERS.get(schema);
  return encoder ? encoder(message as never) : toBinary(schema, message);
}
