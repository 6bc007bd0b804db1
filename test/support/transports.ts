/**
 * Both ports in this process, on ports of the system's choice, with handlers written in the test: for
 * tests of the transports themselves. FsmService has three of the four shapes of rpc; Shapes adds the
 * fourth. The idea to hold: what is tested is what happens around a handler, so handlers are a few lines.
 */
import { create, createFileRegistry, type DescService } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { pino } from 'pino';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import {
  FsmService,
  file_switchgear_fsm_v1_fsm_service,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Authenticator } from '../../src/auth/authenticator.js';
import { type Rule, ruleOf } from '../../src/auth/rules.js';
import { bind, type Call, type Handlers, type ServiceBinding } from '../../src/call.js';
import { Fault } from '../../src/fault.js';
import { HealthBook, healthService } from '../../src/server/health.js';
import type { Limits } from '../../src/server/limits.js';
import { startTransports, type Transports } from '../../src/server/listen.js';
import { Metrics } from '../../src/server/metrics.js';
import { reflectionBindings } from '../../src/server/reflection.js';
import type { TlsFiles } from '../../src/server/tls.js';
import { createValidate } from '../../src/server/validation.js';

/** Has one rpc, Collect: GetConfigurationRequests in, one RenderConfigurationResponse out. */
export const Shapes = shapesService();

export type LogLine = Record<string, unknown> & { msg: string };

export interface TestServer extends Transports {
  readonly health: HealthBook;
  readonly metrics: Metrics;
  readonly log: LogLine[];
  readonly grpcUrl: string;
  readonly httpUrl: string;
  stop(): Promise<void>;
}

export interface TestServerOptions {
  fsm?: Partial<Handlers<typeof FsmService>>;
  collect?: (requests: AsyncIterable<unknown>, call: Call) => Promise<unknown>;
  limits?: Partial<Limits>;
  corsOrigins?: string[];
  tls?: Partial<TlsFiles>;
  authenticator?: Authenticator;
  logLevel?: string;
}

/** Collect gets what Get gets. */
const COLLECT_RULE: Rule = { kind: 'handler', need: { service: 'fsm', verb: 'read' } };

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { fsm = {}, collect, limits, corsOrigins, tls, authenticator, logLevel = 'debug' } = options;
  const log: LogLine[] = [];
  const health = new HealthBook([FsmService.typeName]);
  health.set(FsmService.typeName, true);
  const metrics = new Metrics();
  const bindings: ServiceBinding[] = [
    complete(FsmService, fsm),
    complete(Shapes, { collect }),
    bind(Health, healthService(health)),
    ...reflectionBindings([FsmService.typeName, Health.typeName]),
  ];
  const transports = await startTransports({
    ...tls,
    host: '127.0.0.1',
    grpcPort: 0,
    httpPort: 0,
    bindings,
    health,
    metrics,
    corsOrigins,
    limits,
    authenticator,
    ruleOf: (method) => (method.parent.typeName === Shapes.typeName ? COLLECT_RULE : ruleOf(method)),
    validate: createValidate(bindings.map(({ service }) => service)),
    log: pino({ base: null, level: logLevel }, { write: (line: string) => void log.push(JSON.parse(line)) }),
  });
  return {
    ...transports,
    health,
    metrics,
    log,
    grpcUrl: `${tls ? 'https' : 'http'}://${transports.grpcAddress}`,
    httpUrl: `${tls ? 'https' : 'http'}://${transports.httpAddress}`,
    stop: () => transports.drain(0),
  };
}

/** A binding with a refusal in the place of every handler that the test does not need. */
function complete(service: DescService, handlers: Record<string, unknown>): ServiceBinding {
  const refuse = (): never => {
    throw new Fault('NOT_SERVED', 'not part of this test');
  };
  const all = service.methods.map(({ localName }) => [localName, handlers[localName] ?? refuse]);
  return { service, handlers: Object.fromEntries(all) };
}

function shapesService(): DescService {
  const fsmFile = file_switchgear_fsm_v1_fsm_service;
  const file = create(FileDescriptorProtoSchema, {
    name: 'switchgear/test/v1/shapes.proto',
    package: 'switchgear.test.v1',
    syntax: 'proto3',
    dependency: [fsmFile.proto.name],
    service: [
      {
        name: 'Shapes',
        method: [
          {
            name: 'Collect',
            clientStreaming: true,
            inputType: '.switchgear.fsm.v1.GetConfigurationRequest',
            outputType: '.switchgear.fsm.v1.RenderConfigurationResponse',
          },
        ],
      },
    ],
  });
  const registry = createFileRegistry(file, (name) => (name === fsmFile.proto.name ? fsmFile : undefined));
  const service = registry.getService('switchgear.test.v1.Shapes');
  if (service === undefined) throw new Error('the test service was not built');
  return service;
}
