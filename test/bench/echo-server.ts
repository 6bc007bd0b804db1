/** What everything is compared with: a grpc-js server that answers bytes with bytes and knows no message. */
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { WriteEventResponseSchema } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { SendEventResponseSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';

const now = { seconds: 1_800_000_000n, nanos: 1_000_000 };
const outcome = {
  configurationName: 'order',
  fsmId: 'm-0000000',
  eventId: 'e-00000000000000',
  evaluateTime: now,
  result: { case: 'applied' as const, value: { from: 'off', to: 'on', version: 1_000n } },
};
const written = { eventId: '100-1000000', seq: 1_000_000n, createTime: now };
const same = (bytes: Buffer): Buffer => bytes;

const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
// The answers that the real rpcs give, so that both servers send as many bytes.
echo('/switchgear.fsm.v1.FsmService/SendEvent', SendEventResponseSchema, { outcome });
echo('/switchgear.bus.v1.BusService/WriteEvent', WriteEventResponseSchema, { event: written });
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`127.0.0.1:${port}`);
});

function echo<D extends DescMessage>(path: string, schema: D, init: MessageInitShape<D>): void {
  const answer = Buffer.from(toBinary(schema, create(schema, init)));
  const answerAll = (_call: unknown, callback: grpc.sendUnaryData<Buffer>): void => callback(null, answer);
  server.register(path, answerAll as never, same, same, 'unary');
}
