/**
 * `switchgear doctor`: can the server be reached, who is ready, how long does an answer take. It asks
 * health and nothing that needs the contract of a service, so it works with any release.
 */
import type { Command } from 'commander';
import type { ServiceHealth } from '../client/index.js';
import { EXIT } from './exit.js';
import { type Answer, connected, type Invocation, type Io } from './invocation.js';

/** How many answers the latency is taken from. */
const PROBES = 5;

/** Makes `command` the doctor; it stands at the top, and among the commands of a service. */
export function asDoctor(command: Command, io: Io): void {
  connected(command, io, async (it): Answer => {
    const started = performance.now();
    const services = await it.switchgear.health.list(it);
    const connectMs = performance.now() - started;
    const release = await it.switchgear.health.release(it);
    await report(it, { services, release, connectMs, latencyMs: await medianMs(it) });
    return services.every(({ isServing }) => isServing) ? EXIT.ok : EXIT.unavailable;
  });
}

interface Findings {
  readonly services: readonly ServiceHealth[];
  readonly release: string | undefined;
  readonly connectMs: number;
  readonly latencyMs: number;
}

async function report(it: Invocation, { services, release, connectMs, latencyMs }: Findings): Promise<void> {
  const rows = services.map(({ service, isServing }) => ({
    service: service || '(all)',
    status: isServing ? 'SERVING' : 'NOT_SERVING',
  }));
  const [connect, latency] = [rounded(connectMs), rounded(latencyMs)];
  const json = { address: it.address, release: release ?? null, connectMs: connect, latencyMs: latency };
  await it.out.record({ ...json, services: rows }, [
    ['server', it.address],
    ['release', release ?? '(not told)'],
    ['connected', `in ${connect} ms`],
    ['answers', `in ${latency} ms, median of ${PROBES}`],
    ...rows.map(({ service, status }) => [service, status] as const),
  ]);
  if (services.some(({ isServing }) => !isServing))
    it.note('what is NOT_SERVING cannot reach its store, or is stopping; the log of the server says which');
}

async function medianMs(it: Invocation): Promise<number> {
  const took: number[] = [];
  for (let probe = 0; probe < PROBES; probe += 1) {
    const started = performance.now();
    await it.switchgear.health.isServing('', it);
    took.push(performance.now() - started);
  }
  return took.sort((a, b) => a - b)[Math.floor(PROBES / 2)] ?? 0;
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
