/**
 * Events: what the advance script is told and what it answers. The idea to hold: the script knows the
 * machine and this process knows the definitions, so each call carries the edges of its events in the
 * versions that are probably followed, and a wrong guess costs a second trip with nothing done.
 */
import { type Configuration, edgesOf } from '../../fsm/configuration.js';
import type { Answer, Command } from '../../fsm/machine.js';
import type { Client } from './client.js';
import type { Configurations } from './fsm-configurations.js';
import { answerFrom, eventText } from './fsm-records.js';
import type { Retentions } from './fsm-retention.js';
import type { FsmKeys } from './keys.js';
import { loadScript } from './scripts.js';
import { decodeToken, encodeToken } from './tokens.js';

const ADVANCE = loadScript('fsm_advance');

/** A call must not grow with the definitions: of several versions those that fit are sent, at least one. */
const MAX_EDGES_CHARS = 64 * 1024;

/** Each wrong guess teaches one version; only a machine that is replaced again and again asks for more. */
const MAX_GUESSES = 8;

export class Advance {
  readonly #client: Client;
  readonly #keys: FsmKeys;
  readonly #configurations: Configurations;
  readonly #retentions: Retentions;
  readonly #outcomeRetentionMs: string;

  constructor(
    client: Client,
    keys: FsmKeys,
    configurations: Configurations,
    retentions: Retentions,
    outcomeRetentionMs: number,
  ) {
    this.#client = client;
    this.#keys = keys;
    this.#configurations = configurations;
    this.#retentions = retentions;
    this.#outcomeRetentionMs = String(outcomeRetentionMs);
  }

  async advance(
    name: string,
    id: string,
    commands: readonly Command[],
    signal: AbortSignal,
  ): Promise<Answer[]> {
    let versions = await this.#configurations.recent(name, signal);
    if (!versions) return commands.map(() => ({ kind: 'configuration_not_found' }));
    for (let guess = 1; ; guess++) {
      const reply = await this.#send(name, id, commands, versions, signal);
      if (reply[0] !== 'CONFIGURATION') return reply.map(answerFrom);
      if (guess === MAX_GUESSES) throw new Error('the machine follows another version at every look');
      versions = await this.#configurations.useVersion(name, decodeToken(reply[1] ?? ''), signal);
    }
  }

  async #send(
    name: string,
    id: string,
    commands: readonly Command[],
    versions: readonly Configuration[],
    signal: AbortSignal,
  ): Promise<string[]> {
    const shard = this.#keys.shardOf(name, id);
    const idToken = encodeToken(id);
    const keys = [
      shard.machinePrefix + idToken,
      shard.historyPrefix + idToken,
      shard.index,
      shard.feed,
      shard.flag,
    ];
    for (const { eventId } of commands) keys.push(shard.outcomePrefix + encodeToken(eventId));
    const keep = this.#retentions.known(name) ?? (await this.#retentions.current(name, signal));
    const head = [idToken, keep, this.#outcomeRetentionMs];
    const args = scriptArgs(head, this.#keys.wakeChannel, commands, versions);
    return (await this.#client.run(ADVANCE, shard.slot, keys, args, signal)) as string[];
  }
}

/** ARGV of the advance script, as drawn in its header. */
function scriptArgs(
  head: readonly string[],
  wakeChannel: string,
  commands: readonly Command[],
  candidates: readonly Configuration[],
): string[] {
  const versions = fitting(candidates, commands);
  const args = [...head, String(versions.length), wakeChannel];
  for (const { version } of versions) args.push(encodeToken(version));
  const edges: string[] = [];
  const edgesStart = args.length + commands.length * 6 + 1;
  const edgesAt = new Map<string, string>();
  for (const command of commands) {
    let at = edgesAt.get(command.name);
    if (at === undefined) {
      at = String(edgesStart + edges.length);
      edgesAt.set(command.name, at);
      for (const version of versions) edges.push(edgesText(version, command.name));
    }
    const { bodyHash, expectedVersion, expectedState } = command;
    const [event, rest] = eventText(command);
    args.push(
      encodeToken(bodyHash),
      String(expectedVersion ?? ''),
      encodeToken(expectedState ?? ''),
      event,
      rest,
      at,
    );
  }
  args.push(...edges);
  return args;
}

function fitting(versions: readonly Configuration[], commands: readonly Command[]): readonly Configuration[] {
  if (versions.length === 1) return versions;
  const names = new Set(commands.map(({ name }) => name));
  let chars = 0;
  return versions.filter((version, i) => {
    for (const name of names) chars += edgesText(version, name).length;
    return i === 0 || chars <= MAX_EDGES_CHARS;
  });
}

const texts = new WeakMap<Configuration, Map<string, string>>();

/** Where an event leads, `!from=to!from=to!`; made once for each event of a configuration in memory. */
function edgesText(configuration: Configuration, eventName: string): string {
  let known = texts.get(configuration);
  if (!known) {
    known = new Map();
    texts.set(configuration, known);
  }
  const made = known.get(eventName);
  if (made !== undefined) return made;
  const edges = edgesOf(configuration).get(eventName);
  // Not kept for names that the configuration does not have: senders may invent any number of those.
  if (!edges) return '';
  let text = '!';
  for (const [from, to] of edges) text += `${encodeToken(from)}=${encodeToken(to)}!`;
  known.set(eventName, text);
  return text;
}
