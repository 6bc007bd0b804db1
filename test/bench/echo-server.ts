/** What everything is compared with: a grpc-js server that answers bytes with bytes and knows no message. */
import { create, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { SendEventResponseSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';

const outcome = {
  configurationName: 'order',
  fsmId: 'm-0000000',
  eventId: 'e-00000000000000',
  evaluateTime: { seconds: 1_800_000_000n, nanos: 1_000_000 },
  result: { case: 'applied' as const, value: { from: 'off', to: 'on', version: 1_000n } },
};
// The answer that a real SendEvent gives, so that both servers send as many bytes.
const answer = Buffer.from(toBinary(SendEventResponseSchema, create(SendEventResponseSchema, { outcome })));
const same = (bytes: Buffer): Buffer => bytes;

const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
const echo = (_call: unknown, callback: grpc.sendUnaryData<Buffer>): void => callback(null, answer);
server.register('/switchgear.fsm.v1.FsmService/SendEvent', echo as never, same, same, 'unary');
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`127.0.0.1:${port}`);
});
