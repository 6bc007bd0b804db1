/** `switchgear bus`: reading events: events, one page after the other, and tail, as they are written. */
import { type Command, Option } from 'commander';
import type { SubscribeEvent, SubscribeRequest } from '../client/index.js';
import {
  bigNumber,
  type FilterOptions,
  filterFrom,
  POSITION,
  position,
  STATUSES,
  type StatusName,
  statusOf,
  withFilter,
} from './bus-options.js';
import { events, subscribed } from './bus-views.js';
import { InputError } from './exit.js';
import { connected, type Io, leaf } from './invocation.js';
import { limited, pageSizeFor, wholeNumber } from './numbers.js';

export function addEventCommands(bus: Command, io: Io): void {
  addEvents(bus, io);
  addTail(bus, io);
}

interface EventsOptions {
  readonly status?: StatusName;
  readonly group?: string;
  readonly fromSeq?: bigint;
  readonly limit?: number;
}

function addEvents(bus: Command, io: Io): void {
  const command = leaf(bus, 'events', 'list the events of a stream with their status')
    .argument('<name>', 'the stream')
    .addOption(new Option('--status <status>', 'only events with this status').choices(STATUSES))
    .option('--group <group>', 'group whose status is shown; default unless given')
    .option('--from-seq <seq>', 'from this sequence on', bigNumber)
    .option('--limit <count>', 'at most so many; all unless given', wholeNumber(1));
  connected(command, io, async (it, stream: string, options: EventsOptions) => {
    const { status, group, fromSeq, limit } = options;
    const request = {
      stream,
      ...(group && { group }),
      ...(status && { status: statusOf(status) }),
      ...(fromSeq !== undefined && { fromSeq }),
      ...pageSizeFor(limit),
    };
    await it.out.rows(limited(it.switchgear.bus.getStreamEvents(request, it), limit), events);
  });
}

interface TailOptions extends FilterOptions {
  readonly from?: SubscribeRequest['from'];
  readonly cursor?: string;
  readonly limit?: number;
}

function addTail(bus: Command, io: Io): void {
  const command = leaf(bus, 'tail', 'show events as they are written, until interrupted')
    .argument('<name>', 'the stream')
    .option(`--from <${POSITION}>`, 'where to begin; at the end unless given', position)
    .option('--cursor <cursor>', 'go on from here; cursors come with the events in json and yaml')
    .option('--limit <count>', 'end after so many events', wholeNumber(1));
  withFilter(command);
  connected(command, io, async (it, stream: string, options: TailOptions) => {
    const { from, cursor: first, limit } = options;
    if (from !== undefined && first !== undefined)
      throw new InputError('--from begins and --cursor goes on; leave one out');
    // A subscription waits for a server that is not there; a command that starts should say so instead.
    await it.switchgear.bus.getStream(stream, it);
    let cursor = first;
    const request = {
      stream,
      ...(from !== undefined && { from }),
      ...(first !== undefined && { cursor: first }),
      ...filterFrom(options),
    };
    async function* shown(): AsyncGenerator<SubscribeEvent> {
      let left = limit ?? Number.POSITIVE_INFINITY;
      for await (const each of it.switchgear.bus.subscribe(request, it)) {
        if (each.kind !== 'cursor') yield each;
        if ('cursor' in each && each.cursor) cursor = each.cursor;
        if (each.kind === 'event') left -= 1;
        if (left <= 0) return;
      }
    }
    await it.out.rows(shown(), subscribed, { isLive: true });
    if (it.out.format === 'table' && cursor && limit === undefined)
      it.note(`stopped; --cursor ${cursor} goes on from here`);
  });
}
