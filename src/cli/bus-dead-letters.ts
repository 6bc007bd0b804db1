/** `switchgear bus dead-letters`: what a group gave up on: list, replay, purge. */
import type { Command } from 'commander';
import type { DeadLetterRequest } from '../client/index.js';
import { another } from './bus-options.js';
import { countFields, deadLetters } from './bus-views.js';
import { InputError } from './exit.js';
import { connected, type Invocation, type Io, leaf } from './invocation.js';
import { limited, pageSizeFor, wholeNumber } from './numbers.js';
import { grouped } from './text.js';

export function addDeadLetters(bus: Command, io: Io): void {
  const command = bus.command('dead-letters').description('events that a group gave up on');
  addList(command, io);
  addReplay(command, io);
  addPurge(command, io);
}

function addList(parent: Command, io: Io): void {
  const command = leaf(parent, 'list', 'list the dead letters of a group, in the order they died')
    .argument('<name>', 'the stream')
    .option('--group <group>', 'the group; default unless given')
    .option('--limit <count>', 'at most so many; all unless given', wholeNumber(1));
  type Options = { group?: string; limit?: number };
  connected(command, io, async (it, stream: string, { group, limit }: Options) => {
    const request = { stream, ...(group && { group }), ...pageSizeFor(limit) };
    await it.out.rows(limited(it.switchgear.bus.listDeadLetters(request, it), limit), deadLetters);
  });
}

interface ChoiceOptions {
  readonly group?: string;
  readonly id?: readonly string[];
  readonly all?: true;
}

function addReplay(parent: Command, io: Io): void {
  const command = leaf(parent, 'replay', 'hand dead letters out again, as if new');
  withChoice(command);
  connected(command, io, async (it, stream: string, options: ChoiceOptions) => {
    const count = await it.switchgear.bus.replayDeadLetters(choiceOf(it, stream, options), it);
    await it.out.record(...countFields('replayed', count));
  });
}

function addPurge(parent: Command, io: Io): void {
  const command = leaf(parent, 'purge', 'forget dead letters');
  withChoice(command);
  connected(command, io, async (it, stream: string, options: ChoiceOptions) => {
    const count = await it.switchgear.bus.purgeDeadLetters(choiceOf(it, stream, options), it);
    await it.out.record(...countFields('purged', count));
  });
}

function withChoice(command: Command): void {
  command
    .argument('<name>', 'the stream')
    .option('--group <group>', 'the group; default unless given')
    .option('--id <event-id>', 'this one; may be given again for others', another)
    .option('--all', 'all of the group');
}

/** Everything at once has to be said: it cannot be taken back. */
function choiceOf(it: Invocation, stream: string, { group, id, all }: ChoiceOptions): DeadLetterRequest {
  if ((id === undefined) === (all === undefined))
    throw new InputError(
      `say --id EVENT_ID or --all; \`switchgear bus dead-letters list ${stream}\` shows what is there`,
    );
  const onStep = (count: bigint) => it.progress.show(`${grouped(count)} dead letters`);
  return { stream, onStep, ...(group && { group }), ...(id && { eventIds: id }) };
}
