/**
 * grpc.health.v1: who is ready. The book holds a yes or no for each proto service; whoever probes the
 * stores writes it, and the rpcs and `/readyz` read it. The empty name stands for the whole process,
 * which is ready when all of it is and it is not stopping.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from '../../gen/grpc/health/v1/health_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';

/** The name under which the process as a whole is asked for. */
export const OVERALL = '';

export class HealthBook {
  readonly #serving = new Map<string, boolean>();
  readonly #watchers = new Set<() => void>();
  #isStopping = false;

  /** Every service starts as not serving. */
  constructor(services: readonly string[]) {
    for (const service of services) this.#serving.set(service, false);
  }

  set(service: string, serving: boolean): void {
    this.#serving.set(service, serving);
    this.#notify();
  }

  /** From now on nothing is serving, whatever the stores say. */
  stop(): void {
    this.#isStopping = true;
    this.#notify();
  }

  /** Undefined = there is no such service. */
  isServing(service: string): boolean | undefined {
    if (service === OVERALL) return !this.#isStopping && Array.from(this.#serving.values()).every(Boolean);
    const serving = this.#serving.get(service);
    return serving === undefined ? undefined : serving && !this.#isStopping;
  }

  /** All services, the overall one first. */
  all(): Record<string, boolean> {
    const names = [OVERALL, ...this.#serving.keys()];
    return Object.fromEntries(names.map((name) => [name, this.isServing(name) ?? false]));
  }

  /** What a service is now, then each change, until the signal aborts. Changes that cancel out are skipped. */
  async *watch(service: string, signal: AbortSignal): AsyncGenerator<boolean | undefined> {
    let wake = (): void => {};
    const notify = (): void => wake();
    this.#watchers.add(notify);
    signal.addEventListener('abort', notify, { once: true });
    try {
      for (let last: boolean | undefined | null = null; ; ) {
        signal.throwIfAborted();
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const now = this.isServing(service);
        if (now !== last) yield now;
        else await changed;
        last = now;
      }
    } finally {
      this.#watchers.delete(notify);
      signal.removeEventListener('abort', notify);
    }
  }

  #notify(): void {
    for (const notify of this.#watchers) notify();
  }
}

export function healthService(book: HealthBook): Handlers<typeof Health> {
  return {
    check: async ({ service }) => {
      const serving = book.isServing(service);
      if (serving !== undefined) return response(serving);
      throw new Fault('SERVICE_UNKNOWN', `there is no service ${service} here`, { facts: { service } });
    },
    list: async () => {
      const entries = Object.entries(book.all()).map(([name, serving]) => [
        name,
        { status: statusOf(serving) },
      ]);
      return create(HealthListResponseSchema, { statuses: Object.fromEntries(entries) });
    },
    watch: (request, call) => watch(book, request, call.signal),
  };
}

async function* watch(
  book: HealthBook,
  { service }: HealthCheckRequest,
  signal: AbortSignal,
): AsyncGenerator<HealthCheckResponse> {
  for await (const serving of book.watch(service, signal)) yield response(serving);
}

function response(serving: boolean | undefined): HealthCheckResponse {
  const init: MessageInitShape<typeof HealthCheckResponseSchema> = { status: statusOf(serving) };
  return create(HealthCheckResponseSchema, init);
}

function statusOf(serving: boolean | undefined): Serving {
  if (serving === undefined) return Serving.SERVICE_UNKNOWN;
  return serving ? Serving.SERVING : Serving.NOT_SERVING;
}
