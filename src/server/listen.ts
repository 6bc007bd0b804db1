/**
 * Both ports over one pipeline: started together, drained together. Whoever starts them also says when
 * to stop; by then health has said so, and callers have had time to go elsewhere.
 */
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticator.js';
import type { ServiceBinding, Validate } from '../call.js';
import { GrpcPort } from './grpc-port.js';
import type { HealthBook } from './health.js';
import { HttpPort } from './http-port.js';
import { DEFAULT_LIMITS, type Limits } from './limits.js';
import type { Metrics } from './metrics.js';
import { Pipeline, type PipelineOptions } from './pipeline.js';
import { openTls, type Tls, type TlsFiles } from './tls.js';
import { Web } from './web.js';

export interface TransportOptions extends Partial<TlsFiles> {
  readonly host: string;
  /** 0 = any free one. */
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly bindings: readonly ServiceBinding[];
  readonly health: HealthBook;
  readonly validate: Validate;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Undefined = nobody is asked who they are, and everybody may do everything. */
  readonly authenticator?: Authenticator | undefined;
  /** For tests that serve something else. */
  readonly ruleOf?: PipelineOptions['ruleOf'];
  /** Origins of pages that may call, besides our own. */
  readonly corsOrigins?: readonly string[];
  readonly limits?: Partial<Limits>;
}

export interface Transports {
  /** `host:port`, as bound. */
  readonly grpcAddress: string;
  readonly httpAddress: string;
  /** When the certificate ends, in Unix milliseconds; undefined = plaintext. */
  readonly certificateEndMs: number | undefined;
  /**
   * Says goodbye on both ports, lets unary calls finish, tells streams to end, and closes what is left
   * after `graceMs`. Resolves when every connection is closed.
   */
  drain(graceMs: number): Promise<void>;
}

/** Listens on both ports; rejects with one line if either cannot. */
export async function startTransports(options: TransportOptions): Promise<Transports> {
  const { host, bindings, metrics, log, health, authenticator, corsOrigins = [] } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const tls = openTls(options, { limits, metrics, log });
  const pipeline = new Pipeline({ ...options, authenticator: authenticator && hearing(authenticator, tls) });
  const rpcs = bindings.flatMap((binding) => pipeline.wrap(binding));
  const web = new Web({
    rpcs,
    limits,
    corsOrigins,
    health,
    metrics,
    log,
    lines: pipeline.lines,
    authenticator,
  });
  const grpc = new GrpcPort({
    host,
    port: options.grpcPort,
    limits,
    rpcs,
    tls,
    asksWho: authenticator !== undefined,
  });
  const http = new HttpPort({ host, port: options.httpPort, limits, web, tls });
  const ports = [grpc, http] as const;
  try {
    const [grpcAddress, httpAddress] = [await grpc.listen(), await http.listen()];
    return {
      grpcAddress,
      httpAddress,
      certificateEndMs: tls?.certificateEndMs,
      drain: (graceMs) => drain(pipeline, ports, graceMs).finally(() => tls?.close()),
    };
  } catch (error) {
    await Promise.all(ports.map((port) => port.close()));
    tls?.close();
    throw error;
  }
}

/** The authenticator, which tells of the end of certificates too. */
function hearing(authenticator: Authenticator, tls: Tls | undefined): Authenticator {
  return {
    identify: (authorization, peer) => authenticator.identify(authorization, peer),
    review: () => authenticator.review(),
    onChange: (listener) => {
      authenticator.onChange(listener);
      tls?.onRefused(listener);
    },
  };
}

// Statuses that were just written need a moment to leave before their connection is closed.
const FLUSH_MS = 250;

async function drain(
  pipeline: Pipeline,
  ports: readonly [GrpcPort, HttpPort],
  graceMs: number,
): Promise<void> {
  for (const port of ports) port.drain();
  const flushMs = Math.min(FLUSH_MS, graceMs / 2);
  await pipeline.drain(graceMs - flushMs);
  pipeline.close();
  await Promise.race([
    Promise.all(ports.map((port) => port.whenIdle())),
    new Promise((done) => setTimeout(done, flushMs)),
  ]);
  await Promise.all(ports.map((port) => port.close()));
}
