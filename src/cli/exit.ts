/**
 * How a command ends: one line for what went wrong, with the field and what to do next, and an exit code
 * that scripts can branch on. The one table of both.
 */
import { type EventOutcome, EventRefusedError, SwitchgearError } from '../client/index.js';
import { type TlsFailure, tlsFailureOf } from '../client/tls-failure.js';
import { printable } from './text.js';

export const EXIT = {
  ok: 0,
  other: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unavailable: 5,
  auth: 6,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Input that cannot be used: an option, an argument or a file. The message says where and why. */
export class InputError extends Error {}

/** Nobody reads what is printed any more (`| head`): the command has nothing left to do. */
export class OutputClosed extends Error {}

const EXIT_OF_CODE: Readonly<Record<string, ExitCode>> = {
  INVALID_ARGUMENT: EXIT.usage,
  NOT_FOUND: EXIT.notFound,
  ALREADY_EXISTS: EXIT.conflict,
  FAILED_PRECONDITION: EXIT.conflict,
  ABORTED: EXIT.conflict,
  UNAVAILABLE: EXIT.unavailable,
  DEADLINE_EXCEEDED: EXIT.unavailable,
  UNAUTHENTICATED: EXIT.auth,
  PERMISSION_DENIED: EXIT.auth,
  CANCELLED: EXIT.interrupted,
};

/** What to do next, by reason or else by code. */
const NEXT_STEP: Readonly<Record<string, string>> = {
  CONFIGURATION_NOT_FOUND: '`switchgear fsm list` shows what is there',
  CONFIGURATION_MISSING: '`switchgear fsm list` shows what is there',
  FSM_NOT_FOUND: '`switchgear fsm list CONFIG` shows the machines',
  OUTCOME_NOT_FOUND: 'outcomes are kept for a time (--fsm-outcome-retention of the server)',
  EVENT_NOT_FOUND: 'only applied events are found; `switchgear fsm outcome` tells what became of others',
  CONFIGURATION_EXISTS: 'configurations do not change; give the new one another version',
  FSM_EXISTS: 'choose another id, or leave it out to have one made',
  EVENT_ID_REUSED: 'an id stands for one event; give this one its own',
  UID_MISMATCH: 'it is another machine of this id; `switchgear fsm get CONFIG ID` shows its uid',
  REVISION_MISMATCH: 'somebody set it meanwhile; `switchgear fsm retention CONFIG` shows what it is',
  CURSOR_EXPIRED: 'start over without --cursor, with --snapshot for the machines as they are',
  STORE_FULL: 'nothing was changed; make room in the store',
  EFFECT_UNKNOWN: 'it may have happened; the same again, with the same id, has one effect',
  STORE_UNAVAILABLE: 'nothing was changed; `switchgear doctor` shows the state of the server',
  DRAINING: 'the server is stopping; try again',
  DEADLINE_EXCEEDED: 'try again, or allow more with --timeout',
  UNAUTHENTICATED: 'set SWITCHGEAR_CREDENTIALS=ID:SECRET or --credentials-file',
  CREDENTIALS_MISSING: 'set SWITCHGEAR_CREDENTIALS=ID:SECRET or --credentials-file, or pick a --context',
  CREDENTIALS_MALFORMED: 'what is between here and the server may have changed the authorization header',
  CREDENTIALS_INVALID:
    '`switchgear doctor` shows where the credentials are from; on the server `switchgear client rotate ID` makes a new secret',
  TOO_MANY_FAILURES: 'wait, and try again with credentials that are right',
  CERTIFICATE_REFUSED:
    '--tls-cert must be in date, and of the CA that the server knows (its --tls-client-ca)',
  CERTIFICATE_UNKNOWN:
    '`switchgear client add ID --name NAME` on the server joins a name of the certificate to a client',
  PERMISSION_DENIED: 'these credentials do not allow it; set others in SWITCHGEAR_CREDENTIALS',
  UNIMPLEMENTED: 'the server may be older than this command line; `switchgear doctor` shows its release',
};

/** The same for the bus, where it has words of its own. */
const NEXT_STEP_OF_BUS: Readonly<Record<string, string>> = {
  STREAM_NOT_FOUND: '`switchgear bus list` shows what is there',
  GROUP_NOT_FOUND: '`switchgear bus group list NAME` shows the groups, `group create` makes one',
  EVENT_NOT_FOUND: '`switchgear bus events NAME` shows the events with their ids',
  STREAM_EXISTS: 'choose another name; `switchgear bus update` changes its settings',
  GROUP_EXISTS: 'choose another name; `switchgear bus group update` changes its settings',
  DEDUPE_ID_REUSED: 'an id stands for one event; give this one its own',
  REQUEST_ID_REUSED: 'an id stands for one request; give this one its own',
  UID_MISMATCH: 'it is another stream of this name; `switchgear bus get NAME` shows its uid',
  REVISION_MISMATCH: 'somebody changed it meanwhile; look at it again',
  SEQ_MISMATCH: 'somebody wrote meanwhile; `switchgear bus get NAME` shows the last sequence',
  LEASE_STALE: 'the event may be in other hands; without --token whatever stands is marked',
  EVENT_EXPIRED: 'events are kept for a time: `switchgear bus get NAME` shows for how long',
  SEQ_OUT_OF_RANGE: '`switchgear bus get NAME` shows which sequences are kept',
  CURSOR_EXPIRED: 'start over without --cursor, with --from beginning for what is kept',
  STREAM_FULL: 'nothing was written; `switchgear bus update NAME` raises the cap or lets the oldest go',
  DEDUPE_FULL: 'nothing was written; try again later, or shorten --dedupe-window of the stream',
  TOO_MANY_GROUPS: '`switchgear bus group delete` makes room',
  TOO_MANY_CONSUMERS: 'let workers end, or share one with a higher --concurrency',
};

/** What to do when the two ends do not agree on TLS. */
const NEXT_STEP_OF_TLS: Readonly<Record<TlsFailure['kind'], string>> = {
  unknown_ca: '--tls-ca or SWITCHGEAR_TLS_CA names the CA to trust',
  name: '--address must be a name that it is for, or --tls-server-name say which',
  validity: 'the certificate must be renewed on the server, or the clock here be set',
  certificate: 'the server must be given another one',
  plaintext: 'leave --tls and SWITCHGEAR_TLS out, or take the port that speaks it',
  version: 'both ends must speak TLS 1.2 or later',
  refused: '--tls-cert and --tls-key name the certificate of this client',
};

/** An error as one line, with the exit code that goes with it. */
export function explain(error: unknown, address: string): { line: string; exitCode: ExitCode } {
  if (error instanceof EventRefusedError)
    return { line: error.message, exitCode: exitOfOutcome(error.outcome) };
  if (error instanceof SwitchgearError) return explainCall(error, address);
  const message = error instanceof Error ? error.message : String(error);
  return { line: printable(message), exitCode: error instanceof InputError ? EXIT.usage : EXIT.other };
}

function explainCall(error: SwitchgearError, address: string): { line: string; exitCode: ExitCode } {
  const exitCode = EXIT_OF_CODE[error.code] ?? EXIT.other;
  if (exitCode === EXIT.interrupted) return { line: 'stopped before the answer', exitCode };
  const ofService = error.domain === 'switchgear.bus' ? NEXT_STEP_OF_BUS : NEXT_STEP;
  const next =
    grantStep(error) ?? ofService[error.reason] ?? NEXT_STEP[error.reason] ?? NEXT_STEP[error.code];
  const line = [printable(whatHappened(error, address)), next].filter(Boolean).join('; ');
  return { line, exitCode };
}

/** Who has to be granted what, in the words of the command that does it. */
function grantStep({ reason, metadata }: SwitchgearError): string | undefined {
  if (reason !== 'GRANT_MISSING') return undefined;
  const { client = 'ID', grant = 'SERVICE:VERB' } = metadata;
  return `\`switchgear client grant ${printable(client)} ${printable(grant)}:NAME\` on the server gives it`;
}

function whatHappened(error: SwitchgearError, address: string): string {
  const { code, reason, message, violations, metadata } = error;
  if (code === 'UNAVAILABLE' && reason === '') return `cannot connect to ${address}: ${whyNot(error)}`;
  if (reason === 'TOO_MANY_FAILURES' && error.retryAfterMs !== undefined)
    return `${message} (for ${Math.ceil(error.retryAfterMs / 1_000)} s)`;
  if (reason === 'DEADLINE_EXCEEDED') return `no answer from ${address} in time`;
  if (violations.length > 0)
    return violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return metadata.correlation_id ? `${message} (correlation id ${metadata.correlation_id})` : message;
}

/** Codes of a connection that was made, and ended before an answer. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ERR_HTTP2_ERROR', 'ERR_HTTP2_SESSION_ERROR']);

function whyNot(error: SwitchgearError): string {
  const tls = tlsFailureOf(error);
  if (tls) return `${tls.text}; ${NEXT_STEP_OF_TLS[tls.kind]}`;
  // The library words an end without a status like this, and gives no cause.
  if (
    error.message.startsWith('http/2 stream closed') ||
    [...codesOf(error)].some((code) => BROKEN.has(code))
  )
    return (
      'it ended the connection without an answer; is that the gRPC port of a Switchgear? ' +
      'If it speaks TLS, --tls or SWITCHGEAR_TLS=true does too'
    );
  return (
    `${error.message}; is \`switchgear serve\` running there? ` +
    '--address or SWITCHGEAR_ADDRESS names another place'
  );
}

/** What Node calls that which lies behind an error. */
function* codesOf(error: Error): Generator<string> {
  let at: unknown = error.cause;
  for (let i = 0; i < 8 && at instanceof Error; i += 1) {
    if ('code' in at && typeof at.code === 'string') yield at.code;
    at = at.cause;
  }
}

/** 0 when the event was applied, else the code of what stood in its way. */
export function exitOfOutcome({ result }: EventOutcome): ExitCode {
  if (result.case === 'applied') return EXIT.ok;
  return result.case === 'fsmNotFound' || result.case === 'configurationNotFound'
    ? EXIT.notFound
    : EXIT.conflict;
}
