/**
 * Who calls: what a transport knows of the other end of a call, and the client that this shows. Asked
 * before anything that the caller sent is read.
 */
import type { Authenticator, Identify } from '../auth/authenticator.js';
import type { Client, ClientAccess, Need } from '../auth/client.js';
import type { Peer } from '../auth/peer.js';
import { Fault } from '../fault.js';

/** What a call shows of where it comes from. */
export interface Caller {
  /** The header of that name, as it came. Never logged, never answered. */
  readonly authorization: string | undefined;
  readonly peer: Peer;
  /** Left here once it was asked: what the client that this shows is granted. */
  granted?: ClientAccess | undefined;
}

/**
 * What the caller is granted of a need, which may be nothing.
 * @throws Fault of kind `unauthenticated`
 */
export function accessOf(authenticator: Authenticator, need: Need, caller: Caller): ClientAccess {
  return authenticator.identify(caller.authorization, caller.peer).accessTo(need);
}

/**
 * Why a call that was let in must end now; undefined = it may go on. `name` is the one it was let in for. It
 * shows again what it showed then, since a secret or a certificate's name can end while its client stays.
 */
export function objectionTo(
  access: ClientAccess,
  caller: Caller,
  name: string | undefined,
  identify: Identify,
): Fault | undefined {
  let client: Client;
  try {
    client = identify(caller.authorization, caller.peer);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  if (client !== access.client) return somebodyElse(caller);
  return access.isAny && (name === undefined || access.allows(name)) ? undefined : access.denial();
}

/** What was shown stands for another client now, or for one that went and came back meanwhile. */
function somebodyElse({ authorization }: Caller): Fault {
  const reason = authorization === undefined ? 'CERTIFICATE_UNKNOWN' : 'CREDENTIALS_INVALID';
  return new Fault(reason, 'the client that this call was let in as is another one now; call again');
}
