/** `switchgear fsm`: what concerns machines: get, list, history, allowed, delete. */
import type { Command } from 'commander';
import { messageToJson } from '../client/index.js';
import { InputError } from './exit.js';
import {
  configurationFields,
  configurationNames,
  machineFields,
  machines,
  transitions,
} from './fsm-views.js';
import { follow } from './fsm-watch.js';
import { connected, type Invocation, type Io, leaf } from './invocation.js';
import { limited, pageSizeFor, wholeNumber } from './numbers.js';

export function addMachineCommands(fsm: Command, io: Io): void {
  addGet(fsm, io);
  addList(fsm, io);
  addHistory(fsm, io);
  addAllowed(fsm, io);
  addDelete(fsm, io);
}

interface GetOptions {
  readonly version?: string;
  readonly history: number;
  readonly watch?: true;
}

function addGet(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'get', 'show a configuration, or a machine as it is now')
    .argument('<config>', 'name of the configuration')
    .argument('[id]', 'the machine; without it the configuration is shown')
    .option('--version <version>', 'version of the configuration; the newest unless given')
    .option('--history <count>', 'with so many of its newest transitions', wholeNumber(0), 0)
    .option('-w, --watch', 'show the machine, then every change of it');
  connected(command, io, async (it, config: string, id: string | undefined, options: GetOptions) => {
    if (id === undefined) return getConfiguration(it, config, options);
    if (options.version) throw new InputError('--version is of a configuration; a machine has but one');
    const request = { configurationName: config, fsmId: id, historySize: options.history };
    const machine = await it.switchgear.fsm.getFiniteStateMachine(request, it);
    if (options.watch) await follow(it, { configurationName: config, fsmId: id, snapshot: true });
    else await it.out.record(messageToJson(machine), machineFields(machine));
  });
}

async function getConfiguration(it: Invocation, name: string, { version, watch }: GetOptions) {
  if (watch)
    throw new InputError(
      `--watch needs a machine, configurations never change; \`switchgear fsm watch ${name}\` watches all machines`,
    );
  const configuration = await it.switchgear.fsm.getConfiguration(name, version, it);
  await it.out.record(messageToJson(configuration), configurationFields(configuration));
}

interface ListOptions {
  readonly state?: string;
  readonly version?: string;
  readonly limit?: number;
}

function addList(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'list', 'list the configurations, or the machines of one')
    .argument('[config]', 'list the machines of this configuration')
    .option('--state <state>', 'only machines in this state')
    .option('--version <version>', 'only machines that follow this version')
    .option('--limit <count>', 'at most so many; all unless given', wholeNumber(1));
  connected(command, io, async (it, config: string | undefined, options: ListOptions) => {
    const { state, version, limit } = options;
    const { fsm: client } = it.switchgear;
    if (config !== undefined) {
      const filter = { ...(state && { state }), ...(version && { configurationVersion: version }) };
      const request = { configurationName: config, ...filter, ...pageSizeFor(limit) };
      await it.out.rows(limited(client.listFiniteStateMachines(request, it), limit), machines);
    } else if (state !== undefined || version !== undefined)
      throw new InputError('--state and --version are of machines; name the configuration they follow');
    else {
      const names = client.listConfigurations({ signal: it.signal, ...pageSizeFor(limit) });
      await it.out.rows(limited(names, limit), configurationNames);
    }
  });
}

function addHistory(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'history', 'list the transitions of a machine, oldest first')
    .argument('<config>', 'name of the configuration')
    .argument('<id>', 'the machine')
    .option('--newest-first', 'newest first instead', false)
    .option('--limit <count>', 'at most so many; all unless given', wholeNumber(1));
  type Options = { newestFirst: boolean; limit?: number };
  connected(command, io, async (it, configurationName: string, fsmId: string, options: Options) => {
    const { newestFirst, limit } = options;
    const request = { configurationName, fsmId, newestFirst, ...pageSizeFor(limit) };
    await it.out.rows(limited(it.switchgear.fsm.listTransitions(request, it), limit), transitions);
  });
}

function addAllowed(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'allowed', 'show the events that a machine would accept now')
    .argument('<config>', 'name of the configuration')
    .argument('<id>', 'the machine');
  connected(command, io, async (it, config: string, id: string) => {
    const answer = await it.switchgear.fsm.listAllowedEvents(config, id, it);
    const events = answer.transitions.map(
      ({ event, to }, i) => [i === 0 ? 'allowed' : '', `${event} -> ${to}`] as const,
    );
    await it.out.record(messageToJson(answer), [
      ['state', answer.state],
      ['version', String(answer.version)],
      ...(events.length > 0 ? events : [['allowed', '(nothing)'] as const]),
    ]);
  });
}

function addDelete(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'delete', 'delete a machine with its history')
    .argument('<config>', 'name of the configuration')
    .argument('<id>', 'the machine')
    .option('--uid <uid>', 'only if this is its uid');
  connected(command, io, async (it, configurationName: string, fsmId: string, { uid }: { uid?: string }) => {
    const request = { configurationName, fsmId, uid: uid ?? '' };
    const existed = await it.switchgear.fsm.deleteFiniteStateMachine(request, it);
    await it.out.record({ existed }, [
      ['machine', fsmId],
      ['outcome', existed ? 'deleted' : 'was not there'],
    ]);
  });
}
