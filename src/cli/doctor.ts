/**
 * `switchgear doctor`: what is connected to and who said so, can it be reached, who is ready, how long does
 * an answer take, and what may we do there. The idea to hold: whatever does not work, all that was found
 * until then is shown, and then one line says what is wrong.
 */
import type { JsonValue } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import type { ServiceHealth } from '../client/index.js';
import type { Settings } from '../client/settings.js';
import { tlsJson } from './context-views.js';
import { type Access, shownBy, tryAccess } from './doctor-access.js';
import { lookAtTls, type SeenCertificate, type SeenTls } from './doctor-tls.js';
import { EXIT, explain } from './exit.js';
import { type Answer, connected, type Invocation, type Io } from './invocation.js';

/** How many answers the latency is taken from. */
const PROBES = 5;
/** A certificate that ends sooner is pointed out. */
const SOON_DAYS = 14;
const DAY_MS = 24 * 3_600_000;

/** Makes `command` the doctor; it stands at the top, and among the commands of a service. */
export function asDoctor(command: Command, io: Io): void {
  connected(command, io, async (it): Answer => {
    const tls = await lookAtTls(it.settings);
    const findings = await findingsOf(it);
    await report(it, tls, findings);
    advise(it, tls, findings);
    if (findings.error) return explain(findings.error, it.address).exitCode;
    if (findings.access?.state === 'refused') return EXIT.auth;
    return findings.services.every(({ isServing }) => isServing) ? EXIT.ok : EXIT.unavailable;
  });
}

interface Findings {
  services: readonly ServiceHealth[];
  release?: string | undefined;
  connectMs?: number;
  latencyMs?: number;
  access?: Access;
  /** What ended the search. */
  error?: unknown;
}

async function findingsOf(it: Invocation): Promise<Findings> {
  const found: Findings = { services: [] };
  try {
    const started = performance.now();
    found.services = await it.switchgear.health.list(it);
    found.connectMs = rounded(performance.now() - started);
    found.release = await it.switchgear.health.release(it);
    found.latencyMs = await medianMs(it);
    found.access = await tryAccess(it, found.services);
  } catch (error) {
    found.error = error;
  }
  return found;
}

async function report(it: Invocation, tls: SeenTls | undefined, found: Findings): Promise<void> {
  const { settings } = it;
  const services = found.services.map(({ service, isServing }) => ({
    service: service || '(all)',
    status: isServing ? 'SERVING' : 'NOT_SERVING',
  }));
  const json: JsonValue = {
    address: it.address,
    context: settings.context ?? null,
    from: Object.fromEntries(settings.origins),
    tls: tls ? { ...(tlsJson(settings.tls) as object), ...tlsFacts(tls) } : null,
    credentials: credentialsJson(settings, found.access),
    release: found.release ?? null,
    connectMs: found.connectMs ?? null,
    latencyMs: found.latencyMs ?? null,
    services,
  };
  await it.out.record(json, [
    ['server', `${it.address} (${settings.origins.get('address')})`],
    ...(settings.context
      ? [['context', `${settings.context} (${settings.origins.get('context')})`] as const]
      : []),
    ...tlsRows(settings, tls),
    ['credentials', credentialsText(settings, found.access)],
    ...(found.error ? [] : answerRows(found)),
    ...services.map(({ service, status }) => [service, status] as const),
  ]);
}

function answerRows({ release, connectMs, latencyMs, access }: Findings): [string, string][] {
  const reads = Object.entries(access?.reads ?? {}).map(([service, answer]) => `${service} ${answer}`);
  return [
    ...(reads.length > 0 ? [['may read', reads.join(', ')] as [string, string]] : []),
    ['release', release ?? '(not told)'],
    ['connected', `in ${connectMs} ms`],
    ['answers', `in ${latencyMs} ms, median of ${PROBES}`],
  ];
}

function tlsRows({ origins }: Settings, tls: SeenTls | undefined): [string, string][] {
  if (!tls) return [['tls', 'off']];
  const from = ['tls', 'tlsCa', 'tlsCert', 'tlsServerName'] as const;
  const [origin] = from.flatMap((name) => origins.get(name) ?? []);
  return [
    ['tls', `${tls.protocol ?? 'no handshake'} (${origin})`],
    ...(tls.server ? [['certificate', certificateText(tls.server)] as [string, string]] : []),
    ...(tls.own ? [['own certificate', certificateText(tls.own)] as [string, string]] : []),
  ];
}

function certificateText({ subject, endMs }: SeenCertificate): string {
  return `${subject}, until ${new Date(endMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function tlsFacts({ protocol, server, problem, own }: SeenTls) {
  return {
    protocol: protocol ?? null,
    problem: problem ?? null,
    certificate: server ? certificateJson(server) : null,
    ownCertificate: own ? certificateJson(own) : null,
  };
}

function certificateJson({ subject, names, endMs }: SeenCertificate) {
  return { subject, names, end: new Date(endMs).toISOString() };
}

function credentialsText(settings: Settings, access: Access | undefined): string {
  const { origins } = settings;
  const origin = origins.get('credentialsFile') ?? origins.get('credentials') ?? origins.get('tlsCert');
  const shown = shownBy(settings);
  const what = { credentials: access?.client ?? 'sent', certificate: 'by certificate', nothing: 'none' }[
    shown
  ];
  const client = shown === 'certificate' && access?.client ? `, client ${access.client}` : '';
  return `${what}${client}${access ? `, ${access.state}` : ''}${shown === 'nothing' ? '' : ` (${origin})`}`;
}

function credentialsJson(settings: Settings, access: Access | undefined) {
  const { client = null, state = 'not tried', reads = {} } = access ?? {};
  return { shown: shownBy(settings), client, state, mayRead: { ...reads } };
}

/** What is wrong, and what is about to be. */
function advise(it: Invocation, tls: SeenTls | undefined, { services, access, error }: Findings): void {
  for (const [whose, seen] of [
    ['of the server', tls?.server],
    ['of this client', tls?.own],
  ] as const) {
    const days = seen ? Math.floor((seen.endMs - Date.now()) / DAY_MS) : SOON_DAYS;
    if (days < SOON_DAYS)
      it.note(`the certificate ${whose} ${days < 0 ? 'has ended' : `ends in ${days} days`}`);
  }
  // The same refusal of several services is one.
  const lines = [...(error ? [error] : []), ...(access?.refusals ?? [])].map(
    (each) => explain(each, it.address).line,
  );
  for (const line of new Set(lines)) it.note(line);
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
  return rounded(took.sort((a, b) => a - b)[Math.floor(PROBES / 2)] ?? 0);
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
