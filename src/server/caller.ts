/**
 * Who calls: what a transport knows of the other end of a call, and the client that this shows. Asked
 * before anything that the caller sent is read.
 */
import type { Authenticator } from '../auth/authenticator.js';
import type { ClientAccess, Need } from '../auth/client.js';
import type { Peer } from '../auth/peer.js';
import { Fault } from '../fault.js';

/** What a call shows of where it comes from. */
export interface Caller {
  /** The header of that name, as it came. Never logged, never answered. */
  readonly authorization: string | undefined;
  readonly peer: Peer;
}

/**
 * What the caller is granted of a need, which may be nothing.
 * @throws Fault of kind `unauthenticated`
 */
export function accessOf(authenticator: Authenticator, need: Need, caller: Caller): ClientAccess {
  return authenticator.identify(caller.authorization, caller.peer).accessTo(need);
}

/** Why a stream that was let in must end now; undefined = it may go on. `name` is the one it was let in for. */
export function objectionTo(access: ClientAccess, name: string | undefined): Fault | undefined {
  if (!access.client.isKnown)
    return new Fault('CREDENTIALS_INVALID', 'the client of this call is not known here any more');
  return access.isAny && (name === undefined || access.allows(name)) ? undefined : access.denial();
}
