/** `switchgear fsm`: what concerns definitions: get, versions, render, retention, count. */
import type { Command } from 'commander';
import { messageToJson } from '../client/index.js';
import { configurations } from './fsm-views.js';
import { connected, type Invocation, type Io, leaf } from './invocation.js';
import { limited, wholeNumber } from './numbers.js';

export function addConfigurationCommands(fsm: Command, io: Io): void {
  addVersions(fsm, io);
  addCount(fsm, io);
  addRender(fsm, io);
  addRetention(fsm, io);
}

function addVersions(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'versions', 'list the versions of a configuration, oldest first')
    .argument('<config>', 'name of the configuration')
    .option('--limit <count>', 'at most so many', wholeNumber(1));
  connected(command, io, async (it, config: string, { limit }: { limit?: number }) => {
    const all = it.switchgear.fsm.listConfigurationVersions(config, it);
    await it.out.rows(limited(all, limit), configurations);
  });
}

function addCount(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'count', 'count the machines of a configuration in each state')
    .argument('<config>', 'name of the configuration')
    .option('--version <version>', 'only machines of this version');
  connected(command, io, async (it, config: string, { version = '' }: { version?: string }) => {
    const request = { configurationName: config, configurationVersion: version };
    const answer = await it.switchgear.fsm.countByState(request, it);
    const rows = answer.counts.map(({ state, count }) => [state, String(count)] as const);
    await it.out.record(messageToJson(answer), [
      ['STATE', 'COUNT'],
      ...rows,
      ['(all)', String(answer.total)],
    ]);
  });
}

function addRender(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'render', 'draw a configuration as Mermaid text')
    .argument('<config>', 'name of the configuration')
    .argument('[id]', 'machine whose state is to be marked')
    .option('--version <version>', "a version; the machine's or else the newest unless given");
  const action = async (it: Invocation, config: string, id?: string) => {
    const { version = '' } = command.opts<{ version?: string }>();
    const request = { name: config, version, fsmId: id ?? '' };
    const mermaid = await it.switchgear.fsm.renderConfiguration(request, it);
    await it.out.text({ mermaid }, mermaid);
  };
  connected(command, io, action);
}

function addRetention(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'retention', 'show or set how much history the machines of a configuration keep')
    .argument('<config>', 'name of the configuration')
    .option('--keep <count>', 'keep so many of the newest transitions; 0 = all', wholeNumber(0))
    .option('--expected-revision <number>', 'set it only while this is its revision', wholeNumber(0));
  type Options = { keep?: number; expectedRevision?: number };
  connected(command, io, async (it, configurationName: string, { keep, expectedRevision }: Options) => {
    const { fsm: client } = it.switchgear;
    const condition = expectedRevision === undefined ? {} : { expectedRevision: BigInt(expectedRevision) };
    const set = { configurationName, historyMaxCount: BigInt(keep ?? 0), ...condition };
    const retention =
      keep === undefined
        ? await client.getRetention(configurationName, it)
        : await client.setRetention(set, it);
    const kept = retention.historyMaxCount === 0n ? 'all' : `the newest ${retention.historyMaxCount}`;
    await it.out.record(messageToJson(retention), [
      ['configuration', retention.configurationName],
      ['history kept', kept],
      ['revision', String(retention.revision)],
    ]);
  });
}
