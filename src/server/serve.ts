/**
 * One running service, from open stores to a clean stop. Starting: stores, handlers, ports, banner.
 * Stopping: say NOT_SERVING, wait for load balancers to notice, drain both ports, close the stores.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { bind, type ServiceBinding } from '../call.js';
import type { Config } from '../config.js';
import { banner } from './banner.js';
import { type Composition, compose, SERVED_PROTOS } from './compose.js';
import { itemStatus } from './failure.js';
import { type Guard, openGuard } from './guard.js';
import { HealthBook, healthService } from './health.js';
import { startTransports, type Transports } from './listen.js';
import { openLog } from './log.js';
import { Metrics } from './metrics.js';
import { watchStores } from './readiness.js';
import { reflectionBindings } from './reflection.js';
import { createValidate } from './validation.js';
import { reload } from './watched-files.js';

/** How long NOT_SERVING stands before connections are told to go. */
const NOTICE_MS = 500;
/** How long calls under way may take to finish; with NOTICE_MS well within the promised 25 s. */
const DRAIN_MS = 20_000;

export interface ServeOptions {
  config: Config;
  /** The version of the product, as reported to operators and clients. */
  release: string;
}

/** Serves until SIGTERM or SIGINT, then stops in order; a second signal ends the process at once. */
export async function serve(options: ServeOptions): Promise<void> {
  const log = openLog(options.config.logLevel);
  const stopAsked = signalled();
  // Where there is nothing to read again, a terminal that hangs up ends the process as it always did.
  if (options.config.authFile !== undefined || options.config.tlsCertFile !== undefined)
    process.on('SIGHUP', reload);
  const server = await start(options, log);
  log.info({ signal: await stopAsked }, 'stopping');
  await server.stop();
  log.info('stopped');
}

export interface Server {
  readonly transports: Transports;
  stop(): Promise<void>;
}

/** Starts everything and prints the banner; rejects with one line for the operator. */
export async function start(options: ServeOptions, log: Logger): Promise<Server> {
  const guard = await openGuard(options.config, log);
  try {
    return await startServices(options, guard, log);
  } catch (error) {
    guard?.close();
    throw error;
  }
}

async function startServices(
  { config, release }: ServeOptions,
  guard: Guard | undefined,
  log: Logger,
): Promise<Server> {
  const metrics = new Metrics();
  const validate = createValidate(SERVED_PROTOS);
  const composition = await compose({
    config,
    release,
    validate,
    itemStatus: (domain) => itemStatus(log, domain),
    metrics,
  });
  const probing = new AbortController();
  try {
    const health = new HealthBook(composition.services.flatMap(({ protoServices }) => protoServices));
    await watchStores(composition.services, health, log, probing.signal);
    const transports = await startTransports({
      ...config,
      bindings: withOwnServices(composition.bindings, health, config.reflection),
      authenticator: guard?.auth,
      health,
      validate,
      metrics,
      log,
    });
    announce({ config, release, transports, composition, clientCount: guard?.auth.clientCount });
    const stopAll = () => stop(transports, health, composition, probing);
    return { transports, stop: () => stopAll().finally(() => guard?.close()) };
  } catch (error) {
    probing.abort();
    await composition.close();
    throw error;
  }
}

/** What every server offers beside its services: health, and unless switched off reflection over all of it. */
function withOwnServices(
  bindings: readonly ServiceBinding[],
  health: HealthBook,
  reflection: Config['reflection'],
): ServiceBinding[] {
  const served = [...bindings, bind(Health, healthService(health))];
  if (reflection === 'off') return served;
  return [...served, ...reflectionBindings(served.map(({ service }) => service.typeName))];
}

async function stop(
  transports: Transports,
  health: HealthBook,
  composition: Composition,
  probing: AbortController,
): Promise<void> {
  health.stop();
  await sleep(NOTICE_MS);
  await transports.drain(DRAIN_MS);
  probing.abort();
  await composition.close();
}

interface Announced extends ServeOptions {
  readonly transports: Transports;
  readonly composition: Composition;
  readonly clientCount: number | undefined;
}

function announce(facts: Announced): void {
  const { transports, composition } = facts;
  const text = banner({
    ...facts,
    ...transports,
    services: composition.services,
    nodeVersion: process.version,
    today: new Date().toISOString().slice(0, 10),
  });
  process.stderr.write(text);
}

function signalled(): Promise<string> {
  return new Promise((resolve) => {
    const first = (signal: string) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => process.exit(1));
      resolve(signal);
    };
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, first);
  });
}
