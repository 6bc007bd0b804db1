/** `switchgear bus group` and `seek`: workers that share a stream, and where they are in it. */
import type { Command } from 'commander';
import { messageToJson, type PositionInit } from '../client/index.js';
import {
  bigNumber,
  type FilterOptions,
  filterFrom,
  type GroupSettingOptions,
  groupSettingsFrom,
  POSITION,
  position,
  withFilter,
  withGroupSettings,
} from './bus-options.js';
import { groupFields, groups } from './bus-views.js';
import { InputError } from './exit.js';
import { connected, type Io, leaf } from './invocation.js';

export function addGroupCommands(bus: Command, io: Io): void {
  const command = bus.command('group').description('workers that share a stream');
  addCreate(command, io);
  addList(command, io);
  addUpdate(command, io);
  addDelete(command, io);
  addSeek(bus, io);
}

type CreateOptions = GroupSettingOptions &
  FilterOptions & { readonly start?: PositionInit; readonly requestId?: string };

function addCreate(parent: Command, io: Io): void {
  const command = leaf(parent, 'create', 'create a group')
    .argument('<name>', 'the stream')
    .argument('<group>', 'what it is to be called')
    .option(`--start <${POSITION}>`, 'where it starts; at the beginning unless given', position)
    .option('--request-id <id>', 'makes it safe to repeat: the same again finds it');
  withFilter(withGroupSettings(command));
  connected(command, io, async (it, stream: string, group: string, options: CreateOptions) => {
    const { start, requestId } = options;
    const request = {
      stream,
      group,
      settings: groupSettingsFrom(options),
      ...filterFrom(options),
      ...(start !== undefined && { start }),
      ...(requestId && { requestId }),
    };
    const created = await it.switchgear.bus.createGroup(request, it);
    await it.out.record(messageToJson(created), groupFields(created));
  });
}

function addList(parent: Command, io: Io): void {
  const command = leaf(parent, 'list', 'list the groups of a stream').argument('<name>', 'the stream');
  connected(command, io, async (it, stream: string) => {
    await it.out.rows(it.switchgear.bus.listGroups(stream, it), groups);
  });
}

function addUpdate(parent: Command, io: Io): void {
  const command = leaf(parent, 'update', 'change the settings of a group that are given')
    .argument('<name>', 'the stream')
    .argument('<group>', 'the group');
  withGroupSettings(command).option(
    '--expected-revision <number>',
    'only while this is its revision',
    bigNumber,
  );
  type Options = GroupSettingOptions & { readonly expectedRevision?: bigint };
  connected(command, io, async (it, stream: string, group: string, options: Options) => {
    const { expectedRevision, ...given } = options;
    const settings = groupSettingsFrom(given);
    if (Object.keys(settings).length === 0)
      throw new InputError('say what is to change, such as --max-attempts 10');
    const condition = expectedRevision === undefined ? {} : { expectedRevision };
    const updated = await it.switchgear.bus.updateGroup({ stream, group, settings, ...condition }, it);
    await it.out.record(messageToJson(updated), groupFields(updated));
  });
}

function addDelete(parent: Command, io: Io): void {
  const command = leaf(parent, 'delete', 'delete a group with its leases and dead letters')
    .argument('<name>', 'the stream')
    .argument('<group>', 'the group');
  connected(command, io, async (it, stream: string, group: string) => {
    const existed = await it.switchgear.bus.deleteGroup({ stream, group }, it);
    await it.out.record({ existed }, [
      ['group', group],
      ['outcome', existed ? 'deleted' : 'was not there'],
    ]);
  });
}

function addSeek(bus: Command, io: Io): void {
  const command = leaf(bus, 'seek', 'move a group to another place; what it has leased is dropped')
    .argument('<name>', 'the stream')
    .argument('<group>', 'the group')
    .requiredOption(`--to <${POSITION}>`, 'where to', position);
  connected(command, io, async (it, stream: string, group: string, { to }: { to: PositionInit }) => {
    const answer = await it.switchgear.bus.seekGroup({ stream, group, to }, it);
    await it.out.record(messageToJson(answer), [
      ['group', group],
      ['goes on from', String(answer.cursor)],
      ['generation', String(answer.group?.generation ?? '')],
    ]);
  });
}
