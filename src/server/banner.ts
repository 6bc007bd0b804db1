/**
 * What an operator sees at start: addresses, where each service keeps its state and what that
 * survives, and what is unusual. Names no secret.
 */
import type { Config } from '../config.js';
import type { ServedService } from './compose.js';

/** The end of life of Node releases that this service runs on, by major version. */
const NODE_END_OF_LIFE: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
};

export interface BannerFacts {
  release: string;
  config: Config;
  grpcAddress: string;
  httpAddress: string;
  services: readonly ServedService[];
  nodeVersion: string;
  today: string;
}

export function banner(facts: BannerFacts): string {
  const { config, services } = facts;
  const lines = [
    `Switchgear ${facts.release}`,
    row('gRPC', facts.grpcAddress),
    row('HTTP', `http://${facts.httpAddress} (Connect, gRPC-Web, JSON; /healthz /readyz /metrics)`),
    ...services.flatMap(({ name, engine }) => [
      row(name, `${engine.engine} ${engine.version}, ${engine.location}`),
      row('', engine.durability),
    ]),
    row(
      'security',
      `authentication off, TLS off, ${config.insecure ? 'reachable beyond this machine' : 'loopback only'}`,
    ),
    ...warningsOf(facts).map((warning) => row('warning', warning)),
  ];
  return `${lines.join('\n')}\n`;
}

function warningsOf({ services, nodeVersion, today }: BannerFacts): string[] {
  const major = Number(/^v?(\d+)/.exec(nodeVersion)?.[1]);
  const endOfLife = NODE_END_OF_LIFE[major];
  const outdated = endOfLife !== undefined && today > endOfLife;
  return [
    ...new Set(services.flatMap(({ engine }) => engine.warnings)),
    ...(outdated
      ? [`Node ${major} gets no more fixes since ${endOfLife}; use a supported release in production`]
      : []),
  ];
}

function row(label: string, value: string): string {
  return `  ${label.padEnd(10)}${value}`;
}
