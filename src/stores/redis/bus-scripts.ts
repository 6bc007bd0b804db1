/**
 * The scripts of the bus, with the bounds of the port put in, so that each number is stated once.
 */
import {
  ACCEPT_GRACE_MS,
  MAX_CONSUMERS,
  MAX_DEAD_LETTERS,
  MAX_DEDUPE_RECORDS,
  MAX_EXCEPTIONS,
  MAX_EXPIRIES,
  MAX_GROUPS,
  MAX_LOOK_EVENTS,
  MAX_TRIM_EVENTS,
  MAX_WAITING,
} from '../../bus/bounds.js';
import { loadScript, type Script, type ScriptOptions } from './scripts.js';

/** A waiter sets its flag anew whenever it looks, and each looks by itself now and then (wakes.ts). */
const FLAG_MS = 300_000;

const LIMITS = {
  ACCEPT_GRACE_MS,
  FLAG_MS,
  MAX_CONSUMERS,
  MAX_DEAD_LETTERS,
  MAX_DEDUPE_RECORDS,
  MAX_EXCEPTIONS,
  MAX_EXPIRIES,
  MAX_GROUPS,
  MAX_LOOK_EVENTS,
  MAX_TRIM_EVENTS,
  MAX_WAITING,
};

const limits = `local ${Object.keys(LIMITS).join(', ')} = ${Object.values(LIMITS).join(', ')}`;

export function loadBusScript(name: string, options: Omit<ScriptOptions, 'texts'> = {}): Script {
  return loadScript(name, { ...options, texts: { limits } });
}
