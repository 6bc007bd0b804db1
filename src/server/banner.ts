/**
 * What an operator sees at start: addresses, where each service keeps its state and what that
 * survives, and what is unusual. Names no secret.
 */
import type { Config } from '../config.js';
import { isLoopback } from '../config-checks.js';
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
  /** How many clients the auth file has; undefined = nobody is asked who they are. */
  clientCount?: number | undefined;
  /** When the certificate ends, in Unix milliseconds; undefined = plaintext. */
  certificateEndMs?: number | undefined;
  /** Unix milliseconds; the machine's clock unless given. */
  nowMs?: number;
  nodeVersion: string;
  today: string;
}

const DAY_MS = 86_400_000;
/** How long before its end a certificate is spoken of: most are renewed earlier. */
const CERTIFICATE_NOTICE_MS = 14 * DAY_MS;

export function banner(facts: BannerFacts): string {
  const { services } = facts;
  const lines = [
    `Switchgear ${facts.release}`,
    row('gRPC', facts.grpcAddress),
    row(
      'HTTP',
      `${isTls(facts) ? 'https' : 'http'}://${facts.httpAddress} (Connect, gRPC-Web, JSON; /healthz /readyz /metrics)`,
    ),
    ...services.flatMap(({ name, engine }) => [
      row(name, `${engine.engine} ${engine.version}, ${engine.location}`),
      row('', engine.durability),
    ]),
    row('security', securityOf(facts)),
    ...warningsOf(facts).map((warning) => row('warning', warning)),
  ];
  return `${lines.join('\n')}\n`;
}

function isTls({ certificateEndMs }: BannerFacts): boolean {
  return certificateEndMs !== undefined;
}

function securityOf({ config, clientCount, certificateEndMs }: BannerFacts): string {
  const clients = clientCount === 1 ? '1 client' : `${clientCount} clients`;
  return [
    clientCount === undefined ? 'authentication off' : `authentication on (${clients}, ${config.authFile})`,
    certificateEndMs === undefined ? 'TLS off' : `TLS on (certificate until ${dateOf(certificateEndMs)})`,
    ...(config.tlsClientCaFile === undefined ? [] : ['client certificates on']),
    isLoopback(config.host) ? 'loopback only' : 'reachable beyond this machine',
  ].join(', ');
}

/** What `--insecure` lets pass. */
function opennessWarnings({ config, clientCount, certificateEndMs }: BannerFacts): string[] {
  if (isLoopback(config.host)) return [];
  const off = [
    ...(clientCount === undefined
      ? ['without authentication (--auth-file): everybody may do everything']
      : []),
    ...(certificateEndMs === undefined
      ? ['without TLS (--tls-cert): whoever is between can read and change it']
      : []),
  ];
  return off.length === 0 ? [] : [`reachable beyond this machine ${off.join(', and ')}`];
}

function certificateWarnings({ config, certificateEndMs, nowMs = Date.now() }: BannerFacts): string[] {
  if (certificateEndMs === undefined) return [];
  const leftMs = certificateEndMs - nowMs;
  if (leftMs > CERTIFICATE_NOTICE_MS) return [];
  const [date, file] = [dateOf(certificateEndMs), config.tlsCertFile];
  return [
    leftMs <= 0
      ? `the certificate in ${file} ended on ${date}: callers will refuse it; it may be replaced while this runs`
      : `the certificate in ${file} ends on ${date}; it may be replaced while this runs`,
  ];
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function warningsOf(facts: BannerFacts): string[] {
  const { services, nodeVersion, today } = facts;
  const major = Number(/^v?(\d+)/.exec(nodeVersion)?.[1]);
  const endOfLife = NODE_END_OF_LIFE[major];
  const outdated = endOfLife !== undefined && today > endOfLife;
  return [
    ...new Set(services.flatMap(({ engine }) => engine.warnings)),
    ...opennessWarnings(facts),
    ...certificateWarnings(facts),
    ...(outdated
      ? [`Node ${major} gets no more fixes since ${endOfLife}; use a supported release in production`]
      : []),
  ];
}

function row(label: string, value: string): string {
  return `  ${label.padEnd(10)}${value}`;
}
