/**
 * What the transport costs: the same unary call answered by a bare grpc-js server that echoes bytes, by
 * one that also decodes and encodes the messages, and by ours (pipeline, validation, metrics, deadline,
 * signal), in turns within one run. Server and client are two processes. On few cores the client is often
 * the slower of the two, so the server's processor time per call is the figure to compare.
 *
 *   npx tsc -p test/bench && node dist/test/bench/echo.js [seconds per turn] [turns]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { pino } from 'pino';
import {
  FsmService,
  SendEventRequestSchema,
  SendEventResponseSchema,
} from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { HealthBook } from '../../src/server/health.js';
import { startTransports } from '../../src/server/listen.js';
import { Metrics } from '../../src/server/metrics.js';
import { createValidate } from '../../src/server/validation.js';

const CONNECTIONS = 4;
const STREAMS = 50;
const VARIANTS = ['bytes', 'messages', 'pipeline'] as const;
type Variant = (typeof VARIANTS)[number];

const PATH = '/switchgear.fsm.v1.FsmService/SendEvent';
const REQUEST = create(SendEventRequestSchema, {
  configurationName: 'orders',
  fsmId: 'order-00001234',
  event: { eventId: 'e-000000123456', name: 'accept', originator: 'bench' },
});
const RESPONSE = create(SendEventResponseSchema, { outcome: { eventId: 'e-000000123456' } });

const same = (bytes: Buffer): Buffer => bytes;

async function serve(variant: Variant): Promise<void> {
  const address = variant === 'pipeline' ? await servePipeline() : await serveBare(variant);
  let last = process.cpuUsage();
  process.on('message', () => {
    const { user, system } = process.cpuUsage(last);
    last = process.cpuUsage();
    process.send?.({ cpuUs: user + system });
  });
  process.send?.({ address });
}

async function serveBare(variant: Variant): Promise<string> {
  const server = new grpc.Server();
  const [write, read] =
    variant === 'bytes'
      ? [same, same]
      : [
          (message: typeof RESPONSE) => {
            const bytes = toBinary(SendEventResponseSchema, message);
            return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
          },
          (bytes: Buffer) => fromBinary(SendEventRequestSchema, bytes),
        ];
  const answer = variant === 'bytes' ? Buffer.from(toBinary(SendEventResponseSchema, RESPONSE)) : RESPONSE;
  const handle = (_call: unknown, callback: grpc.sendUnaryData<unknown>): void => callback(null, answer);
  server.register(PATH, handle as never, write as never, read as never, 'unary');
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return `127.0.0.1:${port}`;
}

async function servePipeline(): Promise<string> {
  const handlers = Object.fromEntries(FsmService.methods.map(({ localName }) => [localName, () => {}]));
  // As a real handler does, it passes the signal on.
  const sendEvent = async (_request: unknown, { signal }: { signal: AbortSignal }) => {
    if (signal.aborted) throw signal.reason;
    return RESPONSE;
  };
  const { grpcAddress } = await startTransports({
    host: '127.0.0.1',
    grpcPort: 0,
    httpPort: 0,
    bindings: [{ service: FsmService, handlers: { ...handlers, sendEvent } }],
    health: new HealthBook([]),
    metrics: new Metrics(),
    validate: createValidate([FsmService]),
    log: pino({ level: 'silent' }),
  });
  return grpcAddress;
}

interface Turn {
  readonly callsPerSecond: number;
  readonly serverCpuUsPerCall: number;
}

async function measure(
  child: ChildProcess,
  address: string,
  seconds: number,
  deadline: boolean,
): Promise<Turn> {
  const bytes = Buffer.from(toBinary(SendEventRequestSchema, REQUEST));
  const clients = Array.from({ length: CONNECTIONS }, () => {
    return new grpc.Client(address, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
  });
  let calls = 0;
  let endMs = Number.POSITIVE_INFINITY;
  const caller = (client: grpc.Client): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = (error?: grpc.ServiceError | null): void => {
        if (error) reject(error);
        if (performance.now() > endMs) resolve();
        if (error || performance.now() > endMs) return;
        calls++;
        const options = deadline ? { deadline: Date.now() + 5_000 } : {};
        client.makeUnaryRequest(PATH, same, same, bytes, new grpc.Metadata(), options, next);
      };
      next();
    });
  const callers = clients.flatMap((client) => Array.from({ length: STREAMS }, () => caller(client)));
  await new Promise((done) => setTimeout(done, 1_000));
  await cpuUs(child);
  const [startMs, startCalls] = [performance.now(), calls];
  await new Promise((done) => setTimeout(done, seconds * 1_000));
  const counted = calls - startCalls;
  const elapsedMs = performance.now() - startMs;
  const used = await cpuUs(child);
  endMs = 0;
  await Promise.all(callers);
  for (const client of clients) client.close();
  return { callsPerSecond: (counted / elapsedMs) * 1_000, serverCpuUsPerCall: used / counted };
}

async function cpuUs(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [answer] = (await once(child, 'message')) as [{ cpuUs: number }];
  return answer.cpuUs;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

async function run(seconds: number, turns: number): Promise<void> {
  const children = VARIANTS.map((variant) => fork(fileURLToPath(import.meta.url), ['serve', variant]));
  const addresses = await Promise.all(
    children.map(async (child) => ((await once(child, 'message')) as [{ address: string }])[0].address),
  );
  for (const deadline of [false, true]) {
    const results = VARIANTS.map((): Turn[] => []);
    for (let turn = 0; turn < turns; turn++)
      for (const [i, child] of children.entries())
        results[i]?.push(await measure(child, addresses[i] as string, seconds, deadline));
    print(results, deadline);
  }
  for (const child of children) child.kill();
}

function print(results: Turn[][], deadline: boolean): void {
  console.log(
    `\n${CONNECTIONS} connections x ${STREAMS} streams, ${deadline ? 'with' : 'without'} a deadline`,
  );
  const [base] = results;
  const baseRate = median((base ?? []).map((turn) => turn.callsPerSecond));
  for (const [i, turns] of results.entries()) {
    const rate = median(turns.map((turn) => turn.callsPerSecond));
    const cpu = median(turns.map((turn) => turn.serverCpuUsPerCall));
    const share = ((rate / baseRate) * 100).toFixed(0);
    console.log(
      `${VARIANTS[i]?.padEnd(9)} ${rate.toFixed(0).padStart(6)}/s  ${cpu.toFixed(1).padStart(5)} us cpu/call  ${share} %`,
    );
  }
}

const [mode, variant] = process.argv.slice(2);
if (mode === 'serve') await serve(variant as Variant);
else await run(Number(mode ?? 3), Number(variant ?? 3));
