/**
 * Keeps the health book true to the stores: each is asked once a second, and what it says stands for
 * the services on it until the next time.
 */
import type { Logger } from 'pino';
import type { ServedService } from './compose.js';
import type { HealthBook } from './health.js';

const PROBE_EVERY_MS = 1_000;

/** Probes until `signal` aborts; resolves after the first round, when health is known. */
export async function watchStores(
  services: readonly ServedService[],
  health: HealthBook,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const probes = services.map((service) => new StoreProbe(service, health, log));
  const round = () => Promise.all(probes.map((probe) => probe.run()));
  await round();
  const timer = setInterval(round, PROBE_EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

class StoreProbe {
  readonly #service: ServedService;
  readonly #health: HealthBook;
  readonly #log: Logger;
  #serving: boolean | undefined;
  #running = false;

  constructor(service: ServedService, health: HealthBook, log: Logger) {
    this.#service = service;
    this.#health = health;
    this.#log = log;
  }

  async run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      await this.#service.ping(AbortSignal.timeout(PROBE_EVERY_MS));
      this.#set(true);
    } catch (error) {
      this.#set(false, error);
    } finally {
      this.#running = false;
    }
  }

  #set(serving: boolean, error?: unknown): void {
    if (serving === this.#serving) return;
    this.#serving = serving;
    const { name, protoServices, engine } = this.#service;
    for (const service of protoServices) this.#health.set(service, serving);
    if (serving) this.#log.info({ service: name, store: engine.engine }, 'store answers');
    else this.#log.error({ service: name, store: engine.engine, err: error }, 'store does not answer');
  }
}
