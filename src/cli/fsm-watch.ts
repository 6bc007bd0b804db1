/**
 * `switchgear fsm watch`: what changes, as it changes, until it is interrupted. The SDK goes on after a
 * lost connection; at its end the command says from where another one can go on.
 */
import type { Command } from 'commander';
import type { WatchEvent, WatchRequest } from '../client/index.js';
import { InputError } from './exit.js';
import { watchEvents } from './fsm-views.js';
import { connected, type Invocation, type Io, leaf } from './invocation.js';

interface WatchOptions {
  readonly state?: string;
  readonly cursor?: string;
  readonly snapshot?: true;
}

export function addWatch(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'watch', 'show changes of machines as they happen, until interrupted')
    .argument('<config>', 'name of the configuration')
    .argument('[id]', 'only this machine')
    .option('--state <state>', 'only changes that enter or leave this state')
    .option('--snapshot', 'show the machines there are first')
    .option('--cursor <cursor>', 'go on from here; cursors come with the changes in json and yaml');
  connected(command, io, async (it, config: string, id: string | undefined, options: WatchOptions) => {
    if (options.snapshot && options.cursor)
      throw new InputError('--snapshot starts over and --cursor goes on; leave one out');
    await follow(it, { configurationName: config, ...(id && { fsmId: id }), ...options });
  });
}

/** Prints what a watch yields. An interrupt is how a watch ends: it did all that it was asked to. */
export async function follow(it: Invocation, request: WatchRequest): Promise<void> {
  // A watch waits for a server that is not there; a command that starts should say so instead.
  await it.switchgear.fsm.getRetention(request.configurationName, it);
  let cursor = request.cursor;
  async function* shown(): AsyncGenerator<WatchEvent> {
    for await (const event of it.switchgear.fsm.watchTransitions(request, it)) {
      if (event.kind !== 'cursor') yield event;
      if ('cursor' in event && event.cursor) cursor = event.cursor;
    }
  }
  await it.out.rows(shown(), watchEvents, { isLive: true });
  if (it.out.format === 'table' && cursor) it.note(`stopped; --cursor ${cursor} goes on from here`);
}
