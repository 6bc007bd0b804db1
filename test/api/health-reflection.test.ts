/** Health and reflection as ordinary services, through a bare client and through grpcurl. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { create, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Health, HealthCheckRequestSchema } from '../../gen/grpc/health/v1/health_pb.js';
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
} from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ReflectionV1Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { errorInfoOf, failureOf, GrpcClient } from '../support/grpc-client.js';
import { findTool } from '../support/tools.js';
import { startTestServer, type TestServer } from '../support/transports.js';

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

let server: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  server = await startTestServer();
  client = new GrpcClient(server.grpcAddress);
});

afterAll(async () => {
  client.close();
  await server.stop();
});

describe('health', () => {
  const ask = (service: string) =>
    client.unary(Health.method.check, create(HealthCheckRequestSchema, { service }));

  it('knows each service and the whole', async () => {
    expect(await ask('')).toMatchObject({ status: SERVING });
    server.health.set(FsmService.typeName, false);
    expect(await ask(FsmService.typeName)).toMatchObject({ status: NOT_SERVING });
    expect(await ask('')).toMatchObject({ status: NOT_SERVING });
    server.health.set(FsmService.typeName, true);
  });

  it('says which service it does not know', async () => {
    const failure = await failureOf(ask('no.such.Service'));
    expect(failure.code).toBe(grpc.status.NOT_FOUND);
    expect(errorInfoOf(failure)).toMatchObject({ reason: 'SERVICE_UNKNOWN', domain: 'switchgear.server' });
  });

  it('lists all', async () => {
    const { statuses } = (await client.unary(Health.method.list, Buffer.alloc(0))) as { statuses: object };
    expect(Object.keys(statuses)).toEqual(['', FsmService.typeName]);
  });

  it('is watched: now, then each change', async () => {
    const request = create(HealthCheckRequestSchema, { service: FsmService.typeName });
    const watch = client.serverStream(Health.method.watch, request) as grpc.ClientReadableStream<{
      status: number;
    }>;
    const seen: number[] = [];
    for await (const { status } of watch) {
      seen.push(status);
      if (seen.length === 3) break;
      server.health.set(FsmService.typeName, status !== SERVING);
    }
    expect(seen).toEqual([SERVING, NOT_SERVING, SERVING]);
  });

  it('of an unknown service is watched as unknown', async () => {
    const request = create(HealthCheckRequestSchema, { service: 'no.such.Service' });
    const watch = client.serverStream(Health.method.watch, request) as grpc.ClientReadableStream<{
      status: number;
    }>;
    for await (const { status } of watch) {
      expect(status).toBe(SERVICE_UNKNOWN);
      break;
    }
  });
});

type Ask = Parameters<typeof create<typeof ServerReflectionRequestSchema>>[1];
type Answer = {
  messageResponse: { case: string; value: Record<string, unknown> & { fileDescriptorProto?: Uint8Array[] } };
};

describe.each([
  ['v1', ServerReflection],
  ['v1alpha', ReflectionV1Alpha],
])('reflection %s', (_, service) => {
  async function ask(...questions: Ask[]): Promise<Answer['messageResponse'][]> {
    const { serverReflectionInfo } = service.method;
    const { input } = serverReflectionInfo;
    const call = client.bidi(serverReflectionInfo);
    for (const question of questions) call.write(create(input, question as object));
    call.end();
    const answers: Answer['messageResponse'][] = [];
    for await (const { messageResponse } of call as AsyncIterable<Answer>) answers.push(messageResponse);
    return answers;
  }

  it('lists what is mounted and nothing else', async () => {
    const [answer] = await ask({ messageRequest: { case: 'listServices', value: '' } });
    const services = answer?.value.service as { name: string }[] | undefined;
    const names = services?.map(({ name }) => name);
    expect(names).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'switchgear.fsm.v1.FsmService',
    ]);
  });

  it.each([
    ['switchgear.fsm.v1.FsmService', 'switchgear/fsm/v1/fsm_service.proto'],
    ['switchgear.fsm.v1.FsmService.SendEvent', 'switchgear/fsm/v1/fsm_service.proto'],
    ['switchgear.fsm.v1.CountByStateResponse.StateCount', 'switchgear/fsm/v1/fsm_service.proto'],
    ['switchgear.fsm.v1.Configuration.starting_state', 'switchgear/fsm/v1/fsm.proto'],
    ['switchgear.fsm.v1.ConfigurationWarning.Kind', 'switchgear/fsm/v1/fsm.proto'],
    ['switchgear.fsm.v1.ConfigurationWarning.KIND_DEAD_END', 'switchgear/fsm/v1/fsm.proto'],
    ['buf.validate.field', 'buf/validate/validate.proto'],
  ])('finds the file of %s with all its imports', async (symbol, file) => {
    const [answer] = await ask({ messageRequest: { case: 'fileContainingSymbol', value: symbol } });
    const files = (answer?.value.fileDescriptorProto ?? []).map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    const names = files.map(({ name }) => name);
    expect(names[0]).toBe(file);
    for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
  });

  it('finds extensions and answers in place what it cannot find', async () => {
    const type = 'google.protobuf.FieldOptions';
    const answers = await ask(
      { messageRequest: { case: 'allExtensionNumbersOfType', value: type } },
      {
        messageRequest: {
          case: 'fileContainingExtension',
          value: { containingType: type, extensionNumber: 1159 },
        },
      },
      { messageRequest: { case: 'fileByFilename', value: 'no/such.proto' } },
      { messageRequest: { case: 'fileContainingSymbol', value: 'no.such.Thing' } },
    );
    expect(answers.map((answer) => answer.case)).toEqual([
      'allExtensionNumbersResponse',
      'fileDescriptorResponse',
      'errorResponse',
      'errorResponse',
    ]);
    expect(answers[0]?.value.extensionNumber).toContain(1159);
  });
});

const grpcurl = findTool('grpcurl');

describe.runIf(grpcurl)('grpcurl', () => {
  const run = async (...args: string[]) =>
    (await promisify(execFile)(grpcurl as string, ['-plaintext', ...args])).stdout;

  it.each(['grpcAddress', 'httpAddress'] as const)(
    'lists and describes, comments and rules included, on %s',
    async (port) => {
      expect(await run(server[port], 'list')).toContain('switchgear.fsm.v1.FsmService\n');
      const text = await run(server[port], 'describe', 'switchgear.fsm.v1.GetConfigurationRequest');
      expect(text).toContain('// Its version; empty = the one created last.');
      expect(text).toMatch(/string name = 1 \[\s*\(\.?buf\.validate\.field\) = /);
      expect(text).toContain('max_bytes: 128');
    },
  );

  it('calls with nothing but the address', async () => {
    const answer = await run('-d', '{"service":""}', server.grpcAddress, 'grpc.health.v1.Health/Check');
    expect(JSON.parse(answer)).toEqual({ status: 'SERVING' });
  });
});
