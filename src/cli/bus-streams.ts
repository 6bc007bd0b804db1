/** `switchgear bus`: what concerns streams as a whole: create, list, get, update, delete. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { messageToJson, SwitchgearError } from '../client/index.js';
import {
  bigNumber,
  type StreamSettingOptions,
  streamSettingsFrom,
  withStreamSettings,
} from './bus-options.js';
import { infoFields, type Standing, type StreamInfo, standings, streamFields, streams } from './bus-views.js';
import { InputError } from './exit.js';
import { connected, type Invocation, type Io, leaf } from './invocation.js';
import { limited, pageSizeFor, wholeNumber } from './numbers.js';

/** How often a watch looks. */
const WATCH_EVERY_MS = 1_000;

export function addStreamCommands(bus: Command, io: Io): void {
  addCreate(bus, io);
  addList(bus, io);
  addGet(bus, io);
  addUpdate(bus, io);
  addDelete(bus, io);
}

function addCreate(bus: Command, io: Io): void {
  const command = leaf(bus, 'create', 'create a stream').argument('<name>', 'what it is to be called');
  withStreamSettings(command).option('--request-id <id>', 'makes it safe to repeat: the same again finds it');
  type Options = StreamSettingOptions & { requestId?: string };
  connected(command, io, async (it, name: string, options: Options) => {
    const settings = streamSettingsFrom(options);
    const { requestId } = options;
    const request = { name, settings, ...(requestId && { requestId }) };
    const stream = await it.switchgear.bus.createStream(request, it);
    await it.out.record(messageToJson(stream), streamFields(stream));
  });
}

function addList(bus: Command, io: Io): void {
  const command = leaf(bus, 'list', 'list the streams').option(
    '--limit <count>',
    'at most so many; all unless given',
    wholeNumber(1),
  );
  connected(command, io, async (it, { limit }: { limit?: number }) => {
    const all = it.switchgear.bus.listStreams({ signal: it.signal, ...pageSizeFor(limit) });
    await it.out.rows(limited(all, limit), streams);
  });
}

function addGet(bus: Command, io: Io): void {
  const command = leaf(bus, 'get', 'show a stream, and how each of its groups stands')
    .alias('info')
    .argument('<name>', 'the stream')
    .option('-w, --watch', 'show every change of where the groups stand, until interrupted');
  connected(command, io, async (it, name: string, { watch }: { watch?: true }) => {
    const info = await it.switchgear.bus.getStreamInfo(name, it);
    if (watch) await it.out.rows(changesOf(it, info), standings, { isLive: true });
    else await it.out.record(messageToJson(info), infoFields(info));
  });
}

/** Looks once a second: a row for each group that moved; in JSON one document for all of them. */
async function* changesOf(it: Invocation, first: StreamInfo): AsyncGenerator<Standing> {
  const seen = new Map<string, string>();
  let info: StreamInfo | undefined = first;
  while (!it.signal.aborted) {
    const moved = info ? movedSince(seen, info) : [];
    for (const standing of it.out.format === 'table' ? moved : moved.slice(0, 1)) yield standing;
    await sleep(WATCH_EVERY_MS, undefined, { signal: it.signal }).catch(() => {});
    info = await look(it, first.stream?.name ?? '');
  }
}

/** Undefined when nobody is there to be asked just now, or it was interrupted. */
async function look(it: Invocation, stream: string): Promise<StreamInfo | undefined> {
  try {
    return await it.switchgear.bus.getStreamInfo(stream, it);
  } catch (error) {
    const isAway = error instanceof SwitchgearError && error.code === 'UNAVAILABLE';
    if (isAway || it.signal.aborted) return undefined;
    throw error;
  }
}

function movedSince(seen: Map<string, string>, info: StreamInfo): Standing[] {
  const all = info.groups.length > 0 ? info.groups : [undefined];
  return all
    .filter((group) => {
      const name = group?.group?.name ?? '';
      const text = JSON.stringify([String(info.lastSeq), group ? messageToJson(group) : null]);
      const hasMoved = seen.get(name) !== text;
      seen.set(name, text);
      return hasMoved;
    })
    .map((group) => ({ info, group }));
}

function addUpdate(bus: Command, io: Io): void {
  const command = leaf(bus, 'update', 'change the settings of a stream that are given').argument(
    '<name>',
    'the stream',
  );
  withStreamSettings(command).option(
    '--expected-revision <number>',
    'only while this is its revision',
    bigNumber,
  );
  type Options = StreamSettingOptions & { expectedRevision?: bigint };
  connected(command, io, async (it, name: string, { expectedRevision, ...options }: Options) => {
    const settings = streamSettingsFrom(options);
    if (Object.keys(settings).length === 0)
      throw new InputError('say what is to change, such as --max-age 30d');
    const condition = expectedRevision === undefined ? {} : { expectedRevision };
    const stream = await it.switchgear.bus.updateStream({ name, settings, ...condition }, it);
    await it.out.record(messageToJson(stream), streamFields(stream));
  });
}

function addDelete(bus: Command, io: Io): void {
  const command = leaf(bus, 'delete', 'delete a stream with its events and groups')
    .argument('<name>', 'the stream')
    .option('--uid <uid>', 'only if this is its uid');
  connected(command, io, async (it, name: string, { uid = '' }: { uid?: string }) => {
    const existed = await it.switchgear.bus.deleteStream({ name, uid }, it);
    await it.out.record({ existed }, [
      ['stream', name],
      ['outcome', existed ? 'deleted' : 'was not there'],
    ]);
  });
}
