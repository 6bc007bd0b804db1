/**
 * Sends the credentials with every call, and takes new ones without a restart: when the server refuses
 * those that it was sent, they are read again, then at most once a second. Others than before are tried in their
 * place; the same ones are refused for good, and the error is the caller's. Nothing has happened in a call
 * that was refused, so making it again is safe.
 */
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { basicHeader, type Credentials } from './credentials.js';
import { toSwitchgearError } from './failure.js';

/** Reads the credentials as they are now. */
export type ReadCredentials = () => Credentials | Promise<Credentials>;

const READ_EVERY_MS = 1_000;
/** Refused for so long without one call that was not: whatever comes from the source is not taken any more. */
const PATIENCE_MS = 60_000;

/** Both say that they were looked at and are wrong. */
const REFUSALS: readonly string[] = ['CREDENTIALS_INVALID', 'TOO_MANY_FAILURES'];

/** The header that is sent, and what stands in its place when it is refused. */
class Authorization {
  readonly #read: ReadCredentials;
  #header: Promise<string> | undefined;
  /** When they were last read again. */
  #againMs = Number.NEGATIVE_INFINITY;
  #sinceMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(read: ReadCredentials) {
    this.#read = read;
  }

  header(): Promise<string> {
    if (!this.#header) {
      this.#header = Promise.resolve(this.#read()).then(basicHeader);
      // The next call asks again; whoever waits for this one is told.
      this.#header.catch(() => {
        this.#header = undefined;
      });
    }
    return this.#header;
  }

  accepted(): void {
    this.#lastMs = Number.NEGATIVE_INFINITY;
  }

  /** What to send in the place of a header that was refused; undefined = the refusal stands. */
  async inPlaceOf(refused: string): Promise<string | undefined> {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs > PATIENCE_MS) this.#sinceMs = nowMs;
    this.#lastMs = nowMs;
    if (nowMs - this.#sinceMs > PATIENCE_MS) return undefined;
    const header = await this.#again(refused);
    return header === refused ? undefined : header;
  }

  async #again(refused: string): Promise<string> {
    const current = await this.header();
    if (current !== refused || performance.now() - this.#againMs < READ_EVERY_MS) return current;
    this.#againMs = performance.now();
    // A file in the middle of being replaced: the old ones stay until the next look.
    const reading = Promise.resolve()
      .then(this.#read)
      .then(basicHeader)
      .catch(() => current);
    this.#header = reading;
    return reading;
  }
}

export function authorizing(read: ReadCredentials): Interceptor {
  const authorization = new Authorization(read);
  return (next) => async (request) => {
    for (;;) {
      const sent = await headerOf(authorization);
      request.header.set('authorization', sent);
      try {
        const response = await next(request);
        if (response.stream) return { ...response, message: watched(response.message, sent, authorization) };
        authorization.accepted();
        return response;
      } catch (error) {
        await renewedOrThrow(error, sent, authorization);
        if (request.stream) throw goOn(error);
      }
    }
  };
}

/** The answers of a stream. One that can go on with other credentials is lost, not refused: it begins anew. */
async function* watched<T>(
  answers: AsyncIterable<T>,
  sent: string,
  authorization: Authorization,
): AsyncGenerator<T> {
  try {
    for await (const answer of answers) {
      authorization.accepted();
      yield answer;
    }
  } catch (error) {
    await renewedOrThrow(error, sent, authorization);
    throw goOn(error);
  }
}

async function headerOf(authorization: Authorization): Promise<string> {
  try {
    return await authorization.header();
  } catch (cause) {
    const message = `cannot read the credentials: ${cause instanceof Error ? cause.message : 'no reason given'}`;
    throw new ConnectError(message, Code.Unauthenticated, undefined, undefined, cause);
  }
}

/** Returns when a refused call can be made again with others; throws the refusal when it cannot. */
async function renewedOrThrow(error: unknown, sent: string, authorization: Authorization): Promise<void> {
  if (!REFUSALS.includes(toSwitchgearError(error).reason)) throw error;
  const header = await authorization.inPlaceOf(sent).catch(() => undefined);
  if (header === undefined) throw error;
}

function goOn(cause: unknown): ConnectError {
  return new ConnectError(
    'the credentials were renewed: call again',
    Code.Unavailable,
    undefined,
    undefined,
    cause,
  );
}
