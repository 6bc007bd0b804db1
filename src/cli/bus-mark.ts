/** `switchgear bus mark`: says what became of an event, by its id alone. */
import { Argument, type Command } from 'commander';
import type { Mark } from '../client/index.js';
import { time } from './bus-options.js';
import { InputError } from './exit.js';
import { connected, type Io, leaf } from './invocation.js';

const MARKS = ['PROCESSED', 'RETRY', 'UNPROCESSED'] as const;

interface MarkOptions {
  readonly group?: string;
  readonly token?: string;
  readonly delay?: number;
}

export function addMark(bus: Command, io: Io): void {
  const command = leaf(bus, 'mark', 'mark an event for a group')
    .argument('<event-id>', 'id of the event')
    .addArgument(new Argument('<status>', 'what it becomes').choices(MARKS))
    .option('--group <group>', "group that it is marked for; the token's or default unless given")
    .option('--token <token>', 'only while this lease lives; without it whatever stands is marked')
    .option('--delay <time>', 'for RETRY: not before this has passed', time);
  type Status = (typeof MARKS)[number];
  connected(command, io, async (it, eventId: string, status: Status, options: MarkOptions) => {
    const { group, token, delay } = options;
    if (delay !== undefined && status !== 'RETRY') throw new InputError('--delay is for RETRY');
    const mark = {
      eventId,
      status: status.toLowerCase() as Mark,
      ...(group && { group }),
      ...(token && { leaseToken: token }),
      ...(delay !== undefined && { retryDelayMs: delay }),
    };
    await it.switchgear.bus.markEvent(mark, it);
    await it.out.record({ eventId, status }, [
      ['event', eventId],
      ['marked', status],
    ]);
  });
}
