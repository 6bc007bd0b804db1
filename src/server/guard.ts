/**
 * Authentication of this process, kept as its files say: they are watched, read again when they change, and
 * what came of that is told in the log.
 */
import type { Logger } from 'pino';
import { type Auth, type AuthEvent, openAuth } from '../auth/open-auth.js';
import type { Config } from '../config.js';
import { Audit } from './audit.js';
import { watchFiles } from './watched-files.js';

export interface Guard {
  readonly auth: Auth;
  close(): void;
}

/** Undefined = nobody is asked who they are. */
export async function openGuard(
  { authFile, authPepperFile }: Config,
  log: Logger,
): Promise<Guard | undefined> {
  if (authFile === undefined) return undefined;
  const audit = new Audit(log);
  const files = [authFile, ...(authPepperFile === undefined ? [] : [authPepperFile])];
  let auth: Auth | undefined;
  // Watched before they are read, so that no change falls between.
  const stopWatching = watchFiles(
    () => files,
    () => auth?.reload(),
  );
  try {
    auth = await openAuth({
      authFile,
      pepperFile: authPepperFile,
      onEvent: (event) => tell(event, audit, log),
    });
  } catch (error) {
    stopWatching();
    throw error;
  }
  const opened = auth;
  return {
    auth: opened,
    close() {
      stopWatching();
      opened.close();
    },
  };
}

const CHANGES = {
  client_added: 'a client came',
  client_removed: 'a client went',
  client_changed: 'a client changed',
} as const;

function tell(event: AuthEvent, audit: Audit, log: Logger): void {
  if (event.type === 'reload_failed')
    log.error({ problem: event.message }, 'the new auth file is of no use; the old one stays in use');
  else if (event.type === 'pepper_changed')
    audit.change(
      { change: event.type },
      'the pepper changed: what was hashed with the one before is refused',
    );
  else audit.change({ client: event.id, change: event.type }, CHANGES[event.type]);
}
