/**
 * What is wrong with settings that are right each for itself: one without the other that it belongs to,
 * files that are of no use, and a server that would be open to strangers. Every complaint names where
 * the value that it is about came from.
 */
import { accessSync, constants } from 'node:fs';
import { isIPv4 } from 'node:net';
import type { SettingName, Values } from './config.js';
import { PemErrors, type PemFiles, type PemRole, readPemFiles, unreadable } from './pem-files.js';

/** Where a value was given, in words. */
type Source = (name: SettingName) => string;

/** All complaints about the values together. */
export function checkTogether(values: Values, sourceOf: Source): string[] {
  return [
    ...missingPartners(values, sourceOf),
    ...uselessFiles(values, sourceOf),
    ...openToStrangers(values, sourceOf),
  ];
}

export function isLoopback(host: string): boolean {
  // What only looks like an address is a name, and may stand for anything.
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Each of these means nothing without the other. */
const PARTNERS: readonly (readonly [SettingName, SettingName])[] = [
  ['tls-cert', 'tls-key'],
  ['tls-key', 'tls-cert'],
  ['tls-client-ca', 'tls-cert'],
  ['auth-pepper-file', 'auth-file'],
  ['redis-cert', 'redis-key'],
  ['redis-key', 'redis-cert'],
];

function missingPartners(values: Values, sourceOf: Source): string[] {
  const missing = PARTNERS.filter(([name, partner]) => isGiven(values, name) && !isGiven(values, partner));
  const complaints = missing.map(([name, partner]) => `${sourceOf(name)} needs --${partner} beside it`);
  const isTls = values.redis?.startsWith('rediss') ?? false;
  // The CA of a Redis that is spoken to in plaintext would be a safety that is not there.
  const unused = (['redis-ca', 'redis-cert'] as const).filter((name) => isGiven(values, name) && !isTls);
  return [
    ...complaints,
    ...unused.map((name) => `${sourceOf(name)} needs a --redis that begins with rediss`),
  ];
}

const PEM_SETTINGS: readonly Record<PemRole, SettingName>[] = [
  { cert: 'tls-cert', key: 'tls-key', ca: 'tls-client-ca' },
  { cert: 'redis-cert', key: 'redis-key', ca: 'redis-ca' },
];

function uselessFiles(values: Values, sourceOf: Source): string[] {
  const ofPem = PEM_SETTINGS.flatMap((settings) => {
    const roles = Object.entries(settings) as [PemRole, SettingName][];
    const files = Object.fromEntries(roles.map(([role, name]) => [role, values[name]])) as PemFiles;
    try {
      readPemFiles(files);
      return [];
    } catch (error) {
      if (!(error instanceof PemErrors)) throw error;
      return error.all.map(({ role, message }) => `${sourceOf(settings[role])}: ${message}`);
    }
  });
  const ofAuth = (['auth-file', 'auth-pepper-file'] as const).flatMap((name) => {
    const path = values[name];
    try {
      if (path !== undefined) accessSync(path, constants.R_OK);
      return [];
    } catch (error) {
      return `${sourceOf(name)}: ${path} ${unreadable(error)}`;
    }
  });
  return [...ofPem, ...ofAuth];
}

function openToStrangers(values: Values, sourceOf: Source): string[] {
  if (values.insecure || isLoopback(values.host)) return [];
  const missing = [
    ...(isGiven(values, 'auth-file') ? [] : ['no authentication (--auth-file)']),
    ...(isGiven(values, 'tls-cert') ? [] : ['no TLS (--tls-cert, --tls-key)']),
  ];
  if (missing.length === 0) return [];
  return [
    `${sourceOf('host')}: ${values.host} can be reached from other machines, and there is ` +
      `${missing.join(' and ')}: add it, listen on 127.0.0.1, or say --insecure if the network is trusted`,
  ];
}

function isGiven(values: Values, name: SettingName): boolean {
  return values[name] !== undefined;
}
