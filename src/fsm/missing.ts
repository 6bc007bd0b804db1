/** What every rpc says, in the same words, when a thing it needs is not there. */
import type { Call } from '../call.js';
import { Fault } from '../fault.js';
import type { Configuration } from './configuration.js';
import type { FsmStore } from './store.js';

export function configurationNotFound(name: string, version = ''): Fault {
  const facts: Record<string, string> = version === '' ? { name } : { name, version };
  const shown = version === '' ? name : `${name}:${version}`;
  return new Fault('CONFIGURATION_NOT_FOUND', `there is no configuration ${shown}`, { facts });
}

export function fsmNotFound(configurationName: string, fsmId: string): Fault {
  return new Fault('FSM_NOT_FOUND', `configuration ${configurationName} has no machine with this id`, {
    facts: { configuration_name: configurationName, fsm_id: fsmId },
  });
}

/** A configuration, the newest of its name for an empty version, or CONFIGURATION_NOT_FOUND. */
export async function mustGetConfiguration(
  store: FsmStore,
  name: string,
  version: string,
  call: Call,
): Promise<Configuration> {
  const configuration = await store.getConfiguration(name, version || undefined, call.signal);
  if (!configuration) throw configurationNotFound(name, version);
  return configuration;
}
